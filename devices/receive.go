package devices

import (
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// reader is what readLoop holds: packets decoded into, and inbound aliases.
type reader struct {
	c       *Client
	publish packet.Publish
	ack     packet.Ack
	suback  packet.Suback
	unsub   packet.Unsuback
	leave   packet.Disconnect
	aliases map[uint16]string
}

// readLoop takes the server's packets until the connection ends.
func (c *Client) readLoop(buf []byte) {
	defer close(c.drained)
	defer close(c.messages)
	r := &reader{c: c, aliases: map[uint16]string{}}
	// The server is this side's own choice, so only its packets' size is bounded.
	open := &packet.Limits{PropertyBytes: packet.MaxRemaining, UserProperties: packet.MaxRemaining, Filters: packet.MaxRemaining}
	r.publish.Limits, r.ack.Limits, r.suback.Limits, r.unsub.Limits, r.leave.Limits = open, open, open, open, open
	for {
		used, err := r.take(buf)
		if err != nil {
			c.abort(err)
			return
		}
		if buf = buf[used:]; cap(buf) > maxUnwritten && len(buf) < minRead {
			buf = append([]byte(nil), buf...) // a large packet's memory is not kept
		}
		if buf, err = c.fill(buf); err != nil {
			c.fail(lost(err))
			return
		}
	}
}

// minRead is the least room a read gets.
const minRead = 4096

// fill reads more behind buf, which grows only with what really came.
func (c *Client) fill(buf []byte) ([]byte, error) {
	if cap(buf)-len(buf) < minRead {
		grown := make([]byte, len(buf), 2*len(buf)+4*minRead)
		copy(grown, buf)
		buf = grown
	}
	n, err := c.conn.Read(buf[len(buf):cap(buf)])
	if n > 0 {
		c.mu.Lock()
		c.lastRead = time.Now()
		c.mu.Unlock()
		return buf[:len(buf)+n], nil
	}
	if err == nil {
		err = errors.New("a read without bytes")
	}
	return buf, err
}

// take handles the whole packets at the start of b.
func (r *reader) take(b []byte) (used int, err error) {
	for {
		f, n, err := packet.Next(b[used:], r.c.opt.MaximumPacketSize)
		if err != nil || n == 0 {
			return used, err
		}
		if err := r.handle(f); err != nil {
			return used, err
		}
		used += n
	}
}

// abort ends the connection for what the server did, and says so where MQTT can.
func (c *Client) abort(err error) {
	var wire *packet.Error
	var said *ReasonError
	switch {
	case errors.As(err, &said):
		c.fail(err)
		return
	case errors.As(err, &wire):
	default:
		wire = packet.ErrProtocol
	}
	err = fmt.Errorf("%s: the server broke the rules: %w", c.url, err)
	if !c.beginLeave(&packet.Disconnect{Reason: wire.Code}, err) {
		c.fail(err)
		return
	}
	wait := time.NewTimer(leaveTimeout)
	defer wait.Stop()
	select {
	case <-c.flushed:
	case <-wait.C:
	case <-c.done:
	}
	c.fail(err)
}

// handle takes one packet.
func (r *reader) handle(f packet.Frame) error {
	v := r.c.opt.Version
	switch f.Type {
	case packet.TypePublish:
		return r.published(f)
	case packet.TypePuback, packet.TypePubrec, packet.TypePubcomp, packet.TypePubrel:
		if err := r.ack.Decode(v, f.Header, f.Body); err != nil {
			return err
		}
		r.acknowledged(&r.ack)
		return nil
	case packet.TypeSuback:
		if err := r.suback.Decode(v, f.Header, f.Body); err != nil {
			return err
		}
		r.c.answer(f.Type, r.suback.PacketID, r.suback.Codes, &r.suback.Properties)
		return nil
	case packet.TypeUnsuback:
		if err := r.unsub.Decode(v, f.Header, f.Body); err != nil {
			return err
		}
		r.c.answer(f.Type, r.unsub.PacketID, r.unsub.Codes, &r.unsub.Properties)
		return nil
	case packet.TypePingresp:
		return (&packet.Pingresp{}).Decode(v, f.Header, f.Body)
	case packet.TypeDisconnect:
		return r.disconnected(f)
	}
	return fmt.Errorf("%s is not a server's packet here: %w", f.Type, packet.ErrProtocol)
}

// disconnected gives the server's reason as the connection's error.
func (r *reader) disconnected(f packet.Frame) error {
	if r.c.opt.Version != packet.V5 {
		return fmt.Errorf("DISCONNECT before MQTT 5: %w", packet.ErrProtocol)
	}
	if err := r.leave.Decode(packet.V5, f.Header, f.Body); err != nil {
		return err
	}
	p := &r.leave.Properties
	return &ReasonError{Op: "the server ended the connection", Code: r.leave.Reason, Version: packet.V5,
		Text: string(p.ReasonString), Reference: string(p.ServerReference)}
}

// published takes a PUBLISH.
func (r *reader) published(f packet.Frame) error {
	c, p := r.c, &r.publish
	if err := p.Decode(c.opt.Version, f.Header, f.Body); err != nil {
		return err
	}
	topic, err := r.topic(p)
	if err != nil {
		return err
	}
	if p.QoS == 0 {
		c.hand(c.received(p, topic))
		return nil
	}
	again, err := c.expect(p)
	if err != nil {
		return err
	}
	if again { // [MQTT-4.3.3-10]
		_ = c.acknowledge(2, p.PacketID)
		return nil
	}
	if c.hand(c.received(p, topic)) && !c.opt.ManualAck {
		// An error says that the connection is over, and so does its own.
		_ = c.acknowledge(p.QoS, p.PacketID)
	}
	return nil
}

// topic resolves an alias. [MQTT-3.3.2-10]
func (r *reader) topic(p *packet.Publish) (string, error) {
	if !p.Properties.Present.Has(packet.PropTopicAlias) {
		return string(p.Topic), nil
	}
	alias := p.Properties.TopicAlias
	if alias > r.c.opt.TopicAliasMaximum {
		return "", &packet.Error{Code: packet.ReasonTopicAliasInvalid, Clause: "MQTT-3.3.2-11", Msg: "topic alias above the maximum"}
	}
	if len(p.Topic) > 0 {
		r.aliases[alias] = string(p.Topic)
	}
	topic, ok := r.aliases[alias]
	if !ok {
		return "", &packet.Error{Code: packet.ReasonProtocolError, Clause: "3.3.2.3.4", Msg: "topic alias that stands for nothing"}
	}
	return topic, nil
}

// expect counts a received QoS 1 or 2 message against the Receive Maximum; again says
// that it was acknowledged before.
func (c *Client) expect(p *packet.Publish) (again bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.QoS == 2 {
		if _, known := c.session.received[p.PacketID]; known {
			return true, nil
		}
	}
	if c.unacked >= int(c.opt.ReceiveMaximum) { // [MQTT-3.3.4-9]
		return false, &packet.Error{Code: packet.ReasonReceiveMaximumExceeded, Clause: "MQTT-3.3.4-9", Msg: "more messages than the Receive Maximum"}
	}
	c.unacked++
	return false, nil
}

// hand gives m to the caller, waiting until there is room; false when the connection
// ends meanwhile.
func (c *Client) hand(m *Message) bool {
	select {
	case c.messages <- m:
		return true
	case <-c.leaving:
		return false
	case <-c.done:
		return false
	default:
	}
	c.setStalled(true)
	defer c.setStalled(false)
	select {
	case c.messages <- m:
		return true
	case <-c.leaving:
	case <-c.done:
	}
	return false
}

// setStalled notes that nothing is read at present, so that a missing PINGRESP
// proves nothing.
func (c *Client) setStalled(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = on
	c.lastRead = time.Now()
}

// acknowledge answers a received message. [MQTT-4.3.2-4] [MQTT-4.3.3-8]
func (c *Client) acknowledge(qos byte, id uint16) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.closing {
		if c.err != nil {
			return c.err
		}
		return ErrClosed
	}
	if qos == 1 {
		c.unacked--
		c.queue(&packet.Ack{Type: packet.TypePuback, PacketID: id})
		return nil
	}
	// QoS 2 counts until PUBREL came. An Ack that fails records nothing: the caller
	// learns that the message will come again.
	c.session.received[id] = struct{}{}
	c.queue(&packet.Ack{Type: packet.TypePubrec, PacketID: id})
	return nil
}

// acknowledged takes PUBACK, PUBREC, PUBREL and PUBCOMP.
func (r *reader) acknowledged(a *packet.Ack) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.Type == packet.TypePubrel {
		c.release(a.PacketID)
		return
	}
	p := c.session.byID[a.PacketID]
	switch {
	case p == nil || !p.onWire:
		if a.Type == packet.TypePubrec { // [MQTT 5 section 3.6.2.1]
			c.queue(&packet.Ack{Type: packet.TypePubrel, PacketID: a.PacketID, Reason: packet.ReasonPacketIdentifierNotFound})
		}
	case a.Type == packet.TypePuback && p.state == sent && p.message.QoS == 1,
		a.Type == packet.TypePubcomp && p.state == released,
		a.Type == packet.TypePubrec && p.state == sent && p.message.QoS == 2 && a.Reason.Failed():
		c.conclude(p, a)
	case a.Type == packet.TypePubrec && p.message.QoS == 2 && p.state != queued: // [MQTT-4.3.3-4]
		if p.state == sent {
			p.state, p.code = released, a.Reason
		}
		c.queue(&packet.Ack{Type: packet.TypePubrel, PacketID: p.id})
	}
}

// release ends a received QoS 2 message. [MQTT-4.3.3-11]
func (c *Client) release(id uint16) {
	answer := packet.Ack{Type: packet.TypePubcomp, PacketID: id}
	if _, known := c.session.received[id]; known {
		delete(c.session.received, id)
		c.unacked = max(c.unacked-1, 0)
	} else {
		answer.Reason = packet.ReasonPacketIdentifierNotFound
	}
	c.queue(&answer)
}

// conclude ends an own message and lets the next go.
func (c *Client) conclude(p *Pending, a *packet.Ack) {
	code := a.Reason
	if a.Type == packet.TypePubcomp {
		code = p.code // what PUBREC said; an unknown identifier is the end all the same
	}
	var err error
	if code.Failed() {
		err = &ReasonError{Op: fmt.Sprintf("publish to %q", p.message.Topic), Code: code, Version: c.opt.Version, Text: string(a.Properties.ReasonString)}
	}
	c.inflight--
	c.session.finish(p, code, err)
	c.pump()
}
