package image

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fairlead-iot/fairlead/core"
)

// nowhere is a Writer that keeps nothing.
type nowhere struct{}

func (nowhere) Set(_, _ []byte)                      {}
func (nowhere) Delete([]byte)                        {}
func (nowhere) DeleteEntry(*Session, uint64, []byte) {}
func (nowhere) DeleteBody(uint64, []byte)            {}
func (nowhere) DeleteSession(s *Session, fresh bool) {}

// describeImage writes all that an image knows, but which numbers come next.
func describeImage(im *Image) string {
	var out strings.Builder
	for _, id := range slices.Sorted(maps.Keys(im.sessions)) {
		s := im.sessions[id]
		fmt.Fprintln(&out, id, s.sid, s.epoch, s.reserved, s.Window(nil, 0, 1000))
	}
	fmt.Fprintln(&out, im.bodies, im.blocks, im.large, im.delayed, im.queued)
	fmt.Fprintln(&out, slices.Sorted(maps.Keys(im.retained)))
	return out.String()
}

// Undo takes back whatever a group of batches changed.
func TestUndo(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		im := New()
		var b Builder
		messages := []*core.Message{{Topic: "t", ID: 1}, {Topic: "u", ID: 2, Payload: make([]byte, 600)}, {Topic: "v", ID: 3, Payload: make([]byte, smallBody+1)}}
		for range rapid.IntRange(1, 6).Draw(r, "groups") {
			im.Remember()
			before := describeImage(im)
			b.Begin(im, nowhere{})
			for range rapid.IntRange(1, 12).Draw(r, "operations") {
				_ = b.Add(&core.Batch{Ops: drawOps(r, im, messages)}) // a conflict changes nothing
			}
			if rapid.Bool().Draw(r, "undo") {
				im.Undo()
				if after := describeImage(im); after != before {
					r.Fatalf("before\n%safter\n%s", before, after)
				}
			}
		}
	})
}

func drawOps(r *rapid.T, im *Image, messages []*core.Message) (ops []core.Op) {
	id := rapid.SampledFrom([]string{"a", "b"}).Draw(r, "session")
	seq := rapid.Uint64Range(0, 3000).Draw(r, "seq")
	if rapid.Bool().Draw(r, "near") {
		seq %= 6
	}
	m := rapid.SampledFrom(messages).Draw(r, "message")
	switch rapid.IntRange(0, 9).Draw(r, "kind") {
	case 0, 1:
		epoch := uint64(0)
		if s := im.Lookup(id); s != nil {
			epoch = s.epoch
		}
		ops = append(ops, core.Op{Kind: core.OpPutSession, Session: id, Expect: epoch, Record: &core.SessionRecord{Epoch: epoch + 1}})
	case 2:
		ops = append(ops, core.Op{Kind: core.OpDeleteSession, Session: id})
	case 3, 4, 5:
		ops = append(ops, core.Op{Kind: core.OpEnqueue, Session: id, Entry: core.QueuedMessage{Seq: seq, Msg: m, QoS: 1}})
	case 6:
		ops = append(ops, core.Op{Kind: core.OpAck, Session: id, Entry: core.QueuedMessage{Seq: seq}})
	case 7:
		ops = append(ops, core.Op{Kind: core.OpReleased, Session: id, Entry: core.QueuedMessage{Seq: seq}})
	case 8:
		ops = append(ops, core.Op{Kind: core.OpPutRetained, Msg: m}, core.Op{Kind: core.OpPutDelayed, Delayed: &core.DelayedRecord{Msg: m}})
	default:
		ops = append(ops, core.Op{Kind: core.OpDeleteRetained, Filter: m.Topic}, core.Op{Kind: core.OpDeleteDelayed, MessageID: m.ID})
	}
	return ops
}

// Which blocks have entries agrees with the window of all of them.
func TestBlocks(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var s Session
		want := map[uint64]bool{}
		for range rapid.IntRange(0, 30).Draw(r, "entries") {
			s.queue.add(rapid.Uint64Range(0, 5*Block).Draw(r, "seq"), 0)
		}
		for _, e := range s.Window(nil, 0, 1000) {
			want[e.Seq/Block] = true
		}
		var got []uint64
		s.Blocks(func(first uint64) { got = append(got, first/Block) })
		if !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			r.Fatalf("blocks %v, want %v", got, want)
		}
		for block := range uint64(7) {
			if s.EmptyBlock(block*Block+rapid.Uint64Range(0, Block-1).Draw(r, "in it")) == want[block] {
				r.Fatalf("EmptyBlock of %d is wrong: %v", block, want)
			}
		}
	})
}

// The records of a session may come in any order.
func TestReadingInAnyOrder(t *testing.T) {
	type pair struct{ key, value []byte }
	rapid.Check(t, func(r *rapid.T) {
		var pairs []pair
		add := func(key []byte, body func([]byte) []byte) {
			value := body(openRecord(nil))
			sealRecord(key, value)
			pairs = append(pairs, pair{key, value})
		}
		add(appendRecordKey(nil, 7, "c"), func(b []byte) []byte { return appendSessionRecord(b, &core.SessionRecord{Epoch: 3}) })
		add(appendReservedKey(nil, 7), func(b []byte) []byte { return AppendUvarint(b, 2048) })
		add(appendReceivedKey(nil, 7, 9), func(b []byte) []byte { return b })
		for _, seq := range rapid.SliceOfNDistinct(rapid.Uint64Range(0, 40), 1, 20, rapid.ID).Draw(r, "entries") {
			add(AppendEntryKey(nil, 7, seq), func(b []byte) []byte { return appendEntry(b, &core.QueuedMessage{QoS: 1}, 1+seq%3) })
		}
		describe := func(pairs []pair) string {
			im := New()
			var g Reading
			for _, p := range pairs {
				k, _ := ParseSessionKey(p.key)
				if err := g.Take(k, p.key, p.value); err != nil {
					r.Fatal(err)
				}
			}
			if lost, err := g.Handover(im, nil, 0); lost != 0 || err != nil {
				r.Fatal(lost, err)
			}
			return describeImage(im) + fmt.Sprint(g.record)
		}
		sorted := slices.SortedFunc(slices.Values(pairs), func(a, b pair) int { return strings.Compare(string(a.key), string(b.key)) })
		if a, b := describe(sorted), describe(rapid.Permutation(pairs).Draw(r, "order")); a != b {
			r.Fatalf("in order\n%sin another\n%s", a, b)
		}
	})
}
