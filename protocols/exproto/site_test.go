package exproto

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/internal/simnet"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

// site is a gateway behind the real edge, with handlers that the test plays itself, all on
// a network in memory. Listener NAME is at gateway:7000 and on, its handler at 127.0.0.1:9000
// and on.
type site struct {
	t        testing.TB
	gw       *coretest.Gateway
	net      *simnet.Network
	adapter  *Adapter
	handlers map[string]*handler
}

// handler is a gRPC server whose streams the test plays.
type handler struct {
	pb.UnimplementedHandlerServer
	site   *site
	at     string
	server *grpc.Server
	in     chan *pb.Event
	out    chan *pb.FromHandler
	stuck  atomic.Bool // it takes nothing more
	hello  *pb.FromHandler
}

// Serve implements pb.HandlerServer.
func (h *handler) Serve(s grpc.BidiStreamingServer[pb.FromGateway, pb.FromHandler]) error {
	if err := s.Send(h.hello); err != nil {
		return err
	}
	go func() {
		for {
			select {
			case m := <-h.out:
				if s.Send(m) != nil {
					return
				}
			case <-s.Context().Done():
				return
			}
		}
	}()
	for {
		if h.stuck.Load() {
			<-s.Context().Done()
			return s.Context().Err()
		}
		m, err := s.Recv()
		if err != nil {
			return err
		}
		for _, ev := range m.GetEvents() {
			h.in <- ev
		}
	}
}

// start makes the handler reachable.
func (h *handler) start() {
	ln, err := h.site.net.Listen(h.at)
	if err != nil {
		h.site.t.Fatal(err)
	}
	h.server = grpc.NewServer()
	pb.RegisterHandlerServer(h.server, h)
	go h.server.Serve(ln)
}

// crash ends it without a word.
func (h *handler) crash() { h.server.Stop() }

// do sends commands.
func (h *handler) do(cmds ...*pb.Command) { h.out <- &pb.FromHandler{Commands: cmds} }

// next is the next event but credit, within a minute of the bubble's time.
func (h *handler) next() *pb.Event {
	h.site.t.Helper()
	for {
		select {
		case ev := <-h.in:
			if ev.GetCredit() == 0 {
				return ev
			}
		case <-time.After(time.Minute):
			h.site.t.Fatal("no event")
		}
	}
}

// opened is the number of the next client.
func (h *handler) opened() uint64 {
	h.site.t.Helper()
	ev := h.next()
	if ev.GetOpened() == nil {
		h.site.t.Fatalf("%v instead of opened", ev)
	}
	return ev.GetConn()
}

// admit lets a client in.
func (h *handler) admit(conn uint64, id string, change func(*pb.Authenticate)) {
	h.site.t.Helper()
	a := &pb.Authenticate{ClientId: id, CleanStart: true}
	if change != nil {
		change(a)
	}
	h.do(&pb.Command{Conn: conn, Token: 1, What: &pb.Command_Authenticate{Authenticate: a}})
	if r := h.next().GetResult(); !r.GetOk() {
		h.site.t.Fatalf("authenticate: %v", r)
	}
}

func newSite(t *testing.T, change func(name string, lc *protocols.ListenerConfig), names ...string) *site {
	return siteOn(t, coretest.Start(t, nil, nil), change, names...)
}

// siteOn makes a site of a gateway.
func siteOn(t testing.TB, gw *coretest.Gateway, change func(name string, lc *protocols.ListenerConfig), names ...string) *site {
	s := &site{t: t, gw: gw, net: simnet.New(1), handlers: map[string]*handler{}}
	cfg := protocols.DefaultConfig()
	for i, name := range names {
		h := &handler{site: s, at: fmt.Sprintf("127.0.0.1:%d", 9000+i), in: make(chan *pb.Event, 10_000), out: make(chan *pb.FromHandler, 16), hello: &pb.FromHandler{Hello: &pb.Hello{}}}
		lc := &protocols.ListenerConfig{Protocol: protocols.Exproto, Transport: protocols.TCP, Given: true, Exproto: protocols.ExprotoConfig{Handler: h.at, RetryMax: time.Second}}
		if change != nil {
			change(name, lc)
		}
		cfg.Listeners[name] = lc
		s.handlers[name] = h
		h.start()
	}
	var err error
	s.adapter, err = New(Options{Listeners: cfg.Listeners, Dial: func(ctx context.Context, at string) (net.Conn, error) {
		return s.net.Dialer("")(ctx, "tcp", at)
	}}, s.gw.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	server, err := protocols.NewServer(cfg, s.gw.Gateway, []protocols.Adapter{s.adapter}, nil)
	if err == nil {
		err = server.Open()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.run(server, names)
	return s
}

func (s *site) run(server *protocols.Server, names []string) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2+len(names))
	go func() { ended <- s.adapter.Run(ctx) }()
	synctest.Wait()
	go func() { ended <- server.Run(ctx) }()
	for i, name := range names {
		ln, err := s.net.Listen(fmt.Sprintf("gateway:%d", 7000+i))
		if err != nil {
			s.t.Fatal(err)
		}
		go func() { ended <- server.Serve(ln, name) }()
	}
	s.t.Cleanup(func() {
		cancel()
		for range cap(ended) {
			if err := <-ended; err != nil {
				s.t.Error(err)
			}
		}
		for _, h := range s.handlers {
			h.crash()
		}
	})
	synctest.Wait()
}

// dial connects a client to the i-th listener.
func (s *site) dial(i int) net.Conn {
	c, err := s.net.Dialer("10.0.0.1:0")(s.t.Context(), "tcp", fmt.Sprintf("gateway:%d", 7000+i))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// publish publishes as somebody else.
func (s *site) publish(topic, text string, qos uint8) {
	s.gw.T.Begin(time.Now())
	s.gw.PublishInternal(s.gw.T, &core.Message{Topic: topic, Payload: []byte(text), QoS: qos})
	s.gw.T.End()
}

// explained tells whether a record names a reason for a client or listener.
func (s *site) explained(r core.Reason, keep func(*core.Record) bool) bool {
	return len(s.gw.Explain(1, func(rec *core.Record) bool { return rec.Reason == r && keep(rec) })) == 1
}

func send(conn uint64, text string) *pb.Command {
	return &pb.Command{Conn: conn, What: &pb.Command_Send{Send: []byte(text)}}
}

func subscribe(conn uint64, filter string, qos uint32) *pb.Command {
	return &pb.Command{Conn: conn, Token: 2, What: &pb.Command_Subscribe{Subscribe: &pb.Subscribe{Filters: []*pb.Filter{{Filter: filter, Qos: qos}}}}}
}

func publishing(conn uint64, token uint32, topic string, payload []byte, qos uint32) *pb.Command {
	return &pb.Command{Conn: conn, Token: token, What: &pb.Command_Publish{Publish: &pb.Publish{Topic: topic, Payload: payload, Qos: qos}}}
}

func ack(conn uint64, id uint32) *pb.Command {
	return &pb.Command{Conn: conn, Token: 4, What: &pb.Command_Ack{Ack: &pb.Ack{PacketId: id}}}
}
