package devices

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// The authentication methods that Options.AuthMethod may name.
const (
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
)

// Bounds of what a server may ask for: it is not yet known to be the right one.
const (
	minIterations = 4096
	maxIterations = 10_000_000
)

// scram is the client's side of SCRAM [RFC 5802] [RFC 7677], without channel binding.
type scram struct {
	method    string
	hash      func() hash.Hash
	password  string
	bare      string // client-first-bare
	nonce     string
	signature []byte // what the server has to prove, once it asked
}

// authFault is a server that breaks the rules of the method, or proves nothing.
type authFault struct{ msg string }

func (e *authFault) Error() string { return e.msg }

// newScram begins an exchange; first is what the client says.
func newScram(method, user string, password []byte) (s *scram, first string, err error) {
	s = &scram{method: method, password: string(password), nonce: rand.Text()}
	switch {
	case method == ScramSHA256:
		s.hash = sha256.New
	case method == ScramSHA512:
		s.hash = sha512.New
	default:
		return nil, "", fmt.Errorf("the authentication method %q is not known here; there are %s and %s", method, ScramSHA256, ScramSHA512)
	}
	if user == "" || len(password) == 0 {
		return nil, "", fmt.Errorf("%s needs a user name and a password", method)
	}
	s.bare = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user) + ",r=" + s.nonce
	return s, "n,," + s.bare, nil
}

func (s *scram) mac(key []byte, text string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// answer takes the server's first message and proves that the password is known. It
// costs the iterations that the server asks for.
func (s *scram) answer(challenge string) (string, error) {
	if s.signature != nil {
		return "", &authFault{s.method + ": the server asks twice"}
	}
	nonce, salt, iterations, err := s.parse(challenge)
	if err != nil {
		return "", err
	}
	size := s.hash().Size()
	salted, err := pbkdf2.Key(s.hash, s.password, salt, iterations, size)
	if err != nil {
		return "", err
	}
	unproven := "c=biws,r=" + nonce // "n,,": no channel binding
	text := s.bare + "," + challenge + "," + unproven
	key := s.mac(salted, "Client Key")
	stored := s.hash()
	stored.Write(key)
	for i, b := range s.mac(stored.Sum(nil), text) {
		key[i] ^= b
	}
	s.signature = s.mac(s.mac(salted, "Server Key"), text)
	return unproven + ",p=" + base64.StdEncoding.EncodeToString(key), nil
}

// parse reads r=NONCE,s=SALT,i=ITERATIONS and extensions behind, which are passed over.
func (s *scram) parse(challenge string) (nonce string, salt []byte, iterations int, err error) {
	part := strings.Split(challenge, ",")
	if len(part) < 3 || !strings.HasPrefix(part[0], "r=") || !strings.HasPrefix(part[1], "s=") || !strings.HasPrefix(part[2], "i=") {
		return "", nil, 0, &authFault{s.method + ": the server's first message does not read r=NONCE,s=SALT,i=ITERATIONS"}
	}
	if nonce = part[0][2:]; !strings.HasPrefix(nonce, s.nonce) || nonce == s.nonce {
		return "", nil, 0, &authFault{s.method + ": the server's nonce does not go on from this client's"}
	}
	if salt, err = base64.StdEncoding.DecodeString(part[1][2:]); err != nil || len(salt) == 0 {
		return "", nil, 0, &authFault{s.method + ": the server's salt is no base64"}
	}
	iterations, err = strconv.Atoi(part[2][2:])
	if err != nil || iterations < minIterations || iterations > maxIterations {
		return "", nil, 0, &authFault{fmt.Sprintf("%s: the server asks for %.20q iterations; %d to %d are accepted", s.method, part[2][2:], minIterations, maxIterations)}
	}
	return nonce, salt, iterations, nil
}

// verify takes the server's last message: it must know the password's keys, too.
func (s *scram) verify(final []byte) error {
	text, ok := strings.CutPrefix(string(final), "v=")
	got, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || s.signature == nil || !hmac.Equal(got, s.signature) {
		return &authFault{s.method + ": the server does not prove that it knows this user; it may be a false one"}
	}
	return nil
}

var errNotAsked = errors.New("the server wants an authentication that nobody began")
