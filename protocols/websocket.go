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

const (
	maxUpgradeHeader = 16 << 10 // bytes of the HTTP request that opens a WebSocket
	wsProtocols      = "Sec-Websocket-Protocol"
	wsBuffer         = 1024 // gorilla's own buffers, of which each connection holds the read one
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

// wsStream carries the machine's bytes in binary messages. Reading parks inside
// gorilla, whose errors are final, so it must not poll. Writing is behind the
// connection's outgoing lock, which control answers take too.
type wsStream struct {
	*websocket.Conn
	reader io.Reader // of the present message, nil between two
	begun  int       // messages, since worked was asked
}

// wsMessageTime is about what a message takes that holds nothing.
const wsMessageTime = 500 * time.Nanosecond

func (s *wsStream) worked() time.Duration {
	n := s.begun
	s.begun = 0
	return time.Duration(n) * wsMessageTime
}

// wait parks until a message begins.
func (s *wsStream) wait() error {
	kind, r, err := s.NextReader()
	if err != nil {
		return wsError(err)
	}
	if kind != websocket.BinaryMessage {
		// [MQTT-6.0.0-1]
		s.control(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseUnsupportedData, "binary messages only"))
		return &refusal{core.ProtocolError, "a WebSocket message that is not binary"}
	}
	s.reader = r
	s.begun++
	return nil
}

// read gives bytes of the present message; packets and messages need not be
// aligned. [MQTT-6.0.0-2]
func (s *wsStream) read(b []byte) (int, error) {
	if s.reader == nil {
		return 0, errAgain{}
	}
	n, err := s.reader.Read(b)
	if err == io.EOF {
		s.reader = nil
		err = nil
		if n == 0 {
			err = errAgain{}
		}
	}
	return n, wsError(err)
}

// wsError names what gorilla ends a connection for. It has queued a Close that says
// so, except where the connection is broken.
func wsError(err error) error {
	var closed *websocket.CloseError
	switch {
	case err == nil:
	case errors.Is(err, websocket.ErrReadLimit):
		return &refusal{core.PacketTooLarge, "a WebSocket message larger than max_packet_size"}
	case errors.As(err, &closed):
		if closed.Code != websocket.CloseAbnormalClosure { // gorilla's word for an end without a Close
			return errWSClosed
		}
	case strings.HasPrefix(err.Error(), "websocket: "): // it has no type for them
		return &refusal{core.ProtocolError, err.Error()}
	}
	return err
}

// errWSClosed says that the client closed the WebSocket, which is answered in kind.
// RFC 6455 section 5.5.1.
var errWSClosed = errors.New("closed by the client")

func (s *wsStream) write(b []byte) error { return s.WriteMessage(websocket.BinaryMessage, b) }

func (s *wsStream) control(kind int, data []byte) {
	s.WriteControl(kind, data, time.Time{})
}

func (s *wsStream) leave(r core.Reason) {
	code := websocket.CloseNormalClosure
	if r == core.ServerShuttingDown {
		code = websocket.CloseGoingAway
	}
	s.control(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
}

// refusal is an end that the edge decides while a connection is set up or read.
type refusal struct {
	reason core.Reason
	detail string
}

func (r *refusal) Error() string { return r.detail }

// upgrade reads the HTTP request on c and makes it a WebSocket.
func upgrade(c net.Conn, ln *Listener, buffers *sync.Pool) (*websocket.Conn, error) {
	limited := &io.LimitedReader{R: c, N: maxUpgradeHeader}
	br := bufio.NewReaderSize(limited, wsBuffer)
	r, err := http.ReadRequest(br)
	if err != nil {
		return nil, upgradeError(err, limited.N <= 0)
	}
	// The names may come in several fields (RFC 6455 section 11.3.4); gorilla reads one.
	if several := r.Header.Values(wsProtocols); len(several) > 1 {
		r.Header.Set(wsProtocols, strings.Join(several, ", "))
	}
	w := &hijacked{conn: c, reader: br, header: http.Header{}}
	names := subprotocols(ln.adapter)
	if err := checkUpgrade(r, ln, names); err != nil {
		http.Error(w, err.detail, err.status)
		return nil, &refusal{core.ProtocolError, err.detail}
	}
	// Whatever follows goes through gorilla's own buffer.
	limited.N = 1 << 62
	u := websocket.Upgrader{
		ReadBufferSize: wsBuffer, WriteBufferSize: wsBuffer, WriteBufferPool: buffers,
		Subprotocols: names,
		CheckOrigin:  func(r *http.Request) bool { return originAllowed(r, ln.cfg.Origins) },
	}
	ws, err := u.Upgrade(w, r, nil)
	if err != nil {
		return nil, &refusal{core.ProtocolError, err.Error()}
	}
	ws.SetReadLimit(int64(ln.cfg.MaxPacketSize) + packetSlack)
	return ws, nil
}

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
	reader *bufio.Reader
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
	return h.conn, bufio.NewReadWriter(h.reader, bufio.NewWriterSize(h.conn, 16)), nil
}
