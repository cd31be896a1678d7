package hostile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// pace is how often the innocent publish.
const pace = 2 * time.Millisecond

// pair are the innocent: a publisher and a subscriber that live through an attack. What
// the one publishes at QoS 1 must be acknowledged and reach the other, in order. They
// are in a process of their own, see innocents.
type pair struct {
	pub, sub *peer
	stop     chan struct{}
	quiet    chan struct{} // closed when nothing more is published
	wg       sync.WaitGroup

	mu      sync.Mutex
	sent    uint64
	acked   uint64
	got     uint64
	took    []time.Duration // publish to arrival, since the last mark
	came    []time.Duration // dial to CONNACK, since the last mark
	refused int             // connects, since the last mark
	faults  []error
}

// startPair begins to publish until finish.
func startPair(t *testing.T, address string) *pair {
	t.Helper()
	n := &pair{stop: make(chan struct{}), quiet: make(chan struct{})}
	n.sub = connect(t, address, "innocent-sub")
	if codes := n.sub.subscribed(t, subscribe(1, 1, "innocent/+")); codes[0] != 1 {
		t.Fatalf("the innocent may not subscribe: %v", codes)
	}
	n.pub = connect(t, address, "innocent-pub")
	n.sub.SetDeadline(time.Time{})
	n.pub.SetDeadline(time.Time{})
	n.wg.Go(n.receive)
	n.wg.Go(n.acknowledged)
	n.wg.Go(n.publish)
	n.wg.Go(func() { n.arrivals(address) })
	return n
}

func (n *pair) fault(format string, a ...any) {
	n.mu.Lock()
	n.faults = append(n.faults, fmt.Errorf(format, a...))
	n.mu.Unlock()
}

func (n *pair) publish() {
	defer close(n.quiet)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for seq := uint64(0); ; seq++ {
		select {
		case <-n.stop:
			return
		case now := <-tick.C:
			payload := binary.BigEndian.AppendUint64(nil, seq)
			payload = binary.BigEndian.AppendUint64(payload, uint64(now.UnixNano()))
			n.mu.Lock()
			n.sent++
			n.mu.Unlock()
			if err := n.pub.raw(bytesOf(publish("innocent/topic", 1, uint16(seq%60_000)+1, payload))); err != nil {
				n.fault("publish %d: %w", seq, err)
				return
			}
		}
	}
}

// acknowledged counts the publisher's PUBACKs.
func (n *pair) acknowledged() {
	for {
		f, err := n.pub.next()
		if err != nil {
			return // finish knows how many were due
		}
		if f.Type == packet.TypeDisconnect {
			n.fault("the publisher was told to leave: % x", f.Body)
		}
		n.mu.Lock()
		n.acked++
		n.mu.Unlock()
	}
}

func (n *pair) receive() {
	var p packet.Publish
	for {
		f, err := n.sub.next()
		if err != nil {
			return
		}
		if f.Type != packet.TypePublish {
			n.fault("the subscriber got a %v: % x", f.Type, f.Body)
			continue
		}
		if err := p.Decode(packet.V5, f.Header, f.Body); err != nil {
			n.fault("decode: %w", err)
			return
		}
		n.arrived(&p)
		if err := n.sub.raw(packet.AppendAck(nil, packet.V5, packet.TypePuback, p.PacketID, 0)); err != nil {
			if !errors.Is(err, net.ErrClosed) { // finish does not wait for the last one
				n.fault("acknowledge: %w", err)
			}
			return
		}
	}
}

func (n *pair) arrived(p *packet.Publish) {
	seq := binary.BigEndian.Uint64(p.Payload)
	at := time.Unix(0, int64(binary.BigEndian.Uint64(p.Payload[8:])))
	n.mu.Lock()
	defer n.mu.Unlock()
	if seq != n.got {
		n.faults = append(n.faults, fmt.Errorf("message %d came where %d was due", seq, n.got))
	}
	n.got = seq + 1
	n.took = append(n.took, time.Since(at))
}

// mark tells how they were served since the mark before.
func (n *pair) mark() service {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := service{Messages: latencyOf(n.took), Connects: latencyOf(n.came), Refused: n.refused}
	n.took, n.came, n.refused = nil, nil, 0
	return s
}

func latencyOf(took []time.Duration) latency {
	if len(took) == 0 {
		return latency{}
	}
	slices.Sort(took)
	return latency{P50: took[len(took)/2], P99: took[len(took)*99/100]}
}

// await waits until count more messages have arrived.
func (n *pair) await(t *testing.T, count int) {
	t.Helper()
	n.mu.Lock()
	want := n.got + uint64(count)
	n.mu.Unlock()
	eventually(t, fmt.Sprintf("%d messages between the innocent", count), func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.got >= want || len(n.faults) > 0
	})
}

// finish stops publishing and demands that all was acknowledged and arrived.
func (n *pair) finish(t *testing.T) {
	t.Helper()
	close(n.stop)
	<-n.quiet
	eventually(t, "everything the innocent published", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.got == n.sent && n.acked == n.sent || len(n.faults) > 0
	})
	n.sub.Close()
	n.pub.Close()
	n.wg.Wait()
	for _, err := range n.faults[:min(len(n.faults), 5)] {
		t.Error(err)
	}
	if n.got != n.sent || n.acked != n.sent {
		t.Errorf("of %d messages %d were acknowledged and %d arrived", n.sent, n.acked, n.got)
	}
}
