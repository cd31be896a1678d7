package jwt

import (
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

// tool is a program of others, or the end of the test.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		required := strings.Split(os.Getenv("FAIRLEAD_REQUIRE"), ",")
		if slices.Contains(required, name) || slices.Contains(required, "all") {
			t.Fatalf("%s is required, and not here", name)
		}
		t.Skipf("%s is not here", name)
	}
	return path
}

func run(t *testing.T, stdin string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return out
}

// Keys and tokens made by openssl.
func TestForeignOpenSSL(t *testing.T) {
	openssl := tool(t, "openssl")
	dir := t.TempDir()
	for name, c := range map[string]struct {
		kind []string
		sign []string
	}{
		"RS256": {[]string{"RSA", "-pkeyopt", "rsa_keygen_bits:2048"}, []string{"dgst", "-sha256"}},
		"PS384": {[]string{"RSA", "-pkeyopt", "rsa_keygen_bits:3072"}, []string{"dgst", "-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"}},
		"ES256": {[]string{"EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, []string{"dgst", "-sha256"}},
		"EdDSA": {[]string{"ed25519"}, []string{"pkeyutl", "-rawin"}},
	} {
		private, public, data := filepath.Join(dir, name), filepath.Join(dir, name+".pub"), filepath.Join(dir, name+".txt")
		run(t, "", openssl, append([]string{"genpkey", "-out", private, "-algorithm"}, c.kind...)...)
		run(t, "", openssl, "pkey", "-in", private, "-pubout", "-out", public)
		text := segment(object{"alg": name, "typ": "JWT"}) + "." + segment(good(nil))
		if err := os.WriteFile(data, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args := append(c.sign, "-sign", private, data)
		if name == "EdDSA" {
			args = append(c.sign, "-sign", "-inkey", private, "-in", data)
		}
		sig := run(t, "", openssl, args...)
		if name == "ES256" {
			var der struct{ R, S *big.Int }
			if _, err := asn1.Unmarshal(sig, &der); err != nil {
				t.Fatal(err)
			}
			sig = append(der.R.FillBytes(make([]byte, 32)), der.S.FillBytes(make([]byte, 32))...)
		}
		s := source(t, func(c *Config) { c.KeyFiles = []string{public} })
		v, grant, err := s.Authenticate(t.Context(), shown(text+"."+base64.RawURLEncoding.EncodeToString(sig)))
		if v != core.Allow || err != nil || grant.Username != "ann" {
			t.Errorf("%s: %v %v", name, v, err)
		}
	}
}

// A token as people make them with Python's own library.
func TestForeignPython(t *testing.T) {
	python := tool(t, "python3")
	const script = `
import base64, hashlib, hmac, json, sys
b = lambda x: base64.urlsafe_b64encode(x).rstrip(b"=")
key, exp = sys.argv[1].encode(), int(sys.argv[2])
t = b(json.dumps({"typ": "JWT", "alg": "HS512"}).encode()) + b"." + b(json.dumps({"sub": "ann", "exp": exp + 0.5}).encode())
print((t + b"." + b(hmac.new(key, t, hashlib.sha512).digest())).decode(), end="")
`
	s := source(t, func(c *Config) { c.Secret = secret })
	token := string(run(t, script, python, "-", secret, "1795867260"))
	if v, grant, err := s.Authenticate(t.Context(), shown(token)); v != core.Allow || err != nil || grant.Username != "ann" {
		t.Errorf("%v %v", v, err)
	}
}
