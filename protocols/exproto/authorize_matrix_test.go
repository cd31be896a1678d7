package exproto

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/internal/simnet"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

// TestAuthorizationMatrix is core's matrix through a handler: what it commands for its
// clients, and what it is told, over gRPC and behind the real edge.
func TestAuthorizationMatrix(t *testing.T) { coretest.RunAuthz(t, wireProtocol{}) }

type wireProtocol struct{}

// Name implements coretest.Protocol.
func (wireProtocol) Name() string { return "exproto" }

// Lacks implements coretest.Protocol.
func (wireProtocol) Lacks(f coretest.Feature) string {
	switch f {
	case coretest.Aliases:
		return "a handler says topics in full"
	case coretest.Sleeps, coretest.WillUpdates, coretest.WillLasts, coretest.Unconnected, coretest.Reads:
		return "exproto has none"
	}
	return ""
}

// Open implements coretest.Protocol.
func (wireProtocol) Open(t testing.TB, g *coretest.Gateway) coretest.Site {
	s := siteOn(t, g, nil, unnamed)
	return &wireSite{site: s, handler: s.handlers[unnamed], inbox: map[uint64][]*pb.Event{}}
}

// unnamed is the listener whose mount point the matrix sets.
const unnamed = ""

// wireSite is a handler's clients.
type wireSite struct {
	*site
	handler *handler
	inbox   map[uint64][]*pb.Event // by connection
	token   uint32
}

// settle sorts what the handler was told.
func (s *wireSite) settle() {
	for synctest.Wait(); len(s.handler.in) > 0; synctest.Wait() {
		if ev := <-s.handler.in; ev.GetCredit() == 0 {
			s.inbox[ev.GetConn()] = append(s.inbox[ev.GetConn()], ev)
		}
	}
}

// Dial implements coretest.Site.
func (s *wireSite) Dial(from netip.AddrPort) coretest.Wire {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := s.net.Dialer(from.Addr().String()+":0")(ctx, "tcp", "gateway:7000")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	s.settle()
	for conn, events := range s.inbox {
		if len(events) > 0 && events[0].GetOpened() != nil {
			s.inbox[conn] = events[1:]
			return &wireClient{site: s, c: c, conn: conn}
		}
	}
	s.t.Fatal("nobody was opened")
	return nil
}

// Wait implements coretest.Site.
func (s *wireSite) Wait(d time.Duration) {
	<-time.After(d)
	s.settle()
}

// wireClient is a client as a coretest.Wire.
type wireClient struct {
	site   *wireSite
	c      net.Conn
	conn   uint64
	nextID uint32
}

// does commands something that has no answer.
func (w *wireClient) does(c *pb.Command) {
	w.site.token++
	c.Conn, c.Token = w.conn, w.site.token
	w.site.handler.do(c)
	w.site.settle()
}

// asks commands something and gives its result, which must be want.
func (w *wireClient) asks(c *pb.Command, want core.Reason) *pb.Result {
	w.site.t.Helper()
	w.does(c)
	events := w.site.inbox[w.conn]
	for i, ev := range events {
		if r := ev.GetResult(); r != nil && r.GetToken() == w.site.token {
			w.site.inbox[w.conn] = append(events[:i:i], events[i+1:]...)
			if r.GetOk() != (want == core.Success) || !r.GetOk() && r.GetReason() != want.String() {
				w.site.t.Fatalf("%s: %v, want %s", verb(c), r, want)
			}
			return r
		}
	}
	w.site.t.Fatalf("%s: no result among %v", verb(c), events)
	return nil
}

// Connect implements coretest.Wire. A client that was not let in is closed by its handler.
func (w *wireClient) Connect(l coretest.Login, want core.Reason, present bool) {
	w.site.t.Helper()
	a := &pb.Authenticate{ClientId: l.ClientID, CleanStart: !l.Kept}
	if l.Kept {
		a.SessionExpiry = 3600
	}
	if l.Username != "" {
		a.Username, a.Password = proto.String(l.Username), []byte(l.Password)
	}
	if p := l.Will; p != nil {
		a.Will = &pb.Will{Topic: p.Topic, Payload: p.Payload, Qos: uint32(p.QoS), Retain: p.Retain, Delay: p.Delay}
		if p.HasExpiry {
			a.Will.Expiry = proto.Uint32(p.Expiry)
		}
	}
	r := w.asks(&pb.Command{What: &pb.Command_Authenticate{Authenticate: a}}, want)
	if want != core.Success {
		w.does(&pb.Command{What: &pb.Command_Close{Close: &pb.Close{}}})
		w.over(core.NormalDisconnect)
		return
	}
	if r.GetAuthenticated().GetSessionPresent() != present {
		w.site.t.Fatalf("session present: %v", r)
	}
}

// Subscribe implements coretest.Wire.
func (w *wireClient) Subscribe(filter string, qos uint8, want core.Reason) {
	w.site.t.Helper()
	w.asks(subscribe(0, filter, uint32(qos)), want)
}

func (w *wireClient) publishing(p coretest.Post, id uint32) *pb.Command {
	return &pb.Command{What: &pb.Command_Publish{Publish: &pb.Publish{Topic: p.Topic, Payload: []byte(p.Payload), Qos: uint32(p.QoS), Retain: p.Retain, PacketId: id}}}
}

// Publish implements coretest.Wire.
func (w *wireClient) Publish(p coretest.Post, want core.Reason) {
	w.site.t.Helper()
	switch p.QoS {
	case 0:
		w.does(w.publishing(p, 0))
		return
	case 1:
		w.asks(w.publishing(p, 0), want)
		return
	}
	w.nextID++
	id := w.nextID
	if w.asks(w.publishing(p, id), want); want == core.Success {
		w.asks(&pb.Command{What: &pb.Command_Release{Release: &pb.Release{PacketId: id}}}, core.Success)
	}
}

// Half implements coretest.Wire. The number says that it is the same message.
func (w *wireClient) Half(p coretest.Post, _ bool) {
	w.site.t.Helper()
	w.asks(w.publishing(p, 0x77), core.Success)
}

// Take implements coretest.Wire.
func (w *wireClient) Take(finish bool) (got []coretest.Got) {
	w.site.t.Helper()
	for w.site.settle(); len(w.site.inbox[w.conn]) > 0; w.site.settle() {
		events := w.site.inbox[w.conn]
		w.site.inbox[w.conn] = nil
		for _, ev := range events {
			g := w.got(ev)
			if finish && g.ID != 0 {
				w.does(ack(0, uint32(g.ID)))
			}
			if !finish || !g.Released {
				got = append(got, g)
			}
		}
	}
	return got
}

// got reads what came unasked.
func (w *wireClient) got(ev *pb.Event) coretest.Got {
	w.site.t.Helper()
	switch m := ev.GetMessage(); {
	case m != nil:
		return coretest.Got{Topic: m.GetTopic(), Payload: string(m.GetPayload()), QoS: uint8(m.GetQos()), ID: uint16(m.GetPacketId())}
	case ev.GetReleased() != nil:
		return coretest.Got{Released: true, ID: uint16(ev.GetReleased().GetPacketId())}
	}
	w.site.t.Fatalf("the handler is told %v", ev)
	return coretest.Got{}
}

// Receive implements coretest.Wire.
func (w *wireClient) Receive(g coretest.Got) {
	w.site.t.Helper()
	w.does(ack(0, uint32(g.ID)))
	for _, ev := range w.site.inbox[w.conn] {
		if ev.GetReleased().GetPacketId() == uint32(g.ID) {
			w.site.inbox[w.conn] = nil
			return
		}
	}
	w.site.t.Fatalf("message %d is not released: %v", g.ID, w.site.inbox[w.conn])
}

// Ended implements coretest.Wire: the handler is told why.
func (w *wireClient) Ended(why core.Reason) {
	w.site.t.Helper()
	w.site.settle()
	w.over(why)
}

// over checks that the connection has ended for why, and that nothing else was said.
func (w *wireClient) over(why core.Reason) {
	w.site.t.Helper()
	events := w.site.inbox[w.conn]
	if len(events) != 1 || events[0].GetClosed().GetReason() != why.String() {
		w.site.t.Fatalf("%v, want the end for %s", events, why)
	}
	w.site.inbox[w.conn] = nil
	if n, err := w.c.Read(make([]byte, 1)); err == nil {
		w.site.t.Fatalf("the client reads %d bytes", n)
	}
}

// Lose implements coretest.Wire.
func (w *wireClient) Lose() {
	if c, ok := w.c.(*simnet.Conn); ok {
		c.Reset()
	}
	w.site.settle()
	delete(w.site.inbox, w.conn)
}
