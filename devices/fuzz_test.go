package devices

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// streamConn gives a server's bytes and takes whatever the client says.
type streamConn struct {
	net.Conn
	in io.Reader
}

func (c *streamConn) Read(b []byte) (int, error)       { return c.in.Read(b) }
func (c *streamConn) Write(b []byte) (int, error)      { return len(b), nil }
func (c *streamConn) Close() error                     { return nil }
func (c *streamConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzServer feeds any server's bytes to a client with a message and a
// subscription under way: it never panics, and always ends with an error.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		"40 02 0001 90 04 0002 00 00", "50 02 0001 70 02 0001", "30 06 0001 61 00 6869 34 06 0001 62 0008 00 62 02 0008",
		"e0 09 8e 07 1f 0004 676f6e65", "30 07 0001 61 03 23 0001 30 06 0000 03 23 0001", "b0 05 0003 00 00 11", "d0 00", "36 00",
	} {
		f.Add(unhex(f, s), byte(packet.V5))
		f.Add(unhex(f, s), byte(packet.V311))
	}
	f.Fuzz(func(t *testing.T, stream []byte, version byte) {
		v := packet.V311 + packet.Version(version&1)
		o := Options{Version: v, KeepAlive: -1, TopicAliasMaximum: 2, Buffer: len(stream) + 1}.withDefaults()
		c := newClient(&address{shown: "fuzz"}, o)
		c.conn = &streamConn{in: bytes.NewReader(stream)}
		if err := c.connect(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.join((&packet.Connack{}).Append(nil, v)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.publish(&Message{Topic: "a", QoS: version >> 1 & 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.sendAsk(func(token uint64) error {
			return c.machine.Subscribe(&c.turn, &packet.Subscribe{Filters: []packet.Subscription{{Filter: []byte("f")}}}, token)
		}); err != nil {
			t.Fatal(err)
		}
		c.start(nil)
		for range c.Messages() {
		}
		<-c.Done()
		<-c.written
		if c.Err() == nil {
			t.Fatal("ended without an error")
		}
	})
}

// FuzzURL reads any URL: what is accepted has a host and a port.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"mqtt://u:pw@h:1883", "unix:///a/b", "ws://h/mqtt?x=1", "mqtts://[::1]", "://", "mqtt://u:pw@h:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := parseURL(raw)
		if err == nil && a.scheme != "unix" && (a.host == "" || a.port == "") {
			t.Fatalf("%q: accepted as %+v", raw, a)
		}
	})
}
