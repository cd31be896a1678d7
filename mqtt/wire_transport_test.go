package mqtt

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/protocols"
)

var wireVersions = flag.Bool("wire-versions", false, "TestWireOverTransports plays each scene in all its versions, not in the newest only")

// carriedBy are the transports that the scenes are played over, real ones.
var carriedBy = []string{protocols.TCP, protocols.TLS, protocols.WebSocket, protocols.SecureWS, protocols.QUIC, protocols.Unix}

// TestWireOverTransports plays the scenes of TestWire through real sockets, so that
// what holds for the machine holds for what a client meets. Scenes in which time has
// to pass are left to TestWire.
func TestWireOverTransports(t *testing.T) {
	own := testCertificate(t)
	for _, transport := range carriedBy {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			played, left := 0, 0
			for _, c := range chapters() {
				for _, s := range c.scenes {
					if strings.Contains(s.script, "wait ") {
						left++
						continue
					}
					versions := s.versions()
					if !*wireVersions {
						versions = versions[len(versions)-1:]
					}
					for _, v := range versions {
						played++
						t.Run(c.name+"/"+s.name+" ("+versionName(v)+")", func(t *testing.T) { playOver(t, &s, byte(v), transport, own) })
					}
				}
			}
			t.Logf("%d scenes played, %d need time to pass", played, left)
		})
	}
}

// overStage is a scene being played through sockets.
type overStage struct {
	stage
	carrier carrier
	made    chan *watched
	ends    map[string]*overEnd
}

// carrier knows how to connect.
type carrier struct {
	transport, address string
	ca                 string
}

// watched is a machine of which the test sees how much of the client's bytes it got.
type watched struct {
	protocols.Machine
	mu     sync.Mutex
	used   int // bytes taken
	seen   int // and offered
	closed bool
	moved  chan struct{} // closed at each change
}

type watchingAdapter struct {
	*Adapter
	made chan *watched
}

// NewMachine implements protocols.Adapter.
func (a watchingAdapter) NewMachine(info *protocols.ConnInfo, conn core.Conn) protocols.Machine {
	w := &watched{Machine: a.Adapter.NewMachine(info, conn), moved: make(chan struct{})}
	a.made <- w
	return w
}

// NewStreamMachine is not there for these: one stream carries all.
func (a watchingAdapter) NewStreamMachine() {}

func (w *watched) Input(t *core.Turn, b []byte, a *protocols.Actions) int {
	n := w.Machine.Input(t, b, a)
	w.change(func() { w.used += n; w.seen = w.used + len(b) - n })
	return n
}

func (w *watched) Closed(t *core.Turn, r core.Reason) {
	w.Machine.Closed(t, r)
	w.change(func() { w.closed = true })
}

func (w *watched) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.moved)
	w.moved = make(chan struct{})
}

// await waits until ok holds.
func (w *watched) await(ok func() bool) bool {
	late := time.After(time.Minute)
	for {
		w.mu.Lock()
		done, moved := ok(), w.moved
		w.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-moved:
		case <-late:
			return false
		}
	}
}

// overEnd is a client.
type overEnd struct {
	st      *overStage
	conn    net.Conn
	machine *watched
	sent    int
	kept    string

	mu   sync.Mutex
	got  []byte
	over error
	news chan struct{}
}

func playOver(t *testing.T, s *scene, version byte, transport string, own protocols.TLSConfig) {
	st := &overStage{stage: stage{t: t, mqtt: DefaultConfig(), version: version}, made: make(chan *watched, 100), ends: map[string]*overEnd{}}
	st.mqtt.ReasonStrings = false
	st.gw = coretest.Start(t, nil, func(o *core.Options) {
		if s.set != nil {
			s.set(&setup{o, &st.mqtt})
		}
	})
	st.serve(transport, own)
	for _, line := range strings.Split(s.script, "\n") {
		line, _, _ = strings.Cut(line, " // ")
		if only := wireOnly.FindStringSubmatch(line); only != nil {
			if !strings.ContainsRune(only[1], rune(version)) {
				continue
			}
			line = line[len(only[0]):]
		}
		if line = strings.TrimSpace(line); line != "" {
			st.at = line
			st.act(line)
		}
	}
	st.at = "end of the scene"
	for name, e := range st.ends {
		if out := e.take(0); len(out) != 0 {
			t.Errorf("%s has received %x", name, out)
		}
		e.conn.Close()
	}
}

// serve runs the edge with one listener until the test ends.
func (st *overStage) serve(transport string, own protocols.TLSConfig) {
	lc := &protocols.ListenerConfig{Protocol: "mqtt", Transport: transport, Address: "127.0.0.1:0"}
	if lc.HasCertificate() {
		lc.TLS = own
	}
	if transport == protocols.Unix {
		dir, err := os.MkdirTemp("", "w") // short: the paths of sockets are
		if err != nil {
			st.t.Fatal(err)
		}
		st.t.Cleanup(func() { os.RemoveAll(dir) })
		lc.Address = filepath.Join(dir, "s")
	}
	cfg := protocols.DefaultConfig()
	cfg.Loops = 1
	cfg.Listeners = map[string]*protocols.ListenerConfig{"l": lc}
	s, err := protocols.NewServer(cfg, st.gw.Gateway, []protocols.Adapter{watchingAdapter{New(st.mqtt, st.gw.Gateway), st.made}}, nil)
	if err != nil {
		st.t.Fatal(err)
	}
	if err := s.Open(); err != nil {
		st.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	st.t.Cleanup(func() {
		cancel()
		<-ended
	})
	st.carrier = carrier{transport, s.Addresses()["l"].String(), own.CertFile}
}

func (st *overStage) act(line string) {
	st.t.Helper()
	name, rest, _ := strings.Cut(line, " ")
	verb, bytes, _ := strings.Cut(strings.TrimSpace(rest), " ")
	e := st.ends[name]
	if verb == ">" && (e == nil || e.ended() != nil) {
		e = st.connect()
		st.ends[name] = e
	}
	switch verb {
	case ">":
		e.say(st.bytes(bytes))
	case "<", "open", "closed":
		want := st.bytes(bytes)
		if got := e.take(len(want)); hex.EncodeToString(got) != hex.EncodeToString(want) {
			st.t.Fatalf("%s:\n got %x\nwant %x", st.at, got, want)
		}
		if verb == "closed" && !e.awaitEnd() {
			st.t.Fatalf("%s: the connection goes on", st.at)
		}
		if verb != "closed" && e.ended() != nil {
			st.t.Fatalf("%s: the connection ended: %v", st.at, e.ended())
		}
	case "matches":
		e.match(regexp.MustCompile("^" + strings.ReplaceAll(bytes, " ", "") + "$"))
	case "differs":
		if e.kept == st.ends[bytes].kept {
			st.t.Fatalf("%s: both are %s", st.at, e.kept)
		}
	case "lost":
		e.conn.Close()
		if !e.machine.await(func() bool { return e.machine.closed }) {
			st.t.Fatalf("%s: nobody noticed", st.at)
		}
		e.awaitEnd()
	default:
		st.t.Fatalf("%s: no such verb", st.at)
	}
}

func (st *overStage) connect() *overEnd {
	st.t.Helper()
	conn, err := st.carrier.dial(st.t.Context())
	if err != nil {
		st.t.Fatalf("%s: %v", st.at, err)
	}
	st.t.Cleanup(func() { conn.Close() })
	e := &overEnd{st: st, conn: conn, news: make(chan struct{})}
	go e.read()
	return e
}

// say sends b, and returns once the machine has looked at it: what other clients say
// next comes after it.
func (e *overEnd) say(b []byte) {
	e.st.t.Helper()
	if _, err := e.conn.Write(b); err != nil {
		e.st.t.Fatalf("%s: %v", e.st.at, err)
	}
	e.sent += len(b)
	if e.machine == nil {
		select {
		case e.machine = <-e.st.made:
		case <-time.After(time.Minute):
			e.st.t.Fatalf("%s: no machine was made", e.st.at)
		}
	}
	if !e.machine.await(func() bool { return e.machine.closed || e.machine.seen >= e.sent }) {
		e.st.t.Fatalf("%s: not read", e.st.at)
	}
}

func (e *overEnd) read() {
	b := make([]byte, 64<<10)
	for {
		n, err := e.conn.Read(b)
		e.mu.Lock()
		e.got = append(e.got, b[:n]...)
		e.over = err
		close(e.news)
		e.news = make(chan struct{})
		e.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (e *overEnd) ended() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.over
}

// await waits until ok holds of what came, for so long.
func (e *overEnd) await(d time.Duration, ok func() bool) bool {
	late := time.After(d)
	for {
		e.mu.Lock()
		done, news := ok(), e.news
		e.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-news:
		case <-late:
			return false
		}
	}
}

// quietTime is how long a client that should get nothing is watched.
const quietTime = 2 * time.Millisecond

// take gives what came once it is n bytes; for 0, what came within a moment.
func (e *overEnd) take(n int) []byte {
	if n == 0 {
		e.await(quietTime, func() bool { return len(e.got) > 0 })
	} else {
		e.await(20*time.Second, func() bool { return len(e.got) >= n || e.over != nil })
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	got := e.got
	e.got = nil
	return got
}

func (e *overEnd) awaitEnd() bool {
	return e.await(20*time.Second, func() bool { return e.over != nil })
}

func (e *overEnd) match(r *regexp.Regexp) {
	e.st.t.Helper()
	var m []string
	e.await(20*time.Second, func() bool {
		m = r.FindStringSubmatch(hex.EncodeToString(e.got))
		return m != nil || e.over != nil
	})
	got := e.take(0)
	if m == nil {
		e.st.t.Fatalf("%s: got %x", e.st.at, got)
	}
	e.kept = m[1]
}

// dial connects as the transport asks for.
func (c *carrier) dial(ctx context.Context) (net.Conn, error) {
	if c.transport == protocols.QUIC {
		s, err := devices.DialStreams(ctx, "quic://"+c.address, devices.TLS{CAFile: c.ca, ServerName: "gateway.test"})
		if err != nil {
			return nil, err
		}
		d, err := s.Open(ctx)
		if err != nil {
			return nil, err
		}
		return lastStream{d, s}, nil
	}
	network := "tcp"
	if c.transport == protocols.Unix {
		network = "unix"
	}
	conn, err := net.Dial(network, c.address)
	if err != nil {
		return nil, err
	}
	if c.transport == protocols.TLS || c.transport == protocols.SecureWS {
		text, err := os.ReadFile(c.ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(text)
		conn = tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "gateway.test"})
	}
	if c.transport == protocols.WebSocket || c.transport == protocols.SecureWS {
		return openFrames(conn)
	}
	return conn, nil
}

// lastStream is a QUIC stream that takes its connection along.
type lastStream struct {
	*devices.DataStream
	all *devices.Streams
}

func (l lastStream) Close() error { return l.all.Close() }

// frames is a WebSocket: each Write is a frame of its own.
type frames struct {
	net.Conn
	r    *bufio.Reader
	left int // bytes of the frame under way
}

func openFrames(conn net.Conn) (net.Conn, error) {
	io.WriteString(conn, "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, errors.New(resp.Status)
	}
	return &frames{Conn: conn, r: r}, nil
}

func (f *frames) Write(b []byte) (int, error) {
	for at := 0; at < len(b); at += 100 {
		if _, err := f.Conn.Write(frame(0x82, b[at:min(at+100, len(b))])); err != nil {
			return at, err
		}
	}
	return len(b), nil
}

func (f *frames) Read(b []byte) (int, error) {
	for f.left == 0 {
		var head [2]byte
		if _, err := io.ReadFull(f.r, head[:]); err != nil {
			return 0, err
		}
		if head[0] == 0x88 {
			return 0, io.EOF
		}
		f.left = int(head[1])
		if size := map[byte]int{126: 2, 127: 8}[head[1]]; size > 0 {
			long := make([]byte, 8)
			if _, err := io.ReadFull(f.r, long[8-size:]); err != nil {
				return 0, err
			}
			f.left = int(binary.BigEndian.Uint64(long))
		}
	}
	n, err := f.r.Read(b[:min(len(b), f.left)])
	f.left -= n
	return n, err
}
