package coretest

import (
	"fmt"

	"github.com/fairlead-iot/fairlead/core"
)

func caseQueueOrder(b *bench) {
	b.session("c")
	b.session("d")
	for i := range uint64(300) {
		b.do(enqueue("c", 10+i, message(int(i), 30)), enqueue("d", i*3, message(int(i), 3)))
	}
	got := b.queue("c", 0, 1000, 1<<30)
	for i := range got {
		if got[i].Seq != 10+uint64(i) || got[i].Msg.ID != uint64(i) {
			b.Fatalf("entry %d is %s", i, describeEntry(got[i]))
		}
	}
	if len(got) != 300 {
		b.Fatalf("%d entries, want 300", len(got))
	}
	b.reopen()
}

func caseFetchWindows(b *bench) {
	b.session("c")
	for i := range uint64(10) {
		b.do(enqueue("c", i, message(int(i), 100)))
	}
	b.seqs(b.queue("c", 0, 3, 1<<20), 0, 1, 2)
	b.seqs(b.queue("c", 4, 3, 1<<20), 4, 5, 6)
	b.seqs(b.queue("c", 8, 100, 1<<20), 8, 9)
	b.seqs(b.queue("c", 10, 100, 1<<20))
	b.seqs(b.queue("c", 1<<63, 100, 1<<20))
	b.seqs(b.queue("c", 0, 100, 250), 0, 1)
	b.seqs(b.queue("c", 0, 100, 300), 0, 1, 2)
	// At least one entry, however large: the queue must not stand still.
	b.seqs(b.queue("c", 5, 100, 1), 5)
	b.seqs(b.queue("c", 5, 100, 0), 5)
	kept := []core.QueuedMessage{{Seq: 777}}
	kept, err := b.store.Fetch(b.Context(), "c", 2, 2, 1<<20, kept)
	if err != nil {
		b.Fatal(err)
	}
	b.seqs(kept, 777, 2, 3)
}

func caseAcks(b *bench) {
	b.session("c")
	shared := message(99, 40)
	for i := range uint64(40) {
		m := message(int(i), 40)
		if i%5 == 0 {
			m = shared
		}
		b.do(enqueue("c", i, m))
	}
	for _, seq := range []uint64{20, 19, 21, 0, 39, 1, 38, 5, 10, 15, 7, 9, 8, 30, 30, 4000} {
		b.do(ack("c", seq))
	}
	b.seqs(b.queue("c", 0, 8, 1<<20), 2, 3, 4, 6, 11, 12, 13, 14)
	b.reopen()
	for i := range uint64(40) {
		b.do(ack("c", 39-i))
	}
	b.seqs(b.queue("c", 0, 100, 1<<20))
	b.reopen()
	b.do(enqueue("c", 5000, message(1, 1)), ack("c", 5000), enqueue("c", 5001, message(2, 1)))
	b.reopen()
}

func caseReplace(b *bench) {
	b.session("c")
	b.do(enqueue("c", 0, message(1, 10)), enqueue("c", 1, message(2, 4000)), enqueue("c", 2, message(3, 4000)))
	b.do(enqueue("c", 1, message(4, 10)), enqueue("c", 0, message(5, 4000)), enqueue("c", 2, message(6, 4000)))
	b.reopen()
	b.do(ack("c", 0), ack("c", 1), ack("c", 2))
	b.reopen()
	// Commits of two loops may overtake each other: order is by Seq alone.
	for _, seq := range []uint64{5010, 5009, 5007, 5008, 5012, 5011} {
		b.do(enqueue("c", seq, message(int(seq), 10)))
	}
	b.seqs(b.queue("c", 0, 10, 1<<20), 5007, 5008, 5009, 5010, 5011, 5012)
	b.do(ack("c", 5010), ack("c", 5007))
	b.reopen()
}

func caseReleased(b *bench) {
	b.session("c")
	for i := range uint64(4) {
		op := enqueue("c", i, message(int(i), 1000))
		op.Entry.QoS = 2
		b.do(op)
	}
	b.do(released("c", 1), released("c", 2), released("c", 77))
	got := b.queue("c", 0, 10, 1<<20)
	b.seqs(got, 0, 1, 2, 3)
	if got[0].Released || !got[1].Released || !got[2].Released || got[3].Released {
		b.Fatalf("the wrong entries are released: %v", got)
	}
	b.seqs(b.queue("c", 77, 10, 1<<20))
	b.reopen()
	b.do(released("c", 1), ack("c", 1), released("c", 1), ack("c", 0))
	b.seqs(b.queue("c", 0, 10, 1<<20), 2, 3)
	b.reopen()
}

// caseStoredNames: what a data backend calls a message lasts as long as its entry, also
// where no more of the message does.
func caseStoredNames(b *bench) {
	b.session("c")
	b.session("d")
	named := func(n, size int) *core.Message {
		m := message(n, size)
		m.Stored = &core.StoredName{Sink: "redis.main", ID: fmt.Sprint("name of ", n)}
		return m
	}
	for i, size := range []int{0, 10, 500, 5000} {
		b.do(enqueue("c", uint64(i), named(i, size)))
	}
	shared := named(9, 100)
	b.do(enqueue("c", 4, shared), enqueue("d", 0, shared))
	for _, seq := range []uint64{1, 3, 4} {
		op := released("c", seq)
		op.Entry.Msg = &core.Message{Topic: "t", Publisher: "p", ID: seq, QoS: 2, Stored: &core.StoredName{Sink: "redis.main", ID: "short"}}
		b.do(op)
	}
	b.reopen() // compares
	b.do(ack("c", 1), released("c", 3))
	b.reopen()
}

func caseReceived(b *bench) {
	b.session("c")
	b.session("d")
	for _, id := range []uint16{1, 65535, 300, 256, 255} {
		b.do(received("c", id, true), received("c", id, true), received("d", id, true))
	}
	b.reopen()
	b.do(received("c", 300, false), received("c", 4, false), received("c", 9, true), received("c", 9, false))
	b.reopen()
}

// caseSequence empties a queue before each start: QueueEnd must not go back, or a
// packet identifier that a client still knows would name another message.
func caseSequence(b *bench) {
	b.session("c")
	next := uint64(0)
	for range 4 {
		for range 5 {
			b.do(enqueue("c", next, message(int(next), 10)))
			b.do(ack("c", next))
			next++
		}
		b.stop()
		b.store = b.open(b.T, b.dir)
		d, err := readAll(b.store)
		if err != nil {
			b.Fatal(err)
		}
		end := d.sessions["c"].record.QueueEnd
		if end < next {
			b.Fatalf("QueueEnd is %d after a start, but %d was enqueued", end, next-1)
		}
		next = end
	}
}

func caseLarge(b *bench) {
	b.session("c")
	b.session("d")
	big := message(1, 1<<20)
	b.do(enqueue("c", 0, big), enqueue("d", 0, big), enqueue("c", 1, message(2, 1<<20)), retain(big))
	b.seqs(b.queue("c", 0, 10, 1<<20), 0)
	b.seqs(b.queue("c", 0, 10, 2<<20), 0, 1)
	b.reopen()
	b.do(released("c", 0), ack("d", 0))
	b.reopen()
	b.do(ack("c", 0), ack("c", 1), unretain(big.Topic))
	b.reopen()
}

func caseFanOut(b *bench) {
	sessions := b.receivers
	ops := make([]core.Op, 0, sessions)
	for i := range sessions {
		ops = append(ops, putSession(fmt.Sprintf("c%d", i), 0, 1))
	}
	b.do(ops...)
	m := message(5, 200)
	ops = ops[:0]
	for i := range sessions {
		ops = append(ops, enqueue(fmt.Sprintf("c%d", i), 0, m))
	}
	b.do(ops...)
	ops = ops[:0]
	for i := range sessions - 2 {
		op := ack(fmt.Sprintf("c%d", i), 0)
		if i%7 == 0 {
			op = deleteSession(fmt.Sprintf("c%d", i))
		}
		ops = append(ops, op)
	}
	b.do(ops...)
	b.reopen()
	b.do(ack(fmt.Sprintf("c%d", sessions-1), 0))
	if got := b.queue(fmt.Sprintf("c%d", sessions-2), 0, 1, 1); len(got) != 1 || !sameMessage(got[0].Msg, m) {
		b.Fatalf("the last receiver got %v", got)
	}
	b.do(ack(fmt.Sprintf("c%d", sessions-2), 0))
	b.reopen()
}

func caseSharedAcrossBatches(b *bench) {
	for _, id := range []string{"a", "b", "c"} {
		b.session(id)
	}
	m := message(1, 900)
	b.do(enqueue("a", 0, m))
	b.do(enqueue("b", 0, m), enqueue("c", 0, m))
	b.do(ack("a", 0))
	b.do(enqueue("a", 1, m), ack("b", 0))
	b.reopen()
	b.do(ack("c", 0), enqueue("c", 1, m), enqueue("b", 1, m))
	b.do(ack("a", 1), ack("c", 1))
	b.reopen()
}
