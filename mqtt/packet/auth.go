package packet

// Auth is the AUTH packet of version 5, one step of an authentication that takes several. [MQTT 5 section 3.15]
type Auth struct {
	// Reason is Success (only from a server), Continue authentication, or Re-authenticate (only from a client).
	Reason     ReasonCode
	Properties Properties // with an Authentication Method, unless the packet is a bare Success

	Limits *Limits // kept by Decode; nil: the defaults
}

// Decode reads an AUTH. Versions before 5 do not have the packet.
func (p *Auth) Decode(v Version, h Header, body []byte) error {
	p.Properties.Reset()
	p.Reason = ReasonSuccess
	if h.Type != TypeAuth {
		return errWrongType
	}
	if v != V5 {
		return errWrongVersion
	}
	if h.Flags != 0 {
		return errAuthFlags // [MQTT-3.15.1-1]
	}
	if len(body) == 0 {
		return nil
	}
	c := cursor{b: body}
	p.Reason = ReasonCode(c.u8())
	if !p.Reason.ValidIn(TypeAuth) {
		return errAuthCode // [MQTT-3.15.2-1]
	}
	if len(c.b) > 0 {
		p.Properties.decode(&c, blockAuth, p.Limits)
	}
	if e := c.end(); e != nil {
		return e
	}
	if !p.Properties.Present.Has(PropAuthenticationMethod) {
		return errAuthMethod
	}
	return nil
}

// Append writes the packet, in version 5 whatever the argument says: there is no other form.
func (p *Auth) Append(dst []byte, _ Version) []byte {
	n := p.remaining()
	dst = appendHeader(dst, TypeAuth, 0, n)
	if n > 0 {
		dst = append(dst, byte(p.Reason))
	}
	if n > 1 {
		dst = p.Properties.append(dst, blockAuth)
	}
	return dst
}

// Size is the length of what Append writes.
func (p *Auth) Size(Version) int { return packetSize(p.remaining()) }

func (p *Auth) remaining() int { return codeAndProperties(p.Reason, &p.Properties, blockAuth) }
