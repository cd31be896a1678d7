package packet

import (
	"fmt"
	"math/bits"
	"strings"
)

// describe says what p means, in the words of the golden files.
func describe(p Packet) string {
	var s []string
	add := func(format string, args ...any) { s = append(s, fmt.Sprintf(format, args...)) }
	flag := func(b bool, word string) {
		if b {
			s = append(s, word)
		}
	}
	tail := func(p *Properties) { flag(p.present() != 0, describeProperties(p)) }
	switch p := p.(type) {
	case *Connect:
		return describeConnect(p)
	case *Connack:
		add("CONNACK %q", p.Reason)
		flag(p.SessionPresent, "present")
		tail(&p.Properties)
	case *Publish:
		add("PUBLISH topic=%q qos=%d", p.Topic, p.QoS)
		flag(p.QoS > 0 || p.PacketID != 0, fmt.Sprintf("id=%d", p.PacketID))
		flag(p.Dup, "dup")
		flag(p.Retain, "retain")
		tail(&p.Properties)
		add("payload=%s", quote(p.Payload))
	case *Ack:
		add("%s id=%d %q", p.Type, p.PacketID, p.Reason)
		tail(&p.Properties)
	case *Subscribe:
		add("SUBSCRIBE id=%d", p.PacketID)
		tail(&p.Properties)
		for _, f := range p.Filters {
			add("filter=%q qos=%d", f.Filter, f.QoS)
			flag(f.NoLocal, "no-local")
			flag(f.RetainAsPublished, "retain-as-published")
			flag(f.RetainHandling != 0, fmt.Sprintf("retain-handling=%d", f.RetainHandling))
		}
	case *Suback:
		add("SUBACK id=%d codes=%s", p.PacketID, hexCodes(p.Codes))
		tail(&p.Properties)
	case *Unsubscribe:
		add("UNSUBSCRIBE id=%d filters=%q", p.PacketID, p.Filters)
		tail(&p.Properties)
	case *Unsuback:
		add("UNSUBACK id=%d codes=%s", p.PacketID, hexCodes(p.Codes))
		tail(&p.Properties)
	case *Pingreq:
		add("PINGREQ")
	case *Pingresp:
		add("PINGRESP")
	case *Disconnect:
		add("DISCONNECT %q", p.Reason)
		tail(&p.Properties)
	case *Auth:
		add("AUTH %q", p.Reason)
		tail(&p.Properties)
	}
	return strings.Join(s, " ")
}

func describeConnect(p *Connect) string {
	s := fmt.Sprintf("CONNECT %s", p.Version)
	if p.CleanStart {
		s += " clean"
	}
	s += fmt.Sprintf(" keepalive=%d client=%q", p.KeepAlive, p.ClientID)
	if p.HasWill {
		s += fmt.Sprintf(" will=%q payload=%q qos=%d", p.Will.Topic, p.Will.Payload, p.Will.QoS)
		if p.Will.Retain {
			s += " retain"
		}
		if p.Will.Properties.present() != 0 {
			s += " " + describeProperties(&p.Will.Properties)
		}
	}
	if p.HasUsername {
		s += fmt.Sprintf(" user=%q", p.Username)
	}
	if p.HasPassword {
		s += fmt.Sprintf(" password=%q", p.Password)
	}
	if p.Properties.present() != 0 {
		s += " " + describeProperties(&p.Properties)
	}
	return s
}

func hexCodes(codes []ReasonCode) string {
	b := make([]byte, len(codes))
	for i, c := range codes {
		b[i] = byte(c)
	}
	return fmt.Sprintf("% x", b)
}

// describeProperties lists the properties by identifier.
func describeProperties(p *Properties) string {
	var s []string
	for set := p.present(); set != 0; set &= set - 1 {
		id := Property(bits.TrailingZeros64(uint64(set)))
		switch propTypes[id] {
		case typeByte:
			s = append(s, fmt.Sprintf("%s=%d", id, *p.byteField(id)))
		case typeU16:
			s = append(s, fmt.Sprintf("%s=%d", id, *p.u16Field(id)))
		case typeU32:
			s = append(s, fmt.Sprintf("%s=%d", id, *p.u32Field(id)))
		case typeVarint:
			s = append(s, fmt.Sprintf("%s=%d", id, p.SubscriptionIDs))
		case typeString, typeBinary:
			s = append(s, fmt.Sprintf("%s=%s", id, quote(*p.bytesField(id))))
		case typePair:
			for name, value := range p.User.All() {
				s = append(s, fmt.Sprintf("%s=%q:%q", id, name, value))
			}
		}
	}
	return "{" + strings.Join(s, ", ") + "}"
}

// quote shows b, or only its length if it is long.
func quote(b []byte) string {
	if len(b) > 64 {
		return fmt.Sprintf("(%d bytes)", len(b))
	}
	return fmt.Sprintf("%q", b)
}
