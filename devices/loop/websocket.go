package loop

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxAnswer is how long the head of a server's answer may be.
const maxAnswer = 16 << 10

// webSocket is one connection's.
type webSocket struct {
	accept string // the answer that proves a WebSocket server [RFC 6455 section 4.2.2]
	head   []byte // of the HTTP answer; nil once it is read
	frames frames
	closed bool  // the server said goodbye
	err    error // what it said
}

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

// upgrade asks for a WebSocket. [MQTT 5 section 6]
func (l *Loop) upgrade(c *Conn) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // it cannot fail
	key := base64.StdEncoding.EncodeToString(nonce[:])
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	c.x.ws = &webSocket{accept: base64.StdEncoding.EncodeToString(sum[:]), head: []byte{}}
	c.state = stateUpgrading
	l.seal(c, c.e.request(key))
	c.markDirty()
	l.rewatch(c)
	if c.sticky() {
		c.markAgain()
	}
}

// request is the HTTP request that opens a WebSocket.
func (e *Endpoint) request(key string) []byte {
	path := (&url.URL{Path: e.path, RawQuery: e.query}).RequestURI()
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
		path, net.JoinHostPort(e.host, strconv.Itoa(int(e.port))), key)
}

// answer reads the server's answer; what is behind it, it gives back.
func (l *Loop) answer(c *Conn, b []byte) []byte {
	ws := c.x.ws
	before := len(ws.head)
	ws.head = append(ws.head, b...)
	end := bytes.Index(ws.head, []byte("\r\n\r\n"))
	if end < 0 {
		if len(ws.head) > maxAnswer || !strings.HasPrefix("HTTP/1.1 ", string(ws.head[:min(len(ws.head), 9)])) && len(ws.head) >= 9 {
			l.fail(c, &upgradeError{err: errors.New("the server does not answer in HTTP")})
		}
		return nil
	}
	end += 4
	if err := ws.check(ws.head[:end]); err != nil {
		l.fail(c, err)
		return nil
	}
	ws.head = nil
	c.state = stateDelayed // until proceed decides
	l.proceed(c)
	return b[end-before:]
}

// check tells what is wrong with the answer's head.
func (ws *webSocket) check(head []byte) error {
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		return &upgradeError{err: errors.New("the server does not answer in HTTP")}
	}
	r.Body.Close()
	switch {
	case r.StatusCode != http.StatusSwitchingProtocols:
		return &upgradeError{status: r.StatusCode, err: errors.New(r.Status)}
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"), r.Header.Get("Sec-WebSocket-Accept") != ws.accept:
		return &upgradeError{status: r.StatusCode, err: errors.New("the server's answer does not fit the request")}
	case r.Header.Get("Sec-WebSocket-Protocol") != "mqtt": // [MQTT-6.0.0-4]
		return &upgradeError{status: r.StatusCode, err: errors.New("the server did not choose the subprotocol mqtt")}
	}
	return nil
}

// unframe moves the messages' bytes to b's front and answers what is control; the
// error is the server's end or fault.
func (l *Loop) unframe(c *Conn, b []byte) (int, error) {
	ws := c.x.ws
	n, err := ws.frames.decode(b, func(op byte, payload []byte) {
		if ws.closed {
			return
		}
		switch op {
		case opPing:
			// A server that pings and does not read gets no more answers than fit.
			if c.Pending() < l.opt.MaxPending {
				l.seal(c, appendFrame(nil, opPong, payload))
				c.markDirty()
			}
		case opClose:
			ws.closed, ws.err = true, closeError(payload)
			if c.flags&flagBye == 0 {
				c.flags |= flagBye
				l.seal(c, appendFrame(nil, opClose, payload[:min(len(payload), 2)]))
				if c.flags&flagBlocked == 0 {
					l.push(c)
				}
			}
		}
	})
	switch {
	case err != nil:
		return n, err
	case ws.closed && ws.err != nil:
		return n, ws.err
	case ws.closed:
		return n, io.EOF
	}
	return n, nil
}

// bye is the frame that ends a WebSocket.
func (ws *webSocket) bye() []byte {
	return appendFrame(nil, opClose, []byte{1000 >> 8, 1000 & 0xff})
}
