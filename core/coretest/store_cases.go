package coretest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/fairlead-iot/fairlead/core"
)

func caseEmpty(b *bench) {
	if err := b.try(); err != nil {
		b.Fatalf("an empty batch: %v", err)
	}
	b.seqs(b.queue("nobody", 0, 10, 1<<20))
	if err := b.store.Health(); err != nil {
		b.Fatalf("Health of a fresh store: %v", err)
	}
	b.reopen()
}

func caseDoneOrder(b *bench) {
	const n = 2000
	order := make(chan int, n)
	b.session("c")
	for i := range n {
		op := enqueue("c", uint64(i), message(i, 20))
		if i%3 == 0 {
			op = putSession("c", 99, 100) // fails alone, and in its turn
		}
		for {
			err := b.store.Commit(&core.Batch{Ops: []core.Op{op}}, func(error) { order <- i })
			if err == nil {
				break
			}
			if !errors.Is(err, core.ErrStoreBusy) {
				b.Fatalf("Commit: %v", err)
			}
		}
	}
	b.try()
	for i := range n {
		if got := <-order; got != i {
			b.Fatalf("done %d came as number %d", got, i)
		}
	}
}

func caseAtomic(b *bench) {
	b.session("a")
	b.do(enqueue("a", 0, message(0, 10)), subscribe("a", "x/#", 1), retain(message(7, 5)))
	// The conflict stands last: nothing before it may stay.
	b.do(enqueue("a", 1, message(1, 10)), ack("a", 0), unretain(message(7, 5).Topic),
		subscribe("a", "y", 2), deleteSession("a"), putSession("b", 5, 6))
	b.seqs(b.queue("a", 0, 10, 1<<20), 0)
	b.reopen()
	b.seqs(b.queue("a", 0, 10, 1<<20), 0)
}

func caseConflict(b *bench) {
	b.do(putSession("c", 1, 2)) // does not exist
	b.session("c")
	b.do(putSession("c", 0, 1)) // exists
	b.do(putSession("c", 1, 5))
	b.do(putSession("c", 1, 6)) // stale
	b.do(putSession("c", 5, 6))
	if err := b.try(putSession("c", 5, 7)); !errors.Is(err, core.ErrConflict) {
		b.Fatalf("a stale epoch gave %v", err)
	}
	b.reopen()
	b.do(putSession("c", 5, 7)) // stale after a start, too
	b.do(putSession("c", 6, 7))
	// A conflict fails its batch alone: its neighbours go on.
	results := make(chan error, 3)
	for _, op := range []core.Op{putSession("x", 0, 1), putSession("c", 6, 8), putSession("y", 0, 1)} {
		if err := b.store.Commit(&core.Batch{Ops: []core.Op{op}}, func(err error) { results <- err }); err != nil {
			b.Fatal(err)
		}
	}
	for i, want := range []error{nil, core.ErrConflict, nil} {
		if err := b.await(results); !errors.Is(err, want) {
			b.Errorf("batch %d: %v, want %v", i, err, want)
		}
	}
}

func caseConflictInBatch(b *bench) {
	b.do(putSession("c", 0, 1), putSession("c", 1, 2), putSession("c", 2, 9))
	b.do(deleteSession("c"), putSession("c", 9, 10)) // it is gone by then
	b.do(deleteSession("c"), putSession("c", 0, 3), putSession("c", 3, 4))
	b.do(putSession("c", 4, 5))
	b.reopen()
}

func caseSessionRecord(b *bench) {
	will := &core.Will{
		Topic: "last/words", Payload: []byte{0, 1, 2}, QoS: 2, Retain: true, Delay: 30, Expiry: 60, HasExpiry: true,
		Properties: &core.Properties{PayloadFormat: 1, ContentType: "text/plain", User: []core.UserProperty{{Name: "a", Value: "b"}}},
	}
	records := []core.SessionRecord{
		{ClientID: "plain", Epoch: 1},
		{ClientID: "full", Username: "ü", Protocol: "mqtt", Version: 5, Listener: "wss", Mount: "tenant/%u/", Peer: netip.MustParseAddr("2001:db8::1"), Superuser: true, Epoch: 1 << 60, Expiry: 0xFFFFFFFF, Disconnected: 1_700_000_000_001, Created: -5, Will: will, WillAt: 1_700_000_030_001},
		{ClientID: "asleep", Epoch: 2, Expiry: 0xFFFFFFFF, Protocol: "mqttsn", Version: 1, Peer: netip.MustParseAddr("192.0.2.1"), Port: 65535, Asleep: 1 << 31, Will: will, KeptWill: will},
		{ClientID: "a will that was sent", Epoch: 2, Disconnected: 5, KeptWill: &core.Will{Topic: "w", Payload: []byte("x")}},
		{ClientID: "a will without a thing", Epoch: 3, Peer: netip.MustParseAddr("127.0.0.1"), Will: &core.Will{Topic: "w"}},
	}
	for i := range records {
		b.do(core.Op{Kind: core.OpPutSession, Session: records[i].ClientID, Record: &records[i]})
	}
	b.reopen()
	gone := records[1]
	gone.Will, gone.WillAt, gone.Disconnected = nil, 0, 0
	b.do(core.Op{Kind: core.OpPutSession, Session: "full", Expect: gone.Epoch, Record: &gone})
	b.reopen()
}

func caseDeleteSession(b *bench) {
	shared := message(9, 100)
	for _, id := range []string{"a", "b", "c"} {
		b.session(id)
		b.do(subscribe(id, "x/"+id, 1), received(id, 7, true), enqueue(id, 0, message(1, 10)), enqueue(id, 1, message(2, 5000)))
	}
	b.do(enqueue("a", 2, shared), enqueue("b", 2, shared), enqueue("c", 2, shared))
	b.do(deleteSession("b"))
	b.seqs(b.queue("b", 0, 10, 1<<20))
	b.seqs(b.queue("a", 0, 10, 1<<20), 0, 1, 2)
	b.seqs(b.queue("c", 0, 10, 1<<20), 0, 1, 2)
	b.reopen()
	b.do(deleteSession("a"), deleteSession("c"), deleteSession("c"))
	b.reopen()
}

func caseSessionAnew(b *bench) {
	b.session("c")
	b.do(subscribe("c", "old", 1), enqueue("c", 0, message(1, 10)), received("c", 1, true))
	b.do(deleteSession("c"), putSession("c", 0, 7), subscribe("c", "new", 2), enqueue("c", 0, message(2, 10)))
	if got := b.queue("c", 0, 10, 1<<20); len(got) != 1 || got[0].Msg.ID != 2 {
		b.Fatalf("the new session's queue is %v", got)
	}
	b.reopen()
	b.do(deleteSession("c"))
	b.do(putSession("c", 0, 1))
	b.reopen()
}

func caseUnknownSession(b *bench) {
	b.session("here")
	b.do(
		enqueue("gone", 0, message(1, 10)), ack("gone", 0), released("gone", 0), received("gone", 1, true), received("gone", 1, false),
		subscribe("gone", "x", 1), core.Op{Kind: core.OpDeleteSubscription, Session: "gone", Filter: "x"}, deleteSession("gone"),
		enqueue("here", 0, message(2, 10)),
	)
	b.seqs(b.queue("gone", 0, 10, 1<<20))
	b.seqs(b.queue("here", 0, 10, 1<<20), 0)
	b.reopen()
}

func caseSubscriptions(b *bench) {
	b.session("c")
	b.session("c2")
	b.do(subscribe("c", "a/+/b", 1), subscribe("c", "$share/g/a/#", 2), subscribe("c", "#", 0), subscribe("c2", "#", 2))
	full := core.SubscriptionRecord{Filter: "a/+/b", SubID: 268_435_455, SubscribeOptions: core.SubscribeOptions{
		QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2,
	}}
	b.do(core.Op{Kind: core.OpPutSubscription, Session: "c", Subscription: &full})
	given := core.SubscriptionRecord{Filter: "a/+/b", Proxy: true, Origin: "a database", Permitted: true}
	b.do(core.Op{Kind: core.OpPutSubscription, Session: "c", Subscription: &given})
	b.reopen()
	b.do(core.Op{Kind: core.OpDeleteSubscription, Session: "c", Filter: "#"}, core.Op{Kind: core.OpDeleteSubscription, Session: "c", Filter: "never/there"})
	for i := range 300 {
		b.do(subscribe("c2", fmt.Sprintf("many/%d", i), uint8(i%3)))
	}
	b.reopen()
}

func caseRegistrations(b *bench) {
	b.session("c")
	b.session("c2")
	b.do(number("c", 1, "a/b"), number("c", 65534, "ü"), number("c2", 1, "other"), number("gone", 1, "x"))
	b.reopen()
	b.do(number("c", 1, "another"), enqueue("c", 0, message(1, 10)), number("c", 2, "a/b"))
	b.reopen()
	b.do(deleteSession("c"), putSession("c", 0, 9))
	b.reopen()
}

func caseRetained(b *bench) {
	first, second := message(1, 10), message(1, 2000)
	b.do(retain(first), retain(message(2, 0)))
	b.do(retain(second), unretain("never/there"))
	b.reopen()
	b.do(unretain(first.Topic), retain(message(3, 4)), unretain(message(3, 4).Topic), retain(message(4, 4)))
	b.reopen()
}

// caseDelayed: a delayed message goes in one batch with what it becomes.
func caseDelayed(b *bench) {
	b.session("c")
	full := core.DelayedRecord{Msg: message(3, 2000), Due: 1_700_000_000_000, Listener: "wss", Peer: netip.MustParseAddr("2001:db8::1"), Superuser: true}
	full.Msg.Properties = &core.Properties{ContentType: "text/plain", User: []core.UserProperty{{Name: "a", Value: "b"}}}
	full.Msg.Retain, full.Msg.Expires, full.Msg.ID = true, 1_800_000_000_000, 1<<64-1
	b.do(delay(message(1, 10), 5), delay(message(2, 0), -5), core.Op{Kind: core.OpPutDelayed, Delayed: &full})
	b.reopen()
	b.do(undelay(2), undelay(99), delay(message(1, 700), 7)) // unknown, and put again
	b.reopen()
	b.do(undelay(1), enqueue("c", 0, message(1, 700)), retain(message(1, 700)))
	b.do(undelay(1<<64-1), enqueue("c", 1, full.Msg), putSession("c", 9, 10)) // a conflict: it still waits
	b.reopen()
	b.seqs(b.queue("c", 0, 10, 1<<20), 0)
	if got := b.store.Stats().Delayed; got != 1 {
		b.Fatalf("Stats tells of %d delayed messages, want 1", got)
	}
	b.do(deleteSession("c")) // it does not belong to its publisher's session
	b.reopen()
}

// caseProxySubscriptions: a client's own and a proxy one of the same filter are two.
func caseProxySubscriptions(b *bench) {
	b.session("c")
	proxy := subscribe("c", "a/#", 2)
	proxy.Subscription.Proxy = true
	b.do(subscribe("c", "a/#", 1), proxy)
	b.reopen()
	b.do(core.Op{Kind: core.OpDeleteSubscription, Session: "c", Filter: "a/#"})
	b.reopen()
	b.do(subscribe("c", "a/#", 1), core.Op{Kind: core.OpDeleteSubscription, Session: "c", Filter: "a/#", Proxy: true})
	b.reopen()
	b.do(proxy, deleteSession("c"), putSession("c", 0, 7))
	b.reopen()
}

func caseMessageFields(b *bench) {
	b.session("c")
	messages := []*core.Message{
		{Topic: "t", QoS: 0},
		{Topic: "t", Payload: []byte{}, QoS: 1},
		{Topic: "ünï/code", Payload: []byte("\x00\xff"), Publisher: "p", Username: "u", ID: 1<<64 - 1, Published: 1_700_000_000_000, Expires: 1_800_000_000_000, QoS: 2, Retain: true},
		{Topic: "p", Properties: &core.Properties{}},
		{Topic: "p", Properties: &core.Properties{CorrelationData: []byte{}}},
		{Topic: "p", Properties: &core.Properties{
			PayloadFormat: 1, ContentType: "application/json", ResponseTopic: "answer/here", CorrelationData: []byte{9, 0, 9},
			User: []core.UserProperty{{Name: "k", Value: "1"}, {Name: "k", Value: "2"}, {Name: "", Value: ""}},
		}},
	}
	for i, m := range messages {
		e := core.QueuedMessage{Seq: uint64(i), Msg: m, QoS: uint8(1 + i%2), Retain: i%2 == 0}
		if i > 2 {
			e.SubIDs = []uint32{1, uint32(i), 268_435_455}
		}
		b.do(core.Op{Kind: core.OpEnqueue, Session: "c", Entry: e}, retain(&core.Message{
			Topic: fmt.Sprint("r/", i), Payload: m.Payload, Publisher: m.Publisher, Username: m.Username, ID: m.ID,
			Published: m.Published, Expires: m.Expires, QoS: m.QoS, Retain: m.Retain, Properties: m.Properties,
		}))
	}
	b.reopen()
}

func caseLoadError(b *bench) {
	b.session("a")
	b.session("b")
	b.stop()
	b.store = b.open(b.T, b.dir)
	stop := errors.New("enough")
	if err := b.store.Load(context.Background(), stopLoader{stop}); !errors.Is(err, stop) {
		b.Fatalf("Load gave %v, want the loader's error", err)
	}
}

// stopLoader ends a Load at once.
type stopLoader struct{ err error }

func (l stopLoader) Session(core.SessionRecord) error                   { return l.err }
func (l stopLoader) Subscription(string, core.SubscriptionRecord) error { return l.err }
func (l stopLoader) Retained(*core.Message) error                       { return l.err }
func (l stopLoader) Delayed(core.DelayedRecord) error                   { return l.err }

func caseAttachments(b *bench) {
	b.session("c")
	b.session("c2")
	b.do(attach("c", "a", "1"), attach("c", "b", "\x00"), attach("c2", "a", "other"), attach("gone", "a", "x"))
	b.reopen()
	b.do(attach("c", "a", "2"), attach("c", "b", ""), attach("c", "never", ""), enqueue("c", 0, message(1, 10)))
	b.reopen()
	b.do(deleteSession("c"), putSession("c", 0, 9))
	b.reopen()
}
