package packet

// Error is a fault found in bytes from the wire, or by Validate in a packet to be sent. The values this package
// returns are shared and must not be changed. Use errors.As to get at the Code, or errors.Is with one of the
// Err… values.
type Error struct {
	// Code is what MQTT 5 wants in the CONNACK or DISCONNECT that answers; earlier versions close the connection,
	// except that a CONNECT is answered by Code.ReturnCode where one fits.
	Code ReasonCode
	// Clause is the statement that was broken: "MQTT-3.3.1-4" in version 5, "MQTT311-3.1.2-22" where only the
	// numbering of 3.1.1 has it, or the section ("2.2.2.2") where the text has no number.
	Clause string
	// Msg says what is wrong, fit for a log or a Reason String.
	Msg string
}

// Error gives the message, with the clause if there is one.
func (e *Error) Error() string {
	if e.Clause == "" {
		return "mqtt: " + e.Msg
	}
	return "mqtt: " + e.Msg + " [" + e.Clause + "]"
}

// Is makes errors.Is(err, ErrMalformed) true for every error with that code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && (t == e || t.Clause == "" && t.Code == e.Code)
}

// Kinds of errors, to be compared with errors.Is.
var (
	ErrMalformed = &Error{Code: ReasonMalformedPacket, Msg: "malformed packet"}
	ErrProtocol  = &Error{Code: ReasonProtocolError, Msg: "protocol error"}
	ErrTooLarge  = &Error{Code: ReasonPacketTooLarge, Msg: "packet too large"}
	ErrVersion   = &Error{Code: ReasonUnsupportedProtocolVersion, Msg: "unsupported protocol version"}
	ErrLimit     = &Error{Code: ReasonQuotaExceeded, Msg: "over a limit of this side"}
)

// asError turns the typed nil of the inner functions into a plain one.
func asError(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

func malformed(clause, msg string) *Error { return &Error{ReasonMalformedPacket, clause, msg} }
func protocol(clause, msg string) *Error  { return &Error{ReasonProtocolError, clause, msg} }

// Framing, fields and fixed headers.
var (
	errTooLarge         = &Error{ReasonPacketTooLarge, "MQTT-3.2.2-15", "packet larger than the maximum packet size"}
	errVarintPadded     = malformed("MQTT-1.5.5-1", "variable byte integer is not in its shortest form")
	errVarintLong       = malformed("1.5.5", "variable byte integer has more than four bytes")
	errShort            = malformed("2.1.4", "packet ends inside a field")
	errTrailing         = malformed("2.1.4", "bytes left after the last field")
	errUTF8             = malformed("MQTT-1.5.4-1", "string is not well-formed UTF-8")
	errNull             = malformed("MQTT-1.5.4-2", "string holds the null character")
	errWrongType        = protocol("2.1.2", "another packet type than expected here")
	errWrongVersion     = protocol("2.1.2", "packet type does not exist in this version")
	errTypeZero         = malformed("2.1.2", "packet type 0 is reserved")
	errFlags            = malformed("MQTT-2.1.3-1", "reserved header flags are not zero")
	errPubrelFlags      = malformed("MQTT-3.6.1-1", "header flags of PUBREL are not 0010")
	errSubscribeFlags   = malformed("MQTT-3.8.1-1", "header flags of SUBSCRIBE are not 0010")
	errUnsubscribeFlags = malformed("MQTT-3.10.1-1", "header flags of UNSUBSCRIBE are not 0010")
	errDisconnectFlags  = malformed("MQTT-3.14.1-1", "header flags of DISCONNECT are not zero")
	errAuthFlags        = malformed("MQTT-3.15.1-1", "header flags of AUTH are not zero")
	errPacketID         = protocol("MQTT-2.2.1-3", "packet identifier is zero")
	errFieldLong        = &Error{ReasonPacketTooLarge, "1.5.4", "field longer than 65,535 bytes"}
)

// Packets.
var (
	errProtocolName  = &Error{ReasonUnsupportedProtocolVersion, "MQTT-3.1.2-1", "unknown protocol name"}
	errProtocolLevel = &Error{ReasonUnsupportedProtocolVersion, "MQTT-3.1.2-2", "unsupported protocol version"}
	errConnectFlag   = malformed("MQTT-3.1.2-3", "reserved connect flag is set")
	errWillQoSUnset  = malformed("MQTT-3.1.2-11", "Will QoS without a Will")
	errWillQoS3      = malformed("MQTT-3.1.2-12", "Will QoS is 3")
	errWillRetain    = malformed("MQTT-3.1.2-13", "Will Retain without a Will")
	errPasswordAlone = malformed("MQTT311-3.1.2-22", "Password without a User Name")
	errClientIDEmpty = &Error{ReasonClientIdentifierNotValid, "MQTT311-3.1.3-7", "empty client identifier without clean session"}
	errConnackFlags  = malformed("MQTT-3.2.2-1", "reserved acknowledge flags are set")
	errSessionFlag   = protocol("MQTT-3.2.2-6", "Session Present with a refused connection")
	errConnackCode   = protocol("MQTT-3.2.2-8", "reason code does not belong in a CONNACK")
	errQoS3          = malformed("MQTT-3.3.1-4", "QoS is 3")
	errDupQoS0       = malformed("MQTT-3.3.1-2", "DUP is set with QoS 0")
	errTopicEmpty    = &Error{ReasonTopicNameInvalid, "MQTT-4.7.3-1", "empty topic name"}
	errTopicNoAlias  = protocol("3.3.2.1", "empty topic name without a topic alias")
	errTopicWildcard = &Error{ReasonTopicNameInvalid, "MQTT-3.3.2-2", "wildcard in a topic name"}
	errNoFilters     = protocol("MQTT-3.8.3-2", "SUBSCRIBE without a topic filter")
	errFilterLimit   = &Error{ReasonQuotaExceeded, "3.8.3", "too many topic filters in one packet"}
	errOptionBits    = malformed("MQTT-3.8.3-5", "reserved bits of the subscription options are set")
	errOptionQoS     = protocol("3.8.3.1", "maximum QoS of a subscription is 3")
	errRetain3       = protocol("3.8.3.1", "Retain Handling is 3")
	errNoUnfilters   = protocol("MQTT-3.10.3-2", "UNSUBSCRIBE without a topic filter")
	errNoCodes       = protocol("MQTT-3.8.4-6", "SUBACK without a reason code")
	errNoUncodes     = protocol("3.11.3", "UNSUBACK without a reason code")
	errSubackCode    = protocol("MQTT-3.9.3-2", "reason code does not belong in a SUBACK")
	errUnsubackCode  = protocol("MQTT-3.11.3-2", "reason code does not belong in an UNSUBACK")
	errPubackCode    = protocol("MQTT-3.4.2-1", "reason code does not belong in a PUBACK")
	errPubrecCode    = protocol("MQTT-3.5.2-1", "reason code does not belong in a PUBREC")
	errPubrelCode    = protocol("MQTT-3.6.2-1", "reason code does not belong in a PUBREL")
	errPubcompCode   = protocol("MQTT-3.7.2-1", "reason code does not belong in a PUBCOMP")
	errDisconnect    = protocol("MQTT-3.14.2-1", "reason code does not belong in a DISCONNECT")
	errAuthCode      = protocol("MQTT-3.15.2-1", "reason code does not belong in an AUTH")
	errAuthMethod    = protocol("3.15.2.2.2", "AUTH without an Authentication Method")
)

// Properties.
var (
	errPropLength     = malformed("2.2.2.1", "property length goes beyond the packet")
	errPropUnknown    = malformed("2.2.2.2", "property does not belong in this packet")
	errPropTwice      = protocol("2.2.2.2", "property appears twice")
	errPropBytes      = &Error{ReasonQuotaExceeded, "2.2.2.1", "properties take more bytes than the limit"}
	errPropUser       = &Error{ReasonQuotaExceeded, "3.3.2.3.7", "more user properties than the limit"}
	errUserList       = malformed("MQTT-1.5.7-1", "list of user properties is not made of pairs")
	errPropBool       = protocol("2.2.2.2", "property value is neither 0 nor 1")
	errReceiveMax     = protocol("3.1.2.11.3", "Receive Maximum is 0")
	errMaxPacket      = protocol("3.1.2.11.4", "Maximum Packet Size is 0")
	errSubscriptionID = protocol("3.8.2.1.2", "Subscription Identifier is 0")
	errTopicAlias     = &Error{ReasonTopicAliasInvalid, "MQTT-3.3.2-8", "Topic Alias is 0"}
	errResponseTopic  = protocol("MQTT-3.3.2-14", "wildcard in a Response Topic")
	errResponseEmpty  = protocol("MQTT-4.7.3-1", "empty Response Topic")
	errAuthData       = protocol("3.1.2.11.10", "Authentication Data without an Authentication Method")
)
