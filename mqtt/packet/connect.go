package packet

// Connect is the CONNECT packet, with which a client opens a connection. [MQTT 5 section 3.1]
type Connect struct {
	// Version is the client's version, 0 if this package does not speak it. Decode sets it, and Level, even where it
	// then fails, so that the refusal can be written in the client's own version. Append does not look at them.
	Version Version
	Level   byte // the level byte as it came

	CleanStart  bool   // "Clean Session" before version 5
	KeepAlive   uint16 // seconds, 0: none
	ClientID    []byte
	HasWill     bool
	Will        Will
	HasUsername bool
	Username    []byte
	HasPassword bool
	Password    []byte
	Properties  Properties

	Limits *Limits // kept by Decode; nil: the defaults
}

// Will is the message that the server publishes when the connection ends without a DISCONNECT.
type Will struct {
	Topic      []byte
	Payload    []byte
	QoS        byte
	Retain     bool
	Properties Properties
}

// The connect flags. [MQTT 5 section 3.1.2.3]
const (
	connectReserved   = 0x01
	connectCleanStart = 0x02
	connectWill       = 0x04
	connectWillQoS    = 0x18
	connectWillRetain = 0x20
	connectPassword   = 0x40
	connectUsername   = 0x80
)

// reset forgets the last packet but its memory.
func (p *Connect) reset() {
	p.Properties.Reset()
	p.Will.Properties.Reset()
	*p = Connect{Limits: p.Limits, Properties: p.Properties, Will: Will{Properties: p.Will.Properties}}
}

// Decode reads a CONNECT; its argument v is not looked at, for this packet names its own version. An unknown version gives
// an error that is ErrVersion.
//
// Left to the caller: whether the ClientID is welcome (MQTT 3.1: one to 23 characters), and whether it is the first and
// only CONNECT. [MQTT-3.1.0-1] [MQTT-3.1.0-2]
func (p *Connect) Decode(_ Version, h Header, body []byte) error {
	p.reset()
	if h.Type != TypeConnect {
		return errWrongType
	}
	if h.Flags != 0 {
		return errFlags // [MQTT-2.1.3-1]
	}
	c := cursor{b: body}
	flags := p.decodeHead(&c)
	if c.err != nil {
		return c.err
	}
	if e := checkConnectFlags(flags, p.Version); e != nil {
		return e
	}
	p.decodePayload(&c, flags)
	if e := c.end(); e != nil { // [MQTT-3.1.4-1] [MQTT-3.1.2-16] [MQTT-3.1.2-18]
		return e
	}
	if p.Version == V311 && len(p.ClientID) == 0 && !p.CleanStart {
		return errClientIDEmpty // [MQTT-3.1.3-7] of 3.1.1
	}
	return nil
}

// decodeHead reads the variable header and gives the connect flags.
func (p *Connect) decodeHead(c *cursor) (flags byte) {
	name := c.binary() // compared with known names, so not checked for UTF-8
	p.Level = c.u8()
	if c.err != nil {
		return 0
	}
	if p.Version = versionOf(name, p.Level); p.Version == 0 {
		c.fail(nameOrLevel(name))
		return 0
	}
	flags = c.u8()
	p.CleanStart = flags&connectCleanStart != 0
	p.KeepAlive = c.u16()
	if p.Version == V5 && c.err == nil {
		p.Properties.decode(c, blockConnect, p.Limits)
	}
	return flags
}

// nameOrLevel says which of the two makes the version unknown. [MQTT-3.1.2-1] [MQTT-3.1.2-2] [MQTT311-3.1.2-1]
func nameOrLevel(name []byte) *Error {
	if s := string(name); s == V31.name() || s == V311.name() {
		return errProtocolLevel
	}
	return errProtocolName
}

// checkConnectFlags holds the flags against each other. MQTT 3.1 says that the reserved bit is not used and that the
// Will's QoS and Retain do not count without a Will.
func checkConnectFlags(flags byte, v Version) *Error {
	if flags&connectWill != 0 {
		if flags&connectWillQoS == connectWillQoS {
			return errWillQoS3 // [MQTT-3.1.2-12]
		}
	} else if v != V31 {
		if flags&connectWillQoS != 0 {
			return errWillQoSUnset // [MQTT-3.1.2-11]
		}
		if flags&connectWillRetain != 0 {
			return errWillRetain // [MQTT-3.1.2-13] [MQTT311-3.1.2-11]
		}
	}
	if flags&connectReserved != 0 && v != V31 {
		return errConnectFlag // [MQTT-3.1.2-3] [MQTT311-3.1.2-3]
	}
	if v != V5 && flags&(connectUsername|connectPassword) == connectPassword {
		return errPasswordAlone // [MQTT-3.1.2-22] of 3.1.1; version 5 allows it
	}
	return nil
}

// decodePayload reads the fields that the flags announce, in their fixed order. [MQTT-3.1.3-1]
func (p *Connect) decodePayload(c *cursor, flags byte) {
	p.ClientID = c.str() // [MQTT-3.1.3-3] [MQTT-3.1.3-4]
	if flags&connectWill != 0 {
		p.HasWill = true
		p.Will.QoS = flags & connectWillQoS >> 3
		p.Will.Retain = flags&connectWillRetain != 0
		p.decodeWill(c)
	}
	// The Remaining Length takes precedence over the User Name and Password flags. [MQTT31-3.1-4]
	missing := func() bool { return p.Version == V31 && c.err == nil && len(c.b) == 0 }
	if flags&connectUsername != 0 && !missing() {
		p.HasUsername = true
		p.Username = c.str() // [MQTT-3.1.2-17] [MQTT-3.1.3-12]
	}
	if flags&connectPassword != 0 && !missing() {
		p.HasPassword = true
		p.Password = c.binary() // [MQTT-3.1.2-19]
	}
}

// decodeWill reads the Will's fields. [MQTT-3.1.2-9]
func (p *Connect) decodeWill(c *cursor) {
	if p.Version == V5 {
		p.Will.Properties.decode(c, blockWill, p.Limits)
	}
	p.Will.Topic = c.str() // [MQTT-3.1.3-11]
	p.Will.Payload = c.binary()
	if c.err == nil {
		if e := checkTopicName(p.Will.Topic); e != nil {
			c.fail(e)
		}
	}
}

// checkTopicName demands at least one character and no wildcard.
func checkTopicName(b []byte) *Error {
	if len(b) == 0 {
		return errTopicEmpty // [MQTT-4.7.3-1]
	}
	if hasWildcard(b) {
		return errTopicWildcard // [MQTT-3.3.2-2] [MQTT-4.7.0-1]
	}
	return nil
}

// flags are the connect flags to write.
func (p *Connect) flags() byte {
	f := bit(p.CleanStart, connectCleanStart) | bit(p.HasUsername, connectUsername) | bit(p.HasPassword, connectPassword)
	if p.HasWill {
		f |= connectWill | p.Will.QoS<<3&connectWillQoS | bit(p.Will.Retain, connectWillRetain)
	}
	return f
}

// Append writes the packet as a client of version v sends it.
func (p *Connect) Append(dst []byte, v Version) []byte {
	dst = appendHeader(dst, TypeConnect, 0, p.remaining(v))
	dst = append(dst, 0, byte(len(v.name())))
	dst = append(dst, v.name()...)
	dst = append(dst, byte(v), p.flags())
	dst = appendU16(dst, p.KeepAlive)
	if v == V5 {
		dst = p.Properties.append(dst, blockConnect)
	}
	dst = appendBytes(dst, p.ClientID)
	if p.HasWill {
		if v == V5 {
			dst = p.Will.Properties.append(dst, blockWill)
		}
		dst = appendBytes(appendBytes(dst, p.Will.Topic), p.Will.Payload)
	}
	if p.HasUsername {
		dst = appendBytes(dst, p.Username)
	}
	if p.HasPassword {
		dst = appendBytes(dst, p.Password)
	}
	return dst
}

// Size is the length of what Append writes.
func (p *Connect) Size(v Version) int { return packetSize(p.remaining(v)) }

func (p *Connect) remaining(v Version) int {
	n := 2 + len(v.name()) + 4 + 2 + len(p.ClientID)
	if v == V5 {
		n += p.Properties.size(blockConnect)
	}
	if p.HasWill {
		n += 4 + len(p.Will.Topic) + len(p.Will.Payload)
		if v == V5 {
			n += p.Will.Properties.size(blockWill)
		}
	}
	if p.HasUsername {
		n += 2 + len(p.Username)
	}
	if p.HasPassword {
		n += 2 + len(p.Password)
	}
	return n
}
