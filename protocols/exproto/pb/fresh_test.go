package pb

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "make the Go code anew from handler.proto")

// TestGeneratedCodeIsFresh: the Go code is what handler.proto says. It needs protoc and
//
//	go install google.golang.org/protobuf/cmd/protoc-gen-go@latest
//	go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@latest
//
// on the path; scripts/test installs them.
func TestGeneratedCodeIsFresh(t *testing.T) {
	for _, tool := range []string{"protoc", "protoc-gen-go", "protoc-gen-go-grpc"} {
		if _, err := exec.LookPath(tool); err != nil {
			lack(t, tool)
		}
	}
	folder := t.TempDir()
	if *update {
		folder = "."
	}
	cmd := exec.Command("protoc", "--go_out="+folder, "--go_opt=paths=source_relative", "--go-grpc_out="+folder, "--go-grpc_opt=paths=source_relative", "handler.proto")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"handler.pb.go", "handler_grpc.pb.go"} {
		if !bytes.Equal(code(t, name), code(t, filepath.Join(folder, name))) {
			t.Errorf("%s is not what handler.proto says; run: go test ./protocols/exproto/pb -run Fresh -update", name)
		}
	}
}

// lack skips, or fails where FAIRLEAD_REQUIRE names protoc.
func lack(t *testing.T, tool string) {
	required := strings.Split(os.Getenv("FAIRLEAD_REQUIRE"), ",")
	if slices.Contains(required, "protoc") || slices.Contains(required, "all") {
		t.Fatalf("protoc is required: there is no %s", tool)
	}
	t.Skipf("without protoc: there is no %s", tool)
}

// code is a file without the versions of those who made it.
func code(t *testing.T, name string) []byte {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("// ")) || !bytes.Contains(line, []byte("protoc")) {
			out = append(out, line...)
		}
	}
	return out
}
