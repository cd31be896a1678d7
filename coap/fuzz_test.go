package coap

import (
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// recorder is a gateway that answers now or later as the fuzzer wants. Everything that is
// published is retained and comes back to whoever subscribed to anything.
type recorder struct {
	later    byte            // 1: Connect, 2: Subscribe, 4: Unsubscribe, 8: Read and List
	found    []*core.Message // by Read or List
	request  *core.ConnectRequest
	token    uint32
	subs     []uint32
	box      []core.Delivery
	retained map[string]*core.Message
	attached map[string]core.Attachment
	unacked  map[uint16]bool
	lastID   uint16
	links    int
	released []uint16 // QoS 2 publications that the client is done with
}

func (r *recorder) result() *core.ConnectResult {
	r.links++
	expiry := r.request.Expiry
	return &core.ConnectResult{Link: core.Link{Session: &core.Session{}, Epoch: 1}, ClientID: "c", Expiry: expiry, KeepAlive: r.request.KeepAlive}
}

func (r *recorder) Connect(_ *core.Turn, q *core.ConnectRequest) (*core.ConnectResult, bool) {
	r.request = q
	switch {
	case q.Credentials.Username == "no":
		return &core.ConnectResult{Reason: core.BadCredentials}, false
	case r.later&1 != 0:
		return nil, true
	}
	return r.result(), false
}

func (r *recorder) Resume(*core.Turn, core.Link) {}

func (r *recorder) Attach(_ *core.Turn, _ core.Link, a core.Attachment) core.Reason {
	if a.Value == nil {
		delete(r.attached, a.Key)
	} else {
		r.attached[a.Key] = a
	}
	return core.Success
}

func (r *recorder) Attachments(core.Link) (all []core.Attachment) {
	for _, a := range r.attached {
		all = append(all, a)
	}
	return all
}

func (r *recorder) Allowed(*core.Turn, core.Link, *core.Publish) (core.Reason, bool) {
	return core.Success, r.later&2 != 0
}

func (r *recorder) Publish(_ *core.Turn, _ core.Link, p *core.Publish) (bool, *core.Error) {
	m := &core.Message{Topic: p.Topic, Payload: append([]byte(nil), p.Payload...), Properties: p.Properties}
	r.retained[p.Topic] = m
	for _, id := range r.subs {
		r.lastID++
		r.unacked[r.lastID] = true
		r.box = append(r.box, core.Delivery{Msg: m, SubID: id, QoS: 1, PacketID: r.lastID}, core.Delivery{Msg: m, SubID: id})
	}
	if p.QoS > 0 {
		kind := core.DeliverAck
		if p.QoS == 2 {
			kind = core.DeliverReceived
		}
		r.box = append(r.box, core.Delivery{Kind: kind, PacketID: p.PacketID})
	}
	return false, nil
}

func (r *recorder) Read(_ *core.Turn, _ core.Link, token uint32, name string) (*core.Message, core.Reason, bool) {
	m := r.retained[name]
	if r.found = nil; m != nil {
		r.found = append(r.found, m)
	}
	r.token = token
	return m, core.Success, r.later&8 != 0
}

func (r *recorder) List(_ *core.Turn, _ core.Link, token uint32, _ string, _ int) (all []*core.Message, _ core.Reason, _ bool) {
	for _, m := range r.retained {
		all = append(all, m)
	}
	r.token, r.found = token, all
	return all, core.Success, r.later&8 != 0
}

func (r *recorder) Subscribe(_ *core.Turn, _ core.Link, q *core.SubscribeRequest) ([]uint8, []core.Reason, bool) {
	r.subs = append(r.subs, q.SubID)
	r.token = q.Token
	return []uint8{1}, []core.Reason{core.Success}, r.later&2 != 0
}

func (r *recorder) Unsubscribe(_ *core.Turn, _ core.Link, q *core.UnsubscribeRequest) ([]core.Reason, bool) {
	r.subs = nil
	r.token = q.Token
	return []core.Reason{core.Success}, r.later&4 != 0
}

func (r *recorder) LimitSubscribers(*core.Turn, core.Link, string, uint32) {}

func (r *recorder) Acknowledge(_ *core.Turn, _ core.Link, k core.AckKind, id uint16, _ core.Reason) {
	if k == core.AckRelease {
		r.released = append(r.released, id)
		return
	}
	delete(r.unacked, id)
}

func (r *recorder) Waiting(core.Link) bool { return len(r.box) > 0 }

func (r *recorder) Take(_ *core.Turn, _ core.Link, dst []core.Delivery, max int) ([]core.Delivery, bool) {
	n := min(max, len(r.box))
	dst = append(dst, r.box[:n]...)
	r.box = r.box[n:]
	return dst, len(r.box) > 0
}

func (r *recorder) Drop(_ *core.Turn, _ core.Link, d core.Delivery, _ core.Reason) {
	if d.Msg == nil {
		panic("what is dropped has no message")
	}
	delete(r.unacked, d.PacketID)
}

func (r *recorder) Disconnect(*core.Turn, core.Link, core.Reason, *uint32) {
	r.links--
	r.subs, r.box = nil, nil
	clear(r.unacked)
}

func (r *recorder) Refuse(*core.Turn, core.Refusal) {}

// fakeConn is a connection that nobody listens to.
type fakeConn struct{}

func (fakeConn) Wake(*core.Turn)          {}
func (fakeConn) Complete(core.Completion) {}
func (fakeConn) Close(core.Reason)        {}
func (fakeConn) Peer() netip.AddrPort     { return port(1) }

// feeder drives one machine with what the fuzzer says.
type feeder struct {
	t        *testing.T
	gw       *recorder
	adapter  *Adapter
	turn     *core.Turn
	m        *Machine
	now      int64
	in, out  int // bytes while the address is not proven
	proven   bool
	lastSent uint16
}

// FuzzMachine feeds any datagrams, with time and answers of the gateway between them: the
// machine never panics, says nothing that is not CoAP, keeps its bounds and the limit of
// amplification, and gives everything back at its end.
func FuzzMachine(f *testing.F) {
	for _, script := range [][]string{
		{"CON PUT 1 /mqtt/t?c=a 'x'", "CON GET 2 /ps/t?c=a tok=01 obs=0", "CON PUT 3 /mqtt/t?c=a 'y'"},
		{"CON POST 1 /mqtt/connection?c=a&expiry=9", "CON GET 2 /mqtt/t?c=a obs=0 tok=01", "CON GET 3 /mqtt/t?c=a obs=1 tok=01"},
		{"NON PUT 1 /ps/t b1=0/m/16 'x*16'", "NON PUT 2 /ps/t b1=1/-/16 'x'", "CON GET 3 /ps/t b2=0/-/16", "CON GET 4 /ps/t b2=1/-/16"},
		{"CON GET 1 /.well-known/core?rt=core.ps", "CON EMPTY 2", "RST EMPTY 3", "CON DELETE 4 /ps/t", "CON GET 5 /ps/t ifmatch=00 etag=01 accept=60"},
		{"CON PUT 1 /ps/t?q=2 'x'", "CON GET 2 /ps/+?q=0&notify=latest obs=0 tok=0102", "CON PUT 3 /ps/t 'x*3000'"},
		{"CON PUT 1 /mqtt/t?c=a&u=no&p=x 'x'", "CON PUT 2 /mqtt/t?c=b&u=x&p=x 'x'"},
	} {
		var stream []byte
		for _, line := range script {
			b := build(f, line)
			stream = append(append(stream, 0, byte(len(b)), byte(len(b)>>8)), b...)
			stream = append(stream, 1, 2, 3, 4)
		}
		f.Add(stream, byte(0))
		f.Add(stream, byte(7))
		f.Add(stream, byte(8))
	}
	r := newRig(f)
	f.Fuzz(func(t *testing.T, stream []byte, mode byte) {
		if len(stream) > maxScript {
			return
		}
		fd := r.feeder(t, mode)
		for len(stream) > 0 && (fd.m == nil || fd.m.state == open) {
			stream = fd.step(stream)
		}
		fd.end()
	})
}

// maxScript bounds what is played at once, in bytes: longer is no deeper, only slower.
const maxScript = 8 << 10

// rig is what all executions of a target share: making it costs more than to feed a
// machine. What a turn keeps is scratch, and adapters never change but for figures, which
// are back to nothing at each end.
type rig struct {
	turn     *core.Turn
	adapters [2]*Adapter // without Echo for all, and with it
}

func newRig(t testing.TB) *rig {
	r := &rig{turn: core.New(core.Options{Config: core.DefaultConfig()}).NewTurn()}
	t.Cleanup(r.turn.Close)
	cfg := DefaultConfig()
	cfg.MaxBody, cfg.MaxRecent, cfg.MaxPending, cfg.MaxObservations, cfg.BlockSize = 4096, 4, 3, 3, 64
	r.adapters[0] = New(cfg, nil)
	cfg.Echo = echoAll
	r.adapters[1] = New(cfg, nil)
	return r
}

func (r *rig) feeder(t *testing.T, mode byte) *feeder {
	fd := &feeder{t: t, turn: r.turn, now: 1_000_000, adapter: r.adapters[mode>>3&1]}
	fd.gw = &recorder{later: mode&7 | mode>>1&8, retained: map[string]*core.Message{}, attached: map[string]core.Attachment{}, unacked: map[uint16]bool{}}
	fd.adapter.gw = fd.gw
	fd.adapter.transfers.Store(0)
	return fd
}

// step takes one command off the stream: a datagram, time, or an answer of core.
func (fd *feeder) step(s []byte) []byte {
	command, s := s[0], s[1:]
	var a protocols.Actions
	fd.now += int64(command)
	fd.turn.Begin(time.UnixMilli(fd.now))
	switch {
	case command%8 < 4 && len(s) >= 2:
		n := min(len(s)-2, int(s[0])|int(s[1])<<8)
		fd.datagram(s[2:2+n], &a)
		s = s[2+n:]
	case fd.m == nil:
		return s
	case command%8 == 4:
		fd.acknowledge(&a)
	case command%8 == 5:
		fd.now += int64(command) * 1000
		fd.turn.Begin(time.UnixMilli(fd.now))
		fd.m.Tick(fd.turn, &a)
	case command%8 == 6:
		fd.m.Output(fd.turn, nil)
		fd.m.Complete(fd.turn, core.Completion{Op: core.OpReadable}, &a)
	default:
		fd.complete(&a)
	}
	fd.check(&a)
	return s
}

func (fd *feeder) datagram(b []byte, a *protocols.Actions) {
	fd.in += len(b)
	if fd.m == nil {
		info := &protocols.ConnInfo{Peer: port(1)}
		if !fd.adapter.Meet(fd.turn, info, b, a) {
			return
		}
		fd.m = fd.adapter.NewMachine(info, fakeConn{}).(*Machine)
	}
	if fd.m.waiting == forNothing {
		if used := fd.m.Input(fd.turn, b, a); used != len(b) {
			fd.t.Fatalf("used %d of %d", used, len(b))
		}
	}
}

// acknowledge plays a client that answers our confirmable message.
func (fd *feeder) acknowledge(a *protocols.Actions) {
	if fd.m.waiting == forNothing {
		fd.in += 4
		fd.m.Input(fd.turn, appendEmpty(nil, message.Acknowledgement, fd.lastSent), a)
	}
}

func (fd *feeder) complete(a *protocols.Actions) {
	switch fd.m.waiting {
	case forConnect:
		fd.m.Complete(fd.turn, core.Completion{Op: core.OpConnect, Connect: fd.gw.result()}, a)
	case forSubscribe:
		fd.m.Complete(fd.turn, core.Completion{Op: core.OpSubscribe, Token: fd.gw.token, Reasons: []core.Reason{core.Success}}, a)
	case forUnsubscribe:
		fd.m.Complete(fd.turn, core.Completion{Op: core.OpUnsubscribe, Token: fd.gw.token, Reasons: []core.Reason{core.Success}}, a)
	case forRead:
		fd.m.Complete(fd.turn, core.Completion{Op: core.OpRead, Token: fd.gw.token, Reasons: []core.Reason{core.Success}, Messages: fd.gw.found}, a)
	case forNothing: // core may say so at any time
		if len(fd.m.interests) > 0 {
			fd.m.Complete(fd.turn, core.Completion{Op: core.OpOusted, Token: fd.m.interests[0].subID}, a)
		}
	}
}

// check looks at what the machine said and holds.
func (fd *feeder) check(a *protocols.Actions) {
	t, cfg := fd.t, &fd.adapter.cfg
	fd.proven = fd.proven || a.Proven
	for _, b := range a.Datagrams() {
		var msg message.Message
		if err := decode(b, &msg); err != nil {
			t.Fatalf("said %x: %v", b, err)
		}
		if msg.Type == message.Confirmable {
			fd.lastSent = uint16(msg.MessageID)
		} else if !fd.proven { // what must be confirmed is the edge's to hold back
			fd.out += len(b)
		}
	}
	if fd.out > protocols.AmplificationFactor*fd.in {
		t.Fatalf("%d bytes for %d", fd.out, fd.in)
	}
	m := fd.m
	if m == nil {
		return
	}
	if len(m.recent) > cfg.MaxRecent || len(m.pending) > cfg.MaxPending || len(m.observations) > cfg.MaxObservations || len(m.uploads) > cfg.MaxTransfers {
		t.Fatalf("it holds %d, %d, %d, %d", len(m.recent), len(m.pending), len(m.observations), len(m.uploads))
	}
	if m.state == open && !a.Close && a.SetAlarm && a.Alarm <= 0 {
		t.Fatal("no alarm")
	}
}

// end closes the machine: everything is given back.
func (fd *feeder) end() {
	if fd.m == nil {
		return
	}
	waiting := fd.m.waiting == forConnect
	fd.m.Closed(fd.turn, core.ConnectionLost)
	if waiting {
		fd.m.Complete(fd.turn, core.Completion{Op: core.OpConnect, Connect: fd.gw.result()}, &protocols.Actions{})
	}
	if n := fd.adapter.transfers.Load(); n != 0 {
		fd.t.Fatalf("%d bytes of transfers are left", n)
	}
	if fd.gw.links != 0 {
		fd.t.Fatalf("%d links are left", fd.gw.links)
	}
}

// FuzzAttached reads any attachment.
func FuzzAttached(f *testing.F) {
	f.Add("0102", []byte{1, 0, 0, 0, 0, 1, 1, 84, 'a'})
	f.Add("", []byte{1, 3, 8, 0, 0, 1, 0, 0, '#'})
	f.Fuzz(func(t *testing.T, digits string, v []byte) {
		if o, in, err := readAttached(digits, v); err == nil && (o == nil || in == nil || in.plain == "" && !in.whole()) {
			t.Fatal("neither an observation nor an error")
		}
	})
}

// FuzzStream feeds any bytes in any split to a peer over TCP: what it uses it was offered,
// what it says are whole messages, and what it waits for is bounded.
func FuzzStream(f *testing.F) {
	for _, script := range [][]string{
		{"MSG CSM", "MSG PUT tok=01 /ps/t 'x'", "MSG GET tok=02 /ps/t obs=0", "MSG PUT /ps/t 'y'", "MSG PONG tok=01", "MSG RELEASE"},
		{"MSG CSM opt2=0400 opt4=", "MSG GET /ps/t b2=0/-/16", "MSG PING opt2=", "MSG GET /.well-known/core", "MSG ABORT"},
		{"MSG CSM", "MSG PUT /ps/t b1=0/m/16 'x*16'", "MSG PUT /ps/t b1=1/-/16 'x*9'", "MSG DELETE /ps/t", "MSG EMPTY"},
	} {
		var all []byte
		for _, line := range script {
			all = append(all, build(f, line)...)
		}
		f.Add(all, uint64(3), byte(0))
		f.Add(all, uint64(0x1234), byte(7))
	}
	r := newRig(f)
	f.Fuzz(func(t *testing.T, all []byte, splits uint64, mode byte) {
		if len(all) > maxScript {
			return
		}
		fd := r.feeder(t, mode)
		fd.m = fd.adapter.NewMachine(&protocols.ConnInfo{Peer: port(1)}, fakeConn{}).(*Machine)
		fd.m.stream, fd.m.proven = &stream{maxMessage: defaultMessage}, true
		for at, end := 0, 0; end < len(all) && fd.m.state == open; {
			end = min(len(all), end+1+int(splits&31))
			splits = splits>>5 | splits<<59
			var a protocols.Actions
			fd.turn.Begin(time.UnixMilli(fd.now))
			used := fd.m.Input(fd.turn, all[at:end:end], &a)
			if used < 0 || used > end-at {
				t.Fatalf("used %d of %d", used, end-at)
			}
			if fd.m.state == open && fd.m.waiting == forNothing && end-at-used > fd.m.maxStreamMessage()+8 {
				t.Fatalf("it waits for more than %d bytes", end-at-used)
			}
			at += used
			frames(t, a.Out)
			for fd.m.waiting != forNothing {
				a.Reset()
				fd.complete(&a)
				frames(t, a.Out)
			}
		}
		fd.end()
	})
}
