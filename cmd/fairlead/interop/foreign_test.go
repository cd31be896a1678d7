package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lack ends a test whose foreign program is not here: with a failure where
// FAIRLEAD_REQUIRE names the tool (a list with commas, or all), else by
// skipping it and saying so.
func lack(t *testing.T, tool, why string) {
	t.Helper()
	required := strings.Split(os.Getenv("FAIRLEAD_REQUIRE"), ",")
	if slices.Contains(required, tool) || slices.Contains(required, "all") {
		t.Fatalf("%s is required: %s", tool, why)
	}
	t.Skipf("without %s: %s", tool, why)
}

// pythonWith gives the python of the tests if it has the module of a tool.
func pythonWith(t *testing.T, tool, module string) string {
	t.Helper()
	python := os.Getenv("FAIRLEAD_TEST_PYTHON")
	if python == "" {
		lack(t, tool, "set FAIRLEAD_TEST_PYTHON to a python that has "+module+", or run scripts/test")
	}
	if out, err := exec.Command(python, "-c", "import "+module).CombinedOutput(); err != nil {
		lack(t, tool, string(out))
	}
	return python
}

func startPahoPython(t *testing.T) *remote {
	t.Helper()
	return startRemote(t, nil, pythonWith(t, "paho-python", "paho.mqtt"), filepath.Join("testdata", "paho_client.py"))
}

func startMQTTjs(t *testing.T) *remote {
	t.Helper()
	modules := os.Getenv("FAIRLEAD_TEST_NODE_PATH")
	if modules == "" {
		lack(t, "mqttjs", "set FAIRLEAD_TEST_NODE_PATH to a node_modules that has mqtt, or run scripts/test")
	}
	return startRemote(t, []string{"NODE_PATH=" + modules}, "node", filepath.Join("testdata", "mqttjs_client.js"))
}

func TestForeignPahoGo(t *testing.T) {
	playAll(t, pahoGo{}, []int{3, 4}, "tcp", "tls", "ws", "wss", "unix")
}

func TestForeignPahoPython(t *testing.T) {
	playAll(t, startPahoPython(t), []int{3, 4, 5}, "tcp", "tls", "ws", "wss", "unix")
}

func TestForeignMQTTjs(t *testing.T) {
	playAll(t, startMQTTjs(t), []int{3, 4, 5}, "tcp", "tls", "ws", "wss")
}

// playAll plays every scenario over each transport in each version.
func playAll(t *testing.T, d driver, versions []int, transports ...transport) {
	g := startGateway(t)
	for _, tr := range transports {
		for _, v := range versions {
			name := fmt.Sprintf("%s %s", tr, versionName(v))
			t.Run(name, func(t *testing.T) {
				for _, s := range scenarios() {
					t.Run(s.name, func(t *testing.T) {
						t.Parallel()
						word := strings.NewReplacer(" ", "-", "/", "-", "#", "-").Replace(t.Name())
						s.play(t, stage{driver: d, at: g.endpoint(t, tr), version: v, word: shorten(word)})
					})
				}
			})
		}
	}
}

// shorten keeps client identifiers within what MQTT 3.1 allows: 23 characters,
// ten of them for the role.
func shorten(word string) string {
	var sum uint64 = 14695981039346656037
	for i := range len(word) {
		sum = (sum ^ uint64(word[i])) * 1099511628211
	}
	return fmt.Sprintf("%012x", sum&0xFFFFFFFFFFFF)
}

func versionName(v int) string {
	return map[int]string{3: "3.1", 4: "3.1.1", 5: "5"}[v]
}
