package protocols

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// wsLoop is a connection whose client sends a request, then the same again and again.
type wsLoop struct {
	net.Conn
	in, again []byte
	rest      []byte
	wrote     int
}

func (c *wsLoop) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.in != nil {
			c.rest, c.in = c.in, nil
		} else if c.rest = c.again; len(c.rest) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *wsLoop) Write(b []byte) (int, error)    { c.wrote += len(b); return len(b), nil }
func (c *wsLoop) read(b []byte) (int, error)     { return c.Read(b) }
func (c *wsLoop) write(b []byte) error           { _, err := c.Write(b); return err }
func (*wsLoop) wait() error                      { return nil }
func (*wsLoop) leave(core.Reason)                {}
func (*wsLoop) worked() time.Duration            { return 0 }
func (*wsLoop) SetDeadline(time.Time) error      { return nil }
func (*wsLoop) SetReadDeadline(time.Time) error  { return nil }
func (*wsLoop) SetWriteDeadline(time.Time) error { return nil }
func (*wsLoop) Close() error                     { return nil }

func wsListener() *Listener {
	ln := &Listener{adapter: &wsScripts{}}
	ln.cfg.Path, ln.cfg.MaxPacketSize = "/mqtt", 1<<20
	return ln
}

// BenchmarkWebSocketIn is what frames of a client take; whatever their number, they make no
// garbage.
func BenchmarkWebSocketIn(b *testing.B) {
	for _, of := range []struct{ name, frame string }{
		{"ping", rawFrame(fin|pingOp, strings.Repeat("p", 125))},
		{"empty message", rawFrame(fin|binaryOp, "")},
		{"empty fragment", rawFrame(binaryOp, "") + rawFrame(fin|cont, "")},
		{"message", rawFrame(fin|binaryOp, strings.Repeat("m", 100))},
	} {
		b.Run(of.name, func(b *testing.B) {
			c := &wsLoop{again: []byte(strings.Repeat(of.frame, 500))}
			s := newWSStream(c, wsListener(), &helds{})
			buf := make([]byte, readSize)
			b.ReportAllocs()
			for range (b.N + 499) / 500 {
				if _, err := s.read(buf); err != nil && err != errNothing {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWebSocketOut is what a message to a client takes.
func BenchmarkWebSocketOut(b *testing.B) {
	for _, size := range []int{100, 10_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := newWSStream(&wsLoop{}, wsListener(), &helds{})
			message := make([]byte, size)
			b.ReportAllocs()
			for range b.N {
				s.write(message)
			}
		})
	}
}

// BenchmarkWebSocketUpgrade is what requests take, those that are refused too.
func BenchmarkWebSocketUpgrade(b *testing.B) {
	for _, bc := range []struct{ name, request string }{
		{"accepted", wsSeedRequest("line", "")},
		{"wrong subprotocol", wsSeedRequest("chat", "")},
		{"headers without end", wsSeedRequest("line", strings.Repeat("X-More: "+strings.Repeat("x", 1000)+"\r\n", 64))},
		{"wrong origin", wsSeedRequest("line", "Origin: http://evil.example\r\n")},
	} {
		b.Run(bc.name, func(b *testing.B) {
			ln := wsListener()
			var pool upgradings
			request := []byte(bc.request)
			b.ReportAllocs()
			for range b.N {
				upgrade(&wsLoop{in: request}, ln, &pool)
			}
		})
	}
}
