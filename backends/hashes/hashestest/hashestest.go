package hashestest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/hashes"
)

// The only argument of a tests' program that makes hashes, or that should but does not.
const (
	asWorker = "hash-worker"
	asSilent = "hash-silent"
)

// Main runs the tests of a program that is a worker, too: its TestMain calls it.
func Main(m *testing.M) {
	if len(os.Args) != 2 || os.Args[1] != asWorker && os.Args[1] != asSilent {
		os.Exit(m.Run())
	}
	var err error
	if os.Args[1] == asWorker {
		err = hashes.Work(os.Stdin, os.Stdout)
	} else {
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Command is that of a worker which is this program.
func Command() *exec.Cmd {
	c := exec.Command(os.Args[0], asWorker)
	c.Stderr = os.Stderr
	return c
}

// Silent is the command of a worker that never answers, and is killed when ctx ends.
func Silent(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, os.Args[0], asSilent) }

// New makes Workers of this program, and a Maker of them, that end with the test.
func New(t *testing.T) (*hashes.Maker, *hashes.Workers) {
	w := hashes.NewWorkers(nil, Command)
	t.Cleanup(func() { w.Close() })
	return hashes.NewMaker(w), w
}

// Broken are Workers that can begin no process.
func Broken() *hashes.Workers {
	return hashes.NewWorkers(nil, func() *exec.Cmd { return exec.Command("./there is no such program") })
}

// Want fails unless the figures are so.
func Want(t *testing.T, w *hashes.Workers, apart, here, failed uint64) {
	t.Helper()
	if got, want := w.Stats(), (hashes.WorkerStats{Apart: apart, Here: here, Failed: failed}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
