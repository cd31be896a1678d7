package coretest

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// patience is how long the suite waits for a done before it calls the store
// stuck.
const patience = 30 * time.Second

// RunStore runs the conformance suite of core.Store. open opens the store that
// lives in dir, making it where it does not exist; the suite closes it, and opens
// the same dir again where a test is about what lasts. No two are open at once on
// one dir.
func RunStore(t *testing.T, open func(t *testing.T, dir string) core.Store) {
	RunStoreFor(t, 2000, open)
}

// RunStoreFor is RunStore of a slow server, on which a message has fewer receivers at
// once: receivers, at least 10.
func RunStoreFor(t *testing.T, receivers int, open func(t *testing.T, dir string) core.Store) {
	for _, c := range storeCases() {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{T: t, open: open, dir: t.TempDir(), model: newModel(), receivers: receivers}
			b.start()
			defer b.stop()
			c.run(b)
		})
	}
	t.Run("property", func(t *testing.T) { runStoreProperty(t, open) })
}

type storeCase struct {
	name string
	run  func(b *bench)
}

func storeCases() []storeCase {
	return []storeCase{
		{"empty", caseEmpty},
		{"order of done", caseDoneOrder},
		{"all or nothing", caseAtomic},
		{"epoch conflict", caseConflict},
		{"epoch chain in one batch", caseConflictInBatch},
		{"session record", caseSessionRecord},
		{"delete session", caseDeleteSession},
		{"session made anew", caseSessionAnew},
		{"unknown session", caseUnknownSession},
		{"subscriptions", caseSubscriptions},
		{"queue order", caseQueueOrder},
		{"fetch windows", caseFetchWindows},
		{"acks in any order", caseAcks},
		{"entry replaced", caseReplace},
		{"release markers", caseReleased},
		{"names elsewhere", caseStoredNames},
		{"QoS 2 identifiers", caseReceived},
		{"registrations", caseRegistrations},
		{"attachments", caseAttachments},
		{"sequence numbers never return", caseSequence},
		{"retained", caseRetained},
		{"delayed", caseDelayed},
		{"proxy subscriptions", caseProxySubscriptions},
		{"message fields", caseMessageFields},
		{"large payloads", caseLarge},
		{"a message for thousands", caseFanOut},
		{"same message in several batches", caseSharedAcrossBatches},
		{"busy", caseBusy},
		{"close", caseClose},
		{"load stops at an error", caseLoadError},
		{"stats", caseStats},
		{"many committers", caseConcurrent},
		{"fetch while committing", caseFetchConcurrent},
	}
}

// bench is what a case works with: a store, and the model beside it.
type bench struct {
	*testing.T
	open  func(t *testing.T, dir string) core.Store
	dir   string
	store core.Store
	model *model

	receivers int // of a message for many
}

// start opens the store, compares it with the model and leaves it open.
func (b *bench) start() {
	b.Helper()
	b.store = b.open(b.T, b.dir)
	d, err := readAll(b.store)
	if err != nil {
		b.Fatal(err)
	}
	if diff := d.diff(b.model); diff != "" {
		b.Fatalf("after opening:\n%s", diff)
	}
}

func (b *bench) stop() {
	b.Helper()
	if b.store == nil {
		return
	}
	if err := b.store.Close(); err != nil {
		b.Errorf("Close: %v", err)
	}
	b.store = nil
}

// reopen closes the store, opens it again, and compares all of it.
func (b *bench) reopen() {
	b.Helper()
	b.stop()
	b.start()
}

// try commits ops as one batch, waits, and gives what done said.
func (b *bench) try(ops ...core.Op) error {
	b.Helper()
	done := make(chan error, 1)
	if err := b.store.Commit(&core.Batch{Ops: ops}, func(err error) { done <- err }); err != nil {
		b.Fatalf("Commit: %v", err)
	}
	return b.await(done)
}

func (b *bench) await(done <-chan error) error {
	b.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		b.Fatalf("done was not called within %s", patience)
		return nil
	}
}

// do commits ops, in the model too; both must agree.
func (b *bench) do(ops ...core.Op) {
	b.Helper()
	want := b.model.apply(&core.Batch{Ops: ops})
	if err := b.try(ops...); !errors.Is(err, want) {
		b.Fatalf("Commit: %v, want %v", err, want)
	}
}

// session makes a session with epoch 1.
func (b *bench) session(id string) {
	b.Helper()
	b.do(putSession(id, 0, 1))
}

func (b *bench) queue(id string, from uint64, max, maxBytes int) []core.QueuedMessage {
	b.Helper()
	got, err := b.store.Fetch(b.Context(), id, from, max, maxBytes, nil)
	if err != nil {
		b.Fatalf("Fetch(%q): %v", id, err)
	}
	return got
}

// seqs checks that a fetch gave just these entries.
func (b *bench) seqs(got []core.QueuedMessage, want ...uint64) {
	b.Helper()
	have := make([]uint64, len(got))
	for i := range got {
		have[i] = got[i].Seq
	}
	if fmt.Sprint(have) != fmt.Sprint(want) {
		b.Fatalf("entries %v, want %v", have, want)
	}
}

func putSession(id string, expect, epoch uint64) core.Op {
	return core.Op{Kind: core.OpPutSession, Session: id, Expect: expect, Record: &core.SessionRecord{
		ClientID: id, Username: "user of " + id, Epoch: epoch, Expiry: 3600, Created: 1_700_000_000_000, Disconnected: int64(epoch),
	}}
}

// attach puts a value under a key of a session, or without one takes it away.
func attach(id, key, value string) core.Op {
	if value == "" {
		return core.Op{Kind: core.OpDeleteAttachment, Session: id, Filter: key}
	}
	return core.Op{Kind: core.OpPutAttachment, Session: id, Filter: key, Value: []byte(value)}
}

func deleteSession(id string) core.Op { return core.Op{Kind: core.OpDeleteSession, Session: id} }

func subscribe(id, filter string, qos uint8) core.Op {
	return core.Op{Kind: core.OpPutSubscription, Session: id, Subscription: &core.SubscriptionRecord{
		Filter: filter, SubscribeOptions: core.SubscribeOptions{QoS: qos},
	}}
}

func enqueue(id string, seq uint64, m *core.Message) core.Op {
	return core.Op{Kind: core.OpEnqueue, Session: id, Entry: core.QueuedMessage{Seq: seq, Msg: m, QoS: 1}}
}

func ack(id string, seq uint64) core.Op {
	return core.Op{Kind: core.OpAck, Session: id, Entry: core.QueuedMessage{Seq: seq}}
}

func released(id string, seq uint64) core.Op {
	return core.Op{Kind: core.OpReleased, Session: id, Entry: core.QueuedMessage{Seq: seq}}
}

func number(id string, n uint16, topic string) core.Op {
	return core.Op{Kind: core.OpPutRegistration, Session: id, PacketID: n, Filter: topic}
}

func received(id string, packetID uint16, present bool) core.Op {
	kind := core.OpPutReceived
	if !present {
		kind = core.OpDeleteReceived
	}
	return core.Op{Kind: kind, Session: id, PacketID: packetID}
}

func retain(m *core.Message) core.Op { return core.Op{Kind: core.OpPutRetained, Msg: m} }

func unretain(topic string) core.Op { return core.Op{Kind: core.OpDeleteRetained, Filter: topic} }

func delay(m *core.Message, due int64) core.Op {
	return core.Op{Kind: core.OpPutDelayed, Delayed: &core.DelayedRecord{Msg: m, Due: due, Listener: "mqtt"}}
}

func undelay(id uint64) core.Op { return core.Op{Kind: core.OpDeleteDelayed, MessageID: id} }

// message makes a message with a payload of size bytes that is told by n.
func message(n, size int) *core.Message {
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(n + i*7)
	}
	return &core.Message{
		Topic: fmt.Sprintf("plant/%d/temperature", n), Payload: payload, Publisher: "p", ID: uint64(n), QoS: 1, Published: int64(n),
	}
}

// freshDir makes a directory of its own below dir.
func freshDir(dir string) (string, error) { return os.MkdirTemp(dir, "store") }
