package fleet

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/internal/simnet"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
)

const mote = `
title = "A mote"
broker = "mem://10.0.0.1:1884"
duration = "40s"
settle = "10s"

[groups.mote]
protocol = "mqttsn"
durable = true
keep_alive = "10s"
retry = "500ms"
subscribe.own = { filter = "order/{n}", qos = 1 }
publish.reading = { topic = "field/{n}", qos = 1, every = "3s" }
`

// deaf is a gateway for motes that does not hear the first messages of some types, as when
// the network loses them.
type deaf struct {
	conn net.PacketConn
	skip map[packet.Type]int
}

func (g *deaf) serve() {
	buf := make([]byte, 2048)
	for {
		n, from, err := g.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		f, err := packet.Parse(buf[:n])
		if err != nil {
			continue
		}
		if g.skip[f.Type] > 0 {
			g.skip[f.Type]--
			continue
		}
		if out := g.answer(f); out != nil {
			_, _ = g.conn.WriteTo(out.Append(nil), from)
		}
	}
}

func (g *deaf) answer(f packet.Frame) packet.Packet {
	p := packet.New(f.Type)
	if p.Decode(f) != nil {
		return nil
	}
	switch p := p.(type) {
	case *packet.Connect:
		return &packet.Connack{}
	case *packet.Subscribe:
		return &packet.Suback{QoS: p.QoS, TopicID: 1, MessageID: p.MessageID}
	case *packet.Register:
		return &packet.Topicack{Type: packet.TypeRegack, TopicID: 2, MessageID: p.MessageID}
	case *packet.Publish:
		return &packet.Topicack{Type: packet.TypePuback, TopicID: p.TopicID, MessageID: p.MessageID}
	case *packet.Pingreq:
		return &packet.Bare{Type: packet.TypePingresp}
	case *packet.Disconnect:
		return &packet.Disconnect{}
	}
	return nil
}

// runMote plays the mote against a gateway that is deaf at first.
func runMote(t *testing.T, skip map[packet.Type]int, sets ...string) *report.Run {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mote.toml")
	if err := os.WriteFile(path, []byte(mote), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Load(path, append(sets, "seed=1"))
	if err != nil {
		t.Fatal(err)
	}
	n := simnet.New(1)
	conn, err := n.ListenPacket("10.0.0.1:1884")
	if err != nil {
		t.Fatal(err)
	}
	g := &deaf{conn: conn, skip: skip}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.serve()
	}()
	defer func() {
		conn.Close()
		<-ended
	}()
	fl, err := New(Options{Scenario: s, Streams: Memory(n), Packets: MemoryPackets(n), Loops: 1, Portable: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := fl.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSubscribeUnansweredKeepsSession: a device whose SUBSCRIBE was never answered takes its
// connection for lost and connects again; its session stood all the time, whatever came of
// the subscription.
func TestSubscribeUnansweredKeepsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := runMote(t, map[packet.Type]int{packet.TypeSubscribe: 5})
		if !r.Passed || r.Verdict.Faults[oracle.SessionLost] != 0 || r.Verdict.Asked != 2 || r.Verdict.Total.Acked == 0 {
			t.Errorf("%s", report.Text(r))
		}
	})
}

// TestConnectUnansweredIsNoRefusal: a CONNECT that nobody answered is counted apart, and
// fails the run only where more of them are than the scenario expects.
func TestConnectUnansweredIsNoRefusal(t *testing.T) {
	for set, passes := range map[string]bool{"expect.unanswered=0.5": true, "expect.unanswered=0.4": false, "expect.unanswered=0": false} {
		t.Run(set, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := runMote(t, map[packet.Type]int{packet.TypeConnect: 5}, set)
				if r.Passed != passes || r.Verdict.Unanswered != 1 || r.Verdict.Asked != 2 || len(r.Verdict.Refusals) != 0 {
					t.Errorf("passed %v, %d of %d unanswered\n%s", r.Passed, r.Verdict.Unanswered, r.Verdict.Asked, report.Text(r))
				}
			})
		})
	}
}
