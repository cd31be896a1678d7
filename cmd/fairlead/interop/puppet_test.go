package interop

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// puppet is a program in another language that does what it is told, line by line, and
// answers each with one line.
type puppet struct {
	in  io.Writer
	out *bufio.Scanner
}

// startPuppet runs the program until the test ends.
func startPuppet(t *testing.T, program string, args ...string) puppet {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	dieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return puppet{in, bufio.NewScanner(out)}
}

// say tells it a line and gives the answer; false when the program has ended.
func (p puppet) say(line string) (answer string, ok bool) {
	fmt.Fprintln(p.in, line)
	ok = p.out.Scan()
	return strings.TrimSpace(p.out.Text()), ok
}

// ask tells it a line and expects the answer want.
func (p puppet) ask(t *testing.T, want, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	got, ok := p.say(line)
	if !ok {
		t.Fatalf("%s: it ended: %v", line, p.out.Err())
	}
	if got != want {
		t.Fatalf("%s: %q, want %q", line, got, want)
	}
}
