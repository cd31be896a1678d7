package ldap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// directory is a branch of a real server, of the test's own.
type directory struct {
	t    *testing.T
	url  *url.URL
	base string
}

func openDirectory(t *testing.T) *directory {
	u, err := url.Parse(testservice.URL(t, "ldap"))
	if err != nil {
		t.Fatal(err)
	}
	testservice.Limit(t, 2*time.Minute)
	d := &directory{t: t, url: u}
	root := strings.Trim(u.Path, "/")
	name := fmt.Sprintf("t%x", rand.Uint64())
	d.base = "ou=" + name + "," + root
	d.tool("ldapadd", "dn: "+d.base+"\nobjectClass: organizationalUnit\nou: "+name+"\n")
	t.Cleanup(func() { d.tool("ldapdelete", "", "-r", d.base) })
	return d
}

// tool has one of OpenLDAP's own clients work as the administrator.
func (d *directory) tool(name, stdin string, args ...string) {
	d.t.Helper()
	password, _ := d.url.User.Password()
	cmd := exec.Command(name, append([]string{"-x", "-H", "ldap://" + d.url.Host, "-D", d.url.User.Username(), "-w", password}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v\n%s\n%s", name, err, out, stdin)
	}
}

func (d *directory) add(uid, password string, more ...string) {
	d.t.Helper()
	d.tool("ldapadd", fmt.Sprintf("dn: uid=%s,%s\nobjectClass: mqttDevice\nobjectClass: mqttUser\nobjectClass: mqttSecurity\nuid: %s\nuserPassword: %s\n%s\n",
		uid, d.base, uid, password, strings.Join(more, "\n")))
}

func (d *directory) source(change func(*Config)) *Source {
	d.t.Helper()
	cfg := DefaultConfig()
	password, _ := d.url.User.Password()
	cfg.Server, cfg.BaseDN, cfg.BindDN, cfg.BindPassword = []string{"ldap://" + d.url.Host}, d.base, d.url.User.Username(), password
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		d.t.Fatal(err)
	}
	s, err := Open(cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx, slog.New(slog.DiscardHandler)) })
	d.t.Cleanup(func() {
		cancel()
		running.Wait()
		s.Close()
	})
	return s
}

func login(user, password string) *core.Credentials {
	return &core.Credentials{ClientID: "c1", Username: user, HasUsername: true, Password: []byte(password), HasPassword: true}
}

func byBind(d *directory) func(*Config) {
	return func(c *Config) { c.Method, c.UserDN = Bind, "uid=${username},"+d.base }
}

// Users of each method, and those who want to be users.
func TestServiceLDAPUsers(t *testing.T) {
	d := openDirectory(t)
	d.add("ann", "{SSHA}oFpbVgaG7ng12pZ0lL8Z+FMpV4i7lsFw")
	d.add("bob", "pub lic", "isEnabled: TRUE", "isSuperuser: TRUE")
	d.add("cid", "pub lic", "isEnabled: FALSE")
	d.tool("ldapadd", "dn: cn=twice,"+d.base+"\nobjectClass: organizationalRole\nobjectClass: mqttSecurity\nobjectClass: mqttUser\nobjectClass: uidObject\ncn: twice\nuid: bob2\nuserPassword: x\n")
	d.tool("ldapadd", "dn: cn=again,"+d.base+"\nobjectClass: organizationalRole\nobjectClass: mqttSecurity\nobjectClass: mqttUser\nobjectClass: uidObject\ncn: again\nuid: bob2\nuserPassword: x\n")
	for method, set := range map[string]func(*Config){
		Compare:    func(c *Config) { c.Method = Compare },
		SearchBind: func(c *Config) { c.Method = SearchBind },
		Bind:       byBind(d),
		"starttls": func(c *Config) { c.Method, c.StartTLS, c.CAFile = SearchBind, true, certificate(t) },
	} {
		t.Run(method, func(t *testing.T) {
			s := d.source(set)
			wrong := core.Deny
			if method == Bind { // the directory does not say why
				wrong = core.Ignore
			}
			for _, c := range []struct {
				user, password string
				want           core.Verdict
				fails          bool
			}{
				{"ann", "pub lic", core.Allow, false}, {"bob", "pub lic", core.Allow, false},
				{"ann", "public", wrong, false}, {"ann", "Pub lic", wrong, false}, {"ann", "pub lic ", wrong, false},
				{"ann", "{SSHA}oFpbVgaG7ng12pZ0lL8Z+FMpV4i7lsFw", wrong, false},
				{"ann", "", core.Ignore, false}, {"nobody", "pub lic", core.Ignore, false}, {"", "pub lic", core.Ignore, false},
				{"cid", "pub lic", core.Deny, true}, {"ANN", "pub lic", core.Deny, true}, {" ann", "pub lic", core.Deny, true},
				{"*", "pub lic", core.Ignore, false}, {"a*", "pub lic", core.Ignore, false}, {"ann)(uid=*", "pub lic", core.Ignore, false},
				{"*)(objectClass=*))(|(uid=ann", "pub lic", core.Ignore, false}, {"ann,ou=x", "pub lic", core.Ignore, false}, {"ann\x00", "pub lic", core.Ignore, false},
				{`ann\`, "pub lic", core.Ignore, false}, {"ann+uid=bob", "pub lic", core.Ignore, false}, {"${clientid}", "pub lic", core.Ignore, false},
			} {
				v, grant, err := s.Authenticate(t.Context(), login(c.user, c.password))
				if v != c.want || (err != nil) != c.fails || (grant != nil) != (v == core.Allow) {
					t.Errorf("%q with %q: %v %+v %v, want %v", c.user, c.password, v, grant, err, c.want)
				}
				if grant != nil && (grant.Username != c.user || grant.Superuser != (c.user == "bob")) {
					t.Errorf("%q: %+v", c.user, grant)
				}
			}
			if method == Compare || method == SearchBind {
				if v, _, err := s.Authenticate(t.Context(), login("bob2", "x")); v != core.Ignore || err == nil {
					t.Errorf("of two: %v %v", v, err)
				}
			}
			if v, _, err := s.Authenticate(t.Context(), login("ann", "pub lic")); v != core.Allow { // faults of entries open no breaker
				t.Errorf("after all that: %v %v", v, err)
			}
		})
	}
	s := d.source(func(c *Config) { c.StartTLS = true }) // by an authority that nobody knows
	if v, _, err := s.Authenticate(t.Context(), login("ann", "pub lic")); v != core.Ignore || err == nil {
		t.Errorf("unknown authority: %v %v", v, err)
	}
	s = d.source(func(c *Config) { c.BindPassword = "wrong" })
	if v, _, err := s.Authenticate(t.Context(), login("ann", "pub lic")); v != core.Ignore || err == nil {
		t.Errorf("our own password is wrong: %v %v", v, err)
	}
}

// certificate is that of the server that scripts/services has started.
func certificate(t *testing.T) string {
	t.Helper()
	name := filepath.Join(os.Getenv("FAIRLEAD_TEST_SERVICES"), "ldap", "server.pem")
	if _, err := os.Stat(name); err != nil {
		testservice.Lack(t, "ldap", "its certificate is not known: it was not started by scripts/services")
	}
	return name
}

// An entry's topics are all that its user may do, and are looked at again.
func TestServiceLDAPRights(t *testing.T) {
	d := openDirectory(t)
	d.add("ann", "x", "mqttPublishTopic: up/%c/#", "mqttPublishTopic: Up", "mqttSubscriptionTopic: down/%u", "mqttPubSubTopic: both/${clientid}")
	d.add("bob", "x")
	s := d.source(func(c *Config) { c.Refresh = 3 * time.Second })
	v, grant, err := s.Authenticate(t.Context(), login("ann", "x"))
	if v != core.Allow || err != nil {
		t.Fatal(v, err)
	}
	id := &core.Identity{ClientID: "c1", Username: "ann", Grant: grant}
	ask := func(a core.Action, topic string, want core.Verdict) {
		t.Helper()
		if got, err := s.Authorize(id, a, topic); got != want || err != nil {
			t.Errorf("%v %s: %v %v, want %v", a, topic, got, err, want)
		}
	}
	ask(core.ActionPublish, "up/c1/x", core.Allow)
	ask(core.ActionPublish, "Up", core.Allow)
	ask(core.ActionPublish, "both/c1", core.Allow)
	ask(core.ActionPublish, "up/c2/x", core.Deny)
	ask(core.ActionPublish, "down/ann", core.Deny)
	ask(core.ActionSubscribe, "down/ann", core.Allow)
	ask(core.ActionSubscribe, "down/#", core.Deny)
	ask(core.ActionDeliver, "both/c1", core.Allow)
	_, none, err := s.Authenticate(t.Context(), login("bob", "x"))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := s.Authorize(&core.Identity{Username: "bob", Grant: none}, core.ActionPublish, "x"); v != core.Deny || err != nil {
		t.Errorf("without topics: %v %v", v, err)
	}
	d.tool("ldapmodify", "dn: uid=ann,"+d.base+"\nchangetype: modify\nreplace: isEnabled\nisEnabled: FALSE\n")
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for late := time.After(time.Minute); ; {
		if v, err := s.Authorize(id, core.ActionPublish, "Up"); v == core.Deny && err == nil {
			return
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatal("one who is locked out still publishes")
		}
	}
}

// The directory dies, and hangs, and comes back: nobody gets in meanwhile, nobody waits
// long, and connections that were kept are made anew.
func TestServiceLDAPOutage(t *testing.T) {
	d := openDirectory(t)
	d.add("ann", "x")
	s := d.source(func(c *Config) { c.Timeout, c.Method = 300*time.Millisecond, SearchBind })
	allowed := func() bool {
		v, _, err := s.Authenticate(t.Context(), login("ann", "x"))
		if v == core.Deny || (v == core.Allow) != (err == nil) {
			t.Errorf("%v %v", v, err)
		}
		return v == core.Allow
	}
	again := func() {
		t.Helper()
		look := time.NewTicker(20 * time.Millisecond)
		defer look.Stop()
		for late := time.After(time.Minute); !allowed(); {
			select {
			case <-look.C:
			case <-late:
				t.Fatal("the directory is back, and not asked")
			}
		}
	}
	for _, outage := range []struct {
		what       string
		begin, end func()
	}{
		{"kill", func() { testservice.Kill(t, "ldap") }, func() { testservice.Start(t, "ldap") }},
		{"pause", func() { testservice.Pause(t, "ldap") }, func() { testservice.Resume(t, "ldap") }},
	} {
		again()
		outage.begin()
		began := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if allowed() {
					t.Errorf("%s: let in", outage.what)
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: 50 logins took %s", outage.what, took)
		}
		outage.end()
		again()
	}
	if n := len(s.service.idle) + len(s.users.idle); n == 0 || n > 16 {
		t.Errorf("%d connections are kept", n)
	}
}

// What answers in the directory's place lets nobody in.
func TestHostileDirectories(t *testing.T) {
	for name, answer := range map[string]func(net.Conn){
		"hangs up":      func(c net.Conn) { c.Close() },
		"says nothing":  func(c net.Conn) { io.Copy(io.Discard, c) },
		"is a web page": func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); c.Close() },
		"zeroes":        func(c net.Conn) { c.Write(make([]byte, 1000)); c.Close() },
		"a huge length": func(c net.Conn) { c.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}); io.Copy(io.Discard, c) },
		"never ends": func(c net.Conn) {
			c.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x04, 0x84, 0x7f, 0xff, 0xff, 0x00})
			for chunk := make([]byte, 64<<10); ; {
				if _, err := c.Write(chunk); err != nil {
					return
				}
			}
		},
		"the same byte": func(c net.Conn) { io.WriteString(c, strings.Repeat("0", 4000)); io.Copy(io.Discard, c) },
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					answer(c)
				}()
			}
		}()
		for _, method := range []string{Bind, SearchBind, Compare} {
			cfg := DefaultConfig()
			cfg.Server, cfg.BaseDN, cfg.UserDN, cfg.Method, cfg.Timeout = []string{"ldap://" + ln.Addr().String()}, "dc=x", "uid=${username},dc=x", method, 200*time.Millisecond
			if name == "never ends" { // but what may come of it does, and must be read
				cfg.Timeout = 20 * time.Second
			}
			s, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			v, grant, err := s.Authenticate(t.Context(), login("ann", "x"))
			if v != core.Ignore || grant != nil || err == nil || errors.Is(err, errEntry) {
				t.Errorf("%s, %s: %v %+v %v", name, method, v, grant, err)
			}
			if name == "never ends" && (err == nil || !strings.Contains(err.Error(), "longer than")) {
				t.Errorf("%s, %s: %v", name, method, err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%s, %s: took %s", name, method, took)
			}
			s.Close()
		}
	}
}
