package hostile

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestQueues are the attacks on what the gateway keeps for others.
func TestQueues(t *testing.T) {
	run(t, []attack{
		{name: "never reads, QoS 0", does: "subscribes and never reads, while 60 KiB messages are published to it", holds: "outgoing_full, 8 MiB", wage: func(t *testing.T, at *arena) {
			neverReads(t, at, "outgoing_full", publish("hostile/never", 0, 0, bytes.Repeat([]byte("x"), 60_000)))
		}, reasons: []string{"outgoing_full"}, ceiling: unread},
		{name: "never reads, QoS 1", does: "the same at QoS 1", holds: "queue_bytes_full, 8 MiB", wage: func(t *testing.T, at *arena) {
			neverReads(t, at, "queue_bytes_full", publish("hostile/never", 1, 1, bytes.Repeat([]byte("x"), 60_000)))
		}, reasons: []string{"queue_bytes_full"}, ceiling: unread},
		{name: "never reads, small messages", does: "the same at QoS 1 with messages of one byte", holds: "queue_bytes_full", wage: func(t *testing.T, at *arena) {
			neverReads(t, at, "queue_bytes_full", publish("hostile/never", 1, 1, []byte("x")))
		}, reasons: []string{"queue_bytes_full"}, ceiling: unread},
		{name: "never reads, User Properties", does: "the same with 8 KiB of User Properties in each message of one byte", holds: "queue_bytes_full: they count", wage: func(t *testing.T, at *arena) { neverReads(t, at, "queue_bytes_full", decorated()) }, reasons: []string{"queue_bytes_full"}, ceiling: unread},
		{name: "never reads replies", does: "sends PINGREQ without end and never reads", holds: "reading from it stops at 64 KiB of replies", wage: unreadPings},
		{name: "ping flood", does: "sends PINGREQ without end and reads the answers", holds: "every one answered", wage: readPings},
		{name: "retained flood", does: "sets ever new retained messages", holds: "0x97, retained_limit", settings: []string{"core.max_retained=1000"}, wage: retainedFlood, after: retainedFew, reasons: []string{"retained_limit"}},
		{name: "retained bytes", does: "sets retained messages of 60 KiB", holds: "a bound in bytes", settings: []string{"core.max_retained_bytes=8MiB"}, wage: retainedBytes},
		{name: "retained replays", does: "subscribes again and again to what is retained and acknowledges nothing", holds: "one replay for each subscription", wage: retainedReplays},
		{name: "replays of nothing", does: "subscribes to a thousand filters of which none matches what is retained in plenty", holds: "a slice of the search a turn", wage: emptyReplays},
	})
}

// unread is what a client that does not read may cost at most: its queue of 8 MiB, as
// much garbage, what the sockets and the attacker's own connection need.
const unread = 40 << 20

// decorated is a message that is all User Properties.
func decorated() *packet.Publish {
	p := publish("hostile/never", 1, 1, []byte("x"))
	for range 60 {
		p.Properties.AddUser([]byte("k"), bytes.Repeat([]byte("v"), 120))
	}
	return p
}

// neverReads publishes to a subscriber whose socket is full, and on until the gateway
// counts the reason.
func neverReads(t *testing.T, at *arena, reason string, one *packet.Publish) {
	qos := one.QoS
	victim := connect(t, at.mqtt, "attacker")
	victim.subscribed(t, subscribe(1, qos, "hostile/never"))
	victim.Conn.(*net.TCPConn).SetReadBuffer(4096)
	p := connect(t, at.mqtt, "attacker-2")
	if qos > 0 {
		go p.drain()
	}
	batch := bytesOf(one)
	for len(batch) < 60_000 {
		batch = append(batch, bytesOf(one)...)
	}
	counted := at.reason(t, reason)
	stop := time.Now().Add(2 * span())
	for late := stop.Add(patience); p.raw(batch) == nil && time.Now().Before(late); {
		if time.Now().After(stop) && at.reason(t, reason) > counted {
			return
		}
	}
}

// unreadPings: the socket's buffers fill, then the gateway reads no more.
func unreadPings(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	p.Conn.(*net.TCPConn).SetReadBuffer(4096)
	ping := bytes.Repeat([]byte{0xC0, 0}, 16<<10)
	t.Logf("%d KiB of PINGREQ taken", p.flood(time.Now().Add(2*span()), func(int) []byte { return ping })>>10)
}

func readPings(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	go p.drain()
	ping := bytes.Repeat([]byte{0xC0, 0}, 1<<10)
	t.Logf("%d KiB of PINGREQ taken", p.flood(time.Now().Add(span()), func(int) []byte { return ping })>>10)
}

func retained(topic string, qos byte, payload []byte) *packet.Publish {
	p := publish(topic, qos, 1, payload)
	p.Retain = true
	return p
}

func retainedFlood(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	var all []byte
	for i := range 2000 {
		all = append(all, bytesOf(retained(fmt.Sprint("hostile/retained/", i), 0, []byte("x")))...)
	}
	if err := p.raw(all); err != nil {
		t.Fatal(err)
	}
	answered(t, p, packet.ReasonQuotaExceeded, retained("hostile/retained/one-more", 1, []byte("x")))
}

// retainedFew: the gateway's own figures below $SYS stand outside of the bound.
func retainedFew(t *testing.T, at *arena) {
	if n := at.metrics(t)["fairlead_retained"]; n > 1100 {
		t.Errorf("%v retained messages", n)
	}
}

func retainedBytes(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	payload := bytes.Repeat([]byte("x"), 60_000)
	for i := range size(2000, 10_000) {
		if err := p.raw(bytesOf(retained(fmt.Sprint("hostile/retained/", i), 0, payload))); err != nil {
			t.Fatal(err)
		}
	}
	at.settled(t, p)
}

// emptyReplays has everything that is retained looked through a thousand times.
func emptyReplays(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	for i := range size(20, 100) {
		var all []byte
		for k := range 1000 {
			all = append(all, bytesOf(retained(fmt.Sprint("hostile/", i*1000+k, "/x"), 0, []byte("x")))...)
		}
		if err := p.raw(all); err != nil {
			t.Fatal(err)
		}
	}
	at.settled(t, p)
	at.innocents.mark(t) // only the searching counts
	at.meter.rebase()
	var none []string
	for i := range 1000 {
		none = append(none, fmt.Sprint("hostile/+/", i))
	}
	p.subscribed(t, subscribe(1, 0, none...))
	at.innocents.await(t, size(100, 2000))
	at.settled(t, p)
}

// retainedReplays: a client whose window is shut never finishes a replay.
func retainedReplays(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker", func(c *packet.Connect) { c.Properties.SetReceiveMaximum(1) })
	var all []byte
	for i := range 500 {
		all = append(all, bytesOf(retained(fmt.Sprintf("hostile/%d/x", i), 1, []byte("x")))...)
	}
	p.send(t, subscribe(1, 1, "hostile/+/x"))
	if err := p.raw(all); err != nil {
		t.Fatal(err)
	}
	go p.drain()
	again := bytesOf(subscribe(1, 1, slices.Repeat([]string{"hostile/+/x"}, 1000)...))
	for range size(400, 1000) { // without an end it takes all memory of the machine
		if p.raw(again) != nil {
			break
		}
	}
}
