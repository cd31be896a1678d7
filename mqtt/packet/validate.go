package packet

// Validator is what a sender asks before Append, where a packet's content comes from elsewhere than this package's Decode:
// from a command line, a file, another protocol. A nil answer promises that Append does not panic and that the other side's
// Decode, with limits wide enough, gives the same content back, as far as version v has words for it. It encodes and
// decodes the packet once, so it is not for the hot path. Before version 5 properties are not written, and not looked at.
type Validator interface {
	Validate(v Version) error
}

var (
	_ Validator = (*Connect)(nil)
	_ Validator = (*Connack)(nil)
	_ Validator = (*Publish)(nil)
	_ Validator = (*Ack)(nil)
	_ Validator = (*Subscribe)(nil)
	_ Validator = (*Suback)(nil)
	_ Validator = (*Unsubscribe)(nil)
	_ Validator = (*Unsuback)(nil)
	_ Validator = (*Disconnect)(nil)
	_ Validator = (*Auth)(nil)
)

// wide are limits that only the encoding itself sets.
func wide() *Limits {
	return &Limits{PropertyBytes: MaxRemaining, UserProperties: MaxRemaining, Filters: MaxRemaining}
}

// Validate reports what the server would refuse. [MQTT-3.1.4-1]
func (p *Connect) Validate(v Version) error {
	e := fit(p.ClientID, p.Username, p.Password, p.Will.Topic, p.Will.Payload)
	switch {
	case e != nil:
	case p.HasWill && p.Will.QoS > 2:
		e = errWillQoS3 // [MQTT-3.1.2-12]
	case v == V5:
		if e = p.Properties.fit(blockConnect); e == nil && p.HasWill {
			e = p.Will.Properties.fit(blockWill)
		}
	}
	return tryDecode(p, &Connect{Limits: wide()}, v, e)
}

// Validate reports what the client would refuse.
func (p *Connack) Validate(v Version) error {
	var e *Error
	if v == V5 {
		e = p.Properties.fit(blockConnack)
	}
	if e == nil && p.SessionPresent && p.Reason != ReasonSuccess {
		e = errSessionFlag // [MQTT-3.2.2-6]
	}
	return tryDecode(p, &Connack{Limits: wide()}, v, e)
}

// Validate reports what the receiver would refuse.
func (p *Publish) Validate(v Version) error {
	e := fit(p.Topic)
	switch {
	case e != nil:
	case p.QoS > 2:
		e = errQoS3 // [MQTT-3.3.1-4]
	case p.Dup && p.QoS == 0:
		e = errDupQoS0 // [MQTT-3.3.1-2]
	case v == V5:
		e = p.Properties.fit(blockPublish)
	}
	return tryDecode(p, &Publish{Limits: wide()}, v, e)
}

// Validate reports what the receiver would refuse.
func (p *Ack) Validate(v Version) error {
	var e *Error
	switch {
	case p.Type < TypePuback || p.Type > TypePubcomp:
		e = errWrongType
	case v == V5:
		e = p.Properties.fit(blockAck)
	}
	return tryDecode(p, &Ack{Limits: wide()}, v, e)
}

// Validate reports what the server would refuse, but for the syntax of the filters.
func (p *Subscribe) Validate(v Version) error {
	var e *Error
	if v == V5 {
		e = p.Properties.fit(blockSubscribe)
	}
	for _, s := range p.Filters {
		if e == nil {
			e = fit(s.Filter)
		}
		if e == nil && s.QoS > 2 {
			e = errOptionQoS
		}
		if e == nil && s.RetainHandling > 2 {
			e = errRetain3
		}
	}
	return tryDecode(p, &Subscribe{Limits: wide()}, v, e)
}

// Validate reports what the client would refuse.
func (p *Suback) Validate(v Version) error {
	var e *Error
	if v == V5 {
		e = p.Properties.fit(blockAck)
	}
	return tryDecode(p, &Suback{Limits: wide()}, v, e)
}

// Validate reports what the server would refuse, but for the syntax of the filters.
func (p *Unsubscribe) Validate(v Version) error {
	e := fit(p.Filters...)
	if e == nil && v == V5 {
		e = p.Properties.fit(blockUnsubscribe)
	}
	return tryDecode(p, &Unsubscribe{Limits: wide()}, v, e)
}

// Validate reports what the client would refuse.
func (p *Unsuback) Validate(v Version) error {
	var e *Error
	if v == V5 {
		e = p.Properties.fit(blockAck)
	}
	return tryDecode(p, &Unsuback{Limits: wide()}, v, e)
}

// Validate reports what the receiver would refuse.
func (p *Disconnect) Validate(v Version) error {
	var e *Error
	if v == V5 {
		e = p.Properties.fit(blockDisconnect)
	}
	return tryDecode(p, &Disconnect{Limits: wide()}, v, e)
}

// Validate reports what the receiver would refuse.
func (p *Auth) Validate(v Version) error {
	return tryDecode(p, &Auth{Limits: wide()}, v, p.Properties.fit(blockAuth))
}

// fit checks that each field's length can be written. [MQTT-4.7.3-3]
func fit(fields ...[]byte) *Error {
	for _, b := range fields {
		if len(b) > 0xFFFF {
			return errFieldLong
		}
	}
	return nil
}

// fit checks what Append would leave out or could not write.
func (p *Properties) fit(b block) *Error {
	if p.present()&^blockProps[b] != 0 {
		return errPropUnknown
	}
	if !p.User.wellFormed() {
		return errUserList
	}
	if len(p.SubscriptionIDs) > 1 && b == blockSubscribe {
		return errPropTwice
	}
	for _, id := range p.SubscriptionIDs {
		if id > MaxRemaining {
			return errVarintLong
		}
	}
	if p.bodySize(b) > MaxRemaining {
		return errTooLarge
	}
	return fit(p.ContentType, p.ResponseTopic, p.CorrelationData, p.AssignedClientID, p.AuthenticationMethod,
		p.AuthenticationData, p.ResponseInformation, p.ServerReference, p.ReasonString)
}

// tryDecode reads what p writes into other, unless e already says that it cannot be right.
func tryDecode(p, other Packet, v Version, e *Error) error {
	if e != nil {
		return e
	}
	if !v.Valid() {
		return errProtocolLevel
	}
	if p.Size(v) > 5+MaxRemaining {
		return errTooLarge
	}
	f, _, err := Next(p.Append(nil, v), 0)
	if err != nil {
		return err
	}
	return other.Decode(v, f.Header, f.Body)
}
