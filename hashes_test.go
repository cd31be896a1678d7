package fairlead

import (
	"context"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/hashes/hashestest"
	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/backends/passwd"
	"github.com/fairlead-iot/fairlead/backends/redis"
	"github.com/fairlead-iot/fairlead/devices"
)

func TestMain(m *testing.M) { hashestest.Main(m) }

// What two users have in a database or in a directory.
const (
	bcryptOfPublic   = "$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK"
	argonOfPassword  = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	pbkdf2OfPublic   = "5a21f11c597da1447641c0a5ba58b856a76f1084" // of "public" and "salt"
	schemeWithPBKDF2 = "pbkdf2,sha256,1000,20"
)

// Passwords of users of databases and directories are hashed by processes apart, as metrics
// show, and here where there are none; the verdicts are the same.
func TestServiceHashesApart(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*testing.T, *Config)
		hashes  int
	}{
		// A directory costs none for who is not there, and knows no PBKDF2.
		"redis": {hashedRedis, 7}, "postgres": {hashedPostgres, 7}, "ldap": {hashedLDAP, 4},
	} {
		for _, apart := range []bool{true, false} {
			t.Run(name+map[bool]string{true: " apart", false: " here"}[apart], func(t *testing.T) {
				cfg := testConfig(t.TempDir())
				cfg.Auth.AllowAnonymous = AnonymousNever
				c.prepare(t, &cfg)
				if apart {
					cfg.HashWorker = hashestest.Command
				}
				g := start(t, cfg)
				g.logins(t, name != "ldap")
				figures := hashFigures(t, g)
				if !apart {
					if len(figures) != 0 {
						t.Errorf("no process is begun, but there are figures: %v", figures)
					}
					return
				}
				want := map[string]string{`hashes_total{made="apart"}`: strconv.Itoa(c.hashes), `hashes_total{made="gateway"}`: "0", "hash_failures_total": "0"}
				for key, value := range want {
					if figures[key] != value {
						t.Errorf("%s is %q, want %s", key, figures[key], value)
					}
				}
			})
		}
	}
}

// Administrators come in while all the hashes that may be under way for clients hang.
func TestAdministratorsDoNotWaitBehindClients(t *testing.T) {
	slots := min(max(1, runtime.GOMAXPROCS(0)/2), 8)
	hang, free := context.WithCancel(context.Background())
	var begun atomic.Int64
	taken := make(chan struct{}, slots)
	cfg := testConfig(t.TempDir())
	cfg.Core.AuthWorkers = slots
	cfg.Auth.PasswdFile = filepath.Join(cfg.Node.DataDir, "users")
	hash, err := passwd.NewHash([]byte("right"), passwd.Params{Memory: 8, Passes: 1, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := passwd.Edit(cfg.Auth.PasswdFile, func(old []byte) ([]byte, error) { return passwd.SetPassword(old, "alice", hash, passwd.Scram{}) }); err != nil {
		t.Fatal(err)
	}
	cfg.HashWorker = func() *exec.Cmd {
		if begun.Add(1) > int64(slots) {
			return hashestest.Command()
		}
		taken <- struct{}{}
		return hashestest.Silent(hang)
	}
	g := start(t, cfg)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer free()
	for range slots {
		clients.Go(func() {
			if c, err := devices.Dial(t.Context(), "mqtt://"+g.Addresses()["mqtt"], devices.Options{Username: "alice", Password: []byte("wrong"), HasPassword: true}); err == nil {
				c.Close()
				t.Error("the wrong password is right")
			}
		})
	}
	for range slots {
		<-taken
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.AdminAddress()+"/api/v1/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", g.FirstPassword())
	res, err := (&http.Client{Timeout: 20 * time.Second}).Do(req) // a hash that hangs is given up later
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("status %d", res.StatusCode)
	}
}

// logins tries the right and wrong passwords of all users, and one that is not there.
func (r running) logins(t *testing.T, pbkdf2 bool) {
	t.Helper()
	right := map[string]string{"blow": "public", "argon": "password"}
	if pbkdf2 {
		right["pb"] = "public"
	}
	try := func(name, password string, want bool) {
		t.Helper()
		c, err := devices.Dial(t.Context(), "mqtt://"+r.Addresses()["mqtt"], devices.Options{ClientID: name, Username: name, Password: []byte(password), HasPassword: true})
		if err == nil {
			c.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s with %s: %v", name, password, err)
		}
	}
	for name, password := range right {
		try(name, password, true)
		try(name, "x"+password, false)
	}
	try("nobody", "public", false)
}

// hashFigures are the metrics of password hashes, by their names behind password_.
func hashFigures(t *testing.T, g running) map[string]string {
	t.Helper()
	res, err := http.Get("http://" + g.AdminAddress() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]string{}
	for line := range strings.SplitSeq(string(body), "\n") {
		if rest, found := strings.CutPrefix(line, "fairlead_password_"); found {
			key, value, _ := strings.Cut(rest, " ")
			figures[key] = value
		}
	}
	return figures
}

// hashed is what both databases have in common.
func hashed(c *identity.Config) {
	c.Enabled, c.Only, c.PasswordHash = true, true, schemeWithPBKDF2
}

func hashedRedis(t *testing.T, c *Config) {
	r := startRedis(t)
	r.cli("HSET", "mqtt_user:blow", "password", bcryptOfPublic)
	r.cli("HSET", "mqtt_user:argon", "password", argonOfPassword)
	r.cli("HSET", "mqtt_user:pb", "password", pbkdf2OfPublic, "salt", "salt")
	pool := redis.DefaultConfig()
	pool.Server = []string{"127.0.0.1:" + r.port}
	c.Backends.Redis.Pools = map[string]*redis.Config{"main": &pool}
	hashed(&c.Backends.Redis.Identities)
}

func hashedPostgres(t *testing.T, c *Config) {
	db := postgresServer(t)
	for _, script := range append(strings.Split(identityTables(t), ";\n"),
		"insert into mqtt_user (username, password, salt) values ('blow', '"+bcryptOfPublic+"', null), ('argon', '"+argonOfPassword+"', null), ('pb', '"+pbkdf2OfPublic+"', 'salt')") {
		db.query(script)
	}
	db.use(c)
	hashed(&c.Backends.Postgres.Identities)
}

func hashedLDAP(t *testing.T, c *Config) {
	directory(t, c, map[string]string{"blow": "{CRYPT}" + bcryptOfPublic, "argon": "{ARGON2}" + argonOfPassword})
}
