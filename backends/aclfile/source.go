package aclfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/core"
)

var _ core.Authorizer = (*Source)(nil)

// DefaultText is the rules that hold when no file is configured: this machine
// may do everything, and read $SYS; who has proven a user name may publish and
// subscribe to everything else. A client from elsewhere without a user name may
// do nothing, and $SYS is closed to all but this machine.
const DefaultText = `# The rules that hold while acl_file is empty.
# This machine: over IP, or over the listener that is called unix.
allow address loopback                pubsub    #
allow address loopback                subscribe $SYS/#
allow address none and listener unix  pubsub    #
allow address none and listener unix  subscribe $SYS/#
# Who has proven a user name.
allow user *                          pubsub    #
`

// Default gives the rules of DefaultText.
func Default() *Rules {
	r, err := Parse("built-in rules", []byte(DefaultText))
	if err != nil {
		panic(err) // the text is a constant, tested with this package
	}
	return r
}

// Source answers from one file, or from the built-in rules. Safe for concurrent
// use.
type Source struct {
	file    string
	rules   atomic.Pointer[Rules]
	version atomic.Uint64

	mu sync.Mutex // one Reload at a time
}

// Open reads the file of cfg; with an empty cfg.File the built-in rules hold.
// The error is a Faults when the file is faulty. A file that everyone may change
// is refused.
func Open(cfg Config) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("acl: %w", err)
	}
	s := &Source{file: cfg.File}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the file again and raises the version. A faulty file changes
// nothing: the rules before it stay, and the error says what is wrong. It reads
// the disk and may block.
func (s *Source) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	rules, err := load(s.file)
	if err != nil {
		return err
	}
	// In this order: who sees the new version gets the new rules.
	s.rules.Store(rules)
	s.version.Add(1)
	return nil
}

func load(path string) (*Rules, error) {
	if path == "" {
		return Default(), nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("acl: there is no file %s; write one (docs/acl.md) or leave acl_file empty for the built-in rules", path)
	}
	if err != nil {
		return nil, fmt.Errorf("acl: %w", err)
	}
	content, err := read(f, path)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return Parse(path, content)
}

// read refuses what is no file, or a file that everyone may change. Windows has
// no such bits.
func read(f *os.File, path string) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("acl: %w", err)
	}
	mode := info.Mode().Perm()
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("acl: %s is a folder; acl_file must name a file", path)
	case mode&0o002 != 0 && runtime.GOOS != "windows":
		return nil, fmt.Errorf("acl: %s may be changed by everyone on this machine (mode %04o); run: chmod o-w %s", path, mode, path)
	}
	content, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("acl: %w", err)
	}
	return content, nil
}

// Name is "acl".
func (s *Source) Name() string { return "acl" }

// Authorize answers from the present rules: Allow, Deny, or Ignore when no rule
// answers. It allocates nothing, takes no lock, keeps nothing and never fails.
func (s *Source) Authorize(id *core.Identity, a core.Action, topic string) (core.Verdict, error) {
	return s.rules.Load().Authorize(id, a, topic), nil
}

// Covers answers for a subscription as a whole, see [Rules.Covers].
func (s *Source) Covers(id *core.Identity, filter string) core.Verdict {
	return s.rules.Load().Covers(id, filter)
}

// Version rises with every Reload that took.
func (s *Source) Version() uint64 { return s.version.Load() }

// Rules gives the present rules.
func (s *Source) Rules() *Rules { return s.rules.Load() }

// Warnings are the warnings of the present rules, see [Rules.Warnings].
func (s *Source) Warnings() []string { return s.rules.Load().Warnings() }
