package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// TestForeignQUICStreams divides a session over streams of a QUIC that others wrote.
func TestForeignQUICStreams(t *testing.T) {
	python := os.Getenv("FAIRLEAD_TEST_PYTHON")
	if python == "" {
		lack(t, "aioquic", "set FAIRLEAD_TEST_PYTHON to a python that has aioquic, or run scripts/test")
	}
	if out, err := exec.Command(python, "-c", "import aioquic").CombinedOutput(); err != nil {
		lack(t, "aioquic", string(out))
	}
	at := startGateway(t).endpoint(t, "quic")
	host, port := at.hostPort(t)
	out, err := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "aioquic_streams.py"), host, strconv.Itoa(port), at.ca).CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Fatalf("%v: %s", err, out)
	}
}
