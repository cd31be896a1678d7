package mqttsn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/internal/simnet"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// site is a gateway behind the real edge on a network in memory.
type site struct {
	t     *testing.T
	gw    *coretest.Gateway
	store *coretest.MemStore
	net   *simnet.Network
	cfg   Config
	lc    protocols.ListenerConfig
	close func()
}

func newSite(t *testing.T, seed uint64, lc protocols.ListenerConfig) *site {
	s := &site{t: t, store: coretest.NewMemStore(), net: simnet.New(seed), cfg: DefaultConfig(), lc: lc}
	s.cfg.Retries = 5
	s.open()
	return s
}

// open starts the gateway on what the store holds.
func (s *site) open() {
	s.gw = coretest.Start(s.t, s.store, nil)
	cfg := protocols.DefaultConfig()
	lc := s.lc
	lc.Given, lc.Protocol, lc.Transport = true, "mqttsn", protocols.UDP
	cfg.Listeners["mqttsn"] = &lc
	srv, err := protocols.NewServer(cfg, s.gw.Gateway, []protocols.Adapter{New(s.cfg, s.gw.Gateway)}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := s.net.ListenPacket("gateway:1884")
	if err != nil {
		s.t.Fatal(err)
	}
	if err := srv.Open(); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- srv.Run(ctx) }()
	go func() { ended <- srv.ServePacket(c, "mqttsn") }()
	synctest.Wait()
	s.close = func() {
		cancel()
		if err := errors.Join(<-ended, <-ended); err != nil {
			s.t.Error(err)
		}
	}
}

// mote is a client of MQTT-SN, simple as they are: one request after the other, each sent
// again until it is answered. Whatever comes meanwhile is acknowledged.
type mote struct {
	t     *testing.T
	id    string
	sock  *simnet.PacketConn
	next  uint16
	names map[uint16]string
	open  map[uint16]bool // QoS 2 messages whose PUBREL has not come
	got   []string
	told  bool // by DISCONNECT that it is not connected
	deaf  bool // it does not hear the next PUBLISH
}

func (s *site) mote(id string) *mote {
	sock, err := s.net.ListenPacket("10.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	return &mote{t: s.t, id: id, sock: sock, names: map[uint16]string{}, open: map[uint16]bool{}}
}

type hostPort string

func (hostPort) Network() string  { return "udp" }
func (n hostPort) String() string { return string(n) }

func (m *mote) send(p packet.Packet) { m.sock.WriteTo(p.Append(nil), hostPort("gateway:1884")) }

// moteTries is how often a mote asks; with 5 % loss nothing is asked so often in vain.
const moteTries = 10

// ask sends p until answered says that a message is the answer; false where the gateway
// says that the mote is not connected, or nothing.
func (m *mote) ask(p packet.Packet, answered func(packet.Packet) bool) bool {
	m.told = false
	for range moteTries {
		m.send(p)
		if pub, ok := p.(*packet.Publish); ok {
			pub.Dup = true
		}
		if m.listen(12*time.Second, answered) {
			return true
		}
		if m.told {
			return false
		}
	}
	return false
}

// listen takes what comes until answered says that it is enough, or the time is over.
func (m *mote) listen(d time.Duration, answered func(packet.Packet) bool) bool {
	m.sock.SetReadDeadline(time.Now().Add(d))
	b := make([]byte, 2048)
	for {
		n, _, err := m.sock.ReadFrom(b)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			return false
		}
		f, err := packet.Parse(b[:n])
		if err != nil {
			m.t.Errorf("%s received % x: %v", m.id, b[:n], err)
			return false
		}
		p := packet.New(f.Type)
		if err := p.Decode(f); err != nil {
			m.t.Errorf("%s received % x: %v", m.id, b[:n], err)
			return false
		}
		m.take(p)
		if answered != nil && answered(p) {
			return true
		}
		if m.told {
			return false
		}
	}
}

// take acknowledges what a client must.
func (m *mote) take(p packet.Packet) {
	switch p := p.(type) {
	case *packet.Register:
		m.names[p.TopicID] = string(p.Topic)
		m.send(&packet.Topicack{Type: packet.TypeRegack, TopicID: p.TopicID, MessageID: p.MessageID})
	case *packet.Publish:
		if m.deaf {
			m.deaf = false
			return
		}
		m.receive(p)
	case *packet.Ack:
		if p.Type == packet.TypePubrel {
			delete(m.open, p.MessageID)
			m.send(&packet.Ack{Type: packet.TypePubcomp, MessageID: p.MessageID})
		}
	case *packet.Disconnect:
		m.told = true
	}
}

func (m *mote) receive(p *packet.Publish) {
	if p.IDType == packet.NormalID && m.names[p.TopicID] == "" {
		m.t.Errorf("%s received a PUBLISH with topic id %d, which it does not know", m.id, p.TopicID)
	}
	switch {
	case p.QoS == 2 && m.open[p.MessageID]:
	case p.QoS == 2:
		m.open[p.MessageID] = true
		fallthrough
	default:
		m.got = append(m.got, string(p.Data))
	}
	switch p.QoS {
	case 1:
		m.send(&packet.Topicack{Type: packet.TypePuback, TopicID: p.TopicID, MessageID: p.MessageID})
	case 2:
		m.send(&packet.Ack{Type: packet.TypePubrec, MessageID: p.MessageID})
	}
}

func (m *mote) connect() {
	for range moteTries {
		ok := m.ask(&packet.Connect{ClientID: []byte(m.id), Duration: 60}, func(p packet.Packet) bool {
			c, ok := p.(*packet.Connack)
			return ok && c.Code == packet.Accepted
		})
		if ok {
			return
		}
	}
	m.t.Errorf("%s cannot connect", m.id)
}

func (m *mote) subscribe(filter string, qos uint8) {
	m.next++
	id := m.next
	ok := m.ask(&packet.Subscribe{Type: packet.TypeSubscribe, QoS: qos, MessageID: id, Topic: []byte(filter)}, func(p packet.Packet) bool {
		a, ok := p.(*packet.Suback)
		if ok && a.TopicID != 0 {
			m.names[a.TopicID] = filter
		}
		return ok && a.MessageID == id && a.Code == packet.Accepted
	})
	if !ok {
		m.t.Errorf("%s cannot subscribe", m.id)
	}
}

// publish says whether the message was acknowledged.
func (m *mote) publish(short, text string, qos uint8) bool {
	m.next++
	id := m.next
	p := &packet.Publish{QoS: qos, IDType: packet.ShortName, TopicID: uint16(short[0])<<8 | uint16(short[1]), MessageID: id, Data: []byte(text)}
	isAck := func(t packet.Type) func(packet.Packet) bool {
		return func(p packet.Packet) bool {
			a, ok := p.(*packet.Ack)
			return ok && a.Type == t && a.MessageID == id
		}
	}
	if qos == 1 {
		return m.ask(p, func(p packet.Packet) bool {
			a, ok := p.(*packet.Topicack)
			return ok && a.Type == packet.TypePuback && a.MessageID == id && a.Code == packet.Accepted
		})
	}
	return m.ask(p, isAck(packet.TypePubrec)) && m.ask(&packet.Ack{Type: packet.TypePubrel, MessageID: id}, isAck(packet.TypePubcomp))
}

// sleep goes to sleep for d and wakes after half of it. False: it has to connect.
func (m *mote) sleep(d time.Duration) bool {
	m.ask(&packet.Disconnect{Sleeps: true, Duration: uint16(d / time.Second)}, func(p packet.Packet) bool {
		_, ok := p.(*packet.Disconnect)
		return ok
	})
	return m.wake(d / 2)
}

// wake sleeps on for d, then fetches.
func (m *mote) wake(d time.Duration) bool {
	time.Sleep(d)
	m.sock.SetReadDeadline(time.Now().Add(time.Nanosecond))
	for b := make([]byte, 2048); ; { // its radio was off
		if _, _, err := m.sock.ReadFrom(b); err != nil {
			break
		}
	}
	return m.ask(&packet.Pingreq{ClientID: []byte(m.id)}, func(p packet.Packet) bool {
		b, ok := p.(*packet.Bare)
		return ok && b.Type == packet.TypePingresp
	})
}

// TestLossyRadio: motes publish, others sleep and fetch, over a network that loses and
// reorders one datagram in twenty. Nothing acknowledged is lost, nothing of QoS 2 comes
// twice.
func TestLossyRadio(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { lossyRadio(t, seed) })
		})
	}
}

const (
	lossyPairs    = 8
	lossyMessages = 20
)

func lossyRadio(t *testing.T, seed uint64) {
	s := newSite(t, seed, protocols.ListenerConfig{})
	s.net.SetConditions(simnet.Conditions{Latency: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.05, Reorder: 0.05})
	type result struct {
		acked []string
		got   []string
		qos   uint8
	}
	results := make(chan result)
	for i := range lossyPairs {
		go func() {
			r := result{qos: uint8(1 + i%2)}
			topic := fmt.Sprintf("t%d", i)
			sub, pub := s.mote("sub"+topic), s.mote("pub"+topic)
			defer sub.sock.Close()
			defer pub.sock.Close()
			sub.connect()
			sub.subscribe(topic, r.qos)
			pub.connect()
			done := make(chan []string)
			go func() {
				var acked []string
				for n := range lossyMessages {
					text := fmt.Sprint(topic, "-", n)
					for !pub.publish(topic, text, r.qos) {
						if text += "'"; !pub.told { // another message: the first may have come
							t.Errorf("%s was not acknowledged", text)
						}
						pub.connect()
					}
					acked = append(acked, text)
				}
				done <- acked
			}()
			for round := 0; r.acked == nil || round < 5 || !includes(sub.got, r.acked) && round < 60; round++ {
				if !sub.sleep(30 * time.Second) {
					sub.connect()
				}
				select {
				case r.acked = <-done:
				default:
				}
			}
			r.got = sub.got
			results <- r
		}()
	}
	for range lossyPairs {
		r := <-results
		if !includes(r.got, r.acked) {
			t.Errorf("acknowledged %d: %q\nreceived %q", len(r.acked), r.acked, r.got)
		}
		if slices.Sort(r.got); r.qos == 2 && len(slices.Compact(slices.Clone(r.got))) != len(r.got) {
			t.Errorf("QoS 2 came twice: %q", r.got)
		}
	}
	st := s.net.Stats()
	t.Logf("%d datagrams, %d lost, %d reordered", st.Datagrams, st.Lost, st.Reordered)
	if st.Lost == 0 || st.Reordered == 0 {
		t.Error("the network did nothing")
	}
	s.close()
}

func includes(got, want []string) bool {
	for _, w := range want {
		if !slices.Contains(got, w) {
			return false
		}
	}
	return true
}

// TestFirstMessageLost: a client that has said no more than CONNECT and SUBSCRIBE gets its
// first message though the network loses it: what may be sent to an address that nobody has
// proven is enough for repetitions, or for asking for the proof.
func TestFirstMessageLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, protocols.ListenerConfig{})
		m := s.mote("sensor-3")
		defer m.sock.Close()
		m.connect()
		m.subscribe("order/3", 1)
		m.deaf = true
		s.gw.T.Begin(time.Now())
		s.gw.PublishInternal(s.gw.T, &core.Message{Topic: "order/3", QoS: 1, Payload: []byte(strings.Repeat("x", 40))})
		s.gw.T.End()
		m.listen(50*time.Second, nil)
		if len(m.got) != 1 {
			t.Errorf("received %q", m.got)
		}
		s.close()
	})
}

// TestAddressChange: a sleeping client behind NAT wakes from another address, before and
// after the gateway was killed: without a word where the listener allows it, else it is
// told to connect. Either way it gets all of its queue.
func TestAddressChange(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		for _, killed := range []bool{true, false} {
			t.Run(fmt.Sprintf("allowed %v, killed %v", allowed, killed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { addressChange(t, allowed, killed) })
			})
		}
	}
}

func addressChange(t *testing.T, allowed, killed bool) {
	s := newSite(t, 1, protocols.ListenerConfig{AddressChange: allowed})
	m := s.mote("sensor-0001")
	defer m.sock.Close()
	m.connect()
	m.subscribe("aaa", 1)
	m.sleep(100 * time.Second)
	for i := range 100 {
		s.gw.T.Begin(time.Now())
		s.gw.PublishInternal(s.gw.T, &core.Message{Topic: "aaa", QoS: 1, Payload: fmt.Append(nil, i)})
		s.gw.T.End()
	}
	synctest.Wait()
	if killed {
		s.store.Hold() // nothing of the old gateway's end reaches the store
		s.close()
		s.store.Crash()
		s.open()
	}
	if err := m.sock.Rebind("10.9.9.9:0"); err != nil {
		t.Fatal(err)
	}
	clear(m.names)
	if allowed {
		m.names[1] = "aaa" // it was told before, and is not told again
	}
	if awake := m.wake(time.Second); awake != allowed {
		t.Fatalf("woke: %v", awake)
	}
	if !allowed {
		m.connect()
		m.listen(time.Minute, nil)
	}
	if len(m.got) != 100 {
		t.Errorf("%d messages", len(m.got))
	}
	for i, text := range m.got {
		if text != fmt.Sprint(i) {
			t.Errorf("message %d is %s", i, text)
			break
		}
	}
	s.close()
}
