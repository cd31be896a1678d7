package packet

import (
	"encoding/binary"
	"math/bits"
)

// decode reads a property block with its length from c. Any fault goes into c.
func (p *Properties) decode(c *cursor, b block, lim *Limits) {
	p.Reset()
	length := int(c.varint())
	if c.err != nil || length == 0 {
		return
	}
	if length > len(c.b) {
		c.fail(errPropLength)
		return
	}
	if length > lim.propertyBytes() {
		c.fail(errPropBytes)
		return
	}
	in := cursor{b: c.take(length)}
	users := userBlock{whole: in.b, spare: p.spare[:0], left: lim.userProperties()}
	for len(in.b) > 0 {
		p.decodeOne(&in, b, &users)
	}
	if in.err == nil {
		p.User, p.spare = users.finish()
		in.err = p.check(b)
	}
	if in.err != nil {
		c.fail(in.err)
	}
}

// decodeOne reads one property. Identifiers are variable byte integers, but all that exist take one byte.
func (p *Properties) decodeOne(in *cursor, b block, users *userBlock) {
	start := len(users.whole) - len(in.b)
	id := Property(in.u8())
	if id > propLast || !blockProps[b].Has(id) {
		in.fail(errPropUnknown)
		return
	}
	if p.Present.Has(id) && id != PropUserProperty && (id != PropSubscriptionID || b != blockPublish) {
		in.fail(errPropTwice)
		return
	}
	p.Present |= 1 << id
	switch propTypes[id] {
	case typeByte:
		*p.byteField(id) = in.u8()
	case typeU16:
		*p.u16Field(id) = in.u16()
	case typeU32:
		*p.u32Field(id) = in.u32()
	case typeVarint:
		p.SubscriptionIDs = append(p.SubscriptionIDs, in.varint())
	case typeString:
		*p.bytesField(id) = in.str()
	case typeBinary:
		*p.bytesField(id) = in.binary()
	case typePair: // [MQTT-1.5.7-1]
		in.str()
		in.str()
		if in.err == nil && !users.add(start, len(users.whole)-len(in.b)) {
			in.fail(errPropUser)
		}
	}
}

// check looks at values that their data type allows but their meaning does not.
func (p *Properties) check(b block) *Error {
	const booleans = 1<<PropPayloadFormat | 1<<PropRequestProblemInformation | 1<<PropRequestResponseInformation |
		1<<PropMaximumQoS | 1<<PropRetainAvailable | 1<<PropWildcardSubscriptionAvailable |
		1<<PropSubscriptionIDAvailable | 1<<PropSharedSubscriptionAvailable
	for s := p.Present & booleans; s != 0; s &= s - 1 {
		if *p.byteField(Property(bits.TrailingZeros64(uint64(s)))) > 1 {
			return errPropBool
		}
	}
	for _, id := range p.SubscriptionIDs {
		if id == 0 {
			return errSubscriptionID
		}
	}
	switch {
	case p.Present.Has(PropReceiveMaximum) && p.ReceiveMaximum == 0:
		return errReceiveMax
	case p.Present.Has(PropMaximumPacketSize) && p.MaximumPacketSize == 0:
		return errMaxPacket
	case p.Present.Has(PropTopicAlias) && p.TopicAlias == 0:
		return errTopicAlias // [MQTT-3.3.2-8]
	case p.Present.Has(PropResponseTopic) && len(p.ResponseTopic) == 0:
		return errResponseEmpty // [MQTT-4.7.3-1]
	case p.Present.Has(PropResponseTopic) && hasWildcard(p.ResponseTopic):
		return errResponseTopic // [MQTT-3.3.2-14]
	case p.Present.Has(PropAuthenticationData) && !p.Present.Has(PropAuthenticationMethod) && b != blockAuth:
		return errAuthData
	}
	return nil
}

// append writes the block with its length, [MQTT-2.2.2-1] a zero if it is empty.
func (p *Properties) append(dst []byte, b block) []byte {
	dst = appendVarint(dst, uint32(p.bodySize(b)))
	return p.appendSet(dst, p.present()&blockProps[b])
}

// appendSet writes the properties of s, those of lower identifier first.
func (p *Properties) appendSet(dst []byte, s PropertySet) []byte {
	for ; s != 0; s &= s - 1 {
		id := Property(bits.TrailingZeros64(uint64(s)))
		switch propTypes[id] {
		case typeByte:
			dst = append(dst, byte(id), *p.byteField(id))
		case typeU16:
			dst = appendU16(append(dst, byte(id)), *p.u16Field(id))
		case typeU32:
			dst = binary.BigEndian.AppendUint32(append(dst, byte(id)), *p.u32Field(id))
		case typeVarint:
			for _, v := range p.SubscriptionIDs {
				dst = appendVarint(append(dst, byte(id)), v)
			}
		case typeString, typeBinary:
			dst = appendBytes(append(dst, byte(id)), *p.bytesField(id))
		case typePair:
			dst = append(dst, p.User...)
		}
	}
	return dst
}

// size is the block's length with its length field.
func (p *Properties) size(b block) int {
	n := p.bodySize(b)
	return varintSize(uint32(n)) + n
}

// bodySize is the block's length without its length field.
func (p *Properties) bodySize(b block) int { return p.setSize(p.present() & blockProps[b]) }

func (p *Properties) setSize(s PropertySet) int {
	n := 0
	for ; s != 0; s &= s - 1 {
		id := Property(bits.TrailingZeros64(uint64(s)))
		switch propTypes[id] {
		case typeByte:
			n += 2
		case typeU16:
			n += 3
		case typeU32:
			n += 5
		case typeVarint:
			for _, v := range p.SubscriptionIDs {
				n += 1 + varintSize(v)
			}
		case typeString, typeBinary:
			n += 3 + len(*p.bytesField(id))
		case typePair:
			n += len(p.User)
		}
	}
	return n
}
