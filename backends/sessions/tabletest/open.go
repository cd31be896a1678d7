package tabletest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// Config is what a database is opened by.
type Config interface {
	Validate() error
	OpenTable(namespace string) (sessions.Database, error)
}

// Open opens the Table of a namespace, or ends t.
func Open(t testing.TB, c Config, namespace string) sessions.Database {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	d, err := c.OpenTable(namespace)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Namespace is one that nobody else has.
func Namespace() string { return fmt.Sprintf("gateway-%x", rand.Uint64()) }
