package main

import (
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead/backends/hashes"
)

// hashWorkerName is the way in that people are not told of.
const hashWorkerName = "hash-worker"

// runningProgram is this program on Linux even where its file has been replaced since.
const runningProgram = "/proc/self/exe"

// hashWorker is the command of a process that makes hashes of passwords for this one.
func hashWorker() *exec.Cmd {
	path := os.Args[0]
	if found, err := os.Executable(); err == nil {
		path = found
	}
	if _, err := os.Stat(runningProgram); runtime.GOOS == "linux" && err == nil {
		path = runningProgram
	}
	c := exec.Command(path, hashWorkerName)
	c.Args[0] = os.Args[0] // what lists of processes show
	return c
}

// hashWorkerCommand is the other side of hashWorker. It ends with its standard input, and
// so with the gateway, however that ends.
func (t *terminal) hashWorkerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    hashWorkerName,
		Short:  "make hashes of passwords for a gateway",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			// These go to all processes of a terminal or of a service. The gateway decides: it
			// may need hashes until the last client has left.
			signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			giveWay()
			return hashes.Work(t.in, t.out)
		},
	}
}

// niceness is by how much a process for hashes comes behind the gateway: it gets a tenth
// of a processor that the gateway has use for, so that who waits for a hash waits, but
// not without end.
const niceness = 10
