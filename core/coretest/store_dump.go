package coretest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/fairlead-iot/fairlead/core"
)

// dump is what Load gave, and what Fetch gives after it.
type dump struct {
	sessions map[string]*dumpSession
	retained map[string]*core.Message
	delayed  map[uint64]core.DelayedRecord
	last     string // the session that Subscription calls must belong to
}

type dumpSession struct {
	record core.SessionRecord
	subs   map[subKey]core.SubscriptionRecord
	queue  []core.QueuedMessage
}

// Session implements core.Loader.
func (d *dump) Session(r core.SessionRecord) error {
	if d.sessions[r.ClientID] != nil {
		return fmt.Errorf("Load gave session %q twice", r.ClientID)
	}
	d.sessions[r.ClientID] = &dumpSession{record: r, subs: map[subKey]core.SubscriptionRecord{}}
	d.last = r.ClientID
	return nil
}

// Subscription implements core.Loader.
func (d *dump) Subscription(clientID string, r core.SubscriptionRecord) error {
	if clientID != d.last {
		return fmt.Errorf("Load gave a subscription of %q after session %q", clientID, d.last)
	}
	if _, twice := d.sessions[clientID].subs[keyOf(&r)]; twice {
		return fmt.Errorf("Load gave subscription %q (proxy %v) of %q twice", r.Filter, r.Proxy, clientID)
	}
	d.sessions[clientID].subs[keyOf(&r)] = r
	return nil
}

// Retained implements core.Loader.
func (d *dump) Retained(m *core.Message) error {
	if d.retained[m.Topic] != nil {
		return fmt.Errorf("Load gave the retained message of %q twice", m.Topic)
	}
	d.retained[m.Topic] = m
	return nil
}

// Delayed implements core.Loader.
func (d *dump) Delayed(r core.DelayedRecord) error {
	if _, twice := d.delayed[r.Msg.ID]; twice {
		return fmt.Errorf("Load gave delayed message %d twice", r.Msg.ID)
	}
	d.delayed[r.Msg.ID] = r
	return nil
}

// readAll loads s and fetches every queue, in windows of different sizes.
func readAll(s core.Store) (*dump, error) {
	d := &dump{sessions: map[string]*dumpSession{}, retained: map[string]*core.Message{}, delayed: map[uint64]core.DelayedRecord{}}
	if err := s.Load(context.Background(), d); err != nil {
		return nil, fmt.Errorf("Load: %w", err)
	}
	for id, sess := range d.sessions {
		window := 1 + len(id)%7
		if sess.record.Queued > 1000 {
			window = 500
		}
		q, err := fetchAll(s, id, sess.record.QueueHead, window)
		if err != nil {
			return nil, err
		}
		sess.queue = q
	}
	return d, nil
}

// fetchAll reads a whole queue, window entries at a time.
func fetchAll(s core.Store, id string, from uint64, window int) ([]core.QueuedMessage, error) {
	var all []core.QueuedMessage
	for {
		got, err := s.Fetch(context.Background(), id, from, window, 1<<30, nil)
		if err != nil {
			return nil, fmt.Errorf("Fetch(%q, %d): %w", id, from, err)
		}
		if len(got) > window {
			return nil, fmt.Errorf("Fetch(%q, %d) gave %d entries, asked for %d", id, from, len(got), window)
		}
		if len(got) == 0 {
			return all, nil
		}
		if got[0].Seq < from {
			return nil, fmt.Errorf("Fetch(%q, %d) begins at %d", id, from, got[0].Seq)
		}
		all = append(all, got...)
		from = got[len(got)-1].Seq + 1
	}
}

// diff says how the store differs from the model, "" if it does not.
func (d *dump) diff(m *model) string {
	var out strings.Builder
	for _, id := range keys(m.sessions) {
		got := d.sessions[id]
		if got == nil {
			fmt.Fprintf(&out, "session %q is missing\n", id)
			continue
		}
		diffSession(&out, got, m.sessions[id])
	}
	for _, id := range keys(d.sessions) {
		if m.sessions[id] == nil {
			fmt.Fprintf(&out, "session %q should not exist\n", id)
		}
	}
	for _, topic := range keys(m.retained) {
		if !sameMessage(d.retained[topic], m.retained[topic]) {
			fmt.Fprintf(&out, "retained %q: got %s, want %s\n", topic, describeMessage(d.retained[topic]), describeMessage(m.retained[topic]))
		}
	}
	for _, topic := range keys(d.retained) {
		if m.retained[topic] == nil {
			fmt.Fprintf(&out, "retained %q should not exist\n", topic)
		}
	}
	diffDelayed(&out, d.delayed, m.delayed)
	return out.String()
}

func diffDelayed(out *strings.Builder, got, want map[uint64]core.DelayedRecord) {
	for _, id := range keys(want) {
		if r, ok := got[id]; !ok || !sameDelayed(r, want[id]) {
			fmt.Fprintf(out, "delayed %d: got %+v of %s, want %+v of %s\n", id, r, describeMessage(r.Msg), want[id], describeMessage(want[id].Msg))
		}
	}
	for _, id := range keys(got) {
		if _, ok := want[id]; !ok {
			fmt.Fprintf(out, "delayed %d should not exist\n", id)
		}
	}
}

func keys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func diffSession(out *strings.Builder, got *dumpSession, want *modelSession) {
	g, w := got.record, want.record
	id := w.ClientID
	if !sameWill(g.Will, w.Will) || !sameWill(g.KeptWill, w.KeptWill) || !reflect.DeepEqual(lasting(g), lasting(w)) {
		fmt.Fprintf(out, "session %q: got %+v, want %+v\n", id, g, w)
	}
	received := slices.Sorted(slices.Values(g.Received))
	if ids := slices.Sorted(maps.Keys(want.received)); !slices.Equal(received, ids) {
		fmt.Fprintf(out, "session %q: QoS 2 identifiers %v, want %v\n", id, received, ids)
	}
	numbers := map[uint16]string{}
	for _, n := range g.Registrations {
		numbers[n.ID] = n.Topic
	}
	if len(numbers) != len(g.Registrations) || !maps.Equal(numbers, want.numbers) {
		fmt.Fprintf(out, "session %q: registrations %v, want %v\n", id, g.Registrations, want.numbers)
	}
	attached := map[string]string{}
	for _, a := range g.Attachments {
		attached[a.Key] = string(a.Value)
	}
	if len(attached) != len(g.Attachments) || !maps.Equal(attached, want.attached) {
		fmt.Fprintf(out, "session %q: attachments %v, want %v\n", id, g.Attachments, want.attached)
	}
	if !maps.Equal(got.subs, want.subs) {
		fmt.Fprintf(out, "session %q: subscriptions %v, want %v\n", id, got.subs, want.subs)
	}
	entries := want.entries()
	if g.Queued != len(entries) {
		fmt.Fprintf(out, "session %q: Queued is %d, want %d\n", id, g.Queued, len(entries))
	}
	if g.QueueEnd < want.end {
		fmt.Fprintf(out, "session %q: QueueEnd is %d, but %d was enqueued\n", id, g.QueueEnd, want.end-1)
	}
	head := g.QueueEnd
	if len(entries) > 0 {
		head = entries[0].Seq
	}
	if g.QueueHead != head {
		fmt.Fprintf(out, "session %q: QueueHead is %d, want %d\n", id, g.QueueHead, head)
	}
	diffQueue(out, id, got.queue, entries)
}

// lasting is what Commit keeps of a record, the Will apart.
func lasting(r core.SessionRecord) core.SessionRecord {
	r.KeptWill, r.Registrations = nil, nil
	r.Will, r.QueueHead, r.QueueEnd, r.Queued, r.Received = nil, 0, 0, 0, nil
	r.Attachments = nil
	return r
}

func diffQueue(out *strings.Builder, id string, got, want []core.QueuedMessage) {
	if len(got) != len(want) {
		fmt.Fprintf(out, "session %q: %d entries, want %d\n", id, len(got), len(want))
		return
	}
	for i := range got {
		if !sameEntry(got[i], want[i]) {
			fmt.Fprintf(out, "session %q, entry %d: got %s, want %s\n", id, i, describeEntry(got[i]), describeEntry(want[i]))
		}
	}
}
