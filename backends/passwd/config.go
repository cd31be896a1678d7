package passwd

import (
	"errors"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/hashes"
)

// Config says where the users stand. The keys belong to the section [auth].
type Config struct {
	File  string `toml:"passwd_file" doc:"file of users and argon2id hashes, made by fairlead passwd; empty: no users"`
	Cache bool   `toml:"passwd_cache" doc:"remember under a random key which password passed last, so that reconnecting costs microseconds instead of a full hash (20 ms or more); dropped at reload"`

	// Hashes makes the hashes, and bounds how many at once; other sources may have the
	// same. nil: one of the Source's own, which makes them in this process.
	Hashes *hashes.Maker `toml:"-"`
}

// DefaultConfig has no file and remembers successful logins.
func DefaultConfig() Config { return Config{Cache: true} }

// Validate reports settings that cannot work, whatever the file holds.
func (c *Config) Validate() error {
	if strings.IndexByte(c.File, 0) >= 0 {
		return errors.New("passwd_file: holds a null character")
	}
	if c.File != strings.TrimSpace(c.File) {
		return errors.New("passwd_file: begins or ends with a blank; remove it")
	}
	return nil
}
