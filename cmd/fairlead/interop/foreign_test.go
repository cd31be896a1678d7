package interop

import (
	"fmt"
	"os"
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

func TestForeignPahoGo(t *testing.T) {
	playAll(t, pahoGo{}, []int{3, 4}, "tcp", "tls", "ws", "wss", "unix")
}

func TestForeignPahoPython(t *testing.T) {
	python := os.Getenv("FAIRLEAD_TEST_PYTHON")
	if python == "" {
		lack(t, "paho-python", "set FAIRLEAD_TEST_PYTHON to a python that has paho-mqtt, or run scripts/test")
	}
	r := startRemote(t, nil, python, filepath.Join("testdata", "paho_client.py"))
	playAll(t, r, []int{3, 4, 5}, "tcp", "tls", "ws", "wss", "unix")
}

func TestForeignMQTTjs(t *testing.T) {
	modules := os.Getenv("FAIRLEAD_TEST_NODE_PATH")
	if modules == "" {
		lack(t, "mqttjs", "set FAIRLEAD_TEST_NODE_PATH to a node_modules that has mqtt, or run scripts/test")
	}
	r := startRemote(t, []string{"NODE_PATH=" + modules}, "node", filepath.Join("testdata", "mqttjs_client.js"))
	playAll(t, r, []int{3, 4, 5}, "tcp", "tls", "ws", "wss")
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
