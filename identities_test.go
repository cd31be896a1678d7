package fairlead

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/passwd"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

const tokenSecret = "0123456789abcdef0123456789abcdef"

// token signs claims with HS256.
func token(claims string) string {
	b := base64.RawURLEncoding.EncodeToString
	text := b([]byte(`{"alg":"HS256"}`)) + "." + b([]byte(claims))
	mac := hmac.New(sha256.New, []byte(tokenSecret))
	mac.Write([]byte(text))
	return text + "." + b(mac.Sum(nil))
}

// connection is what both kinds of devices have.
type connection interface {
	Done() <-chan struct{}
	Close() error
}

// withToken connects a device that shows a token, and gives how it publishes.
func (s *site) withToken(kind, id, token string) (c connection, publish func(topic string) error, err error) {
	var o devices.Options
	o.ClientID, o.KeepAlive = id, 5*time.Second
	switch kind {
	case "mqttsn":
		o.ClientID += ":" + token
	case "coap":
		o.Username, o.Password, o.HasPassword = "me", []byte(token), true
	default:
		o.Username, o.Password, o.HasPassword = "me", []byte(token), true
		if kind == "mqtt 3.1.1" {
			o.Version = packet.V311
		}
		c, err := devices.Dial(s.t.Context(), "mqtt://"+s.Addresses()["mqtt"], o)
		if err != nil {
			return nil, nil, err
		}
		return c, func(topic string) error {
			r, err := c.Publish(s.t.Context(), &devices.Message{Topic: topic, QoS: 1, Payload: []byte(kind)})
			return refusedAs(r, err)
		}, nil
	}
	sensor, err := devices.DialSensor(s.t.Context(), kind+"://"+s.Addresses()[kind], o)
	if err != nil {
		return nil, nil, err
	}
	return sensor, func(topic string) error {
		r, err := sensor.Publish(s.t.Context(), &devices.Message{Topic: topic, QoS: 1, Payload: []byte(kind)})
		return refusedAs(r, err)
	}, nil
}

func refusedAs(r packet.ReasonCode, err error) error {
	if err == nil && r >= 0x80 {
		return fmt.Errorf("refused: %v", r)
	}
	return err
}

// TestTokens: a device comes in by a token in whichever protocol it speaks, does what the
// token allows, and is out when the token expires.
func TestTokens(t *testing.T) {
	c := testConfig(t.TempDir())
	c.Auth.AllowAnonymous = AnonymousNever
	c.Auth.JWT.Secret, c.Auth.JWT.Leeway = tokenSecret, 0
	c.MQTTSN.TokenSeparator, c.MQTTSN.MaxClientIDLength = ":", 1024
	s := &site{start(t, c), t}
	hub := s.dial(devices.Options{ClientID: "hub", Username: "x", Password: []byte(token(fmt.Sprintf(`{"sub":"hub","exp":%d,"is_superuser":true}`, time.Now().Unix()+600))), HasPassword: true})
	s.subscribe(hub, "#")
	for _, kind := range []string{"mqtt", "mqtt 3.1.1", "mqttsn", "coap"} {
		t.Run(kind, func(t *testing.T) {
			s := &site{s.running, t}
			for _, bad := range []string{token(`{"sub":"d1","exp":1}`), token(`{"sub":"d1","exp":9999999999}`) + "x", "password"} {
				if c, _, err := s.withToken(kind, "d1", bad); err == nil {
					c.Close()
					t.Errorf("%s is let in", bad)
				}
			}
			ends := time.Now().Unix() + 5 // of which what comes before takes little
			d, publish, err := s.withToken(kind, "d1", token(fmt.Sprintf(`{"sub":"d1","exp":%d,"acl":{"pub":["up/%%u"]}}`, ends)))
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if err := publish("up/d1"); err != nil {
				t.Errorf("what the token allows: %v", err)
			}
			s.wants(hub.Messages(), "up/d1="+kind)
			if err := publish("up/d2"); err == nil && kind != "mqtt 3.1.1" { // which has no word for it
				t.Error("what the token does not allow is done")
			}
			if kind == "coap" { // which has no word for an end: the next request is refused
				look := time.NewTicker(100 * time.Millisecond)
				defer look.Stop()
				for late := time.After(time.Minute); publish("up/d1") == nil; {
					select {
					case <-look.C:
						s.wants(hub.Messages(), "up/d1="+kind)
					case <-late:
						t.Fatal("the token has expired, and its device still publishes")
					}
				}
			} else {
				select {
				case <-d.Done():
				case <-time.After(time.Minute):
					t.Fatal("the token has expired, and its device is still there")
				}
			}
			if now := time.Now().Unix(); now < ends {
				t.Errorf("the end came %d s too soon", ends-now)
			}
		})
	}
	if n := s.Stats().Reasons[core.IdentityExpired]; n < 3 {
		t.Errorf("%d connections ended by their identity", n)
	}
}

// webServer is a server that knows who comes in and what for.
func webServer(t *testing.T, answer func(what string, form url.Values) (code int, body string)) (address string) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			w.WriteHeader(400)
			return
		}
		code, body := answer(r.URL.Path, r.Form)
		w.WriteHeader(code)
		io.WriteString(w, body)
	}))
	t.Cleanup(h.Close)
	return h.URL
}

// TestHTTPIdentities: users and access rules of a server over HTTP, in both of its ways.
func TestHTTPIdentities(t *testing.T) {
	for _, lists := range []bool{true, false} {
		t.Run(fmt.Sprintf("lists %v", lists), func(t *testing.T) {
			address := webServer(t, func(what string, form url.Values) (int, string) {
				switch {
				case what == "/acl":
					who := form.Get("username") + " " + form.Get("access") + " " + form.Get("topic")
					if slices.Contains([]string{"ann 2 up/c1", "ann 1 down/#"}, who) {
						return 200, ""
					}
					return 403, ""
				case form.Get("username") == "hub" && form.Get("password") == "p":
					return 200, `{"result":"allow","is_superuser":true}`
				case form.Get("username") == "ann" && form.Get("password") == "p" && lists:
					return 200, `{"result":"allow","acl":{"pub":["up/%c"],"sub":["down/#"]}}`
				case form.Get("username") == "ann" && form.Get("password") == "p":
					return 200, "ok"
				}
				return 401, ""
			})
			c := testConfig(t.TempDir())
			c.Auth.AllowAnonymous = AnonymousNever
			c.Auth.HTTP.Auth.URL, c.Auth.HTTP.ACL.URL = address+"/auth", address+"/acl"
			c.MQTTSN.TokenSeparator = ":"
			s := &site{start(t, c), t}
			for _, o := range []devices.Options{{Username: "ann", Password: []byte("q"), HasPassword: true}, {Username: "bob", Password: []byte("p"), HasPassword: true}, {}} {
				if c, err := devices.Dial(t.Context(), "mqtt://"+s.Addresses()["mqtt"], o); err == nil {
					c.Close()
					t.Errorf("%q is let in", o.Username)
				}
			}
			hub := s.dial(devices.Options{ClientID: "hub", Username: "hub", Password: []byte("p"), HasPassword: true})
			s.subscribe(hub, "#")
			ann := s.dial(devices.Options{ClientID: "c1", Username: "ann", Password: []byte("p"), HasPassword: true})
			s.publish(ann, "up/c1", "1", false)
			s.wants(hub.Messages(), "up/c1=1")
			codes, err := ann.Subscribe(t.Context(), 0, devices.Subscription{Filter: "down/#", QoS: 1}, devices.Subscription{Filter: "#", QoS: 1})
			if len(codes) != 2 || codes[0] != 1 || codes[1] < 0x80 {
				t.Fatalf("subscribe: %v %v", codes, err)
			}
			if r, err := ann.Publish(t.Context(), &devices.Message{Topic: "up/c2", QoS: 1}); err == nil && r < 0x80 {
				t.Errorf("ann publishes as another: %v", r)
			}
			s.publish(hub, "down/x", "2", false)
			s.wants(ann.Messages(), "down/x=2")
			sensor, err := devices.DialSensor(t.Context(), "mqttsn://"+s.Addresses()["mqttsn"], devices.Options{ClientID: "hub:p"})
			if err == nil { // the session is the MQTT client's, and is taken over
				defer sensor.Close()
				if _, err := sensor.Publish(t.Context(), &devices.Message{Topic: "from/sensor", QoS: 1, Payload: []byte("3")}); err != nil {
					t.Error(err)
				}
			} else {
				t.Error(err)
			}
		})
	}
}

// directory has the users of c be those of a branch of a real directory: userPassword, and
// more lines of the entry, by the user's name.
func directory(t *testing.T, c *Config, users map[string]string) {
	t.Helper()
	u := given(t, "ldap", "ldapadd")
	root, name := strings.Trim(u.Path, "/"), fmt.Sprintf("t%x", rand.Uint64())
	base := "ou=" + name + "," + root
	password, _ := u.User.Password()
	run := func(tool, stdin string, args ...string) {
		cmd := exec.Command(tool, append([]string{"-x", "-H", "ldap://" + u.Host, "-D", u.User.Username(), "-w", password}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", tool, err, out)
		}
	}
	ldif := "dn: " + base + "\nobjectClass: organizationalUnit\nou: " + name + "\n"
	for uid, entry := range users {
		ldif += "\ndn: uid=" + uid + "," + base + "\nobjectClass: mqttDevice\nobjectClass: mqttUser\nobjectClass: mqttSecurity\nuid: " + uid + "\nuserPassword: " + entry + "\n"
	}
	run("ldapadd", ldif)
	t.Cleanup(func() { run("ldapdelete", "", "-r", base) })
	c.Auth.LDAP.Server, c.Auth.LDAP.BaseDN, c.Auth.LDAP.BindDN, c.Auth.LDAP.BindPassword = []string{"ldap://" + u.Host}, base, u.User.Username(), password
}

// TestServiceLDAPIdentities: users of a real directory come in by MQTT and MQTT-SN.
func TestServiceLDAPIdentities(t *testing.T) {
	c := testConfig(t.TempDir())
	c.Auth.AllowAnonymous = AnonymousNever
	directory(t, &c, map[string]string{
		"pump7": "{SSHA}oFpbVgaG7ng12pZ0lL8Z+FMpV4i7lsFw\nmqttPublishTopic: up/%c/#\nmqttSubscriptionTopic: down/%u",
		"hub":   "pub lic\nisSuperuser: TRUE",
	})
	c.MQTTSN.TokenSeparator = ":"
	s := &site{start(t, c), t}
	for _, who := range []string{"pump7", "*", "hub)(uid=*", "nobody"} {
		if c, err := devices.Dial(t.Context(), "mqtt://"+s.Addresses()["mqtt"], devices.Options{Username: who, Password: []byte("x"), HasPassword: true}); err == nil {
			c.Close()
			t.Errorf("%q is let in", who)
		}
	}
	hub := s.dial(devices.Options{ClientID: "hub", Username: "hub", Password: []byte("pub lic"), HasPassword: true})
	s.subscribe(hub, "#")
	pump, err := devices.DialSensor(t.Context(), "mqttsn://"+s.Addresses()["mqttsn"], devices.Options{ClientID: "pump7:pub lic"})
	if err != nil {
		t.Fatal(err)
	}
	defer pump.Close()
	if codes, err := pump.Subscribe(t.Context(), 0, devices.Subscription{Filter: "down/pump7", QoS: 1}); err != nil || codes[0] > 1 {
		t.Errorf("subscribe: %v %v", codes, err)
	}
	if r, err := pump.Publish(t.Context(), &devices.Message{Topic: "up/pump7/x", QoS: 1, Payload: []byte("1")}); err != nil || r >= 0x80 {
		t.Errorf("publish: %v %v", r, err)
	}
	s.wants(hub.Messages(), "up/pump7/x=1")
	if r, err := pump.Publish(t.Context(), &devices.Message{Topic: "up/pump8/x", QoS: 1}); err == nil && r < 0x80 {
		t.Errorf("publish as another: %v", r)
	}
	s.publish(hub, "down/pump7", "2", false)
	s.wants(pump.Messages(), "down/pump7=2")
}

// TestOrderOfSources: the first source that knows a client decides, and auth.order says
// which is first.
func TestOrderOfSources(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	hash, err := passwd.NewHash([]byte("file"), passwd.DefaultParams())
	if err != nil {
		t.Fatal(err)
	}
	if err := passwd.Edit(file, func(old []byte) ([]byte, error) { return passwd.SetPassword(old, "ann", hash, passwd.Scram{}) }); err != nil {
		t.Fatal(err)
	}
	address := webServer(t, func(_ string, form url.Values) (int, string) {
		switch {
		case form.Get("username") == "eve":
			return 200, "ignore"
		case form.Get("password") == "web":
			return 200, ""
		}
		return 403, ""
	})
	for _, c := range []struct {
		order           []string
		names           string
		byFile, byWeb   bool // ann's passwords
		eve, bob, token bool
	}{
		{nil, "passwd jwt http", true, false, false, true, true},
		{[]string{"http"}, "http passwd jwt", false, true, false, true, false},
		{[]string{"jwt", "http"}, "jwt http passwd", false, true, false, true, true},
	} {
		cfg := testConfig(t.TempDir())
		cfg.Auth.AllowAnonymous, cfg.Auth.PasswdFile, cfg.Auth.Order = AnonymousNever, file, c.order
		cfg.Auth.JWT.Secret, cfg.Auth.HTTP.Auth.URL = tokenSecret, address
		s := &site{start(t, cfg), t}
		var names []string
		for _, a := range s.authenticators(nil) {
			names = append(names, a.Name())
		}
		if got := strings.Join(names, " "); got != c.names {
			t.Errorf("order %v: asked are %s, want %s", c.order, got, c.names)
		}
		for _, who := range []struct {
			user, password string
			want           bool
		}{
			{"ann", "file", c.byFile}, {"ann", "web", c.byWeb}, {"eve", "web", c.eve}, {"bob", "web", c.bob}, {"bob", "file", false},
			{"ann2", token(`{"sub":"t","exp":9999999999}`), c.token},
		} {
			client, err := devices.Dial(t.Context(), "mqtt://"+s.Addresses()["mqtt"], devices.Options{Username: who.user, Password: []byte(who.password), HasPassword: true})
			if err == nil {
				client.Close()
			}
			if (err == nil) != who.want {
				t.Errorf("order %v: %s with %.10s: %v, want %v", c.order, who.user, who.password, err, who.want)
			}
		}
		s.stop()
	}
}

// TestSourcesAwayAreNoFault: what cannot be reached does not keep the gateway from
// starting, and lets nobody in; what is wrong with the configuration is told at once.
func TestSourcesAwayAreNoFault(t *testing.T) {
	c := testConfig(t.TempDir())
	c.Auth.AllowAnonymous = AnonymousNever
	c.Auth.JWT.JWKSURL = "http://127.0.0.1:1/keys"
	c.Auth.HTTP.Auth.URL = "http://127.0.0.1:1/auth"
	c.Auth.LDAP.Server, c.Auth.LDAP.BaseDN = []string{"ldap://127.0.0.1:1"}, "dc=x"
	s := &site{start(t, c), t}
	for _, password := range []string{"p", token(`{"sub":"ann","exp":9999999999}`), strings.Replace(token(`{"sub":"ann","exp":9999999999}`), "eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJFUzI1NiJ9", 1)} {
		_, err := devices.Dial(t.Context(), "mqtt://"+s.Addresses()["mqtt"], devices.Options{Username: "ann", Password: []byte(password), HasPassword: true})
		if err == nil {
			t.Errorf("%.20s is let in", password)
		}
	}
	if w := strings.Join(s.Warnings(), "\n"); !strings.Contains(w, "core.auth_workers") {
		t.Errorf("warnings %q", w)
	}
	c = testConfig(t.TempDir())
	c.Auth.JWT.KeyFiles = []string{"missing-key", "missing-set"}
	c.Auth.HTTP.Auth.URL, c.Auth.HTTP.CAFile = "https://auth.example/", "missing-ca"
	c.Auth.LDAP.Server, c.Auth.LDAP.BaseDN, c.Auth.LDAP.CertFile, c.Auth.LDAP.KeyFile = []string{"ldaps://ldap.example"}, "dc=x", "missing-cert", "missing-cert-key"
	_, err := New(c, nil)
	for _, part := range []string{"auth.jwt.key_files: open missing-key", "auth.jwt.key_files: open missing-set", "auth.http.tls_ca_file: open missing-ca", "auth.ldap.tls_cert_file: open missing-cert"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in: %v", part, err)
		}
	}
	c = testConfig(t.TempDir())
	c.Auth.Order = []string{"jwt", "kerberos", "jwt"}
	c.Auth.JWT.Secret, c.Auth.HTTP.Auth.URL, c.Auth.LDAP.Server = "short", "x", []string{"x"}
	_, err = New(c, nil)
	var failed *Error
	if !errors.As(err, &failed) || failed.Stage != StageConfig {
		t.Fatal(err)
	}
	for _, part := range []string{"auth.order", `"kerberos" is no source`, "stands there twice", "auth.jwt.secret", "auth.http.auth_req.url", "auth.ldap.server", "auth.ldap.base_dn"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in: %v", part, err)
		}
	}
}
