package interop

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/devices"
)

// coapGateway is a gateway with CoAP over UDP, over TCP, and over DTLS with a shared key.
type coapGateway struct {
	*gateway
	plain, secure, tcp string // host:port
}

// pskKey is the key of all devices: each scene has an identity of its own, for one identity
// is one client.
const pskKey = "not-a-secret"

// writeKeys gives a file of keys for identities.
func writeKeys(t *testing.T, folder string, identities ...string) string {
	t.Helper()
	file := filepath.Join(folder, "keys")
	var lines string
	for _, identity := range identities {
		lines += identity + ":" + hex.EncodeToString([]byte(pskKey)) + "\n"
	}
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func startCoAP(t *testing.T) coapGateway {
	t.Helper()
	folder := shortDir(t)
	keys := writeKeys(t, folder, "publish", "read", "blocks", "observe", "connection")
	g := runGateway(t, folder, "", "--ephemeral", "--set", "listeners.ws.address=off",
		"--set", "listeners.ctcp.protocol=coap", "--set", "listeners.ctcp.transport=tcp", "--set", "listeners.ctcp.address=127.0.0.1:0",
		"--set", "listeners.coaps.address=127.0.0.1:0", "--set", "listeners.coaps.dtls.psk_file="+keys)
	t.Cleanup(func() { g.stop(t) })
	return coapGateway{gateway: g, plain: g.listeners["coap"], secure: g.listeners["coaps"], tcp: g.listeners["ctcp"]}
}

// device is an MQTT client beside CoAP's.
func (g coapGateway) device(t *testing.T, filter string) *devices.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := devices.Dial(ctx, g.endpoint(t, "tcp").deviceURL(), devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if filter != "" {
		subscribe(ctx, t, c, filter)
	}
	return c
}

// expect waits for a message.
func expect(t *testing.T, c *devices.Client, topic, payload string) {
	t.Helper()
	select {
	case m := <-c.Messages():
		if m == nil || m.Topic != topic || string(m.Payload) != payload {
			t.Fatalf("received %+v, want %q at %s", m, payload, topic)
		}
	case <-time.After(patience):
		t.Fatalf("nothing came, want %q at %s", payload, topic)
	}
}

// say publishes by MQTT.
func say(t *testing.T, c *devices.Client, topic, payload string, qos uint8, retain bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.Publish(ctx, &devices.Message{Topic: topic, Payload: []byte(payload), QoS: qos, Retain: retain}); err != nil {
		t.Fatal(err)
	}
}

// libcoap calls coap-client, as in a shell.
type libcoap struct {
	path string
	base string // URI
	more []string
}

func (l libcoap) run(t *testing.T, args ...string) string {
	t.Helper()
	last := len(args) - 1
	all := append(append(append([]string(nil), l.more...), args[:last]...), l.base+args[last])
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, l.path, all...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", l.path, strings.Join(all, " "), err, out)
	}
	return string(out)
}

func findLibcoap(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("coap-client-openssl")
	if err != nil {
		lack(t, "coap-client", err.Error())
	}
	return path
}

func TestForeignLibcoap(t *testing.T) {
	path := findLibcoap(t)
	g := startCoAP(t)
	for _, l := range []struct {
		name string
		libcoap
	}{
		{"udp", libcoap{path, "coap://" + g.plain, nil}},
		{"dtls", libcoap{path, "coaps://" + g.secure, []string{"-k", pskKey}}},
		{"tcp", libcoap{path, "coap+tcp://" + g.tcp, []string{"-r"}}},
		// Which datagrams are lost is fixed: by chance, one may be lost so often in a row that
		// its waits, each twice the last one, are longer than anybody's patience.
		{"lossy", libcoap{path, "coap://" + g.plain, []string{"-l", "1,4"}}},
	} {
		for _, s := range []struct {
			name string
			play func(*testing.T, coapGateway, libcoap)
		}{
			{"publish", libcoapPublish}, {"read", libcoapRead}, {"blocks", libcoapBlocks}, {"observe", libcoapObserve}, {"connection", libcoapConnection},
		} {
			if l.name == "lossy" && s.name == "observe" {
				continue // libcoap 4.3.1 does not acknowledge a notification that is repeated
			}
			t.Run(l.name+" "+s.name, func(t *testing.T) {
				t.Parallel()
				at := l.libcoap
				if l.name == "dtls" {
					at.more = append([]string{"-u", s.name}, at.more...)
				}
				s.play(t, g, at)
			})
		}
	}
}

func libcoapPublish(t *testing.T, g coapGateway, l libcoap) {
	word := shorten(t.Name())
	c := g.device(t, word+"/#")
	for qos := range 3 {
		topic := fmt.Sprintf("%s/%d", word, qos)
		l.run(t, "-m", "put", "-e", "value", fmt.Sprintf("/ps/%s?q=%d", topic, qos))
		expect(t, c, topic, "value")
		l.run(t, "-m", "put", "-e", "other", fmt.Sprintf("/mqtt/%s?c=%s", topic, word))
		expect(t, c, topic, "other")
	}
}

func libcoapRead(t *testing.T, g coapGateway, l libcoap) {
	word := shorten(t.Name())
	c := g.device(t, "")
	say(t, c, word, "kept", 1, true)
	if got := l.run(t, "-m", "get", "/ps/"+word); got != "kept\n" {
		t.Errorf("read %q", got)
	}
	if got := l.run(t, "-m", "get", "/.well-known/core?rt=core.ps"); !strings.Contains(got, `</ps>;rt="core.ps"`) {
		t.Errorf("discovered %q", got)
	}
	l.run(t, "-m", "delete", "/ps/"+word)
	l.run(t, "-m", "get", "/ps/"+word)
}

func libcoapBlocks(t *testing.T, g coapGateway, l libcoap) {
	word := shorten(t.Name())
	c := g.device(t, word)
	payload := strings.Repeat("0123456789", 300)
	file := filepath.Join(t.TempDir(), "payload")
	if err := os.WriteFile(file, []byte(payload), 0o600); err != nil {
		t.Fatal(err)
	}
	l.run(t, "-m", "put", "-b", "256", "-f", file, "/ps/"+word+"?retain=true")
	expect(t, c, word, payload)
	if got := l.run(t, "-m", "get", "-b", "512", "/ps/"+word); strings.TrimSpace(got) != payload {
		t.Errorf("read %d bytes", len(got))
	}
}

func libcoapObserve(t *testing.T, g coapGateway, l libcoap) {
	word := shorten(t.Name())
	c := g.device(t, "")
	say(t, c, word, "first;", 1, true)
	cmd := exec.CommandContext(t.Context(), "stdbuf", append(append([]string{"-o0", l.path}, l.more...), "-w", "-s", "60", "-m", "get", l.base+"/ps/"+word)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	next := func(want string) {
		t.Helper()
		for lines.Scan() {
			if text := strings.TrimSpace(lines.Text()); text != "" {
				if text != want {
					t.Fatalf("it shows %q, want %q", text, want)
				}
				return
			}
		}
		t.Fatalf("it ended, want %q: %v", want, lines.Err())
	}
	next("first;")
	for i := range 5 {
		say(t, c, word, fmt.Sprintf("event %d;", i), uint8(i%3), false)
	}
	for i := range 5 {
		next(fmt.Sprintf("event %d;", i))
	}
}

func libcoapConnection(t *testing.T, g coapGateway, l libcoap) {
	// Each call comes from another port, so only the first step can be made by it.
	word := shorten(t.Name())
	if got := l.run(t, "-m", "post", "/mqtt/connection?c="+word+"&expiry=60"); len(strings.TrimSpace(got)) != 16 {
		t.Errorf("the token is %q", got)
	}
}

// startAiocoap runs a client of aiocoap against the gateway at address.
func startAiocoap(t *testing.T, address string) puppet {
	t.Helper()
	return startPuppet(t, pythonWith(t, "aiocoap", "aiocoap"), "-W", "ignore", filepath.Join("testdata", "aiocoap_client.py"), "coap://"+address)
}

func TestForeignAiocoap(t *testing.T) {
	g := startCoAP(t)
	a := startAiocoap(t, g.plain)
	c := g.device(t, "aio/#")
	a.ask(t, "2.04 Changed", "put /ps/aio/a hello")
	expect(t, c, "aio/a", "hello")
	a.ask(t, "2.04 Changed", "put /ps/aio/b?retain=1 kept")
	expect(t, c, "aio/b", "kept")
	a.ask(t, "2.05 Content kept", "get /ps/aio/b")
	a.ask(t, "2.04 Changed", "big /ps/aio/big?retain=1 20000")
	expect(t, c, "aio/big", strings.Repeat("z", 20000))
	a.ask(t, "2.05 Content 20000", "length /ps/aio/big")
	a.ask(t, "2.05 Content", "observe /ps/aio/events")
	for i := range 5 {
		say(t, c, "aio/events", fmt.Sprint("event ", i), uint8(i%3), false)
	}
	for i := range 5 {
		a.ask(t, fmt.Sprint("event ", i), "next")
	}
}

// TestForeignAiocoapKilled: an observation of a session that lasts goes on after the gateway
// was killed, with what was published before the observer was heard of again.
func TestForeignAiocoapKilled(t *testing.T) {
	folder := shortDir(t)
	address := fmt.Sprint("127.0.0.1:", freePorts(t, 1)[0])
	run := func() coapGateway {
		g := runGateway(t, folder, "", "--ephemeral", "--set", "node.data_dir="+filepath.Join(folder, "data"), "--set", "listeners.coap.address="+address)
		return coapGateway{gateway: g, plain: address}
	}
	g := run()
	a := startAiocoap(t, address)
	a.ask(t, "2.05 Content", "observe /ps/events?c=watch&expiry=600")
	say(t, g.device(t, ""), "events", "before", 1, false)
	a.ask(t, "before", "next")
	g.kill()
	g = run()
	say(t, g.device(t, ""), "events", "meanwhile", 1, false)
	a.ask(t, "2.04 Changed", "put /ps/other?c=watch here")
	say(t, g.device(t, ""), "events", "after", 1, false)
	for _, want := range []string{"meanwhile", "after"} {
		fmt.Fprintln(a.in, "next")
		a.out.Scan()
		if a.out.Text() == "before" { // its acknowledgement was not stored yet
			fmt.Fprintln(a.in, "next")
			a.out.Scan()
		}
		if got := a.out.Text(); got != want {
			t.Fatalf("it shows %q, want %q", got, want)
		}
	}
	g.stop(t)
}
