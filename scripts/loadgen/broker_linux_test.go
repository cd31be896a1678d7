package main

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// testBroker is a small broker that can be told to do wrong.
type testBroker struct {
	listener net.Listener
	fault    func(n int) fault // asked for delivery n, counted from 1
	refuse   packet.ReasonCode // answer to CONNECT
	deny     packet.ReasonCode // answer to SUBSCRIBE, if it is a failure

	mu      sync.Mutex
	conns   map[*testConn]bool
	subs    []testSub
	n       int
	turn    int // of the shared group
	serving sync.WaitGroup
}

type fault int

const (
	none fault = iota
	lose
	double
	swap // with the next one to the same receiver
	hangUp
)

type testSub struct {
	conn   *testConn
	filter string
	shared bool
	qos    byte
}

type testConn struct {
	net.Conn
	broker *testBroker
	v      packet.Version
	out    []byte
	held   []byte
	id     uint16
}

func startBroker(t *testing.T) *testBroker {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &testBroker{listener: listener, conns: map[*testConn]bool{}, fault: func(int) fault { return none }}
	b.serving.Go(b.accept)
	t.Cleanup(b.stop)
	return b
}

func (b *testBroker) addr() string { return b.listener.Addr().String() }

func (b *testBroker) stop() {
	b.listener.Close()
	b.mu.Lock()
	for c := range b.conns {
		c.Close()
	}
	b.mu.Unlock()
	b.serving.Wait()
}

func (b *testBroker) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		c := &testConn{Conn: conn, broker: b}
		b.mu.Lock()
		b.conns[c] = true
		b.mu.Unlock()
		b.serving.Go(c.serve)
	}
}

func (c *testConn) serve() {
	defer c.Close()
	in := bufio.NewReader(c)
	var buf []byte
	for {
		f, n, err := packet.Next(buf, 0)
		if err != nil {
			return
		}
		if n == 0 {
			b, err := in.ReadByte()
			if err != nil {
				return
			}
			buf = append(buf, b)
			if rest := f.Size() - len(buf); f.Type != 0 && rest > 0 {
				buf = append(buf, make([]byte, rest)...)
				if _, err := io.ReadFull(in, buf[len(buf)-rest:]); err != nil {
					return
				}
			}
			continue
		}
		if !c.take(f) {
			return
		}
		buf = buf[n:]
	}
}

// take obeys one packet; false ends the connection.
func (c *testConn) take(f packet.Frame) bool {
	b := c.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	var ack packet.Ack
	switch f.Type {
	case packet.TypeConnect:
		var p packet.Connect
		if p.Decode(0, f.Header, f.Body) != nil {
			return false
		}
		c.v = p.Version
		connack := packet.Connack{Reason: b.refuse}
		c.out = connack.Append(c.out, c.v)
	case packet.TypeSubscribe:
		c.subscribe(f)
	case packet.TypePublish:
		var p packet.Publish
		if p.Decode(c.v, f.Header, f.Body) != nil {
			return false
		}
		if p.QoS > 0 {
			c.ack([]packet.Type{0, packet.TypePuback, packet.TypePubrec}[p.QoS], p.PacketID)
		}
		return b.route(&p) && c.write()
	case packet.TypePubrel:
		ack.Decode(c.v, f.Header, f.Body)
		c.ack(packet.TypePubcomp, ack.PacketID)
	case packet.TypePubrec:
		ack.Decode(c.v, f.Header, f.Body)
		c.ack(packet.TypePubrel, ack.PacketID)
	case packet.TypePingreq:
		c.out = (*packet.Pingresp)(nil).Append(c.out, c.v)
	}
	return c.write()
}

func (c *testConn) ack(t packet.Type, id uint16) {
	c.out = packet.AppendAck(c.out, c.v, t, id, packet.ReasonSuccess)
}

func (c *testConn) subscribe(f packet.Frame) {
	var p packet.Subscribe
	if p.Decode(c.v, f.Header, f.Body) != nil {
		return
	}
	code := packet.ReasonCode(p.Filters[0].QoS)
	if c.broker.deny.Failed() {
		code = c.broker.deny
	}
	filter, shared := strings.CutPrefix(string(p.Filters[0].Filter), "$share/loadgen/")
	c.broker.subs = append(c.broker.subs, testSub{c, filter, shared, p.Filters[0].QoS})
	suback := packet.Suback{PacketID: p.PacketID, Codes: []packet.ReasonCode{code}}
	c.out = suback.Append(c.out, c.v)
}

func (c *testConn) write() bool {
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err == nil
}

// route gives the message to all who asked for it, and of the group to one.
func (b *testBroker) route(p *packet.Publish) bool {
	var group []*testSub
	for i := range b.subs {
		s := &b.subs[i]
		prefix, wild := strings.CutSuffix(s.filter, "+")
		switch {
		case s.filter != string(p.Topic) && !(wild && strings.HasPrefix(string(p.Topic), prefix)):
		case s.shared:
			group = append(group, s)
		case !b.deliver(s, p):
			return false
		}
	}
	if len(group) == 0 {
		return true
	}
	b.turn++
	return b.deliver(group[b.turn%len(group)], p)
}

func (b *testBroker) deliver(s *testSub, p *packet.Publish) bool {
	c := s.conn
	c.id = c.id%65535 + 1
	out := packet.Outgoing{Topic: p.Topic, Payload: p.Payload, QoS: min(p.QoS, s.qos), PacketID: c.id}
	frame := out.Append(nil, c.v)
	b.n++
	switch b.fault(b.n) {
	case lose:
		return true
	case double:
		c.out = append(c.out, frame...)
	case swap:
		c.held = append(c.held, frame...)
		return true
	case hangUp:
		c.Close()
		return false
	}
	c.out = append(append(c.out, frame...), c.held...)
	c.held = c.held[:0]
	return c.write()
}
