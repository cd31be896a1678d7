package machine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// model is a machine and a naive server with two pipes between them, which chance cuts at
// any packet.
type model struct {
	t         *testing.T
	r         *rand.Rand
	v         packet.Version
	m         Machine
	turn      Turn
	up, down  [][]byte // packets on their way to the server and to the client
	connected bool

	// Of the client's messages, by token.
	qos       []byte
	gone      []string // "", "acked", "dropped", "withdrawn"
	sent      []bool
	delivered []int // how often the server took it
	first     [3][]uint64

	// The server.
	known   map[uint16]bool // QoS 2 identifiers received
	later   []packet.Ack    // answers that it takes its time for, in order
	open    map[uint16]bool // received on this connection and not answered
	most    int             // its Receive Maximum
	out     []outgoing      // its own messages
	lastID  uint16
	lost    map[uint64]bool // of its own, with the session
	outQoS  []byte
	got     []int // how often the client took each
	gotIn   [3][]uint64
	session bool // it has one
}

type outgoing struct {
	id       uint16
	token    uint64
	released bool
}

func (m *model) Connected(a *packet.Connack) {}
func (m *model) Message(p *packet.Publish, _ []byte) {
	token := binary.BigEndian.Uint64(p.Payload)
	if m.got[token]++; m.got[token] == 1 {
		m.gotIn[p.QoS] = append(m.gotIn[p.QoS], token)
	} else if p.QoS == 2 {
		m.t.Errorf("QoS 2 message %d came %d times", token, m.got[token])
	}
}
func (m *model) Sent(token uint64) {
	if m.sent[token] || m.gone[token] != "" {
		m.t.Errorf("message %d sent again, or when it was %s", token, m.gone[token])
	}
	m.sent[token] = true
}
func (m *model) Acked(token uint64, _ packet.ReasonCode, _ []byte) { m.end(token, "acked") }
func (m *model) Dropped(token uint64, _ error) {
	if !m.sent[token] {
		m.t.Errorf("message %d dropped before it was sent", token)
	}
	m.end(token, "dropped")
}
func (m *model) Subscribed(uint64, []packet.ReasonCode, []byte)   {}
func (m *model) Unsubscribed(uint64, []packet.ReasonCode, []byte) {}
func (m *model) Disconnected(*packet.Disconnect)                  {}

func (m *model) end(token uint64, how string) {
	if m.gone[token] != "" || how != "withdrawn" && !m.sent[token] {
		m.t.Errorf("message %d is %s after it was %q", token, how, m.gone[token])
	}
	m.gone[token] = how
}

// collect moves what the machine wrote into the pipe.
func (m *model) collect() {
	for b := m.turn.Out; len(b) > 0; {
		_, n, err := packet.Next(b, 0)
		if err != nil || n == 0 {
			m.t.Fatalf("the machine wrote %x: %v", b, err)
		}
		m.up = append(m.up, slices.Clone(b[:n]))
		b = b[n:]
	}
	m.turn.Out = m.turn.Out[:0]
}

func (m *model) toClient(p packet.Packet) { m.down = append(m.down, p.Append(nil, m.v)) }

func (m *model) publish() {
	token := uint64(len(m.qos))
	qos := byte(1 + m.r.IntN(2))
	m.qos, m.gone, m.sent, m.delivered = append(m.qos, qos), append(m.gone, ""), append(m.sent, false), append(m.delivered, 0)
	p := packet.Publish{Topic: []byte("a"), Payload: binary.BigEndian.AppendUint64(nil, token), QoS: qos}
	if err := m.m.Publish(&m.turn, &p, token); err == ErrQueueFull {
		m.gone[token] = "refused"
	} else if err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) withdraw() {
	if len(m.qos) == 0 {
		return
	}
	token := uint64(m.r.IntN(len(m.qos)))
	if want := m.gone[token] == "" && !m.sent[token]; m.m.Withdraw(&m.turn, token) != want {
		m.t.Fatalf("withdraw %d: want %v", token, want)
	} else if want {
		m.end(token, "withdrawn")
	}
}

func (m *model) connect() {
	m.lose()
	if err := m.m.Connect(&m.turn, &Identity{ClientID: []byte("c")}); err != nil {
		m.t.Fatal(err)
	}
	m.collect()
	m.up = nil
	m.connected, m.open = true, map[uint16]bool{}
	present := m.session && m.r.IntN(8) != 0
	if !present {
		for _, o := range m.out {
			m.lost[o.token] = true
		}
		m.out, m.known = nil, map[uint16]bool{}
	}
	m.session, m.most = true, 65535
	ack := &packet.Connack{SessionPresent: present}
	if m.v == packet.V5 && m.r.IntN(2) == 0 {
		m.most = 1 + m.r.IntN(4)
		ack.Properties.SetReceiveMaximum(uint16(m.most))
	}
	m.toClient(ack)
	if !present {
		// A client that does not hear of it could not know: the next CONNACK would say
		// Session Present, of a session that has forgotten all the same.
		m.arrive()
	}
	for _, o := range m.out {
		m.resend(o, true)
	}
}

func (m *model) resend(o outgoing, dup bool) {
	if o.released {
		m.toClient(&packet.Ack{Type: packet.TypePubrel, PacketID: o.id})
		return
	}
	m.toClient(&packet.Publish{Topic: []byte("b"), Payload: binary.BigEndian.AppendUint64(nil, o.token), QoS: m.outQoS[o.token], PacketID: o.id, Dup: dup})
}

func (m *model) lose() {
	m.m.Lost()
	m.connected, m.up, m.down, m.later = false, nil, nil, nil
}

// serverPublishes sends a message to the client.
func (m *model) serverPublishes() {
	if !m.connected {
		return
	}
	m.lastID++
	o := outgoing{id: m.lastID, token: uint64(len(m.outQoS))}
	m.outQoS, m.got = append(m.outQoS, byte(1+m.r.IntN(2))), append(m.got, 0)
	m.out = append(m.out, o)
	m.resend(o, false)
}

// serve lets the server take a packet.
func (m *model) serve() {
	if len(m.up) == 0 {
		return
	}
	b := m.up[0]
	m.up = m.up[1:]
	f, _, _ := packet.Next(b, 0)
	if f.Type == packet.TypePublish {
		m.take(f)
		return
	}
	a := packet.Ack{}
	if err := a.Decode(m.v, f.Header, f.Body); err != nil {
		m.t.Fatalf("server: %s: %v", f.Type, err)
	}
	i := slices.IndexFunc(m.out, func(o outgoing) bool { return o.id == a.PacketID })
	switch {
	case a.Type == packet.TypePubrel:
		m.open[a.PacketID] = true
		m.later = append(m.later, packet.Ack{Type: packet.TypePubcomp, PacketID: a.PacketID})
	case i < 0:
	case a.Type == packet.TypePubrec:
		m.out[i].released = true
		m.resend(m.out[i], true)
	default:
		m.out = slices.Delete(m.out, i, i+1)
	}
	m.window()
}

// take takes a PUBLISH.
func (m *model) take(f packet.Frame) {
	p := packet.Publish{}
	if err := p.Decode(m.v, f.Header, f.Body); err != nil {
		m.t.Fatal(err)
	}
	token := binary.BigEndian.Uint64(p.Payload)
	again := m.delivered[token] > 0
	if !p.Dup && again {
		m.t.Errorf("message %d came again without DUP", token)
	}
	m.open[p.PacketID] = true
	answer := packet.TypePuback
	if p.QoS == 2 {
		answer = packet.TypePubrec
	}
	if p.QoS == 1 || !m.known[p.PacketID] {
		m.delivered[token]++
		if !again {
			m.first[p.QoS] = append(m.first[p.QoS], token)
		}
	}
	if p.QoS == 2 {
		m.known[p.PacketID] = true
	}
	m.later = append(m.later, packet.Ack{Type: answer, PacketID: p.PacketID})
	m.window()
}

func (m *model) window() {
	if len(m.open) > m.most {
		m.t.Errorf("%d messages under way, the Receive Maximum is %d [MQTT-4.9.0-2]", len(m.open), m.most)
	}
}

// reply sends the server's next answer.
func (m *model) reply() {
	if len(m.later) == 0 {
		return
	}
	a := m.later[0]
	m.later = m.later[1:]
	if a.Type != packet.TypePubrec {
		delete(m.open, a.PacketID)
	}
	if a.Type == packet.TypePubcomp {
		delete(m.known, a.PacketID)
	}
	m.toClient(&a)
}

// arrive lets the client take a few packets at once.
func (m *model) arrive() {
	n := min(len(m.down), 1+m.r.IntN(3))
	in := slices.Concat(m.down[:n]...)
	m.down = m.down[n:]
	if used, err := m.m.Input(&m.turn, in); n > 0 && (err != nil || used != len(in)) {
		m.t.Fatalf("input %x: %d %v", in, used, err)
	}
}

func (m *model) step() {
	switch k := m.r.IntN(40); {
	case k < 8:
		m.publish()
	case k < 16:
		m.serve()
	case k < 24:
		m.reply()
	case k < 32:
		m.arrive()
	case k < 36:
		m.serverPublishes()
	case k < 37:
		m.withdraw()
	case k < 38:
		m.lose()
	case !m.connected || k == 39 && m.r.IntN(4) == 0:
		m.connect()
	}
	m.collect()
	if s := m.m.session; s != nil && (s.empty() || s.size != measured(s)) {
		m.t.Fatalf("a session of %d bytes counts %d, empty: %v", measured(s), s.size, s.empty())
	}
	if n := m.m.Unacknowledged(); n != m.living() {
		m.t.Fatalf("%d messages are unacknowledged, want %d", n, m.living())
	}
}

func (m *model) living() (n int) {
	for _, how := range m.gone {
		if how == "" {
			n++
		}
	}
	return n
}

// finish lets everything arrive, and judges.
func (m *model) finish() {
	if !m.connected {
		m.connect()
	}
	for range 100_000 {
		if m.collect(); len(m.up)+len(m.down)+len(m.later) == 0 {
			break
		}
		m.serve()
		m.reply()
		if len(m.down) > 0 {
			m.arrive()
		}
	}
	for token, how := range m.gone {
		n := m.delivered[token]
		ok := how != ""
		switch {
		case how == "acked" && m.qos[token] == 2:
			ok = n == 1
		case how == "acked":
			ok = n >= 1
		case how == "dropped" && m.qos[token] == 2:
			ok = n <= 1
		case how == "withdrawn" || how == "refused":
			ok = n == 0
		}
		if !ok {
			m.t.Errorf("message %d of QoS %d was %q and delivered %d times", token, m.qos[token], how, n)
		}
	}
	for token, n := range m.got {
		if n == 0 && !m.lost[uint64(token)] {
			m.t.Errorf("the server's message %d did not arrive", token)
		}
	}
	for qos := 1; qos <= 2; qos++ { // [MQTT-4.6.0-1] [MQTT-4.6.0-5]
		if !slices.IsSorted(m.first[qos]) || !slices.IsSorted(m.gotIn[qos]) {
			m.t.Errorf("QoS %d out of order: %d, %d", qos, m.first[qos], m.gotIn[qos])
		}
	}
	if m.m.session != nil {
		m.t.Errorf("all is done, and a session with %d entries, %v is kept", m.m.session.used, m.m.session.received)
	}
}

// TestModel: whatever happens between, QoS 1 arrives at least once, QoS 2 exactly once, each
// in its order, and every message ends once.
func TestModel(t *testing.T) {
	for seed := range uint64(200) {
		v := []packet.Version{packet.V5, packet.V311}[seed%2]
		t.Run(fmt.Sprintf("%s seed %d", v, seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			m := &model{t: t, r: r, v: v, known: map[uint16]bool{}, lost: map[uint64]bool{}}
			m.m.Init(&Config{Version: v, SessionExpiry: 60, MaxInflight: uint16(1 + r.IntN(6)), MaxQueue: uint16(1 + r.IntN(10))})
			m.m.last = uint16(r.Uint32()) // identifiers wrap, too
			m.turn.Handler = m
			for range 600 {
				m.step()
				if t.Failed() {
					return
				}
			}
			m.finish()
		})
	}
}
