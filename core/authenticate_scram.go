package core

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// ScramHash is the hash of a SCRAM method [RFC 5802] [RFC 7677]. The zero value is
// SHA-256.
type ScramHash uint8

// The hashes that Fairlead offers. SCRAM-SHA-1 is left out: nothing new needs it.
const (
	ScramSHA256 ScramHash = iota
	ScramSHA512
)

// Method is the method's name as clients spell it.
func (h ScramHash) Method() string {
	if h == ScramSHA512 {
		return "SCRAM-SHA-512"
	}
	return "SCRAM-SHA-256"
}

// Size is the length of the hash and of its keys, in bytes.
func (h ScramHash) Size() int {
	if h == ScramSHA512 {
		return sha512.Size
	}
	return sha256.Size
}

func (h ScramHash) new() hash.Hash {
	if h == ScramSHA512 {
		return sha512.New()
	}
	return sha256.New()
}

func (h ScramHash) mac(key []byte, text string) []byte {
	m := hmac.New(h.new, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func (h ScramHash) sum(b []byte) []byte {
	d := h.new()
	d.Write(b)
	return d.Sum(nil)
}

// ScramKeys are what a server keeps of a password for SCRAM. They check who knows the
// password and do not suffice to log in, but every guess at the password can be
// checked against them for the cost of Iterations hashes.
type ScramKeys struct {
	Iterations int    // of PBKDF2
	Salt       []byte //
	StoredKey  []byte // Size bytes
	ServerKey  []byte // Size bytes
}

// Keys derives what to keep of a password. It costs iterations of the hash. The
// password's bytes are taken as they are, without SASLprep, which changes nothing of
// printable ASCII. An error says that the parameters are out of the standard
// library's bounds.
func (h ScramHash) Keys(password, salt []byte, iterations int) (ScramKeys, error) {
	salted, err := pbkdf2.Key(h.new, string(password), salt, iterations, h.Size())
	if err != nil {
		return ScramKeys{}, fmt.Errorf("%s: %w", h.Method(), err)
	}
	return ScramKeys{
		Iterations: iterations, Salt: salt,
		StoredKey: h.sum(h.mac(salted, "Client Key")), ServerKey: h.mac(salted, "Server Key"),
	}, nil
}

// ScramSource knows the keys of users.
type ScramSource interface {
	// Name is the source's name in logs and explain records.
	Name() string
	// ScramKeys gives the keys of user for h and what the user is granted. Who has
	// none must look like everybody else: the answer then are keys that no password
	// fits, with the same salt each time, and no grant. It may block up to ctx.
	ScramKeys(ctx context.Context, h ScramHash, user string) (ScramKeys, *Grant, error)
}

// Scram is the authentication method SCRAM with one hash, over a source of keys.
// There is no channel binding: no "-PLUS" method is offered, and what the client
// proves says nothing of the TLS connection beneath.
type Scram struct {
	hash   ScramHash
	source ScramSource
	nonce  func() string
}

var _ Exchanger = (*Scram)(nil)

// NewScram makes the method.
func NewScram(h ScramHash, source ScramSource) *Scram {
	return &Scram{hash: h, source: source, nonce: rand.Text}
}

// Name implements Exchanger.
func (s *Scram) Name() string { return s.source.Name() }

// Method implements Exchanger.
func (s *Scram) Method() string { return s.hash.Method() }

// Begin implements Exchanger.
func (s *Scram) Begin(*Credentials) Exchange { return &scramExchange{Scram: s} }

// scramExchange is one run of SCRAM.
type scramExchange struct {
	*Scram
	asked bool   // for the first message, which did not come with the first packet
	gs2   string // the client's header
	full  string // nonce of both sides; empty until the first message came
	said  string // client-first-bare and server-first, with the comma behind
	keys  ScramKeys
	grant *Grant // nil: there is no such user
}

// Step implements Exchange.
func (x *scramExchange) Step(ctx context.Context, data []byte) (Step, error) {
	switch {
	case x.full != "":
		return x.last(data), nil
	case len(data) == 0 && !x.asked:
		x.asked = true
		return Step{}, nil // the client speaks first
	}
	return x.first(ctx, data)
}

// first takes the client's first message.
func (x *scramExchange) first(ctx context.Context, data []byte) (Step, error) {
	m, err := parseScramFirst(string(data))
	if err != nil {
		return scramFault(err), nil
	}
	if x.keys, x.grant, err = x.source.ScramKeys(ctx, x.hash, m.user); err != nil {
		return Step{}, err
	}
	x.gs2, x.full = m.gs2, m.nonce+x.nonce()
	answer := "r=" + x.full + ",s=" + base64.StdEncoding.EncodeToString(x.keys.Salt) + ",i=" + strconv.Itoa(x.keys.Iterations)
	x.said = m.bare + "," + answer + ","
	return Step{Data: []byte(answer)}, nil
}

// last takes the client's proof. Unknown users take the same way to their refusal.
func (x *scramExchange) last(data []byte) Step {
	m, err := parseScramLast(string(data), x.hash.Size())
	if err != nil {
		return scramFault(err)
	}
	bound := "c=" + base64.StdEncoding.EncodeToString([]byte(x.gs2)) + ",r=" + x.full
	if !scramBegins(m.unproven, bound) {
		return scramFault(errors.New("the last message repeats another header or nonce"))
	}
	text := x.said + m.unproven
	key := x.hash.mac(x.keys.StoredKey, text)
	subtle.XORBytes(key, key, m.proof)
	ok := hmac.Equal(x.hash.sum(key), x.keys.StoredKey)
	signature := x.hash.mac(x.keys.ServerKey, text)
	if !ok || x.grant == nil {
		return Step{Verdict: Deny, Reason: BadCredentials, Detail: "bad user name or password"}
	}
	return Step{Verdict: Allow, Grant: x.grant, Data: []byte("v=" + base64.StdEncoding.EncodeToString(signature))}
}

// scramBegins says that what the client repeats is what was said, with nothing or
// only extensions behind it.
func scramBegins(unproven, bound string) bool {
	rest, ok := strings.CutPrefix(unproven, bound)
	return ok && (rest == "" || rest[0] == ',')
}

func scramFault(err error) Step {
	return Step{Verdict: Deny, Reason: NotAuthorized, Detail: "SCRAM: " + err.Error()}
}
