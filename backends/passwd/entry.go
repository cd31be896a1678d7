package passwd

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of one entry; what does not fit is refused when the file is read.
const (
	maxUser     = 1024 // bytes of a user name
	maxClientID = 1024 // bytes of a ClientID before it is escaped
	maxLine     = 8192 // bytes of a line
)

// Entry is one user of a file.
type Entry struct {
	User      string
	Hash      Hash
	Superuser bool   // passes every access rule
	ClientID  string // the only ClientID this user may use, "" for any
	Scram     Scram  // keys of the same password for SCRAM
}

// String writes the entry as a line without its end.
func (e *Entry) String() string {
	line := e.User + ":" + e.Hash.String()
	var attributes []string
	if e.Superuser {
		attributes = append(attributes, "superuser")
	}
	if e.ClientID != "" {
		attributes = append(attributes, "client_id="+escape(e.ClientID))
	}
	for _, h := range scramHashes() {
		if k := e.Scram[h]; k != nil {
			attributes = append(attributes, scramAttribute(h)+"="+scramText(k))
		}
	}
	if len(attributes) > 0 {
		line += ":" + strings.Join(attributes, ",")
	}
	return line
}

// parseEntry reads a line that is no comment.
func parseEntry(line string) (Entry, error) {
	if strings.TrimSpace(line) == "" {
		return Entry{}, errors.New("the line is empty; remove it, or begin it with '#'")
	}
	user, rest, ok := strings.Cut(line, ":")
	if !ok {
		return Entry{}, errors.New("no ':' after the user's name; a line reads USER:HASH; set the password with fairlead passwd FILE USER")
	}
	if err := checkUser(user); err != nil {
		return Entry{}, err
	}
	if rest == "" {
		return Entry{}, fmt.Errorf("user %q has no password; set one with fairlead passwd FILE USER", user)
	}
	hash, attributes, more := strings.Cut(rest, ":")
	e := Entry{User: strings.Clone(user)} // a part of the line would keep all of it
	var err error
	if e.Hash, err = ParseHash(hash); err != nil {
		return Entry{}, fmt.Errorf("user %q: %w", user, err)
	}
	if more {
		if err := e.readAttributes(attributes); err != nil {
			return Entry{}, fmt.Errorf("user %q: %w", user, err)
		}
	}
	return e, nil
}

// checkUser tells whether a file can hold the name.
func checkUser(user string) error {
	switch {
	case user == "":
		return errors.New("the user's name is empty")
	case len(user) > maxUser:
		return fmt.Errorf("the user's name has %d bytes, at most %d are allowed", len(user), maxUser)
	case !utf8.ValidString(user):
		return errors.New("the user's name is not UTF-8")
	case strings.IndexFunc(user, isControl) >= 0:
		return errors.New("the user's name holds a control character")
	case strings.IndexByte(user, ':') >= 0:
		return fmt.Errorf("the user's name %q holds ':', which ends a name in this file", user)
	case strings.TrimSpace(user) != user || user[0] == '#':
		return fmt.Errorf("the user's name %q must not begin with '#' or a blank, nor end with a blank", user)
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// readAttributes reads what follows the second ':'.
func (e *Entry) readAttributes(s string) error {
	seen := map[string]bool{}
	for field := range strings.SplitSeq(s, ",") {
		key, value, valued := strings.Cut(field, "=")
		if seen[key] {
			return fmt.Errorf("the attribute %q stands there twice", key)
		}
		seen[key] = true
		if err := e.readAttribute(key, value, valued); err != nil {
			return err
		}
	}
	return nil
}

func (e *Entry) readAttribute(key, value string, valued bool) error {
	switch {
	case key == "superuser" && valued:
		return errors.New("superuser takes no value; leave the attribute out for an ordinary user")
	case key == "superuser":
		e.Superuser = true
		return nil
	case key == "client_id":
		id, err := unescape(value)
		if err != nil {
			return err
		}
		e.ClientID = id
		return checkClientID(id)
	}
	for _, h := range scramHashes() {
		if key == scramAttribute(h) {
			k, err := parseScram(h, value)
			e.Scram[h] = k
			return err
		}
	}
	return fmt.Errorf("the attribute %.40q is unknown; there are superuser, client_id=ID, scram-sha-256=KEYS and scram-sha-512=KEYS", key)
}

func checkClientID(id string) error {
	switch {
	case id == "":
		return errors.New("client_id is empty; leave the attribute out to allow any")
	case len(id) > maxClientID:
		return fmt.Errorf("client_id has %d bytes, at most %d are allowed", len(id), maxClientID)
	case !utf8.ValidString(id):
		return errors.New("client_id is not UTF-8")
	}
	return nil
}

// escape writes the bytes that have a meaning in a line as %XX.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c == ',' || c == '%' || isControl(rune(c)) {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' && !isControl(rune(s[i])) {
			b.WriteByte(s[i])
			continue
		}
		if s[i] != '%' || i+2 >= len(s) {
			return "", errEscape
		}
		high, low := hexDigit(s[i+1]), hexDigit(s[i+2])
		if high < 0 || low < 0 {
			return "", errEscape
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), nil
}

var errEscape = errors.New("client_id: '%', ',' and control characters are written as '%' and two hexadecimal digits: %25 for '%', %2C for ','")

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
