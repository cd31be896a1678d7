package protocols

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// stateListen is TCP_LISTEN in the kernel's tables.
const stateListen = "0A"

// holderOf names the process that listens on the address's port, as far as this
// process may see it: "process 123 (mosquitto -v)", or "".
func holderOf(address string) string {
	_, port, err := splitAddress(address)
	if err != nil {
		return ""
	}
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err == nil {
			listenersIn(text, port, inodes)
		}
	}
	if len(inodes) == 0 {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !inodes[target] {
			continue
		}
		pid := strings.Split(link, "/")[2]
		return fmt.Sprintf("process %s (%s)", pid, commandOf(pid))
	}
	return "a process of another user"
}

// listenersIn adds the sockets of a kernel table that listen on port, as the
// targets of descriptors name them.
func listenersIn(table []byte, port uint16, inodes map[string]bool) {
	want := strings.ToUpper(hex.EncodeToString([]byte{byte(port >> 8), byte(port)}))
	for line := range bytes.Lines(table) {
		f := strings.Fields(string(line))
		if len(f) < 10 || f[3] != stateListen || !strings.HasSuffix(f[1], ":"+want) {
			continue
		}
		if _, err := strconv.ParseUint(f[9], 10, 64); err == nil {
			inodes["socket:["+f[9]+"]"] = true
		}
	}
}

func commandOf(pid string) string {
	line, err := os.ReadFile("/proc/" + pid + "/cmdline")
	if err != nil || len(line) == 0 {
		return "unknown command"
	}
	const longest = 120
	text := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return text
}
