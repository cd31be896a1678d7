package passwd

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnknownUser says that a file has no such user.
var ErrUnknownUser = errors.New("passwd: no such user")

// unnamed stands in faults for the file, whose name only Edit knows.
const unnamed = "passwd file"

// Set gives a user of content a new hash, or adds the user at the end, and
// returns the new content. Comments, other lines, their order and line ends
// stay as they are; where keys for SCRAM come in for the first time, a line with the
// key for unknown users' salts comes in front. A faulty content is not edited: the error is its Faults.
func Set(content []byte, e Entry) ([]byte, error) {
	lines, err := editable(content, e)
	if err != nil {
		return nil, err
	}
	if e.Scram != (Scram{}) {
		lines = withSaltKey(lines)
	}
	text := e.String()
	if i := find(lines, e.User); i >= 0 {
		lines[i].text = text
		return join(lines), nil
	}
	end := "\n"
	if n := len(lines); n > 0 {
		if lines[n-1].end == "" {
			lines[n-1].end = lineEnd(lines)
		}
		end = lineEnd(lines)
	}
	return join(append(lines, line{text: text, end: end})), nil
}

// editable checks the entry as Parse would and splits the content.
func editable(content []byte, e Entry) ([]line, error) {
	err := checkUser(e.User)
	if err == nil {
		_, err = parseEntry(e.String())
	}
	if err != nil {
		return nil, fmt.Errorf("passwd: set: %w", err)
	}
	return parseLines(unnamed, content)
}

// lineEnd is how the file ends its lines: as its first line does.
func lineEnd(lines []line) string {
	if lines[0].end == "" {
		return "\n"
	}
	return lines[0].end
}

// SetPassword gives a user of content a new hash and new keys for SCRAM, or adds the
// user, and returns the new content; what else the file says of the user stays. Both
// must be of one password: keys that stayed would let the old one in.
func SetPassword(content []byte, user string, h Hash, k Scram) ([]byte, error) {
	if err := checkUser(user); err != nil {
		return nil, fmt.Errorf("passwd: set: %w", err)
	}
	e, err := Find(content, user)
	if err != nil && !errors.Is(err, ErrUnknownUser) {
		return nil, err
	}
	e.User, e.Hash, e.Scram = user, h, k
	return Set(content, e)
}

// Delete removes a user's line and returns the new content, or ErrUnknownUser.
func Delete(content []byte, user string) ([]byte, error) {
	lines, err := parseLines(unnamed, content)
	if err != nil {
		return nil, err
	}
	i := find(lines, user)
	if i < 0 {
		return nil, fmt.Errorf("%w: %q", ErrUnknownUser, user)
	}
	return join(append(lines[:i], lines[i+1:]...)), nil
}

// List gives the users of content in the order of the file.
func List(content []byte) ([]Entry, error) { return Parse(unnamed, content) }

// Find gives one user of content, or ErrUnknownUser.
func Find(content []byte, user string) (Entry, error) {
	lines, err := parseLines(unnamed, content)
	if err != nil {
		return Entry{}, err
	}
	if i := find(lines, user); i >= 0 {
		return *lines[i].entry, nil
	}
	return Entry{}, fmt.Errorf("%w: %q", ErrUnknownUser, user)
}

// Verify tells whether password is the user's; ErrUnknownUser if there is none. Keys for
// SCRAM that are of another password are an error: somebody edited the file by hand.
func Verify(content []byte, user string, password []byte) (bool, error) {
	e, err := Find(content, user)
	if err != nil {
		return false, err
	}
	ok := e.Hash.Matches(password)
	for _, h := range scramHashes() {
		if k := e.Scram[h]; k != nil && len(password) <= MaxPassword && scramMatches(h, k, password) != ok {
			return false, fmt.Errorf("passwd: the hash of user %q and the keys %s are not of one password, either lets in; set it anew", user, scramAttribute(h))
		}
	}
	return ok, nil
}

func find(lines []line, user string) int {
	for i, l := range lines {
		if l.entry != nil && l.entry.User == user {
			return i
		}
	}
	return -1
}

func join(lines []line) []byte {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text)
		b.WriteString(l.end)
	}
	return []byte(b.String())
}
