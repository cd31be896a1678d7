package exproto

import (
	"bytes"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// bench is a machine and its lane without edge and stream: what Conn is asked for is done
// when the test says so.
type bench struct {
	link  *link
	lane  *lane
	turn  *core.Turn
	m     *Machine
	queue []core.Completion
	over  bool
}

func (b *bench) Wake(t *core.Turn)          { b.m.Output(t, &protocols.Out{}) }
func (b *bench) Complete(c core.Completion) { b.queue = append(b.queue, c) }
func (b *bench) Close(r core.Reason) {
	b.run(func(a *protocols.Actions) { b.m.Stop(b.turn, r, a) })
}
func (b *bench) Peer() netip.AddrPort { return netip.MustParseAddrPort("10.0.0.1:9") }

func (b *bench) run(f func(*protocols.Actions)) {
	if b.over {
		return
	}
	a := &protocols.Actions{}
	f(a)
	if a.Close && !b.over {
		b.over = true
		b.m.Closed(b.turn, a.Reason)
	}
}

// settle does what is due, for a bounded time: nothing may go round for ever.
func (b *bench) settle(t *testing.T) {
	for n := 0; ; n++ {
		b.turn.End()
		if len(b.queue) == 0 || b.over {
			return
		}
		if n > 10_000 {
			t.Fatal("it does not come to rest")
		}
		c := b.queue[0]
		b.queue = b.queue[1:]
		b.run(func(a *protocols.Actions) { b.m.Complete(b.turn, c, a) })
	}
}

// FuzzHandler: whatever a handler sends, and in whatever order, nothing breaks, nothing is
// left over, and what Fairlead says of it stays within its bounds.
func FuzzHandler(f *testing.F) {
	seed := func(cmds ...*pb.Command) {
		b, err := proto.Marshal(&pb.FromHandler{Commands: cmds})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	const conn = 1<<numberBits | 1
	auth := &pb.Command{Conn: conn, Token: 1, What: &pb.Command_Authenticate{Authenticate: &pb.Authenticate{ClientId: "m", CleanStart: true, Will: &pb.Will{Topic: "w"}}}}
	seed(auth, subscribe(conn, "a/#", 2), publishing(conn, 3, "a/1", []byte("x"), 1), ack(conn, 1), publishing(conn, 3, "a/1", nil, 0))
	seed(auth, subscribe(conn, "#", 2), &pb.Command{Conn: conn, What: &pb.Command_Publish{Publish: &pb.Publish{Topic: "t", Qos: 2, PacketId: 1}}}, ack(conn, 1), ack(conn, 1), &pb.Command{Conn: conn, What: &pb.Command_Release{Release: &pb.Release{PacketId: 1}}})
	seed(auth, auth, ack(conn, 7), send(conn, "x"), send(7, "y"), &pb.Command{Conn: conn, What: &pb.Command_Close{Close: &pb.Close{WithWill: true}}})
	f.Fuzz(func(t *testing.T, in []byte) {
		var msg pb.FromHandler
		if proto.Unmarshal(in, &msg) != nil {
			return
		}
		gw := coretest.Start(t, nil, nil)
		lc := protocols.ListenerConfig{Protocol: protocols.Exproto, Transport: protocols.TCP, Given: true, Exproto: protocols.ExprotoConfig{Handler: "127.0.0.1:9", Window: 4 << 10, Queue: 64 << 10}}
		cfg := protocols.DefaultConfig()
		cfg.Listeners["l"] = &lc
		a, err := New(Options{Listeners: cfg.Listeners}, gw.Gateway)
		if err != nil {
			t.Fatal(err)
		}
		server, err := protocols.NewServer(cfg, gw.Gateway, []protocols.Adapter{a}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		b := &bench{link: a.links["l"], turn: gw.T}
		b.lane = b.link.lanes[0]
		b.lane.rise(msg.GetHello().GetWindow())
		b.turn.Begin(time.Now())
		b.m = a.NewMachine(&protocols.ConnInfo{Listener: server.Listeners()["l"]}, b).(*Machine)
		for _, c := range msg.GetCommands() {
			b.link.obey(b.lane, b.turn, []*pb.Command{c})
			b.settle(t)
			b.run(func(a *protocols.Actions) { b.m.Input(b.turn, bytes.Repeat([]byte("x"), 100), a) })
		}
		if b.lane.bytes > 1<<20 {
			t.Errorf("%d bytes wait", b.lane.bytes)
		}
		b.run(func(a *protocols.Actions) { b.m.Stop(b.turn, core.ConnectionLost, a) })
		b.turn.End()
		for batch := b.lane.next(nil); len(batch) > 0; batch = b.lane.next(nil) {
			b.lane.sent(batch)
		}
		if n := b.lane.bytes; n != 0 || b.lane.held() != 0 || b.lane.blocked != 0 {
			t.Errorf("%d bytes, %d clients, %d blocked are left", n, b.lane.held(), b.lane.blocked)
		}
	})
}
