package devices

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// script is the server's end of a connection in a synctest bubble: it expects and
// sends raw bytes, written as hexadecimal.
type script struct {
	t    testing.TB
	conn net.Conn
}

// unhex reads hexadecimal with spaces; ".." stands for the number of bytes behind
// it, as a Remaining Length.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	head, body, counted := strings.Cut(strings.ReplaceAll(s, " ", ""), "..")
	b, err := hex.DecodeString(head + body)
	if err != nil {
		t.Fatalf("test bytes %q: %v", s, err)
	}
	if counted {
		at := len(head) / 2
		b = append(binary.AppendUvarint(bytes.Clone(b[:at]), uint64(len(b)-at)), b[at:]...)
	}
	return b
}

// expect reads exactly these bytes.
func (s *script) expect(want string) {
	s.t.Helper()
	w := unhex(s.t, want)
	got := make([]byte, len(w))
	if n, err := io.ReadFull(s.conn, got); err != nil || !bytes.Equal(got, w) {
		s.t.Errorf("server received\n got %x (%v)\nwant %x", got[:n], err, w)
		s.conn.Close()
	}
}

// send writes these bytes.
func (s *script) send(b string) {
	s.t.Helper()
	if _, err := s.conn.Write(unhex(s.t, b)); err != nil {
		s.t.Errorf("server sends: %v", err)
	}
}

// expectEnd waits for the client's end of the connection.
func (s *script) expectEnd() {
	s.t.Helper()
	if n, err := s.conn.Read(make([]byte, 1)); err == nil || n != 0 {
		s.t.Errorf("server received another byte")
	}
	s.conn.Close()
}

// Packets of the tests' usual connection: client "c1", no keep alive.
const (
	connect5  = "10 0f 0004 4d515454 05 02 0000 00 0002 6331"
	connect3  = "10 0e 0004 4d515454 04 02 0000 0002 6331"
	accepted5 = "20 03 00 00 00"
	accepted3 = "20 02 00 00"
	bye       = "e0 00"
)

// bubble runs play as the server and test as the client, with false time.
func bubble(t *testing.T, play func(s *script), test func(t *testing.T, dial func(o Options) (*Client, error))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var playing sync.WaitGroup
		defer playing.Wait()
		test(t, func(o Options) (*Client, error) {
			near, far := net.Pipe()
			t.Cleanup(func() { near.Close() })
			playing.Go(func() { play(&script{t, far}) })
			if o.DialContext == nil {
				o.DialContext = func(context.Context, string, string) (net.Conn, error) { return near, nil }
			}
			if o.ClientID == "" {
				o.ClientID = "c1"
			}
			if o.KeepAlive == 0 {
				o.KeepAlive = -1
			}
			return Dial(t.Context(), "mqtt://server", o)
		})
	})
}

// with dials once and runs test with the client.
func with(t *testing.T, o Options, play func(s *script), test func(t *testing.T, c *Client)) {
	t.Helper()
	bubble(t, func(s *script) {
		if o.Version == packet.V311 {
			s.expect(connect3)
			s.send(accepted3)
		} else {
			s.expect(connect5)
			s.send(accepted5)
		}
		play(s)
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		c, err := dial(o)
		if err != nil {
			t.Fatal(err)
		}
		test(t, c)
		_ = c.Close()
	})
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
