package hostile

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestRetainedToEverything subscribes to # where very many messages are retained
// (a million with -full): all of them must come, each once, while memory stays
// bounded and others are served as before. The last of the three latencies is the
// control: the same replay by another gateway on the same machine.
func TestRetainedToEverything(t *testing.T) {
	count := size(20_000, 1_000_000)
	g, beside := startGateway(t, nil), startGatewayAt(t, ofDecoy, nil)
	for _, one := range []*gateway{g, beside} {
		began, before := time.Now(), resident(one.ready.PID, "VmRSS:")
		retainMany(t, one, count)
		t.Logf("%d retained in %v, %d bytes each", count, time.Since(began).Round(time.Millisecond), (resident(one.ready.PID, "VmRSS:")-before)/int64(count))
	}
	n := startInnocents(t, g.ready.Listeners["mqtt"])
	n.await(t, 50)
	n.mark(t)
	n.await(t, size(100, 2000))
	before := n.mark(t)
	for _, qos := range []byte{0, 1} {
		m := startMeter(g.ready.PID)
		took := replayAll(t, g, qos, count)
		grown, during := m.done(), n.mark(t)
		replayAll(t, beside, qos, count)
		control := n.mark(t)
		t.Logf("# at QoS %d: %d messages in %v, %.1f MiB more; innocents p50/p99 in ms: before %v, during %v, control %v; connects: %v, %v, %v",
			qos, count, took.Round(time.Millisecond), float64(grown)/(1<<20), before.Messages, during.Messages, control.Messages, before.Connects, during.Connects, control.Connects)
		if grown > ceiling {
			t.Errorf("a replay at QoS %d costs %d MiB", qos, grown>>20)
		}
	}
	n.finish(t)
}

// retainMany sets count retained messages of a hundred bytes, a window at a time.
func retainMany(t *testing.T, g *gateway, count int) {
	t.Helper()
	const window = 1000
	p := connect(t, g.ready.Listeners["mqtt"], "keeper")
	payload := make([]byte, 100)
	for from := 0; from < count; from += window {
		var batch []byte
		for i := from; i < min(from+window, count); i++ {
			one := retained(fmt.Sprintf("site/%d/meter/%d", i/1000, i), 1, payload)
			one.PacketID = uint16(i-from) + 1
			batch = append(batch, bytesOf(one)...)
		}
		if err := p.raw(batch); err != nil {
			t.Fatal(err)
		}
		var ack packet.Ack
		for range min(window, count-from) {
			p.expect(t, packet.TypePuback, &ack)
		}
	}
}

// replayAll subscribes to # and reads until each of the count messages came once.
func replayAll(t *testing.T, g *gateway, qos byte, count int) time.Duration {
	t.Helper()
	p := connect(t, g.ready.Listeners["mqtt"], "everything")
	defer p.Close()
	p.SetDeadline(time.Now().Add(2 * time.Minute))
	began := time.Now()
	if _, err := p.Write(bytesOf(subscribe(1, qos, "#"))); err != nil {
		t.Fatal(err)
	}
	seen, acks := make([]bool, count), []byte(nil)
	for got := 0; got < count; {
		pub, err := p.nextPublish()
		if err != nil {
			t.Fatalf("after %d of %d messages: %v", got, count, err)
		}
		if pub.QoS > 0 {
			acks = packet.AppendAck(acks, packet.V5, packet.TypePuback, pub.PacketID, 0)
		}
		if len(p.in) < 64 { // all but the last of what came
			if _, err := p.Write(acks); err != nil {
				t.Fatal(err)
			}
			acks = acks[:0]
		}
		if !pub.Retain {
			continue // of the innocent
		}
		i, err := strconv.Atoi(string(pub.Topic[bytes.LastIndexByte(pub.Topic, '/')+1:]))
		if err != nil || i >= count || seen[i] {
			t.Fatalf("%q: unknown, or a second time", pub.Topic)
		}
		seen[i] = true
		got++
	}
	return time.Since(began)
}

// nextPublish reads on to the next PUBLISH.
func (p *peer) nextPublish() (pub packet.Publish, err error) {
	f, err := p.next()
	for err == nil && f.Type != packet.TypePublish {
		f, err = p.next()
	}
	if err == nil {
		err = pub.Decode(packet.V5, f.Header, f.Body)
	}
	return pub, err
}
