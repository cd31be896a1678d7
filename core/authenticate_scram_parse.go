package core

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"
)

// Bounds of SCRAM's messages beneath those of every exchange.
const (
	maxScramUser  = 1024 // bytes of a user name
	maxScramNonce = 256  // bytes of the client's nonce; both sides repeat it
)

// scramFirst is the client's first message.
type scramFirst struct {
	gs2   string // header, as the last message repeats it
	bare  string // what comes behind the header, as it stands in the proof
	user  string
	nonce string
}

var (
	errScramShape   = errors.New("the first message must read n,,n=USER,r=NONCE")
	errScramBinding = errors.New("channel binding is not offered")
	errScramAct     = errors.New("nobody may act for another user (a=)")
	errScramMust    = errors.New("an extension that must be understood (m=) is not")
	errScramUser    = errors.New("the user name is empty, too long, or not written as RFC 5802 has it")
	errScramNonce   = errors.New("the nonce is empty, too long, or not of printable ASCII")
	errScramLast    = errors.New("the last message must read c=HEADER,r=NONCE,p=PROOF")
	errScramProof   = errors.New("the proof is no base64 of the hash's length")
)

// parseScramFirst reads the client's first message. [RFC 5802 section 7]
func parseScramFirst(s string) (m scramFirst, err error) {
	flag, rest, ok := strings.Cut(s, ",")
	if !ok {
		return m, errScramShape
	}
	switch {
	case strings.HasPrefix(flag, "p="):
		return m, errScramBinding
	case flag != "n" && flag != "y": // y: the client could bind, and rightly sees that we cannot
		return m, errScramShape
	}
	actor, rest, ok := strings.Cut(rest, ",")
	if !ok {
		return m, errScramShape
	}
	m.gs2, m.bare = s[:len(s)-len(rest)], rest
	user, rest, ok := strings.Cut(rest, ",")
	if strings.HasPrefix(user, "m=") {
		return m, errScramMust
	}
	user, named := strings.CutPrefix(user, "n=")
	nonce, extensions, _ := strings.Cut(rest, ",")
	nonce, random := strings.CutPrefix(nonce, "r=")
	if !ok || !named || !random || !utf8.ValidString(extensions) {
		return m, errScramShape
	}
	if m.user, err = scramName(user); err != nil {
		return m, err
	}
	if m.nonce = nonce; !scramNonce(nonce) {
		return m, errScramNonce
	}
	if actor != "" && actor != "a="+user {
		return m, errScramAct
	}
	return m, nil
}

// scramName reads a saslname: ',' and '=' are written =2C and =3D.
func scramName(s string) (string, error) {
	if s == "" || len(s) > 3*maxScramUser || !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return "", errScramUser
	}
	var b strings.Builder
	for {
		plain, rest, escaped := strings.Cut(s, "=")
		b.WriteString(plain)
		switch {
		case !escaped && b.Len() > maxScramUser:
			return "", errScramUser
		case !escaped:
			return b.String(), nil
		case strings.HasPrefix(rest, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(rest, "3D"):
			b.WriteByte('=')
		default:
			return "", errScramUser
		}
		s = rest[2:]
	}
}

// scramNonce demands printable ASCII without commas.
func scramNonce(s string) bool {
	if s == "" || len(s) > maxScramNonce {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e || s[i] == ',' {
			return false
		}
	}
	return true
}

// scramLast is the client's last message.
type scramLast struct {
	unproven string // all before the proof
	proof    []byte
}

// parseScramLast reads the client's last message; size is that of the hash.
func parseScramLast(s string, size int) (m scramLast, err error) {
	at := strings.LastIndex(s, ",p=")
	if at < 0 || !strings.HasPrefix(s, "c=") || !utf8.ValidString(s[:at]) {
		return m, errScramLast
	}
	text := s[at+len(",p="):]
	if len(text) != base64.StdEncoding.EncodedLen(size) || strings.ContainsAny(text, "\r\n") {
		return m, errScramProof
	}
	m.unproven = s[:at]
	if m.proof, err = base64.StdEncoding.Strict().DecodeString(text); err != nil || len(m.proof) != size {
		return m, errScramProof
	}
	return m, nil
}
