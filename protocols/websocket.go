package protocols

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/fairlead-iot/fairlead/core"
)

// web tells whether the listener speaks WebSocket.
func (l *Listener) web() bool { return l.cfg.Transport == WebSocket || l.cfg.Transport == SecureWS }

const (
	maxUpgradeHeader = 16 << 10 // bytes of the HTTP request that opens a WebSocket
	wsProtocols      = "Sec-Websocket-Protocol"
	wsBuffer         = 1024 // bytes of a request, an answer or a message that go in one piece
)

// Subprotocols is implemented by an Adapter whose protocol has WebSocket
// subprotocols of other names than the protocol's own; the first one the client
// offers is taken.
type Subprotocols interface {
	Subprotocols() []string
}

// subprotocols are the names that a client may offer. [MQTT-6.0.0-3]
func subprotocols(a Adapter) []string {
	if s, ok := a.(Subprotocols); ok {
		return s.Subprotocols()
	}
	if a.Name() == "mqtt" {
		return []string{"mqtt", "mqttv3.1"} // the second by clients of MQTT 3.1
	}
	return []string{a.Name()}
}

// wsStream carries the machine's bytes in binary messages over another stream.
type wsStream struct {
	under  stream
	pool   *helds
	frames wsFrames // the reader's, as what follows
	ended  error    // why nothing more is read; nil while it is
	idle   int      // reads that gave the machine nothing, and pongs, since worked was asked

	mu     sync.Mutex
	closed bool // a Close went out, which is the last
}

func newWSStream(under stream, ln *Listener, pool *helds) *wsStream {
	return &wsStream{under: under, pool: pool, frames: wsFrames{limit: int64(ln.cfg.MaxPacketSize) + packetSlack}}
}

// wsFrameTime is about what a frame takes that holds nothing.
const wsFrameTime = 50 * time.Nanosecond

func (s *wsStream) worked() time.Duration {
	took := time.Duration(s.frames.frames)*wsFrameTime + time.Duration(s.idle)*readTime
	s.frames.frames, s.idle = 0, 0
	return took
}

func (s *wsStream) wait() error { return s.under.wait() }

// read gives what is in the frames that came, all that one read brings; packets and
// messages need not be aligned. [MQTT-6.0.0-2]
func (s *wsStream) read(b []byte) (int, error) {
	if s.ended != nil {
		return 0, s.ended
	}
	n, err := s.under.read(b)
	if n <= 0 && err == nil {
		err = io.EOF
	}
	n, fault := s.frames.decode(b[:max(n, 0)])
	s.answer()
	switch {
	case fault != nil:
		s.ended = s.end(fault)
		err = s.ended
	case err != nil && !errors.Is(err, errAgain{}):
		s.ended = err
	}
	if n > 0 {
		return n, nil
	}
	if err == nil {
		s.idle++
		err = errNothing
	}
	return 0, err
}

// answer sends the pong that is due: one for all pings of a read, with what the last one
// had. RFC 6455 section 5.5.3
func (s *wsStream) answer() {
	if s.frames.due {
		s.frames.due = false
		s.idle++
		s.send(wsPong, s.frames.pong)
	}
}

// end says in a Close why nothing more is read.
func (s *wsStream) end(f *wsFault) error {
	s.send(wsClose, closeBody(f.code, f.detail))
	if f.reason == core.Success {
		return errWSClosed
	}
	return &refusal{f.reason, f.detail}
}

// errWSClosed says that the client closed the WebSocket, or that we did.
var errWSClosed = errors.New("closed by the client")

func (s *wsStream) write(b []byte) error { return s.send(wsBinary, b) }

// send writes a message or a control frame, in one piece as far as it is short.
func (s *wsStream) send(op byte, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errWSClosed
	}
	s.closed = op == wsClose
	h := s.pool.room(wsBuffer)
	defer s.pool.put(h)
	h.b = appendFrame(h.b, op, len(b))
	n := min(len(b), cap(h.b)-len(h.b))
	h.b = append(h.b, b[:n]...)
	if err := s.under.write(h.b); err != nil || n == len(b) {
		return err
	}
	return s.under.write(b[n:])
}

func (s *wsStream) leave(r core.Reason) {
	code := wsNormal
	if r == core.ServerShuttingDown {
		code = wsGoingAway
	}
	s.send(wsClose, closeBody(code, ""))
	s.under.leave(r) // over TLS, close_notify. RFC 8446 section 6.1
}

// refusal is an end that the edge decides while a connection is set up or read.
type refusal struct {
	reason core.Reason
	detail string
}

func (r *refusal) Error() string { return r.detail }

// upgrading is what reading a request takes, which is used again for the next.
type upgrading struct {
	limited io.LimitedReader
	in      *bufio.Reader
	out     *bufio.Writer
}

// upgradings is a pool of them.
type upgradings struct{ pool sync.Pool }

// of gives one that reads from c.
func (p *upgradings) of(c net.Conn) *upgrading {
	u, ok := p.pool.Get().(*upgrading)
	if !ok {
		u = &upgrading{in: bufio.NewReaderSize(nil, wsBuffer), out: bufio.NewWriterSize(nil, wsBuffer)}
	}
	u.limited = io.LimitedReader{R: c, N: maxUpgradeHeader}
	u.in.Reset(&u.limited)
	u.out.Reset(c)
	return u
}

func (p *upgradings) put(u *upgrading) {
	u.limited = io.LimitedReader{}
	u.in.Reset(nil)
	u.out.Reset(nil)
	p.pool.Put(u)
}

// upgrade reads the HTTP request on c and answers it. What follows are frames.
func upgrade(c net.Conn, ln *Listener, pool *upgradings) error {
	with := pool.of(c)
	defer pool.put(with)
	r, err := http.ReadRequest(with.in)
	if err != nil {
		return upgradeError(err, with.limited.N <= 0)
	}
	// The names may come in several fields (RFC 6455 section 11.3.4); gorilla reads one.
	if several := r.Header.Values(wsProtocols); len(several) > 1 {
		r.Header.Set(wsProtocols, strings.Join(several, ", "))
	}
	w := &hijacked{conn: c, with: with, header: http.Header{}}
	names := subprotocols(ln.adapter)
	if err := checkUpgrade(r, ln, names); err != nil {
		http.Error(w, err.detail, err.status)
		return &refusal{core.ProtocolError, err.detail}
	}
	// What gorilla makes for frames is not used: as little of it as there can be.
	u := websocket.Upgrader{
		ReadBufferSize: 1, WriteBufferPool: noBuffers{},
		Subprotocols: names,
		CheckOrigin:  func(r *http.Request) bool { return originAllowed(r, ln.cfg.Origins) },
	}
	if _, err := u.Upgrade(w, r, nil); err != nil {
		return &refusal{core.ProtocolError, err.Error()}
	}
	return nil
}

// noBuffers is a pool that nothing is taken from.
type noBuffers struct{}

func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

func upgradeError(err error, tooLong bool) error {
	var late net.Error
	switch {
	case tooLong:
		return &refusal{core.PacketTooLarge, fmt.Sprintf("HTTP request of more than %d bytes", maxUpgradeHeader)}
	case errors.As(err, &late) && late.Timeout():
		return &refusal{core.ConnectTimeout, "no WebSocket request in time"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &refusal{core.ConnectionLost, "closed before a WebSocket request"}
	}
	return &refusal{core.ProtocolError, "no HTTP request: " + err.Error()}
}

type upgradeFault struct {
	status int
	detail string
}

// checkUpgrade tells what is wrong with a request beside what gorilla checks.
func checkUpgrade(r *http.Request, ln *Listener, names []string) *upgradeFault {
	switch {
	case r.URL.Path != ln.cfg.Path:
		return &upgradeFault{http.StatusNotFound, fmt.Sprintf("no such path; the WebSocket is at %s", ln.cfg.Path)}
	case !websocket.IsWebSocketUpgrade(r):
		return &upgradeFault{http.StatusUpgradeRequired, fmt.Sprintf("here speaks %s over WebSocket; use a client for it", ln.adapter.Name())}
	}
	for _, offered := range websocket.Subprotocols(r) {
		if slices.Contains(names, offered) {
			return nil
		}
	}
	// [MQTT-6.0.0-3]: a client that offers none of them speaks something else.
	return &upgradeFault{http.StatusBadRequest, "the WebSocket subprotocol must be " + strings.Join(names, " or ")}
}

// originAllowed: pages of the same host, or of the list; programs send no origin.
func originAllowed(r *http.Request, allowed []string) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(allowed, "*") {
		return true
	}
	for _, a := range allowed {
		if strings.EqualFold(a, origin) {
			return true
		}
	}
	u, err := url.Parse(origin)
	return err == nil && len(allowed) == 0 && strings.EqualFold(u.Host, r.Host)
}

// hijacked lets gorilla take over a connection that no http.Server has.
type hijacked struct {
	conn   net.Conn
	with   *upgrading
	header http.Header
	status int
}

func (h *hijacked) Header() http.Header { return h.header }

func (h *hijacked) WriteHeader(status int) {
	h.status = status
	h.header.Set("Connection", "close")
	fmt.Fprintf(h.conn, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	h.header.Write(h.conn)
	io.WriteString(h.conn, "\r\n")
}

func (h *hijacked) Write(b []byte) (int, error) {
	if h.status == 0 {
		h.WriteHeader(http.StatusOK)
	}
	return h.conn.Write(b)
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(h.with.in, h.with.out), nil
}
