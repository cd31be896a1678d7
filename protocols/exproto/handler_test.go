package exproto

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

// hears reads exactly want.
func hears(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("%q, %v; want %q", b[:n], err, want)
	}
}

// over says that c has ended.
func over(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Fatalf("%q, %v; want the end", rest, err)
	}
}

func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "meters")
		h := s.handlers["meters"]
		c := s.dial(0)
		conn := h.opened()
		c.Write([]byte("hello"))
		if got := h.next(); got.GetConn() != conn || string(got.GetReceived()) != "hello" {
			t.Fatal(got)
		}
		h.do(send(conn, "who?"))
		hears(t, c, "who?")
		h.admit(conn, "m1", func(a *pb.Authenticate) { a.SessionExpiry = 60 })
		h.do(subscribe(conn, "a/+", 1))
		if r := h.next().GetResult(); !r.GetOk() || r.GetToken() != 2 || r.GetGranted()[0].GetQos() != 1 {
			t.Fatal(r)
		}
		h.do(publishing(conn, 7, "a/1", []byte("x"), 1))
		var m *pb.Message
		for range 2 { // the message and the result, in the order of core
			switch ev := h.next(); {
			case ev.GetMessage() != nil:
				m = ev.GetMessage()
			case !ev.GetResult().GetOk() || ev.GetResult().GetToken() != 7:
				t.Fatal(ev)
			}
		}
		if m.GetTopic() != "a/1" || m.GetQos() != 1 || m.GetPacketId() == 0 {
			t.Fatal(m)
		}
		h.do(ack(conn, m.GetPacketId()), &pb.Command{Conn: conn, What: &pb.Command_Goodbye{Goodbye: []byte("bye")}})
		synctest.Wait()
		s.gw.T.Begin(time.Now())
		s.gw.Kick(s.gw.T, "m1")
		s.gw.T.End()
		hears(t, c, "bye")
		if got := h.next(); got.GetClosed().GetReason() != core.AdministrativeAction.String() {
			t.Fatal(got)
		}
		if st := s.adapter.Stats()["meters"]; st.Up != 1 || st.Clients != 0 || st.Waiting != 0 || st.Faults != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestKeepAlive: a silent client is gone after one and a half times its keep-alive,
// whatever it is sent meanwhile.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "meters")
		h := s.handlers["meters"]
		c := s.dial(0)
		go io.Copy(io.Discard, c)
		conn := h.opened()
		h.admit(conn, "m1", func(a *pb.Authenticate) { a.KeepAlive = 10 })
		began := time.Now()
		for range 14 {
			time.Sleep(time.Second)
			h.do(send(conn, "tick"))
		}
		if got := h.next(); got.GetClosed().GetReason() != core.KeepAliveTimeout.String() {
			t.Fatal(got)
		}
		if took := time.Since(began); took < 15*time.Second || took > 20*time.Second {
			t.Errorf("after %s", took)
		}
	})
}

// TestLies: what a handler does wrong is told it, counted and explained, and hurts nobody.
func TestLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "liars", "honest")
		liar, honest := s.handlers["liars"], s.handlers["honest"]
		theirs := s.dial(1)
		other := honest.opened()
		honest.admit(other, "victim", nil)
		s.dial(0)
		conn := liar.opened()
		lies := func(name string, c *pb.Command, want core.Reason) {
			t.Helper()
			c.Token = 99
			liar.do(c)
			f := liar.next().GetFault()
			if f.GetToken() != 99 || f.GetReason() != want.String() || f.GetDetail() == "" {
				t.Errorf("%s: %v, want %s", name, f, want)
			}
			if answers(c) {
				if r := liar.next().GetResult(); r.GetOk() || r.GetReason() != want.String() {
					t.Errorf("%s: %v", name, r)
				}
			}
			synctest.Wait()
			if !s.explained(want, func(r *core.Record) bool {
				return r.Listener == "liars" && strings.Contains(r.Detail, "handler: "+verb(c))
			}) {
				t.Errorf("%s is not explained", name)
			}
		}
		lies("too early", publishing(conn, 0, "a", nil, 1), core.ProtocolError)
		lies("unknown connection", send(12345, "x"), core.ProtocolError)
		lies("another's connection", send(other, "x"), core.ProtocolError)
		lies("another's end", &pb.Command{Conn: other, What: &pb.Command_Close{Close: &pb.Close{}}}, core.ProtocolError)
		lies("another's publish", publishing(other, 0, "a", nil, 1), core.ProtocolError)
		lies("nothing to do", &pb.Command{Conn: conn}, core.ProtocolError)
		lies("bad will", &pb.Command{Conn: conn, What: &pb.Command_Authenticate{Authenticate: &pb.Authenticate{ClientId: "l", Will: &pb.Will{Topic: "#"}}}}, core.TopicNameInvalid)
		liar.admit(conn, "liar", nil)
		lies("twice", &pb.Command{Conn: conn, What: &pb.Command_Authenticate{Authenticate: &pb.Authenticate{ClientId: "victim"}}}, core.ProtocolError)
		lies("bad topic", publishing(conn, 0, "a/#", nil, 1), core.TopicNameInvalid)
		lies("bad topic at QoS 0", publishing(conn, 0, "", nil, 0), core.TopicNameInvalid)
		lies("QoS 3", publishing(conn, 0, "a", nil, 3), core.QoSNotSupported)
		lies("QoS 2 without a number", publishing(conn, 0, "a", nil, 2), core.ProtocolError)
		lies("oversize", publishing(conn, 0, "a", make([]byte, 1<<20), 1), core.PacketTooLarge)
		lies("ack for nothing", ack(conn, 7), core.PacketIDNotFound)
		lies("QoS 5", subscribe(conn, "", 5), core.ProtocolError)
		lies("long keep-alive", &pb.Command{Conn: conn, What: &pb.Command_KeepAlive{KeepAlive: 1 << 16}}, core.ProtocolError)
		lies("long goodbye", &pb.Command{Conn: conn, What: &pb.Command_Goodbye{Goodbye: make([]byte, 1025)}}, core.PacketTooLarge)
		if n := s.adapter.Stats()["liars"].Faults; n != 17 {
			t.Errorf("%d faults", n)
		}
		honest.do(send(other, "still here"))
		hears(t, theirs, "still here")
	})
}

// TestGoneIsNoLie: a client may leave while a command for it is on its way.
func TestGoneIsNoLie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "meters")
		h := s.handlers["meters"]
		c := s.dial(0)
		conn := h.opened()
		c.Close()
		if h.next().GetClosed() == nil {
			t.Fatal("it is not closed")
		}
		h.do(send(conn, "x"), publishing(conn, 5, "a", nil, 1))
		if r := h.next().GetResult(); r.GetToken() != 5 || r.GetReason() != core.ConnectionLost.String() {
			t.Error(r)
		}
		if s.adapter.Stats()["meters"].Faults != 0 {
			t.Error("it counts as a fault")
		}
	})
}

// TestCrash: the clients of a handler that goes away are closed by name, those of others
// are not, and new ones are refused until it is back.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "a", "b")
		a, b := s.handlers["a"], s.handlers["b"]
		mine, theirs := s.dial(0), s.dial(1)
		a.admit(a.opened(), "mine", nil)
		other := b.opened()
		b.admit(other, "theirs", nil)
		a.crash()
		over(t, mine)
		if !s.explained(core.ServerUnavailable, func(r *core.Record) bool { return r.ClientID == "mine" && r.Listener == "a" && r.Detail != "" }) {
			t.Error("its end is not explained")
		}
		over(t, s.dial(0))
		b.do(send(other, "fine"))
		hears(t, theirs, "fine")
		a.start()
		time.Sleep(5 * time.Second)
		c := s.dial(0)
		a.do(send(a.opened(), "back"))
		hears(t, c, "back")
		if st := s.adapter.Stats()["a"]; st.Ends != 1 || st.Up != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// TestHold: held clients are the next stream's, with what was not acknowledged; when the
// time is over they are closed.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(_ string, lc *protocols.ListenerConfig) { lc.Exproto.Hold = 30 * time.Second }, "a")
		h := s.handlers["a"]
		c := s.dial(0)
		conn := h.opened()
		h.admit(conn, "m", nil)
		h.do(subscribe(conn, "t", 1))
		h.next()
		s.publish("t", "one", 1)
		first := h.next().GetMessage()
		h.crash()
		time.Sleep(5 * time.Second)
		s.publish("t", "two", 1)
		c.Write([]byte("unread"))
		h.start()
		time.Sleep(5 * time.Second)
		if o := h.next(); o.GetConn() != conn || !o.GetOpened().GetResumed() || o.GetOpened().GetClientId() != "m" {
			t.Fatal(o)
		}
		if m := h.next().GetMessage(); m.GetPacketId() != first.GetPacketId() || !m.GetDup() || string(m.GetPayload()) != "one" {
			t.Fatal(m)
		}
		seen := map[string]bool{}
		for range 2 {
			ev := h.next()
			seen[string(ev.GetReceived())+string(ev.GetMessage().GetPayload())] = true
		}
		if !seen["unread"] || !seen["two"] {
			t.Fatal(seen)
		}
		h.do(ack(conn, first.GetPacketId()))
		h.crash()
		over(t, c)
	})
}

// TestSlow: a handler that gives nothing back for one client slows that one; one that
// takes nothing at all slows its own clients, and is left in the end.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(_ string, lc *protocols.ListenerConfig) {
			lc.Exproto.Window, lc.Exproto.Queue = 4<<10, 64<<10
		}, "a", "b")
		s.handlers["a"].hello.Hello.Window = 4 << 10
		s.handlers["a"].crash() // it begins anew, with a window
		s.handlers["a"].start()
		time.Sleep(5 * time.Second)
		h := s.handlers["a"]
		slow := s.dial(0)
		one := h.opened()
		quick := s.dial(0)
		two := h.opened()
		h.admit(one, "slow", nil)
		h.admit(two, "quick", nil)
		go slow.Write(bytes.Repeat([]byte("x"), 1<<20))
		got := 0
		for time.Sleep(time.Second); len(h.in) > 0; {
			ev := h.next()
			if ev.GetConn() != one {
				t.Fatal(ev.GetConn())
			}
			got += proto.Size(ev)
		}
		if got == 0 || got > 100<<10 || s.adapter.Stats()["a"].Blocked != 1 {
			t.Fatalf("%d bytes came, %+v", got, s.adapter.Stats()["a"])
		}
		quick.Write([]byte("hello"))
		ev := h.next()
		if string(ev.GetReceived()) != "hello" {
			t.Fatal(ev)
		}
		h.do(&pb.Command{Conn: one, What: &pb.Command_Taken{Taken: uint32(got)}}, &pb.Command{Conn: two, What: &pb.Command_Taken{Taken: uint32(proto.Size(ev))}})
		if ev := h.next(); ev.GetConn() != one || len(ev.GetReceived()) == 0 {
			t.Fatal(ev.GetConn())
		}
		h.do(&pb.Command{Conn: two, Token: 9, What: &pb.Command_Taken{Taken: 1 << 30}})
		for ev = h.next(); ev.GetFault() == nil; ev = h.next() {
		}
	})
}

// TestStalled: a handler that has stopped is away after stall_timeout.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "a", "b")
		h := s.handlers["a"]
		c := s.dial(0)
		h.admit(h.opened(), "m", nil)
		h.stuck.Store(true) // from its next message on
		go c.Write(bytes.Repeat([]byte("x"), 16<<20))
		begin := time.Now()
		for s.adapter.Stats()["a"].Ends == 0 && time.Since(begin) < 2*time.Minute {
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); took < 25*time.Second || took > 40*time.Second {
			t.Errorf("after %s", took)
		}
		s.dial(1)
		s.handlers["b"].opened()
	})
}

// TestFlood: a handler that sends a client more than it may loses that client, by name.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(_ string, lc *protocols.ListenerConfig) { lc.Exproto.Window = 4 << 10 }, "a")
		h := s.handlers["a"]
		s.dial(0) // it reads nothing
		conn := h.opened()
		h.admit(conn, "m", nil)
		for range 2000 {
			h.do(send(conn, strings.Repeat("x", 4<<10)))
		}
		for ev := h.next(); ; ev = h.next() {
			if ev.GetClosed() != nil {
				if ev.GetClosed().GetReason() != core.OutgoingFull.String() {
					t.Error(ev)
				}
				break
			}
		}
		if !s.explained(core.OutgoingFull, func(r *core.Record) bool { return r.ClientID == "m" }) {
			t.Error("its end is not explained")
		}
	})
}

// TestManyClients: a thousand clients share one stream, and no goroutine is theirs.
func TestManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "a")
		h := s.handlers["a"]
		const n = 1000
		clients := map[uint64]net.Conn{}
		for range n {
			c := s.dial(0)
			clients[h.opened()] = c
		}
		for conn := range clients {
			h.do(&pb.Command{Conn: conn, What: &pb.Command_Authenticate{Authenticate: &pb.Authenticate{CleanStart: true}}}, subscribe(conn, "all", 0))
			for range 2 {
				if !h.next().GetResult().GetOk() {
					t.Fatal("refused")
				}
			}
		}
		s.publish("all", "news", 0)
		for range n {
			ev := h.next()
			h.do(send(ev.GetConn(), string(ev.GetMessage().GetPayload())))
		}
		for _, c := range clients {
			hears(t, c, "news")
		}
	})
}
