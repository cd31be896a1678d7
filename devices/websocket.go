package devices

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/websocket"
)

// upgradeError is an HTTP answer that is no WebSocket for MQTT.
type upgradeError struct {
	status int
	err    error
}

func (e *upgradeError) Error() string {
	if e.status != 0 && e.status != http.StatusSwitchingProtocols {
		return fmt.Sprintf("the web server answers %d %s instead of opening a WebSocket", e.status, http.StatusText(e.status))
	}
	return "no WebSocket: " + e.err.Error()
}

func (e *upgradeError) Unwrap() error { return e.err }

func (e *upgradeError) hint(a *address) string {
	switch e.status {
	case http.StatusNotFound:
		return fmt.Sprintf("is the path %s right? the usual one is /mqtt", a.path)
	case http.StatusForbidden, http.StatusUnauthorized:
		return "the web server in front wants something else: its configuration tells"
	}
	return "is this the port of a WebSocket listener?"
}

// upgrade makes a WebSocket of conn. [MQTT 5 section 6]
func (a *address) upgrade(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if until, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(until)
	}
	d := websocket.Dialer{
		NetDialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Subprotocols:   []string{"mqtt"}, // [MQTT-6.0.0-3]
	}
	// The connection is encrypted already where it has to be, so the dialer gets ws.
	u := url.URL{Scheme: "ws", Host: a.hostPort(), Path: a.path, RawQuery: a.query}
	ws, answer, err := d.DialContext(ctx, u.String(), nil)
	if err != nil {
		conn.Close()
		e := &upgradeError{err: err}
		if answer != nil {
			e.status = answer.StatusCode
		}
		return nil, e
	}
	if ws.Subprotocol() != "mqtt" { // [MQTT-6.0.0-4]
		ws.Close()
		return nil, &upgradeError{err: errors.New("the server did not choose the subprotocol mqtt")}
	}
	_ = conn.SetDeadline(time.Time{})
	return &webConn{Conn: conn, ws: ws}, nil
}

// webConn is the byte stream inside a WebSocket; frames and packets need not
// agree. [MQTT-6.0.0-2]
type webConn struct {
	net.Conn
	ws  *websocket.Conn
	now io.Reader // the message being read
}

func (c *webConn) Read(b []byte) (int, error) {
	for {
		if c.now == nil {
			kind, r, err := c.ws.NextReader()
			if err != nil {
				return 0, closedByPeer(err)
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("a WebSocket frame that is not binary [MQTT-6.0.0-1]")
			}
			c.now = r
		}
		n, err := c.now.Read(b)
		if err == io.EOF {
			c.now, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// closedByPeer makes a plain end of a WebSocket's close.
func closedByPeer(err error) error {
	if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived) {
		return io.EOF
	}
	return err
}

// Write sends b as one binary message. [MQTT-6.0.0-1]
func (c *webConn) Write(b []byte) (int, error) {
	if err := c.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// CloseWrite says that nothing more comes.
func (c *webConn) CloseWrite() error {
	return c.ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
}
