package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Bounds of keys.
const (
	minSecret  = 16 // bytes of an HMAC key; fewer are guessed
	goodSecret = 32 // [RFC 7518 3.2]
	minRSA     = 2048
	maxRSA     = 8192 // bits; more cost too long a time
	maxKeys    = 1000 // of one set
)

// algorithms are the names of those that are known, RFC 7518 and 8037. There is no "none".
func algorithms() []string {
	return []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// key is one key, and what it may be used for.
type key struct {
	id         string // kid, "" for one without a name
	algorithms []string
	value      any // []byte, *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey
}

// newKey ties a key to the algorithms of its kind: a key is never used for others, however
// a token asks for it.
func newKey(id string, value any) (key, error) {
	k := key{id: id, value: value}
	switch v := value.(type) {
	case []byte:
		k.algorithms = []string{"HS256", "HS384", "HS512"}
		if len(v) < minSecret {
			return k, fmt.Errorf("a secret of %d bytes can be guessed", len(v))
		}
	case *rsa.PublicKey:
		k.algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
		if n := v.N.BitLen(); n < minRSA || n > maxRSA {
			return k, fmt.Errorf("an RSA key of %d bits; allowed are %d to %d", n, minRSA, maxRSA)
		}
		if v.E < 3 || v.E%2 == 0 {
			return k, fmt.Errorf("an RSA key with the exponent %d", v.E)
		}
	case *ecdsa.PublicKey:
		switch v.Curve {
		case elliptic.P256():
			k.algorithms = []string{"ES256"}
		case elliptic.P384():
			k.algorithms = []string{"ES384"}
		case elliptic.P521():
			k.algorithms = []string{"ES512"}
		default:
			return k, fmt.Errorf("a key on the curve %s", v.Curve.Params().Name)
		}
		if _, err := v.ECDH(); err != nil { // not on its curve
			return k, err
		}
	case ed25519.PublicKey:
		k.algorithms = []string{"EdDSA"}
	default:
		return k, fmt.Errorf("a key of the kind %T, which signs no tokens", value)
	}
	return k, nil
}

// only keeps of the key's algorithms the one that is given.
func (k *key) only(algorithm string) error {
	if algorithm == "" {
		return nil
	}
	if !slices.Contains(k.algorithms, algorithm) {
		return fmt.Errorf("the algorithm %q is not for this key", algorithm)
	}
	k.algorithms = []string{algorithm}
	return nil
}

// parseKeys reads what a key file holds.
func parseKeys(text []byte) ([]key, error) {
	for _, b := range text {
		switch b {
		case ' ', '\t', '\r', '\n':
			continue
		case '{':
			return parseSet(text, true)
		}
		break
	}
	return parsePEM(text)
}

func parsePEM(text []byte) (keys []key, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		value, err := publicKey(block)
		if err != nil {
			return nil, err
		}
		k, err := newKey("", value)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no key; it must be PEM (BEGIN PUBLIC KEY, BEGIN CERTIFICATE) or a set of keys in JSON")
	}
	return keys, nil
}

func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	}
	return nil, fmt.Errorf("holds a block %q; tokens are checked by the public key: openssl pkey -in KEY -pubout", block.Type)
}

// webKey is one key of a set. [RFC 7517] [RFC 7518 6] [RFC 8037 2]
type webKey struct {
	Kty    string   `json:"kty"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	Kid    string   `json:"kid"`
	Crv    string   `json:"crv"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
	K      string   `json:"k"`
}

// parseSet reads a set of keys. Keys that are for something else are left out [RFC 7517 5];
// a set without any that could be used is an error. secrets says that symmetric keys may be
// among them: not in what a URL tells everybody.
func parseSet(text []byte, secrets bool) (keys []key, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("is no set of keys: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("has %d keys, allowed are %d", len(set.Keys), maxKeys)
	}
	var faults []error
	for i, raw := range set.Keys {
		k, err := parseWebKey(raw, secrets)
		if err != nil {
			faults = append(faults, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.Join(append([]error{errors.New("has no key that tokens could be checked by")}, faults[:min(len(faults), 3)]...)...)
	}
	return keys, nil
}

func parseWebKey(raw []byte, secrets bool) (k key, err error) {
	var w webKey
	if err := json.Unmarshal(raw, &w); err != nil {
		return k, err
	}
	if w.Use != "" && w.Use != "sig" || len(w.KeyOps) > 0 && !slices.Contains(w.KeyOps, "verify") {
		return k, errors.New("is not for signatures")
	}
	if len(w.Kid) > maxKid {
		return k, errors.New("has too long a kid")
	}
	value, err := w.value(secrets)
	if err != nil {
		return k, err
	}
	if k, err = newKey(w.Kid, value); err != nil {
		return k, err
	}
	return k, k.only(w.Alg)
}

func (w *webKey) value(secrets bool) (any, error) {
	switch w.Kty {
	case "RSA":
		n, err1 := octets(w.N)
		e, err2 := octets(w.E)
		if err1 != nil || err2 != nil || len(e) > 4 || len(n) > maxRSA/8+1 {
			return nil, errors.New("n or e is none of an RSA key")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	case "EC":
		return w.point()
	case "OKP":
		x, err := octets(w.X)
		if w.Crv != "Ed25519" || err != nil || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("is no Ed25519 key")
		}
		return ed25519.PublicKey(x), nil
	case "oct":
		if !secrets {
			return nil, errors.New("is a secret, which must not be told by a URL")
		}
		return octets(w.K)
	}
	return nil, fmt.Errorf("kty %q is not known", w.Kty)
}

func (w *webKey) point() (any, error) {
	curves := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}
	curve := curves[w.Crv]
	if curve == nil {
		return nil, fmt.Errorf("crv %q is not known", w.Crv)
	}
	x, err1 := octets(w.X)
	y, err2 := octets(w.Y)
	size := (curve.Params().BitSize + 7) / 8
	if err1 != nil || err2 != nil || len(x) != size || len(y) != size { // [RFC 7518 6.2.1.2]
		return nil, errors.New("x or y is no coordinate of the curve")
	}
	return ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
}

func octets(text string) ([]byte, error) {
	if text == "" {
		return nil, errors.New("is empty")
	}
	return base64.RawURLEncoding.DecodeString(text)
}
