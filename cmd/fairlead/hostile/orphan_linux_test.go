package hostile

import (
	"os/exec"
	"syscall"
)

// dieWithUs makes the system end the child when the tests end in a panic or by
// a time limit, where no cleanup runs.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
