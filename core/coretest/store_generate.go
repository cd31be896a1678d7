package coretest

import (
	"fmt"

	"github.com/fairlead-iot/fairlead/core"
)

// generator makes random batches that core could have made: numbers in a queue
// rise, epochs mostly fit. roll gives a number from 0 to n-1.
type generator struct {
	roll   func(n int, what string) int
	model  *model            // what the store holds, for epochs that fit
	next   map[string]uint64 // Seq to assign for each session
	shared []*core.Message   // messages that may be enqueued again
	ids    int
}

func newGenerator(roll func(n int, what string) int) *generator {
	return &generator{roll: roll, model: newModel(), next: map[string]uint64{}}
}

// resume goes on with what a store gave after its start.
func (g *generator) resume(d *dump) {
	clear(g.next)
	for id, s := range d.sessions {
		g.next[id] = s.record.QueueEnd
	}
}

func (g *generator) batch() *core.Batch {
	b := &core.Batch{}
	for range 1 + g.roll(8, "operations") {
		b.Ops = append(b.Ops, g.op())
	}
	return b
}

func (g *generator) op() core.Op {
	id := fmt.Sprintf("client-%d", g.roll(5, "client"))
	switch g.roll(21, "kind") {
	case 0, 1, 2:
		return g.putSession(id)
	case 3:
		if g.roll(3, "really delete") != 0 {
			return ack(id, g.seq(id))
		}
		return deleteSession(id)
	case 4:
		op := subscribe(id, g.filter(), uint8(g.roll(3, "QoS")))
		op.Subscription.Proxy = g.roll(3, "proxy") == 0
		return op
	case 5:
		return core.Op{Kind: core.OpDeleteSubscription, Session: id, Filter: g.filter(), Proxy: g.roll(3, "proxy") == 0}
	case 6, 7, 8, 9:
		seq := g.next[id]
		g.next[id]++
		return enqueue(id, seq, g.message())
	case 10, 11:
		return ack(id, g.seq(id))
	case 12:
		op := released(id, g.seq(id))
		if g.roll(2, "stored elsewhere") == 1 {
			op.Entry.Msg = &core.Message{Topic: "a", ID: 7, QoS: 2, Stored: &core.StoredName{Sink: "x.pool", ID: "7"}}
		}
		return op
	case 13:
		return received(id, uint16(1+g.roll(5, "packet identifier")), g.roll(2, "present") == 1)
	case 14:
		m := g.fresh()
		m.Topic = g.filter()
		return retain(m)
	case 15:
		m := g.fresh()
		m.ID = uint64(g.roll(6, "delayed message"))
		return delay(m, int64(g.roll(1000, "due")))
	case 16:
		return undelay(uint64(g.roll(6, "delayed message")))
	case 17:
		return number(id, uint16(1+g.roll(4, "number")), g.filter())
	case 18:
		return attach(id, g.filter(), fmt.Sprint("value ", g.roll(3, "value")))
	case 19:
		return attach(id, g.filter(), "")
	default:
		return unretain(g.filter())
	}
}

func (g *generator) filter() string {
	filters := []string{"a", "a/b", "a/#", "+/b", "$share/g/a"}
	return filters[g.roll(len(filters), "filter")]
}

// seq gives a number that is likely to be in the queue of id.
func (g *generator) seq(id string) uint64 {
	end := g.next[id]
	low := end - min(end, 12)
	return low + uint64(g.roll(int(end-low)+2, "sequence number"))
}

func (g *generator) putSession(id string) core.Op {
	expect := uint64(0)
	if s := g.model.sessions[id]; s != nil {
		expect = s.record.Epoch
	}
	if g.roll(10, "stale epoch") == 0 {
		expect++
	}
	return putSession(id, expect, expect+1)
}

// message gives a new message, or one that was used before: several queues share
// it then.
func (g *generator) message() *core.Message {
	if n := len(g.shared); n > 0 && g.roll(2, "same message") == 1 {
		return g.shared[g.roll(n, "which message")]
	}
	m := g.fresh()
	g.shared = append(g.shared, m)
	if len(g.shared) > 4 {
		g.shared = g.shared[1:]
	}
	return m
}

func (g *generator) fresh() *core.Message {
	g.ids++
	sizes := []int{0, 10, 500, 600, 5000}
	m := message(g.ids, sizes[g.roll(len(sizes), "size")])
	if g.roll(2, "properties") == 1 {
		m.Properties = &core.Properties{ContentType: "x", User: []core.UserProperty{{Name: "n", Value: "v"}}}
	}
	if g.roll(3, "stored elsewhere") == 1 {
		m.Stored = &core.StoredName{Sink: "x.pool", ID: fmt.Sprint("name ", g.ids)}
	}
	return m
}
