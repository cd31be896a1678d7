package sessions

import (
	"crypto/sha256"
	"fmt"
	"regexp"
)

var namespaces = regexp.MustCompile(`^[A-Za-z0-9._:/@-]{1,64}$`)

// CheckNamespace says what is wrong with the name by which a gateway tells its rows or
// keys from those of others in one database.
func CheckNamespace(name string) error {
	if !namespaces.MatchString(name) {
		return fmt.Errorf("namespace: %q must be 1 to 64 letters, digits and . _ : / @ -", name)
	}
	return nil
}

// ShortKey gives key itself where it has up to most bytes, and else most+1 bytes that stand
// for it: how it begins, and its SHA-256. So no two keys have the same; whoever stores a
// long one by it keeps the key beside, and compares. most is at least 31.
func ShortKey(key []byte, most int) (short []byte, long bool) {
	if len(key) <= most {
		return key, false
	}
	sum := sha256.Sum256(key)
	return append(key[:most+1-len(sum):most+1-len(sum)], sum[:]...), true
}
