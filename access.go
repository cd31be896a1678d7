package fairlead

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/passwd"
	"github.com/fairlead-iot/fairlead/core"
)

const (
	adminFile = "admin.passwd" // in the data directory
	adminUser = "admin"
)

// administrators opens the file of administrators in the data directory. Where
// there is none it makes one, with a random password that it returns. m may be nil.
func administrators(dir string, m *hashes.Maker) (users *passwd.Source, first string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { // where the store lies elsewhere
		return nil, "", err
	}
	path := filepath.Join(dir, adminFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if first, err = makeAdministrator(path); err != nil {
			return nil, "", err
		}
	}
	users, err = passwd.Open(passwd.Config{File: path, Cache: true, Hashes: m})
	return users, first, err
}

func makeAdministrator(path string) (password string, err error) {
	// The directory is ours alone: a half-written file is left from a start that
	// was killed.
	if err := os.Remove(path + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	password = rand.Text() // 130 bits
	hash, err := passwd.NewHash([]byte(password), passwd.DefaultParams())
	if err != nil {
		return "", err
	}
	return password, passwd.Edit(path, func(old []byte) ([]byte, error) {
		return passwd.SetPassword(old, adminUser, hash, passwd.Scram{})
	})
}

// authenticateWith makes users the administrators.
func authenticateWith(users *passwd.Source) func(context.Context, string, string) bool {
	return func(ctx context.Context, user, password string) bool {
		v, _, err := users.Authenticate(ctx, &core.Credentials{
			Username: user, HasUsername: true, Password: []byte(password), HasPassword: true,
		})
		return err == nil && v == core.Allow
	}
}
