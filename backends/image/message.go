package image

import (
	"github.com/fairlead-iot/fairlead/core"
)

// Flags of a stored message.
const (
	flagQoS        = 0x03
	flagRetain     = 0x04
	flagExpires    = 0x08
	flagProperties = 0x10
	flagStored     = 0x20 // what a data backend calls it follows, since format 3
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
	if m.Stored != nil {
		flags |= flagStored
	}
	dst = append(dst, flags)
	dst = AppendUvarint(dst, m.ID)
	dst = appendVarint(dst, m.Published)
	if m.Expires != 0 {
		dst = appendVarint(dst, m.Expires)
	}
	dst = AppendString(dst, m.Topic)
	dst = AppendString(dst, m.Publisher)
	dst = AppendString(dst, m.Username)
	if m.Properties != nil {
		dst = appendProperties(dst, m.Properties)
	}
	if m.Stored != nil {
		dst = AppendString(AppendString(dst, m.Stored.Sink), m.Stored.ID)
	}
	return appendBytes(dst, m.Payload)
}

// readMessage reads what appendMessage wrote. The message owns its bytes.
func readMessage(r *Reader) *core.Message {
	flags := r.byte()
	m := &core.Message{QoS: flags & flagQoS, Retain: flags&flagRetain != 0}
	if flags&^(flagQoS|flagRetain|flagExpires|flagProperties|flagStored) != 0 || m.QoS == 3 {
		r.fail()
	}
	m.ID = r.Uvarint()
	m.Published = r.varint()
	if flags&flagExpires != 0 {
		m.Expires = r.varint()
	}
	m.Topic = r.String()
	m.Publisher = r.String()
	m.Username = r.String()
	if flags&flagProperties != 0 {
		m.Properties = readProperties(r)
	}
	if flags&flagStored != 0 {
		m.Stored = &core.StoredName{Sink: r.String(), ID: r.String()}
	}
	m.Payload = append([]byte(nil), r.Bytes()...)
	return m
}

func appendProperties(dst []byte, p *core.Properties) []byte {
	flags := p.PayloadFormat & flagUTF8
	if p.CorrelationData != nil {
		flags |= flagCorrelation
	}
	dst = append(dst, flags)
	dst = AppendString(dst, p.ContentType)
	dst = AppendString(dst, p.ResponseTopic)
	if p.CorrelationData != nil {
		dst = appendBytes(dst, p.CorrelationData)
	}
	dst = AppendUvarint(dst, uint64(len(p.User)))
	for i := range p.User {
		dst = AppendString(dst, p.User[i].Name)
		dst = AppendString(dst, p.User[i].Value)
	}
	return dst
}

func readProperties(r *Reader) *core.Properties {
	flags := r.byte()
	if flags&^(flagUTF8|flagCorrelation) != 0 {
		r.fail()
	}
	p := &core.Properties{PayloadFormat: flags & flagUTF8}
	p.ContentType = r.String()
	p.ResponseTopic = r.String()
	if flags&flagCorrelation != 0 {
		p.CorrelationData = append([]byte{}, r.Bytes()...)
	}
	n := r.Uvarint()
	// Each pair takes at least two bytes: a length beyond that is a lie.
	if n > uint64(len(r.rest))/2 {
		r.fail()
		return p
	}
	if n > 0 {
		p.User = make([]core.UserProperty, n)
	}
	for i := range p.User {
		p.User[i] = core.UserProperty{Name: r.String(), Value: r.String()}
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
	dst = AppendUvarint(dst, uint64(w.Delay))
	if w.HasExpiry {
		dst = AppendUvarint(dst, uint64(w.Expiry))
	}
	dst = AppendString(dst, w.Topic)
	dst = appendBytes(dst, w.Payload)
	if w.Properties != nil {
		dst = appendProperties(dst, w.Properties)
	}
	return dst
}

func readWill(r *Reader) *core.Will {
	flags := r.byte()
	w := &core.Will{QoS: flags & willQoS, Retain: flags&willRetain != 0, HasExpiry: flags&willExpiry != 0}
	if flags&^(willQoS|willRetain|willExpiry|willProperties) != 0 || w.QoS == 3 {
		r.fail()
	}
	w.Delay = r.uint32()
	if w.HasExpiry {
		w.Expiry = r.uint32()
	}
	w.Topic = r.String()
	w.Payload = append([]byte(nil), r.Bytes()...)
	if flags&willProperties != 0 {
		w.Properties = readProperties(r)
	}
	return w
}
