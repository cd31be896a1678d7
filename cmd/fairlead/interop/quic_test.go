package interop

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// TestForeignQUICStreams divides a session over streams of a QUIC that others wrote.
func TestForeignQUICStreams(t *testing.T) {
	python := pythonWith(t, "aioquic", "aioquic")
	at := startGateway(t).endpoint(t, "quic")
	host, port := at.hostPort(t)
	out, err := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "aioquic_streams.py"), host, strconv.Itoa(port), at.ca).CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Fatalf("%v: %s", err, out)
	}
}
