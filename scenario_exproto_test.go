package fairlead

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

// relay is the handler of the smallest private protocol there is: its clients send
// commands as they are, each behind four bytes of length, and get the events so.
type relay struct {
	pb.UnimplementedHandlerServer
}

// serveRelay runs it on ln until the function that it returns is called.
func serveRelay(ln net.Listener) (stop func()) {
	s := grpc.NewServer()
	pb.RegisterHandlerServer(s, relay{})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	return func() {
		s.Stop()
		<-ended
	}
}

// Serve implements pb.HandlerServer.
func (relay) Serve(s grpc.BidiStreamingServer[pb.FromGateway, pb.FromHandler]) error {
	if err := s.Send(&pb.FromHandler{Hello: &pb.Hello{}}); err != nil {
		return err
	}
	clients := map[uint64][]byte{} // what came and is not whole
	for {
		in, err := s.Recv()
		if err != nil {
			return err
		}
		out := &pb.FromHandler{}
		for _, ev := range in.GetEvents() {
			switch w := ev.GetWhat().(type) {
			case *pb.Event_Received:
				var cmds []*pb.Command
				cmds, clients[ev.Conn] = unframe(append(clients[ev.Conn], w.Received...), ev.Conn)
				out.Commands = append(out.Commands, cmds...)
			case *pb.Event_Closed:
				delete(clients, ev.Conn)
			case *pb.Event_Opened, *pb.Event_Credit:
			default:
				out.Commands = append(out.Commands, &pb.Command{Conn: ev.Conn, What: &pb.Command_Send{Send: frame(ev)}})
			}
		}
		if err := s.Send(out); err != nil {
			return err
		}
	}
}

func frame(m proto.Message) []byte {
	b := must(proto.Marshal(m))
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func unframe(b []byte, conn uint64) (cmds []*pb.Command, rest []byte) {
	for len(b) >= 4 && len(b) >= 4+int(binary.BigEndian.Uint32(b)) {
		n := 4 + int(binary.BigEndian.Uint32(b))
		c := &pb.Command{}
		if err := proto.Unmarshal(b[4:n], c); err != nil {
			panic(err)
		}
		c.Conn = conn
		cmds = append(cmds, c)
		b = b[n:]
	}
	return cmds, bytes.Clone(b)
}

// privateDevice is a client of the relay.
type privateDevice struct {
	t      *testing.T
	dial   func(context.Context) (net.Conn, error)
	name   string
	c      net.Conn // nil while disconnected
	events chan *pb.Event
	kept   []*pb.Event // that came while it waited for an answer
	held   []uint32
	hold   bool
	token  uint32
	nextID uint32

	datagrams bool   // each Write is a message, and nobody tells of the connection's end
	silence   func() // ends what keeps a connection over datagrams alive
}

func newPrivateDevice(s *edgeStage, name string) *privateDevice {
	d := &privateDevice{t: s.t, name: name, dial: s.dialPrivate, datagrams: s.privateDatagrams()}
	s.t.Cleanup(func() {
		if d.c != nil {
			d.close()
		}
	})
	return d
}

// tell sends one command.
func (d *privateDevice) tell(c *pb.Command) {
	d.token++
	c.Token = d.token
	if _, err := d.c.Write(frame(c)); err != nil {
		d.t.Error(err)
	}
}

// ask sends one command and waits for its result; nil when the connection ended.
func (d *privateDevice) ask(c *pb.Command) *pb.Result {
	d.tell(c)
	for ev := range d.events {
		if r := ev.GetResult(); r != nil && r.GetToken() == d.token {
			return r
		}
		d.kept = append(d.kept, ev)
	}
	return nil
}

// sayGoodbye leaves what tells of the connection's end where nothing else does.
func (d *privateDevice) sayGoodbye() {
	last := &pb.Event{What: &pb.Event_Closed{Closed: &pb.Closed{}}}
	d.tell(&pb.Command{What: &pb.Command_Goodbye{Goodbye: frame(last)}})
}

func (d *privateDevice) read(c net.Conn, events chan<- *pb.Event) {
	defer close(events)
	var r io.Reader = c
	if d.datagrams {
		r = &datagramReader{c: c}
	}
	var head [4]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		ev := &pb.Event{}
		if err := proto.Unmarshal(b, ev); err != nil {
			panic(err)
		}
		if ev.GetClosed() != nil {
			return // the goodbye
		}
		events <- ev
	}
}

// connect begins a session that ends with the connection.
func (d *privateDevice) connect() string { return d.Connect(coretest.Connecting{}) }

func (d *privateDevice) Connect(o coretest.Connecting) string {
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	c, err := d.dial(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.begin(c, o)
}

// begin says who it is on a connection that stands.
func (d *privateDevice) begin(c net.Conn, o coretest.Connecting) string {
	if d.silence != nil { // of the connection that this one takes over
		d.silence()
	}
	d.held, d.hold, d.kept, d.silence = nil, false, nil, nil
	d.c, d.events = c, make(chan *pb.Event, 1024)
	go d.read(c, d.events)
	a := &pb.Authenticate{ClientId: d.name, CleanStart: !o.Durable, KeepAlive: uint32(o.KeepAlive / time.Second)}
	if o.Durable {
		a.SessionExpiry = core.NeverExpires
	}
	if o.Expiry > 0 {
		a.SessionExpiry = uint32(o.Expiry / time.Second)
	}
	if d.datagrams {
		synctest.Wait() // what comes while the gateway is at DTLS's last flight may be lost
		d.sayGoodbye()
		a.Proven = true
		if o.KeepAlive == 0 {
			a.KeepAlive = uint32(noticed / time.Second)
			d.silence = babble(c)
		}
	}
	if o.WillTopic != "" {
		a.Will = &pb.Will{Topic: o.WillTopic, Payload: []byte(o.WillText)}
	}
	switch r := d.ask(&pb.Command{What: &pb.Command_Authenticate{Authenticate: a}}); {
	case !r.GetOk():
		return "refused"
	case r.GetAuthenticated().GetSessionPresent():
		return "resumed"
	}
	return "new"
}

// said is what the trace tells of a result.
func (d *privateDevice) said(r *pb.Result) string {
	if r.GetOk() {
		return ""
	}
	return "refused"
}

func (d *privateDevice) Subscribe(filter string, qos uint8) string {
	return d.said(d.ask(&pb.Command{What: &pb.Command_Subscribe{Subscribe: &pb.Subscribe{Filters: []*pb.Filter{{Filter: filter, Qos: uint32(qos)}}}}}))
}

func (d *privateDevice) Unsubscribe(filter string) string {
	return d.said(d.ask(&pb.Command{What: &pb.Command_Unsubscribe{Unsubscribe: &pb.Unsubscribe{Filters: []string{filter}}}}))
}

func (d *privateDevice) Publish(p coretest.Publishing) string {
	m := &pb.Publish{Topic: p.Topic, Payload: []byte(p.Text), Qos: uint32(p.QoS), Retain: p.Retain}
	if p.Expires > 0 {
		m.Expiry = proto.Uint32(uint32(p.Expires / time.Second))
	}
	c := &pb.Command{What: &pb.Command_Publish{Publish: m}}
	switch p.QoS {
	case 0:
		d.tell(c)
		return ""
	case 1:
		return d.said(d.ask(c))
	}
	d.nextID++
	m.PacketId = d.nextID
	if r := d.ask(c); !r.GetOk() {
		return "refused"
	}
	return d.said(d.ask(&pb.Command{What: &pb.Command_Release{Release: &pb.Release{PacketId: m.PacketId}}}))
}

func (d *privateDevice) acknowledge(id uint32) {
	switch {
	case id == 0:
	case d.hold:
		d.held = append(d.held, id)
	default:
		d.tell(&pb.Command{What: &pb.Command_Ack{Ack: &pb.Ack{PacketId: id}}})
	}
}

func (d *privateDevice) Hold(on bool) {
	d.hold = on
	held := d.held
	d.held = nil
	for _, id := range held {
		d.acknowledge(id)
	}
}

func (d *privateDevice) Sleep(time.Duration) string { return "" }
func (d *privateDevice) Wake() string               { return "" }

func (d *privateDevice) Disconnect() {
	d.tell(&pb.Command{What: &pb.Command_Close{Close: &pb.Close{}}})
	if d.datagrams { // nobody answers
		synctest.Wait()
	} else {
		for range d.events { // until the gateway has closed
		}
	}
	d.close()
}

func (d *privateDevice) Cut() {
	if d.close(); d.datagrams {
		cutDatagrams()
	}
}

func (d *privateDevice) close() {
	if d.silence != nil {
		d.silence()
	}
	d.c.Close()
	d.c, d.silence = nil, nil
}

// babble sends something that does nothing more often than the keep alive asks for.
func babble(c net.Conn) (stop func()) {
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(noticed / 2):
				_, _ = c.Write(frame(&pb.Command{What: &pb.Command_Taken{}})) // it may be closed
			}
		}
	}()
	return func() { close(done) }
}

func (d *privateDevice) Events() (events []string) {
	for d.c != nil {
		ev, is := d.next()
		switch {
		case !is:
			return events
		case ev == nil:
			d.close()
			return append(events, "closed")
		case ev.GetMessage() != nil:
			m := ev.GetMessage()
			events = append(events, coretest.Arrival(m.GetTopic(), string(m.GetPayload()), uint8(m.GetQos()), m.GetRetain(), m.GetDup()))
			d.acknowledge(m.GetPacketId())
		case ev.GetReleased() != nil:
			d.acknowledge(ev.GetReleased().GetPacketId())
		default:
			d.t.Errorf("%s has received %v", d.name, ev)
		}
	}
	return events
}

// next gives what came, nil for the end; false for nothing.
func (d *privateDevice) next() (ev *pb.Event, is bool) {
	if len(d.kept) > 0 {
		ev = d.kept[0]
		d.kept = d.kept[1:]
		return ev, true
	}
	select {
	case ev := <-d.events:
		return ev, true
	default:
		return nil, false
	}
}

// TestPrivateOverUnix: a private protocol over a Unix socket, its handler at another, in a
// gateway as users run it: what was acknowledged is delivered, and its figures stand among
// the metrics.
func TestPrivateOverUnix(t *testing.T) {
	dir := t.TempDir()
	handler := filepath.Join(dir, "h")
	defer serveRelay(must(net.Listen("unix", handler)))()
	c := testConfig(dir)
	c.Listeners = map[string]*protocols.ListenerConfig{"own": {Protocol: protocols.Exproto, Transport: protocols.Unix, Address: filepath.Join(dir, "s"), Exproto: protocols.ExprotoConfig{Handler: "unix:" + handler, Hold: 10 * time.Second}}} // until it is reached
	c.Auth.ACLFile = filepath.Join(dir, "acl")                                                                                                                                                                                                  // clients of a Unix socket have no address to go by
	if err := os.WriteFile(c.Auth.ACLFile, []byte("allow all pubsub #\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := start(t, c)
	device := func(name string) *privateDevice {
		d := newPrivateDevice(&edgeStage{t: t, protocol: protocols.Exproto}, name)
		if got := d.begin(must(net.Dial("unix", g.Addresses()["own"])), coretest.Connecting{Durable: true}); got != "new" {
			t.Fatal(got)
		}
		return d
	}
	a, b := device("a"), device("b")
	if why := a.Subscribe("t", 1) + b.Publish(coretest.Publishing{Topic: "t", Text: "x", QoS: 1}); why != "" {
		t.Fatal(why)
	}
	select {
	case ev := <-a.events:
		if m := ev.GetMessage(); m.GetTopic() != "t" || string(m.GetPayload()) != "x" || m.GetQos() != 1 {
			t.Fatal(ev)
		}
	case <-time.After(time.Minute):
		t.Fatal("it is not delivered")
	}
	page := scrape(t, g.AdminAddress())
	for _, row := range []string{`fairlead_handler_streams_up{listener="own"} 1`, `fairlead_handler_clients{listener="own"} 2`, `fairlead_handler_faults_total{listener="own"} 0`} {
		if !strings.Contains(page, row+"\n") {
			t.Errorf("/metrics has no %s", row)
		}
	}
}

// scrape gives the metrics.
func scrape(t *testing.T, address string) string {
	res, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return string(must(io.ReadAll(res.Body)))
}
