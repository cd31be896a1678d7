package protocols

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// pskTable holds the keys of clients by their identity.
type pskTable struct {
	keys   map[string][]byte
	decoy  [32]byte // makes keys for those who have none
	extern func(identity string) []byte
}

const (
	leastPSK = 8  // bytes
	mostPSK  = 64 // bytes
)

// loadPSK reads a file of lines identity:key, the key in hexadecimal; empty lines and
// those that begin with # mean nothing. An identity may hold colons.
func loadPSK(name string) (*pskTable, error) {
	t := &pskTable{keys: map[string][]byte{}}
	rand.Read(t.decoy[:]) // never fails
	if name == "" {
		return t, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("dtls.psk_file: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := t.add(line); err != nil {
			return nil, fmt.Errorf("dtls.psk_file %q: line %d: %w", name, n, err)
		}
	}
	return t, nil
}

// add takes one line. Errors name no key.
func (t *pskTable) add(line string) error {
	at := strings.LastIndexByte(line, ':')
	if at < 1 || at > maxIdentity {
		return fmt.Errorf("must be identity:key, the identity of 1 to %d bytes", maxIdentity)
	}
	identity := line[:at]
	key, err := hex.DecodeString(line[at+1:])
	if err != nil || len(key) < leastPSK || len(key) > mostPSK {
		return fmt.Errorf("the key of %q must be %d to %d bytes in hexadecimal", identity, leastPSK, mostPSK)
	}
	if t.keys[identity] != nil {
		return fmt.Errorf("the identity %q stands there twice", identity)
	}
	t.keys[identity] = key
	return nil
}

// find gives the key of an identity. Who is not known gets one that nobody has: the
// handshake fails as with a wrong key, and nobody learns who is known [RFC 4279
// section 2].
func (t *pskTable) find(identity []byte) ([]byte, error) {
	mac := hmac.New(sha256.New, t.decoy[:])
	mac.Write(identity)
	decoy := mac.Sum(nil)[:16]
	if key := t.keys[string(identity)]; key != nil {
		return key, nil
	}
	if t.extern != nil {
		if key := t.extern(string(identity)); key != nil {
			return key, nil
		}
	}
	return decoy, nil
}

// loadKeys reads the listener's keys into to, if it has some.
func (l *Listener) loadKeys(to map[*Listener]*pskTable) error {
	d := &l.cfg.DTLS
	if d.PSKFile == "" && d.PSK == nil {
		return nil
	}
	t, err := loadPSK(d.PSKFile)
	if err != nil {
		return err
	}
	t.extern = d.PSK
	to[l] = t
	return nil
}

// CheckFiles tells what is wrong with the files that c names.
func (c *DTLSConfig) CheckFiles() error {
	_, err := loadPSK(c.PSKFile)
	return err
}
