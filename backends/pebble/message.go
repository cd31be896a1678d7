package pebble

import (
	"github.com/fairlead-iot/fairlead/core"
)

// Flags of a stored message.
const (
	flagQoS        = 0x03
	flagRetain     = 0x04
	flagExpires    = 0x08
	flagProperties = 0x10
)

// Flags of stored properties.
const (
	flagUTF8        = 0x01
	flagCorrelation = 0x02
)

// appendMessage appends all lasting fields of m.
func appendMessage(dst []byte, m *core.Message) []byte {
	flags := m.QoS & flagQoS
	if m.Retain {
		flags |= flagRetain
	}
	if m.Expires != 0 {
		flags |= flagExpires
	}
	if m.Properties != nil {
		flags |= flagProperties
	}
	dst = append(dst, flags)
	dst = appendUvarint(dst, m.ID)
	dst = appendVarint(dst, m.Published)
	if m.Expires != 0 {
		dst = appendVarint(dst, m.Expires)
	}
	dst = appendString(dst, m.Topic)
	dst = appendString(dst, m.Publisher)
	dst = appendString(dst, m.Username)
	if m.Properties != nil {
		dst = appendProperties(dst, m.Properties)
	}
	return appendBytes(dst, m.Payload)
}

// readMessage reads what appendMessage wrote. The message owns its bytes.
func readMessage(r *reader) *core.Message {
	flags := r.byte()
	m := &core.Message{QoS: flags & flagQoS, Retain: flags&flagRetain != 0}
	if flags&^(flagQoS|flagRetain|flagExpires|flagProperties) != 0 || m.QoS == 3 {
		r.fail()
	}
	m.ID = r.uvarint()
	m.Published = r.varint()
	if flags&flagExpires != 0 {
		m.Expires = r.varint()
	}
	m.Topic = r.string()
	m.Publisher = r.string()
	m.Username = r.string()
	if flags&flagProperties != 0 {
		m.Properties = readProperties(r)
	}
	m.Payload = append([]byte(nil), r.bytes()...)
	return m
}

func appendProperties(dst []byte, p *core.Properties) []byte {
	flags := p.PayloadFormat & flagUTF8
	if p.CorrelationData != nil {
		flags |= flagCorrelation
	}
	dst = append(dst, flags)
	dst = appendString(dst, p.ContentType)
	dst = appendString(dst, p.ResponseTopic)
	if p.CorrelationData != nil {
		dst = appendBytes(dst, p.CorrelationData)
	}
	dst = appendUvarint(dst, uint64(len(p.User)))
	for i := range p.User {
		dst = appendString(dst, p.User[i].Name)
		dst = appendString(dst, p.User[i].Value)
	}
	return dst
}

func readProperties(r *reader) *core.Properties {
	flags := r.byte()
	if flags&^(flagUTF8|flagCorrelation) != 0 {
		r.fail()
	}
	p := &core.Properties{PayloadFormat: flags & flagUTF8}
	p.ContentType = r.string()
	p.ResponseTopic = r.string()
	if flags&flagCorrelation != 0 {
		p.CorrelationData = append([]byte{}, r.bytes()...)
	}
	n := r.uvarint()
	// Each pair takes at least two bytes: a length beyond that is a lie.
	if n > uint64(len(r.rest))/2 {
		r.fail()
		return p
	}
	if n > 0 {
		p.User = make([]core.UserProperty, n)
	}
	for i := range p.User {
		p.User[i] = core.UserProperty{Name: r.string(), Value: r.string()}
	}
	return p
}

// Flags of a stored Will.
const (
	willQoS        = 0x03
	willRetain     = 0x04
	willExpiry     = 0x08
	willProperties = 0x10
)

func appendWill(dst []byte, w *core.Will) []byte {
	flags := w.QoS & willQoS
	if w.Retain {
		flags |= willRetain
	}
	if w.HasExpiry {
		flags |= willExpiry
	}
	if w.Properties != nil {
		flags |= willProperties
	}
	dst = append(dst, flags)
	dst = appendUvarint(dst, uint64(w.Delay))
	if w.HasExpiry {
		dst = appendUvarint(dst, uint64(w.Expiry))
	}
	dst = appendString(dst, w.Topic)
	dst = appendBytes(dst, w.Payload)
	if w.Properties != nil {
		dst = appendProperties(dst, w.Properties)
	}
	return dst
}

func readWill(r *reader) *core.Will {
	flags := r.byte()
	w := &core.Will{QoS: flags & willQoS, Retain: flags&willRetain != 0, HasExpiry: flags&willExpiry != 0}
	if flags&^(willQoS|willRetain|willExpiry|willProperties) != 0 || w.QoS == 3 {
		r.fail()
	}
	w.Delay = r.uint32()
	if w.HasExpiry {
		w.Expiry = r.uint32()
	}
	w.Topic = r.string()
	w.Payload = append([]byte(nil), r.bytes()...)
	if flags&willProperties != 0 {
		w.Properties = readProperties(r)
	}
	return w
}
