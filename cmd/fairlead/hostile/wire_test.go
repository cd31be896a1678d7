package hostile

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// peer is one raw connection to the gateway, hostile or not. It speaks MQTT 5.
type peer struct {
	net.Conn
	in []byte // read and not yet taken
}

// dial opens a connection that ends with the test.
func dial(t *testing.T, address string) *peer {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &peer{Conn: c}
}

// connect makes a client of a new connection.
func connect(t *testing.T, address, id string, change ...func(*packet.Connect)) *peer {
	t.Helper()
	p := dial(t, address)
	if code := p.hello(t, id, change...); code != packet.ReasonSuccess {
		t.Fatalf("%q: CONNACK with %#x", id, byte(code))
	}
	return p
}

// hello sends CONNECT and gives the code of the CONNACK.
func (p *peer) hello(t *testing.T, id string, change ...func(*packet.Connect)) packet.ReasonCode {
	t.Helper()
	p.send(t, greeting(id, change...))
	var ack packet.Connack
	p.expect(t, packet.TypeConnack, &ack)
	return ack.Reason
}

func greeting(id string, change ...func(*packet.Connect)) *packet.Connect {
	c := &packet.Connect{ClientID: []byte(id), CleanStart: true}
	for _, f := range change {
		f(c)
	}
	return c
}

// bytesOf puts packets on the wire, one behind the other.
func bytesOf(all ...packet.Packet) (b []byte) {
	for _, one := range all {
		b = one.Append(b, packet.V5)
	}
	return b
}

// send writes packets; the gateway must take them.
func (p *peer) send(t *testing.T, all ...packet.Packet) {
	t.Helper()
	if err := p.raw(bytesOf(all...)); err != nil {
		t.Fatal(err)
	}
}

// raw writes bytes, with the usual patience.
func (p *peer) raw(b []byte) error {
	p.SetWriteDeadline(time.Now().Add(patience))
	_, err := p.Write(b)
	return err
}

// next reads one packet.
func (p *peer) next() (packet.Frame, error) {
	for {
		f, n, err := packet.Next(p.in, 0)
		if err != nil {
			return f, err
		}
		if n > 0 {
			p.in = p.in[n:]
			return f, nil
		}
		room := make([]byte, len(p.in), len(p.in)+32<<10)
		copy(room, p.in)
		n, err = p.Read(room[len(room):cap(room)])
		p.in = room[:len(room)+n]
		if n == 0 {
			return f, err
		}
	}
}

// expect reads one packet of type kind into into.
func (p *peer) expect(t *testing.T, kind packet.Type, into packet.Packet) {
	t.Helper()
	p.SetReadDeadline(time.Now().Add(patience))
	f, err := p.next()
	if err == nil && f.Type != kind {
		err = fmt.Errorf("got a %v with % x", f.Type, f.Body[:min(len(f.Body), 32)])
	}
	if err == nil {
		err = into.Decode(packet.V5, f.Header, f.Body)
	}
	if err != nil {
		t.Fatalf("waiting for %v: %v", kind, err)
	}
}

// ended reads until the connection is over and gives the code that the gateway
// gave: of a DISCONNECT, or of a CONNACK that refuses. 0: it said nothing.
func (p *peer) ended(t *testing.T) (code packet.ReasonCode) {
	t.Helper()
	p.SetReadDeadline(time.Now().Add(patience))
	for {
		f, err := p.next()
		var slow net.Error
		switch {
		case errors.As(err, &slow) && slow.Timeout():
			t.Fatal("the gateway keeps the connection")
		case err != nil:
			return code // end or reset
		case f.Type == packet.TypeDisconnect:
			var d packet.Disconnect
			if err := d.Decode(packet.V5, f.Header, f.Body); err != nil {
				t.Fatal(err)
			}
			code = d.Reason
		case f.Type == packet.TypeConnack:
			var c packet.Connack
			if err := c.Decode(packet.V5, f.Header, f.Body); err != nil {
				t.Fatal(err)
			}
			code = c.Reason
		}
	}
}

// flood writes what make gives until stop or until the gateway ends the
// connection or takes nothing more, and tells how many bytes went.
func (p *peer) flood(stop time.Time, next func(i int) []byte) (sent int64) {
	p.SetWriteDeadline(stop)
	for i := 0; time.Now().Before(stop); i++ {
		n, err := p.Write(next(i))
		sent += int64(n)
		if err != nil {
			break
		}
	}
	return sent
}

// drain reads and forgets until the connection ends.
func (p *peer) drain() {
	p.SetReadDeadline(time.Time{})
	io.Copy(io.Discard, p.Conn)
}

// publish makes a PUBLISH.
func publish(topic string, qos byte, id uint16, payload []byte) *packet.Publish {
	return &packet.Publish{Topic: []byte(topic), QoS: qos, PacketID: id, Payload: payload}
}

// subscribe makes a SUBSCRIBE.
func subscribe(id uint16, qos byte, filters ...string) *packet.Subscribe {
	s := &packet.Subscribe{PacketID: id}
	for _, f := range filters {
		s.Filters = append(s.Filters, packet.Subscription{Filter: []byte(f), QoS: qos})
	}
	return s
}

// subscribed sends a SUBSCRIBE and gives the codes of its SUBACK.
func (p *peer) subscribed(t *testing.T, s *packet.Subscribe) []packet.ReasonCode {
	t.Helper()
	p.send(t, s)
	var ack packet.Suback
	p.expect(t, packet.TypeSuback, &ack)
	return ack.Codes
}
