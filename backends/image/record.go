package image

import (
	"github.com/fairlead-iot/fairlead/core"
)

// Flags of a stored session.
const (
	sessionWill      = 0x01
	sessionSuperuser = 0x02
	sessionMount     = 0x04 // since format 2, as what follows
	sessionAsleep    = 0x08 // its time and the client's port follow
	sessionKeptWill  = 0x10 // the Will that is kept follows
	sessionKeptSame  = 0x20 // it is the pending one
)

func appendSessionRecord(dst []byte, s *core.SessionRecord) []byte {
	var flags byte
	if s.Will != nil {
		flags |= sessionWill
	}
	if s.Superuser {
		flags |= sessionSuperuser
	}
	if s.Mount != "" {
		flags |= sessionMount
	}
	if s.Asleep != 0 || s.Port != 0 {
		flags |= sessionAsleep
	}
	switch {
	case s.KeptWill == nil:
	case s.KeptWill == s.Will:
		flags |= sessionKeptSame
	default:
		flags |= sessionKeptWill
	}
	dst = append(dst, flags, s.Version)
	dst = AppendString(dst, s.Username)
	dst = AppendString(dst, s.Protocol)
	dst = AppendString(dst, s.Listener)
	peer, _ := s.Peer.MarshalBinary() // never fails
	dst = appendBytes(dst, peer)
	dst = AppendUvarint(dst, s.Epoch)
	dst = AppendUvarint(dst, uint64(s.Expiry))
	dst = appendVarint(dst, s.Disconnected)
	dst = appendVarint(dst, s.Created)
	dst = appendVarint(dst, s.WillAt)
	if s.Mount != "" {
		dst = AppendString(dst, s.Mount)
	}
	if s.Will != nil {
		dst = appendWill(dst, s.Will)
	}
	if flags&sessionAsleep != 0 {
		dst = AppendUvarint(AppendUvarint(dst, uint64(s.Asleep)), uint64(s.Port))
	}
	if flags&sessionKeptWill != 0 {
		dst = appendWill(dst, s.KeptWill)
	}
	return dst
}

func readSessionRecord(r *Reader, clientID string) (core.SessionRecord, error) {
	flags := r.byte()
	if flags&^(sessionWill|sessionSuperuser|sessionMount|sessionAsleep|sessionKeptWill|sessionKeptSame) != 0 {
		r.fail()
	}
	s := core.SessionRecord{ClientID: clientID, Superuser: flags&sessionSuperuser != 0, Version: r.byte()}
	s.Username = r.String()
	s.Protocol = r.String()
	s.Listener = r.String()
	if s.Peer.UnmarshalBinary(r.Bytes()) != nil {
		r.fail()
	}
	s.Epoch = r.Uvarint()
	s.Expiry = r.uint32()
	s.Disconnected = r.varint()
	s.Created = r.varint()
	s.WillAt = r.varint()
	if flags&sessionMount != 0 {
		s.Mount = r.String()
	}
	if flags&sessionWill != 0 {
		s.Will = readWill(r)
	}
	if flags&sessionAsleep != 0 {
		s.Asleep = r.uint32()
		port := r.uint32()
		if s.Port = uint16(port); port > 0xFFFF {
			r.fail()
		}
	}
	if flags&sessionKeptWill != 0 {
		s.KeptWill = readWill(r)
	} else if flags&sessionKeptSame != 0 {
		s.KeptWill = s.Will
	}
	return s, r.End()
}

// Flags of a stored delayed message.
const delayedSuperuser = 0x01

func appendDelayedRecord(dst []byte, d *core.DelayedRecord) []byte {
	var flags byte
	if d.Superuser {
		flags |= delayedSuperuser
	}
	dst = appendVarint(append(dst, flags), d.Due)
	dst = AppendString(dst, d.Listener)
	peer, _ := d.Peer.MarshalBinary() // never fails
	return appendMessage(appendBytes(dst, peer), d.Msg)
}

func readDelayedRecord(r *Reader) (core.DelayedRecord, error) {
	flags := r.byte()
	if flags&^delayedSuperuser != 0 {
		r.fail()
	}
	d := core.DelayedRecord{Superuser: flags&delayedSuperuser != 0, Due: r.varint(), Listener: r.String()}
	if d.Peer.UnmarshalBinary(r.Bytes()) != nil {
		r.fail()
	}
	d.Msg = readMessage(r)
	return d, r.End()
}

// Flags of a stored subscription.
const (
	subQoS           = 0x03
	subNoLocal       = 0x04
	subRetainAsPub   = 0x08
	subHandling      = 0x30
	subHandlingShift = 4
	subPermitted     = 0x40
	subOrigin        = 0x80 // the origin follows
)

// The largest values that the specification knows.
const (
	largestQoS            = 2
	largestRetainHandling = 2
)

func appendSubscriptionRecord(dst []byte, s *core.SubscriptionRecord) []byte {
	flags := s.QoS&subQoS | s.RetainHandling<<subHandlingShift&subHandling
	if s.NoLocal {
		flags |= subNoLocal
	}
	if s.RetainAsPublished {
		flags |= subRetainAsPub
	}
	if s.Permitted {
		flags |= subPermitted
	}
	if s.Origin == "" {
		return AppendUvarint(append(dst, flags), uint64(s.SubID))
	}
	return AppendString(AppendUvarint(append(dst, flags|subOrigin), uint64(s.SubID)), s.Origin)
}

func readSubscriptionRecord(r *Reader, filter string, proxy bool) (core.SubscriptionRecord, error) {
	flags := r.byte()
	s := core.SubscriptionRecord{Filter: filter, Proxy: proxy, SubID: r.uint32()}
	s.QoS = flags & subQoS
	s.NoLocal = flags&subNoLocal != 0
	s.RetainAsPublished = flags&subRetainAsPub != 0
	s.RetainHandling = flags & subHandling >> subHandlingShift
	s.Permitted = flags&subPermitted != 0
	if flags&subOrigin != 0 {
		s.Origin = r.String()
	}
	if s.QoS > largestQoS || s.RetainHandling > largestRetainHandling {
		r.fail()
	}
	return s, r.End()
}

// Flags of a stored queue entry.
const (
	entryQoS      = 0x03
	entryRetain   = 0x04
	entryReleased = 0x08
	entryBody     = 0x10 // the message lies under its own key
	entryInline   = 0x20 // the message follows
)

// appendEntry appends a queue entry; body is the id of the message's own record,
// or 0 for an inline message.
func appendEntry(dst []byte, e *core.QueuedMessage, body uint64) []byte {
	flags := e.QoS & entryQoS
	if e.Retain {
		flags |= entryRetain
	}
	if e.Released {
		flags |= entryReleased
	}
	switch {
	case body != 0:
		flags |= entryBody
	case e.Msg != nil:
		flags |= entryInline
	}
	dst = append(dst, flags)
	dst = AppendUvarint(dst, uint64(len(e.SubIDs)))
	for _, id := range e.SubIDs {
		dst = AppendUvarint(dst, uint64(id))
	}
	switch {
	case body != 0:
		dst = AppendUvarint(dst, body)
	case e.Msg != nil:
		dst = appendMessage(dst, e.Msg)
	}
	return dst
}

// readEntry reads a queue entry; body is not 0 where the message lies apart. With
// brief it reads only what a scan of all queues needs: the message stays out.
func readEntry(r *Reader, seq uint64, brief bool) (e core.QueuedMessage, body uint64, err error) {
	flags := r.byte()
	e = core.QueuedMessage{Seq: seq, QoS: flags & entryQoS, Retain: flags&entryRetain != 0, Released: flags&entryReleased != 0}
	if flags&^(entryQoS|entryRetain|entryReleased|entryBody|entryInline) != 0 || e.QoS > largestQoS ||
		flags&(entryBody|entryInline) == entryBody|entryInline {
		r.fail()
	}
	e.SubIDs = readSubIDs(r)
	switch {
	case flags&entryBody != 0:
		if body = r.Uvarint(); body == 0 {
			r.fail()
		}
	case flags&entryInline != 0 && brief:
		return e, 0, nil
	case flags&entryInline != 0:
		e.Msg = readMessage(r)
	case !e.Released:
		r.fail() // only a release marker may be without its message
	}
	return e, body, r.End()
}

func readSubIDs(r *Reader) []uint32 {
	n := r.Uvarint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = r.uint32()
	}
	return ids
}
