package aclfile

import (
	"errors"
	"strings"
)

// Config says where the rules stand. The key belongs to the section [auth].
type Config struct {
	File string `toml:"acl_file" doc:"file of access rules, see docs/acl.md; empty: this machine and users who have proven their name may publish and subscribe to everything, $SYS is for this machine"`
}

// DefaultConfig has no file: the built-in rules hold, see Default.
func DefaultConfig() Config { return Config{} }

// Validate reports settings that cannot work, whatever the file holds.
func (c *Config) Validate() error {
	if strings.IndexByte(c.File, 0) >= 0 {
		return errors.New("acl_file: holds a null character")
	}
	if c.File != strings.TrimSpace(c.File) {
		return errors.New("acl_file: begins or ends with a blank; remove it")
	}
	return nil
}
