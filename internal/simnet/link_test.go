package simnet

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestLink: a socket with a peer hears that peer alone.
func TestLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		server, err := n.ListenPacket("gateway:1884")
		if err != nil {
			t.Fatal(err)
		}
		stranger, err := n.ListenPacket("10.0.0.9:0")
		if err != nil {
			t.Fatal(err)
		}
		c, err := n.Dialer("")(t.Context(), "udp", "gateway:1884")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		size, from, err := server.ReadFrom(b)
		if err != nil || string(b[:size]) != "hello" || from.String() != c.LocalAddr().String() {
			t.Fatal(string(b[:size]), from, err)
		}
		for _, s := range []struct {
			*PacketConn
			text string
		}{{stranger, "forged"}, {server, "welcome"}} {
			if _, err := s.WriteTo([]byte(s.text), c.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		if size, err := c.Read(b); err != nil || string(b[:size]) != "welcome" {
			t.Fatal(string(b[:size]), err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		c.Close()
		if _, err := c.Read(b); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	})
}
