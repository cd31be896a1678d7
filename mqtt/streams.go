package mqtt

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// streams is what a connection has more once its client opened a data stream (QUIC):
// which stream each thing under way belongs to. Packet identifiers, the session and
// all its rules are the connection's, whatever stream a packet takes; docs/transports.md
// has the rules.
type streams struct {
	now      protocols.Stream // that the packet under way came by; 0 for the first
	open     map[protocols.Stream]*streamState
	faults   int                         // streams that were ended for what came by them
	received map[uint16]protocols.Stream // the client's PUBLISH packets under way, by identifier
	sent     map[uint16]protocols.Stream // ours
	exact    map[string]protocols.Stream // subscriptions made on a data stream, without wildcards
	wild     []streamFilter              // and with
}

// streamState is one data stream.
type streamState struct {
	aliases []string // as rare.aliases
	search  core.Search
	begun   begun
	owed    int  // entries of received
	awaited int  // entries of sent
	ended   bool // nothing more comes by it
}

// streamFilter is one subscription with wildcards.
type streamFilter struct {
	filter string
	stream protocols.Stream
}

// Bounds of the subscriptions that are remembered with their stream; what goes beyond
// is delivered by the first one. Those with wildcards are tried one by one.
const (
	maxStreamTopics  = 1024
	maxStreamFilters = 64
)

// maxStreamFaults is how many data streams of a connection may be ended for what came
// by them before the connection is.
const maxStreamFaults = 16

// streams gives what a connection with data streams has, nil while it has none.
func (m *Machine) streams() *streams {
	if !m.divided {
		return nil
	}
	return m.aliases.streams
}

// onStream tells whether the packet under way came by a data stream.
func (m *Machine) onStream() bool {
	d := m.streams()
	return d != nil && d.now != 0
}

// InputStream implements protocols.StreamMachine.
func (m *Machine) InputStream(t *core.Turn, s protocols.Stream, b []byte, a *protocols.Actions) (used int) {
	d := m.aliases.streams
	if d == nil {
		d = &streams{
			open:     map[protocols.Stream]*streamState{},
			received: map[uint16]protocols.Stream{}, sent: map[uint16]protocols.Stream{}, exact: map[string]protocols.Stream{},
		}
		m.aliases.streams = d
	}
	if d.open[s] == nil {
		d.open[s] = &streamState{}
	}
	d.now, a.Stream = s, s
	used = m.input(t, b, a)
	d.now = 0
	return used
}

// StreamEnded implements protocols.StreamMachine. What the client has not acknowledged
// of a stream that was lost may never have reached it, and MQTT sends nothing again
// but on the next connection: so this one ends. [MQTT-4.4.0-1]
func (m *Machine) StreamEnded(t *core.Turn, s protocols.Stream, lost bool, a *protocols.Actions) {
	d := m.streams()
	if d == nil || d.open[s] == nil || m.state != open {
		return
	}
	state := d.open[s]
	if lost && state.awaited > 0 {
		m.fault(t, scratchOf(t), a, refuse(core.UnspecifiedError, "a data stream was broken off by which messages were under way; they come again on the next connection"))
		return
	}
	d.unbind(s)
	if lost {
		d.drop(s)
		return
	}
	state.ended = true
	d.leave(s)
}

// Owes implements protocols.StreamMachine: acknowledgements of what came by s. While the
// client's are awaited our side stays open, too: only so QUIC tells that it reads no more.
func (m *Machine) Owes(s protocols.Stream) bool {
	d := m.streams()
	if d == nil || d.open[s] == nil {
		return false
	}
	answering := (m.waiting == forSubscribe || m.waiting == forUnsubscribe) && m.rare.stream == s
	return d.open[s].owed > 0 || d.open[s].awaited > 0 || answering
}

// endStream ends the stream of the packet under way for what is wrong with it; false
// when the connection shall end.
func (m *Machine) endStream(a *protocols.Actions) bool {
	d := m.streams()
	if d.faults++; d.faults > maxStreamFaults {
		return false
	}
	d.unbind(d.now)
	d.drop(d.now)
	a.EndStream = true
	return true
}

// present is the stream of the packet under way.
func (d *streams) present() *streamState { return d.open[d.now] }

// unbind has the deliveries of subscriptions made on s go by the first stream.
func (d *streams) unbind(s protocols.Stream) {
	for filter, by := range d.exact {
		if by == s {
			delete(d.exact, filter)
		}
	}
	kept := d.wild[:0]
	for _, f := range d.wild {
		if f.stream != s {
			kept = append(kept, f)
		}
	}
	d.wild = kept
}

// drop forgets s; what is still to be said of its packets goes by the first stream.
func (d *streams) drop(s protocols.Stream) {
	for id, by := range d.received {
		if by == s {
			delete(d.received, id)
		}
	}
	for id, by := range d.sent {
		if by == s {
			delete(d.sent, id)
		}
	}
	delete(d.open, s)
}

// expectAnswer notes that the packet under way gets an answer by the stream that it
// came by, for it was the client's choice.
func (d *streams) expectAnswer(id uint16) {
	d.answered(id)
	if d.now != 0 {
		d.received[id] = d.now
		d.open[d.now].owed++
	}
}

// answered forgets a packet of the client.
func (d *streams) answered(id uint16) {
	if s, ok := d.received[id]; ok {
		delete(d.received, id)
		d.open[s].owed--
		d.leave(s)
	}
}

// leave forgets a stream that ended and of which nothing is under way any more.
func (d *streams) leave(s protocols.Stream) {
	if state := d.open[s]; state.ended && state.owed+state.awaited == 0 {
		delete(d.open, s)
	}
}

// settled forgets a packet of ours.
func (d *streams) settled(id uint16) {
	if s, ok := d.sent[id]; ok {
		delete(d.sent, id)
		d.open[s].awaited--
		d.leave(s)
	}
}

// acknowledged takes the client's acknowledgement, by whatever stream it came.
func (d *streams) acknowledged(k core.AckKind, id uint16, r core.Reason) {
	switch {
	case k == core.AckRelease:
		d.expectAnswer(id)
	case k == core.AckReceived2 && r == core.Success: // PUBREL and PUBCOMP follow
	default:
		d.settled(id)
	}
}

// subscribed has the deliveries of the filters go by the stream of the packet under
// way.
func (d *streams) subscribed(filters []core.FilterRequest) {
	for i := range filters {
		d.bind(filters[i].Filter, d.now)
	}
}

// unsubscribed forgets filters.
func (d *streams) unsubscribed(filters []string) {
	for _, f := range filters {
		d.bind(f, 0)
	}
}

// bind has the deliveries of a filter go by s. Only the filter itself counts, not the
// prefixes in front of it, as a message does not tell by which subscription it came.
func (d *streams) bind(text string, s protocols.Stream) {
	sub, err := topic.ParseSubscription(text, topic.Limits{Length: topic.MaxLength, Levels: topic.MaxLength})
	if err != nil {
		return // core refuses it
	}
	filter := string(sub.Filter)
	if !sub.Filter.Wildcard() {
		delete(d.exact, filter)
		if s != 0 && len(d.exact) < maxStreamTopics {
			d.exact[filter] = s
		}
		return
	}
	kept := d.wild[:0]
	for _, f := range d.wild {
		if f.filter != filter {
			kept = append(kept, f)
		}
	}
	if d.wild = kept; s != 0 && len(kept) < maxStreamFilters {
		d.wild = append(d.wild, streamFilter{filter, s})
	}
}

// route says by which stream a delivery goes, and notes it where more follows.
func (d *streams) route(v *core.Delivery) protocols.Stream {
	switch v.Kind {
	case core.DeliverMessage:
		return d.routeMessage(v)
	case core.DeliverRelease:
		return d.sent[v.PacketID]
	}
	s := d.received[v.PacketID]
	if v.Kind != core.DeliverReceived || code(v.Reason, packet.TypePubrec).Failed() {
		d.answered(v.PacketID)
	}
	return s
}

// routeMessage: by the stream of the subscription that matches, that of the exact
// topic first, then the oldest; else by the first stream.
func (d *streams) routeMessage(v *core.Delivery) protocols.Stream {
	s := d.exact[v.Topic()]
	for i := 0; s == 0 && i < len(d.wild); i++ {
		if topic.Match(d.wild[i].filter, v.Topic()) {
			s = d.wild[i].stream
		}
	}
	if v.PacketID != 0 {
		if d.settled(v.PacketID); s != 0 {
			d.sent[v.PacketID] = s
			d.open[s].awaited++
		}
	}
	return s
}
