package mqtt

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// subscribe takes a SUBSCRIBE; reading waits until its SUBACK is written.
// [MQTT-3.8.4-1]
func (m *Machine) subscribe(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	if b := m.beganBefore(); b.subscribe != nil {
		return m.put(t, s, a, b.subscribe, b.refused)
	}
	p := &s.subscribe
	p.Limits = &m.adapter.limits
	if err := p.Decode(m.version, f.Header, f.Body); err != nil {
		return err
	}
	r := s.requestFor(p)
	if len(p.Properties.SubscriptionIDs) > 0 {
		if !m.adapter.cfg.SubscriptionIDAvailable {
			return refuse(core.SubscriptionIDsNotSupported, "subscription identifiers are turned off [3.2.2.3.12]")
		}
		r.SubID = p.Properties.SubscriptionIDs[0]
	}
	refused, err := m.collect(t, p.Filters, r)
	if err != nil {
		return err
	}
	return m.put(t, s, a, r, refused)
}

// begun is a SUBSCRIBE or UNSUBSCRIBE that core has left: the packet comes again, and is not
// decoded again.
type begun struct {
	subscribe   *core.SubscribeRequest
	refused     []core.Reason // its filters that were not put to core
	unsubscribe *core.UnsubscribeRequest
}

// kept is where that of the stream is whose packet is under way, nil while there is none.
func (m *Machine) kept() *begun {
	switch {
	case m.onStream():
		return &m.streams().present().begun
	case m.rare != nil:
		return &m.rare.begun
	}
	return nil
}

// beganBefore takes what core has left.
func (m *Machine) beganBefore() (b begun) {
	if k := m.kept(); k != nil {
		b, *k = *k, begun{}
	}
	return b
}

// leaveRequest has the packet of b come again after others were served.
func (m *Machine) leaveRequest(s *scratch, b begun) {
	s.left = true
	m.rarely()
	*m.kept() = b
}

// requestFor gives an empty request, that of the latest SUBSCRIBE where core is done with
// it and it is not much too large.
func (s *scratch) requestFor(p *packet.Subscribe) *core.SubscribeRequest {
	n := len(p.Filters)
	if s.request == nil || cap(s.request.Filters) < n || cap(s.request.Filters) > 64+8*n {
		s.request = &core.SubscribeRequest{Filters: make([]core.FilterRequest, 0, n)}
	}
	*s.request = core.SubscribeRequest{Pieces: core.Pieces{Allowed: true}, Token: uint32(p.PacketID), Filters: s.request.Filters[:0]}
	return s.request
}

// collect puts the filters into r. refused stays nil while all of them go to core;
// otherwise it has an entry for each filter of the packet, Success for those that
// go there.
func (m *Machine) collect(t *core.Turn, filters []packet.Subscription, r *core.SubscribeRequest) (refused []core.Reason, err error) {
	t.Spend(len(filters)) // that they were read
	for i := range filters {
		in := &filters[i]
		name := t.FilterText(in.Filter)
		why, err := m.kindAllowed(name, in.NoLocal)
		if err != nil {
			return nil, err
		}
		if why != core.Success && refused == nil {
			refused = make([]core.Reason, len(filters))
		}
		if why != core.Success {
			refused[i] = why
			continue
		}
		r.Filters = append(r.Filters, core.FilterRequest{Filter: name, SubscribeOptions: core.SubscribeOptions{
			QoS:               min(in.QoS, m.adapter.cfg.MaxQoS), // [MQTT-3.2.2-10]
			NoLocal:           in.NoLocal,
			RetainAsPublished: in.RetainAsPublished,
			RetainHandling:    in.RetainHandling,
		}})
	}
	return refused, nil
}

// kindAllowed checks the kind of a subscription. MQTT 5 clients were told in
// CONNACK what is turned off, so for them it is an error; others get a failure in
// the SUBACK. [MQTT311-3.8.3-2] A filter that is not valid is left to core.
func (m *Machine) kindAllowed(filter string, noLocal bool) (core.Reason, error) {
	cfg := &m.adapter.cfg
	if !noLocal && cfg.SharedAvailable && cfg.WildcardAvailable {
		return core.Success, nil
	}
	sub, err := topic.ParseSubscription(filter, topic.Limits{Length: topic.MaxLength, Levels: topic.MaxLength})
	why, detail := core.Success, ""
	switch {
	case err != nil:
	case noLocal && sub.Shared():
		return 0, refuse(core.ProtocolError, "No Local on a shared subscription [MQTT-3.8.3-4]")
	case sub.Shared() && !cfg.SharedAvailable:
		why, detail = core.SharedNotSupported, "shared subscriptions are turned off [3.2.2.3.13]"
	case sub.Filter.Wildcard() && !cfg.WildcardAvailable:
		why, detail = core.WildcardNotSupported, "wildcard subscriptions are turned off [3.2.2.3.11]"
	}
	if why != core.Success && m.version == packet.V5 {
		return 0, refuse(why, detail)
	}
	return why, nil
}

// put hands the filters to core and answers at once or later, unless core leaves them.
func (m *Machine) put(t *core.Turn, s *scratch, a *protocols.Actions, r *core.SubscribeRequest, refused []core.Reason) error {
	var granted []uint8
	var reasons []core.Reason
	pending, id := false, uint16(r.Token)
	if d := m.streams(); d != nil && !r.Unfinished() {
		d.subscribed(r.Filters)
	}
	if len(r.Filters) > 0 {
		granted, reasons, pending = m.adapter.gw.Subscribe(t, m.link, r)
	}
	if r.Unfinished() {
		s.request = nil // it is the stream's
		m.leaveRequest(s, begun{subscribe: r, refused: refused})
		return nil
	}
	if refused != nil {
		m.rarely().refused = refused
	}
	if pending {
		s.request = nil // it is core's
		m.wait(forSubscribe, id)
		return nil
	}
	clear(r.Filters)
	m.sendSuback(t, s, a, id, granted, reasons)
	return nil
}

// wait stops reading until core is done with the packet of this identifier.
func (m *Machine) wait(w waiting, id uint16) {
	m.waiting = w
	r := m.rarely()
	r.packetID, r.stream = id, 0
	if d := m.streams(); d != nil {
		r.stream = d.now
	}
}

// sendSuback answers a SUBSCRIBE. [MQTT-2.2.1-6] [MQTT-3.8.4-2] [MQTT-3.8.4-5]
// [MQTT-3.8.4-6] [MQTT-3.9.3-1]
func (m *Machine) sendSuback(t *core.Turn, s *scratch, a *protocols.Actions, id uint16, granted []uint8, reasons []core.Reason) {
	p := &s.suback
	p.Properties.Reset()
	p.PacketID, p.Codes = id, p.Codes[:0]
	worst := core.Success
	add := func(r core.Reason, qos uint8) {
		c := packet.ReasonCode(qos) // [MQTT-3.8.4-7]
		if r != core.Success {
			c, worst = code(r, packet.TypeSuback), r
		}
		p.Codes = append(p.Codes, c)
	}
	next := func() {
		if len(reasons) == 0 {
			return // core owes an answer to each filter
		}
		add(reasons[0], granted[0])
		reasons, granted = reasons[1:], granted[1:]
	}
	if m.rare != nil && m.rare.refused != nil {
		for _, r := range m.rare.refused {
			if r != core.Success {
				add(r, 0)
			} else {
				next()
			}
		}
		m.rare.refused = nil
	}
	for len(reasons) > 0 {
		next()
	}
	m.diagnose(&p.Properties, worst, func() int { return p.Size(m.version) })
	m.answer(t, s, a, p)
}

// diagnose adds a Reason String to an acknowledgement unless the client asked for
// none. [MQTT-3.1.2-29] [MQTT-3.4.2-2] [MQTT-3.9.2-1] [MQTT-3.11.2-1]
func (m *Machine) diagnose(p *packet.Properties, r core.Reason, size func() int) {
	if m.version == packet.V5 && !m.noProblem {
		m.explain(p, verdict{reason: r}, size)
	}
}

// answer appends an acknowledgement that must not be left out: where it is larger
// than the client takes, the connection ends. [MQTT-3.1.2-24]
func (m *Machine) answer(t *core.Turn, s *scratch, a *protocols.Actions, p packet.Packet) {
	if !m.fits(p.Size(m.version)) {
		m.fault(t, s, a, refuse(core.TooLargeForReceiver, "the acknowledgement is above the client's Maximum Packet Size [MQTT-3.1.2-24]"))
		return
	}
	a.Out = p.Append(a.Out, m.version)
	t.Count(core.PacketsSent, 1)
}

// unsubscribe takes an UNSUBSCRIBE; reading waits until its UNSUBACK is written.
// [MQTT-3.10.4-4]
func (m *Machine) unsubscribe(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	if b := m.beganBefore(); b.unsubscribe != nil {
		return m.take(t, s, a, b.unsubscribe)
	}
	p := &s.unsubscribe
	p.Limits = &m.adapter.limits
	if err := p.Decode(m.version, f.Header, f.Body); err != nil {
		return err
	}
	if s.ending == nil {
		s.ending = &core.UnsubscribeRequest{}
	}
	r := s.ending
	*r = core.UnsubscribeRequest{Pieces: core.Pieces{Allowed: true}, Token: uint32(p.PacketID), Filters: r.Filters[:0]}
	t.Spend(len(p.Filters))
	for i := range p.Filters {
		r.Filters = append(r.Filters, t.FilterText(p.Filters[i]))
	}
	if d := m.streams(); d != nil {
		d.unsubscribed(r.Filters)
	}
	return m.take(t, s, a, r)
}

// take hands the filters of an UNSUBSCRIBE to core, as put does those of a SUBSCRIBE.
func (m *Machine) take(t *core.Turn, s *scratch, a *protocols.Actions, r *core.UnsubscribeRequest) error {
	reasons, pending := m.adapter.gw.Unsubscribe(t, m.link, r)
	if r.Unfinished() {
		s.ending = nil // it is the stream's
		m.leaveRequest(s, begun{unsubscribe: r})
		return nil
	}
	clear(r.Filters)
	if pending {
		m.wait(forUnsubscribe, uint16(r.Token))
		return nil
	}
	m.sendUnsuback(t, s, a, uint16(r.Token), reasons)
	return nil
}

// sendUnsuback answers an UNSUBSCRIBE. [MQTT-2.2.1-6] [MQTT-3.10.4-5] [MQTT-3.10.4-6]
// [MQTT-3.11.3-1]
func (m *Machine) sendUnsuback(t *core.Turn, s *scratch, a *protocols.Actions, id uint16, reasons []core.Reason) {
	p := &s.unsuback
	p.Properties.Reset()
	p.PacketID, p.Codes = id, p.Codes[:0]
	failed := core.Success
	for _, r := range reasons {
		c := code(r, packet.TypeUnsuback)
		if c.Failed() {
			failed = r
		}
		p.Codes = append(p.Codes, c)
	}
	if failed != core.Success && m.version != packet.V5 {
		// Before version 5 UNSUBACK always means done, which it is not.
		m.end(t, s, a, verdict{reason: failed})
		return
	}
	m.diagnose(&p.Properties, failed, func() int { return p.Size(m.version) })
	m.answer(t, s, a, p)
}
