package fairlead

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/mongodb"
	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/redis"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// issuer makes certificates.
type issuer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	is := &issuer{t: t}
	is.cert, is.key = is.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "issuer"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return is
}

// issue signs a certificate; the first is its own issuer's.
func (is *issuer) issue(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	is.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		is.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := is.cert, is.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err == nil {
		c, err = x509.ParseCertificate(der)
	}
	if err != nil {
		is.t.Fatal(err)
	}
	return c, key
}

// pemFiles are those that servers and pools read.
type pemFiles struct{ ca, cert, key string }

// write makes the files of a certificate for name in folder, as its owner's.
func (is *issuer) write(folder, name string) pemFiles {
	is.t.Helper()
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ip := net.ParseIP(name); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{name}
	}
	c, key := is.issue(c)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		is.t.Fatal(err)
	}
	f := pemFiles{filepath.Join(folder, "ca.pem"), filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")}
	for file, block := range map[string]*pem.Block{f.ca: {Type: "CERTIFICATE", Bytes: is.cert.Raw}, f.cert: {Type: "CERTIFICATE", Bytes: c.Raw}, f.key: {Type: "PRIVATE KEY", Bytes: der}} {
		err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600)
		if info, stat := os.Stat(folder); stat == nil && err == nil && os.Getuid() == 0 {
			owner := info.Sys().(*syscall.Stat_t)
			err = os.Chown(file, int(owner.Uid), int(owner.Gid))
		}
		if err != nil {
			is.t.Fatal(err)
		}
	}
	return f
}

// folderOf is one that a service may read, of its own user.
func folderOf(t *testing.T, service, like string) string {
	t.Helper()
	state := os.Getenv("FAIRLEAD_TEST_SERVICES")
	if state == "" {
		testservice.Lack(t, service, "only those that scripts/services has started are given certificates")
	}
	folder, err := os.MkdirTemp(filepath.Join(state, service), "tls")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if info, err := os.Stat(filepath.Join(state, service, like)); err == nil && os.Getuid() == 0 {
		owner := info.Sys().(*syscall.Stat_t)
		if err := os.Chown(folder, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// secured is a server that speaks TLS by files in a folder.
type secured struct {
	folder string
	reload func()        // reads them again
	demand func(on bool) // a certificate of whoever connects; nil: it always does
	open   func(on bool, f pemFiles) (rules.Database, error)
	plain  string // part of what is said to a pool without TLS
	nobody string // and to one without a certificate
}

// TestServiceTLS: pools prove who the server is, show who they are, and say what to do
// where that fails.
func TestServiceTLS(t *testing.T) {
	for name, of := range map[string]func(*testing.T) *secured{"redis": secureRedis, "postgres": securePostgres,
		"cassandra": secureCassandra, "mongodb": secureMongo,
		"mysql":   func(t *testing.T) *secured { return secureMySQL(t, "mysql") },
		"mariadb": func(t *testing.T) *secured { return secureMySQL(t, "mariadb") }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := of(t)
			good, other := newIssuer(t), newIssuer(t)
			own := good.write(t.TempDir(), "gateway")
			foreign := other.write(t.TempDir(), "gateway")
			none := func(f pemFiles) pemFiles { return pemFiles{ca: f.ca} }
			shown, demand := none, s.demand
			if demand == nil {
				shown, demand = func(f pemFiles) pemFiles { return f }, func(bool) {}
			}
			good.write(s.folder, "127.0.0.1")
			s.reload()
			s.wants(t, "proven", true, shown(own), "")
			s.wants(t, "another issuer", true, shown(foreign), "unknown authority")
			s.wants(t, "without TLS", false, pemFiles{}, s.plain)
			demand(true)
			s.wants(t, "with a certificate", true, own, "")
			s.wants(t, "without a certificate", true, none(own), s.nobody)
			demand(false)
			good.write(s.folder, "db.example.com")
			s.reload()
			s.wants(t, "another name", true, shown(own), "127.0.0.1")
		})
	}
}

// wants a connection, or an error with a text.
func (s *secured) wants(t *testing.T, what string, on bool, f pemFiles, text string) {
	t.Helper()
	d, err := s.open(on, f)
	if err == nil {
		defer d.Close()
		_, err = d.Do(t.Context(), []rules.Job{{Rule: &rules.Rule{Function: rules.OnClientConnected}, Hook: rules.ClientConnected, Time: 1, Node: "n", ClientID: "c"}})
	}
	switch {
	case text == "" && err == nil:
	case err == nil || text == "" || !strings.Contains(err.Error(), text) || rules.IsPermanent(err):
		t.Errorf("%s: %v, want %q", what, err, text)
	default:
		t.Logf("%s: %v", what, err)
	}
}

func secureRedis(t *testing.T) *secured {
	r, folder := startRedis(t), folderOf(t, "redis", "server")
	port := redisPort(t)
	address := net.JoinHostPort("127.0.0.1", port)
	set := func(pairs ...string) {
		if got := r.cli(append([]string{"CONFIG", "SET"}, pairs...)...); got != "OK" {
			t.Fatalf("%q: %s", pairs, got)
		}
	}
	t.Cleanup(func() { r.cli("CONFIG", "SET", "tls-port", "0") })
	return &secured{folder: folder, plain: "tls = true", nobody: "certificate required",
		reload: func() {
			set("tls-auth-clients", "no", "tls-ca-cert-file", folder+"/ca.pem", "tls-cert-file", folder+"/cert.pem", "tls-key-file", folder+"/key.pem", "tls-port", port)
		},
		demand: func(on bool) { set("tls-auth-clients", map[bool]string{true: "yes", false: "no"}[on]) },
		open: func(on bool, f pemFiles) (rules.Database, error) {
			c := redis.DefaultConfig()
			c.Server, c.TLS, c.CAFile, c.CertFile, c.KeyFile = []string{address}, on, f.ca, f.cert, f.key
			return c.Open()
		}}
}

// reloadPostgres has the server read its configuration.
func reloadPostgres(db *sqlServer) {
	const when = "select pg_conf_load_time()"
	before := db.query(when)
	for db.query("select pg_reload_conf()"); db.query(when) == before; {
		pause(10 * time.Millisecond)
	}
}

// securePostgres has a role that may connect by TLS alone.
func securePostgres(t *testing.T) *secured {
	db, role, folder := postgresServer(t), login(), folderOf(t, "postgres", "data")
	hba := filepath.Join(os.Getenv("FAIRLEAD_TEST_SERVICES"), "postgres", "data", "pg_hba.conf")
	before, err := os.ReadFile(hba)
	if err != nil {
		t.Fatal(err)
	}
	write := func(option string) {
		if err := os.WriteFile(hba, fmt.Appendf(nil, "hostssl all %[1]s 127.0.0.1/32 scram-sha-256 %[2]s\nhost all %[1]s 127.0.0.1/32 reject\n%[3]s", role, option, before), 0o600); err != nil {
			t.Fatal(err)
		}
		reloadPostgres(db)
	}
	name := db.query("select current_database()")
	db.query("create role " + role + " login superuser password 'first'")
	t.Cleanup(func() {
		os.WriteFile(hba, before, 0o600)
		for _, key := range []string{"ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file"} {
			db.query("alter system reset " + key)
		}
		reloadPostgres(db)
		db.query("drop owned by " + role + "; drop role " + role)
	})
	db.query("alter role " + role + " set search_path = " + db.query("select current_schema()"))
	pool := postgres.DefaultConfig()
	pool.Server = []string{given(t, "postgres", "psql").Host}
	return &secured{folder: folder, plain: "tls = true", nobody: "certificate",
		reload: func() {
			for key, value := range map[string]string{"ssl_ca_file": folder + "/ca.pem", "ssl_cert_file": folder + "/cert.pem", "ssl_key_file": folder + "/key.pem", "ssl": "on"} {
				db.query("alter system set " + key + " = '" + value + "'")
			}
			write("")
		},
		demand: func(on bool) { write(map[bool]string{true: "clientcert=verify-ca"}[on]) },
		open: func(on bool, f pemFiles) (rules.Database, error) {
			c := pool
			c.Username, c.Password, c.Database = role, "first", name
			c.TLS, c.CAFile, c.CertFile, c.KeyFile = on, f.ca, f.cert, f.key
			d, err := c.Open()
			if err == nil {
				_, err = d.Init(t.Context(), true)
			}
			return d, err
		}}
}

// secureMySQL has a user who may connect by TLS alone.
func secureMySQL(t *testing.T, kind string) *secured {
	db, user := mysqlServer(t, kind), login()
	folder := filepath.Join(os.Getenv("FAIRLEAD_TEST_SERVICES"), kind, "tls")
	flush := "flush ssl"
	if kind == "mysql" {
		folder = folderOf(t, kind, "data")
		flush = fmt.Sprintf("set global ssl_ca = '%s/ca.pem', global ssl_cert = '%[1]s/cert.pem', global ssl_key = '%[1]s/key.pem'; alter instance reload tls", folder)
	} else if _, err := os.Stat(folder); err != nil {
		testservice.Lack(t, kind, "it has no certificate: openssl was not there when it was made")
	}
	name := db.query("select database()")
	db.query("create user " + user + "@'%' identified by 'first' require ssl; grant all on " + name + ".* to " + user + "@'%'")
	t.Cleanup(func() { db.query("drop user " + user) })
	pool := mysql.DefaultConfig()
	pool.Server = given(t, kind, "mysql").Host
	return &secured{folder: folder, plain: "tls = true", nobody: "tls_cert_file",
		reload: func() { db.query(flush) },
		demand: func(on bool) {
			db.query("alter user " + user + "@'%' require " + map[bool]string{true: "x509", false: "ssl"}[on])
		},
		open: func(on bool, f pemFiles) (rules.Database, error) {
			c := pool
			c.Username, c.Password, c.Database = user, "first", name
			c.TLS, c.CAFile, c.CertFile, c.KeyFile = on, f.ca, f.cert, f.key
			d, err := c.Open()
			if err == nil {
				_, err = d.Init(t.Context(), true)
			}
			return d, err
		}}
}

// secureCassandra has a port for TLS beside the one of other tests.
func secureCassandra(t *testing.T) *secured {
	site := cassandraSite(t)
	folder := filepath.Join(os.Getenv("FAIRLEAD_TEST_SERVICES"), "cassandra", "tls")
	address, err := os.ReadFile(filepath.Join(folder, "address"))
	if err != nil {
		testservice.Lack(t, "cassandra", "it has no port for TLS: "+err.Error())
	}
	return &secured{folder: folder, plain: "tls = true", nobody: "certificate",
		reload: func() {
			var both []byte
			for _, name := range []string{"key.pem", "cert.pem"} {
				text, err := os.ReadFile(filepath.Join(folder, name))
				if err != nil {
					t.Fatal(err)
				}
				both = append(both, text...)
			}
			if err := os.WriteFile(filepath.Join(folder, "both.pem"), both, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(filepath.Join(folder, "reload")).CombinedOutput(); err != nil {
				t.Fatalf("the node does not read its certificates again: %v\n%s", err, out)
			}
		},
		open: func(on bool, f pemFiles) (rules.Database, error) {
			c := site.pool
			c.Nodes = []string{strings.TrimSpace(string(address))}
			c.TLS, c.CAFile, c.CertFile, c.KeyFile = on, f.ca, f.cert, f.key
			return c.Open()
		}}
}

// tlsProxy speaks TLS in place of a server that does not.
type tlsProxy struct {
	behind string
	mu     sync.Mutex
	config *tls.Config
}

func startTLSProxy(t *testing.T, behind string) (p *tlsProxy, address string) {
	p = &tlsProxy{behind: behind, config: &tls.Config{}}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.config.Clone(), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c.(*tls.Conn))
		}
	}()
	return p, l.Addr().String()
}

func (p *tlsProxy) serve(c *tls.Conn) {
	defer c.Close()
	if c.Handshake() != nil {
		return
	}
	server, err := net.Dial("tcp", p.behind)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(server, c)
		server.Close()
	}()
	io.Copy(c, server)
}

// change has connections from now on meet another configuration.
func (p *tlsProxy) change(f func(*tls.Config)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.config)
}

// secureMongo has TLS in front of the emulator, which speaks none that could be changed.
func secureMongo(t *testing.T) *secured {
	u := given(t, "mongodb")
	proxy, address := startTLSProxy(t, u.Host)
	folder := t.TempDir()
	return &secured{folder: folder, plain: "tls = true", nobody: "certificate",
		reload: func() {
			f := pemFiles{filepath.Join(folder, "ca.pem"), filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")}
			c, err := rules.ClientTLS(f.ca, f.cert, f.key)
			if err != nil {
				t.Fatal(err)
			}
			proxy.change(func(to *tls.Config) { to.Certificates, to.ClientCAs = c.Certificates, c.RootCAs })
		},
		demand: func(on bool) {
			proxy.change(func(c *tls.Config) {
				c.ClientAuth = map[bool]tls.ClientAuthType{true: tls.RequireAndVerifyClientCert, false: tls.NoClientCert}[on]
			})
		},
		open: func(on bool, f pemFiles) (rules.Database, error) {
			c := mongodb.DefaultConfig()
			c.Server, c.Database, c.Timeout = []string{address}, fmt.Sprintf("t%x", mathrand.Uint64()), 2*time.Second
			c.TLS, c.CAFile, c.CertFile, c.KeyFile = on, f.ca, f.cert, f.key
			return c.Open()
		}}
}
