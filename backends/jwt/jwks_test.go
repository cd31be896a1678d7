package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/identity/identitytest"
	"github.com/fairlead-iot/fairlead/core"
)

func keysOf(keys ...object) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(object{"keys": keys}) }
}

func failing(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// web is a public key as a set has it.
func web(kid string, k crypto.PublicKey) object {
	switch k := k.(type) {
	case *rsa.PublicKey:
		return object{"kid": kid, "kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, _ := k.Bytes()
		half := len(point) / 2
		return object{"kid": kid, "kty": "EC", "crv": k.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
	case ed25519.PublicKey:
		return object{"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": b64(k)}
	}
	return nil
}

// remoteSource is a source of keys by URL, and its clock.
type remoteSource struct {
	*Source
	*identitytest.Clock
}

func fromURL(t *testing.T, url string) *remoteSource {
	t.Helper()
	cfg := DefaultConfig()
	cfg.JWKSURL, cfg.RequireExp = url, false
	clock := identitytest.NewClock()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := open(cfg, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &remoteSource{s, clock}
}

// settle waits until no fetch is under way.
func (r *remoteSource) settle() {
	r.remote.mu.Lock()
	flight := r.remote.flight
	r.remote.mu.Unlock()
	if flight != nil {
		<-flight
	}
}

// wants shows a token and wants an answer.
func (r *remoteSource) wants(t *testing.T, token string, want core.Verdict, fails bool) {
	t.Helper()
	v, _, err := r.Authenticate(t.Context(), shown(token))
	if v != want || (err != nil) != fails {
		t.Errorf("%v %v, want %v", v, err, want)
	}
	r.settle()
}

func es(t *testing.T, kid string) string {
	return sign(t, object{"alg": "ES256", "kid": kid}, object{"sub": "ann"}, "ES256", keyRing().ec)
}

// Keys are fetched when they are needed, again when they are old, and for a kid that is not
// known, but not for each of them.
func TestKeysOfURL(t *testing.T) {
	i := identitytest.NewServer(t)
	i.Answers(keysOf(web("k1", keyRing().ec.Public()), web("k2", keyRing().rsa.Public()), web("k3", keyRing().ed.Public()), object{"kty": "oct", "k": b64([]byte(secret)), "kid": "k4"}))
	s := fromURL(t, i.URL)
	s.wants(t, es(t, "k1"), core.Allow, false)
	s.wants(t, sign(t, object{"alg": "RS256", "kid": "k2"}, object{"sub": "ann"}, "RS256", keyRing().rsa), core.Allow, false)
	s.wants(t, sign(t, object{"alg": "EdDSA", "kid": "k3"}, object{"sub": "ann"}, "EdDSA", keyRing().ed), core.Allow, false)
	s.wants(t, sign(t, object{"alg": "EdDSA"}, object{"sub": "ann"}, "EdDSA", keyRing().ed), core.Allow, false)
	for n := range 20 { // made up, and a key that is there for another algorithm
		s.wants(t, es(t, fmt.Sprint("x", n)), core.Deny, true)
		s.wants(t, es(t, "k2"), core.Deny, true)
	}
	s.wants(t, sign(t, object{"alg": "HS256", "kid": "k4"}, object{"sub": "ann"}, "HS256", []byte(secret)), core.Deny, true)
	if n := len(i.Questions()); n != 1 {
		t.Errorf("asked %d times", n)
	}
	s.Pass(11 * time.Second) // a key is new
	i.Answers(keysOf(web("k9", keyRing().ec.Public())))
	s.wants(t, es(t, "k9"), core.Allow, false)
	s.wants(t, es(t, "k1"), core.Deny, true)
	if n := len(i.Questions()); n != 1 {
		t.Errorf("asked %d times", n)
	}
	s.Pass(6 * time.Minute) // the keys are old
	i.Answers(keysOf(web("k8", keyRing().ec.Public())))
	s.wants(t, es(t, "k9"), core.Allow, false) // and good for this one client
	s.wants(t, es(t, "k9"), core.Deny, true)
	s.wants(t, es(t, "k8"), core.Allow, false)
}

// While the server is away, old keys hold for an hour and no longer.
func TestServerOfKeysAway(t *testing.T) {
	i := identitytest.NewServer(t)
	i.Answers(failing(500))
	s := fromURL(t, i.URL)
	s.wants(t, es(t, "k1"), core.Ignore, true)
	for range 5 { // nobody waits for it again
		s.wants(t, es(t, "k1"), core.Ignore, true)
	}
	if n := len(i.Questions()); n != 1 {
		t.Errorf("asked %d times", n)
	}
	i.Answers(keysOf(web("k1", keyRing().ec.Public())))
	s.Pass(10 * time.Second)
	s.wants(t, es(t, "k1"), core.Allow, false)
	i.Answers(failing(503))
	for range 6 {
		s.Pass(9*time.Minute + 50*time.Second)
		s.wants(t, es(t, "k1"), core.Allow, false)
	}
	s.Pass(2 * time.Minute)
	s.wants(t, es(t, "k1"), core.Ignore, true)
	i.Answers(keysOf(web("k1", keyRing().ec.Public())))
	s.Pass(10 * time.Second)
	s.wants(t, es(t, "k1"), core.Allow, false)
}

// The server says how long its keys are good for, and need not send them twice.
func TestCaching(t *testing.T) {
	i := identitytest.NewServer(t)
	answer := keysOf(web("k1", keyRing().ec.Public()))
	var tags []string // one request at a time
	i.Answers(func(w http.ResponseWriter, r *http.Request) {
		tags = append(tags, r.Header.Get("If-None-Match"))
		w.Header().Set("ETag", `"one"`)
		w.Header().Set("Cache-Control", "public, max-age=60")
		if r.Header.Get("If-None-Match") == `"one"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		answer(w, r)
	})
	s := fromURL(t, i.URL)
	for _, step := range []struct {
		pass time.Duration
		want int
	}{{0, 1}, {59 * time.Second, 0}, {2 * time.Second, 1}, {58 * time.Second, 0}, {3 * time.Second, 1}} {
		s.Pass(step.pass)
		s.wants(t, es(t, "k1"), core.Allow, false)
		if n := len(i.Questions()); n != step.want {
			t.Errorf("asked %d times, want %d", n, step.want)
		}
	}
	if got := strings.Join(tags, " "); got != ` "one" "one"` {
		t.Errorf("asked with %s", got)
	}
	r := s.remote
	for value, want := range map[string]time.Duration{"": r.refresh, "max-age=1": again, "max-age=99999999": r.refresh, "max-age=-1": r.refresh, "max-age=x, no-cache": again, `MAX-AGE="90"`: 90 * time.Second, "no-store": again, "max-age=99999999999999999999": r.refresh} {
		if got := r.lasts(http.Header{"Cache-Control": {value}}); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}

// A server that lies, or is slow, gives no keys, and takes none away.
func TestHostileServersOfKeys(t *testing.T) {
	many := make([]object, 10_000)
	for n := range many {
		many[n] = web("k"+strconv.Itoa(n), keyRing().ed.Public())
	}
	elsewhere := identitytest.NewServer(t)
	elsewhere.Answers(keysOf(web("k1", keyRing().ec.Public())))
	answers := map[string]http.HandlerFunc{
		"10,000 keys": keysOf(many...),
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"keys":[` + strings.Repeat(" ", 2<<20)))
		},
		"another place": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"a page":        func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>sign in</html>")) },
		"nothing":       func(http.ResponseWriter, *http.Request) {},
		"no keys":       keysOf(),
		"null":          func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("null")) },
		"other keys":    keysOf(object{"kty": "RSA", "use": "enc"}, object{"kty": "DH"}, object{}),
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("{"))
		},
		"not changed":      failing(http.StatusNotModified),
		"unauthorized":     failing(http.StatusUnauthorized),
		"off the curve":    keysOf(object{"kid": "k1", "kty": "EC", "crv": "P-256", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))}),
		"short coordinate": keysOf(object{"kid": "k1", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
		"small RSA":        keysOf(object{"kid": "k1", "kty": "RSA", "e": "AQAB", "n": strings.Repeat("_", 171)}),
		"even RSA":         keysOf(object{"kid": "k1", "kty": "RSA", "e": "AA", "n": strings.Repeat("_", 342)}),
		"numbers":          keysOf(object{"kid": 1, "kty": "EC"}),
	}
	for name, answer := range answers {
		i := identitytest.NewServer(t)
		i.Answers(answer)
		s := fromURL(t, i.URL)
		s.wants(t, es(t, "k1"), core.Ignore, true)
		i.Answers(keysOf(web("k1", keyRing().ec.Public())))
		s.Pass(again)
		s.wants(t, es(t, "k1"), core.Allow, false)
		i.Answers(answer)
		s.Pass(6 * time.Minute)
		s.wants(t, es(t, "k1"), core.Allow, false)
		s.wants(t, es(t, "k1"), core.Allow, false)
		if t.Failed() {
			t.Fatalf("with a server that answers: %s", name)
		}
	}
	if len(elsewhere.Questions()) != 0 {
		t.Error("a redirect was followed")
	}
}

// Many clients who come at once make one fetch, and one that leaves does not end it.
func TestOneFetchForAll(t *testing.T) {
	i := identitytest.NewServer(t)
	go1, came := make(chan struct{}), make(chan struct{}, 1)
	good := keysOf(web("k1", keyRing().ec.Public()))
	i.Answers(func(w http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		<-go1
		good(w, r)
	})
	s := fromURL(t, i.URL)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if v, _, err := s.Authenticate(t.Context(), shown(es(t, "k1"))); v != core.Allow {
				t.Errorf("%v %v", v, err)
			}
		})
	}
	<-came
	close(go1)
	wg.Wait()
	if n := len(i.Questions()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
