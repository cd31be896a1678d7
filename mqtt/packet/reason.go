package packet

// ReasonCode is an MQTT 5 reason code [MQTT 5 section 2.4]. Codes of 0x80 and above are failures. Structs of this package
// use these codes in all versions; Append and Decode translate to and from the ReturnCode of earlier ones.
type ReasonCode byte

// The reason codes of MQTT 5. Three names share 0x00, each for its own packets.
const (
	ReasonSuccess                             ReasonCode = 0x00
	ReasonNormalDisconnection                 ReasonCode = 0x00
	ReasonGrantedQoS0                         ReasonCode = 0x00
	ReasonGrantedQoS1                         ReasonCode = 0x01
	ReasonGrantedQoS2                         ReasonCode = 0x02
	ReasonDisconnectWithWill                  ReasonCode = 0x04
	ReasonNoMatchingSubscribers               ReasonCode = 0x10
	ReasonNoSubscriptionExisted               ReasonCode = 0x11
	ReasonContinueAuthentication              ReasonCode = 0x18
	ReasonReauthenticate                      ReasonCode = 0x19
	ReasonUnspecifiedError                    ReasonCode = 0x80
	ReasonMalformedPacket                     ReasonCode = 0x81
	ReasonProtocolError                       ReasonCode = 0x82
	ReasonImplementationSpecificError         ReasonCode = 0x83
	ReasonUnsupportedProtocolVersion          ReasonCode = 0x84
	ReasonClientIdentifierNotValid            ReasonCode = 0x85
	ReasonBadUserNameOrPassword               ReasonCode = 0x86
	ReasonNotAuthorized                       ReasonCode = 0x87
	ReasonServerUnavailable                   ReasonCode = 0x88
	ReasonServerBusy                          ReasonCode = 0x89
	ReasonBanned                              ReasonCode = 0x8A
	ReasonServerShuttingDown                  ReasonCode = 0x8B
	ReasonBadAuthenticationMethod             ReasonCode = 0x8C
	ReasonKeepAliveTimeout                    ReasonCode = 0x8D
	ReasonSessionTakenOver                    ReasonCode = 0x8E
	ReasonTopicFilterInvalid                  ReasonCode = 0x8F
	ReasonTopicNameInvalid                    ReasonCode = 0x90
	ReasonPacketIdentifierInUse               ReasonCode = 0x91
	ReasonPacketIdentifierNotFound            ReasonCode = 0x92
	ReasonReceiveMaximumExceeded              ReasonCode = 0x93
	ReasonTopicAliasInvalid                   ReasonCode = 0x94
	ReasonPacketTooLarge                      ReasonCode = 0x95
	ReasonMessageRateTooHigh                  ReasonCode = 0x96
	ReasonQuotaExceeded                       ReasonCode = 0x97
	ReasonAdministrativeAction                ReasonCode = 0x98
	ReasonPayloadFormatInvalid                ReasonCode = 0x99
	ReasonRetainNotSupported                  ReasonCode = 0x9A
	ReasonQoSNotSupported                     ReasonCode = 0x9B
	ReasonUseAnotherServer                    ReasonCode = 0x9C
	ReasonServerMoved                         ReasonCode = 0x9D
	ReasonSharedSubscriptionsNotSupported     ReasonCode = 0x9E
	ReasonConnectionRateExceeded              ReasonCode = 0x9F
	ReasonMaximumConnectTime                  ReasonCode = 0xA0
	ReasonSubscriptionIdentifiersNotSupported ReasonCode = 0xA1
	ReasonWildcardSubscriptionsNotSupported   ReasonCode = 0xA2
)

// Packets in which a code may stand, one bit a type.
const (
	inConnack    = 1 << TypeConnack
	inPub        = 1<<TypePuback | 1<<TypePubrec
	inRel        = 1<<TypePubrel | 1<<TypePubcomp
	inSuback     = 1 << TypeSuback
	inUnsuback   = 1 << TypeUnsuback
	inDisconnect = 1 << TypeDisconnect
	inAuth       = 1 << TypeAuth
	inAnswers    = inConnack | inPub | inSuback | inUnsuback | inDisconnect
)

// reasons is the table of section 2.4: the code's name and the packets that may carry it.
var reasons = [256]struct {
	name string
	in   uint16
}{
	0x00: {"Success", inConnack | inPub | inRel | inSuback | inUnsuback | inDisconnect | inAuth},
	0x01: {"Granted QoS 1", inSuback},
	0x02: {"Granted QoS 2", inSuback},
	0x04: {"Disconnect with Will Message", inDisconnect},
	0x10: {"No matching subscribers", inPub},
	0x11: {"No subscription existed", inUnsuback},
	0x18: {"Continue authentication", inAuth},
	0x19: {"Re-authenticate", inAuth},
	0x80: {"Unspecified error", inAnswers},
	0x81: {"Malformed Packet", inConnack | inDisconnect},
	0x82: {"Protocol Error", inConnack | inDisconnect},
	0x83: {"Implementation specific error", inAnswers},
	0x84: {"Unsupported Protocol Version", inConnack},
	0x85: {"Client Identifier not valid", inConnack},
	0x86: {"Bad User Name or Password", inConnack},
	0x87: {"Not authorized", inAnswers},
	0x88: {"Server unavailable", inConnack},
	0x89: {"Server busy", inConnack | inDisconnect},
	0x8A: {"Banned", inConnack},
	0x8B: {"Server shutting down", inDisconnect},
	0x8C: {"Bad authentication method", inConnack | inDisconnect},
	0x8D: {"Keep Alive timeout", inDisconnect},
	0x8E: {"Session taken over", inDisconnect},
	0x8F: {"Topic Filter invalid", inSuback | inUnsuback | inDisconnect},
	0x90: {"Topic Name invalid", inConnack | inPub | inDisconnect},
	0x91: {"Packet Identifier in use", inPub | inSuback | inUnsuback},
	0x92: {"Packet Identifier not found", inRel},
	0x93: {"Receive Maximum exceeded", inDisconnect},
	0x94: {"Topic Alias invalid", inDisconnect},
	0x95: {"Packet too large", inConnack | inDisconnect},
	0x96: {"Message rate too high", inDisconnect},
	0x97: {"Quota exceeded", inConnack | inPub | inSuback | inDisconnect},
	0x98: {"Administrative action", inDisconnect},
	0x99: {"Payload format invalid", inConnack | inPub | inDisconnect},
	0x9A: {"Retain not supported", inConnack | inDisconnect},
	0x9B: {"QoS not supported", inConnack | inDisconnect},
	0x9C: {"Use another server", inConnack | inDisconnect},
	0x9D: {"Server moved", inConnack | inDisconnect},
	0x9E: {"Shared Subscriptions not supported", inSuback | inDisconnect},
	0x9F: {"Connection rate exceeded", inConnack | inDisconnect},
	0xA0: {"Maximum connect time", inDisconnect},
	0xA1: {"Subscription Identifiers not supported", inSuback | inDisconnect},
	0xA2: {"Wildcard Subscriptions not supported", inSuback | inDisconnect},
}

// String gives the code's name in the specification, or its number in hexadecimal if it has none.
func (r ReasonCode) String() string {
	if s := reasons[r].name; s != "" {
		return s
	}
	const digits = "0123456789abcdef"
	return string([]byte{'0', 'x', digits[r>>4], digits[r&15]})
}

// Failed reports whether the code stands for a failure.
func (r ReasonCode) Failed() bool { return r >= 0x80 }

// ValidIn reports whether MQTT 5 allows the code in a packet of type t, whoever sends it.
func (r ReasonCode) ValidIn(t Type) bool { return reasons[r].in&(1<<t) != 0 }

// ReturnCode is what a CONNACK of MQTT 3.1 and 3.1.1 carries. [MQTT 3.1.1 section 3.2.2.3]
type ReturnCode byte

// The return codes of MQTT 3.1 and 3.1.1.
const (
	ReturnAccepted              ReturnCode = 0
	ReturnUnacceptableVersion   ReturnCode = 1
	ReturnIdentifierRejected    ReturnCode = 2
	ReturnServerUnavailable     ReturnCode = 3
	ReturnBadUserNameOrPassword ReturnCode = 4
	ReturnNotAuthorized         ReturnCode = 5
	returnCodes                            = 6
)

// returnReasons is each return code's closest reason code.
var returnReasons = [returnCodes]ReasonCode{ReasonSuccess, ReasonUnsupportedProtocolVersion,
	ReasonClientIdentifierNotValid, ReasonServerUnavailable, ReasonBadUserNameOrPassword, ReasonNotAuthorized}

// returnNames are the return codes in words.
var returnNames = [returnCodes]string{"accepted", "unacceptable protocol version", "identifier rejected",
	"server unavailable", "bad user name or password", "not authorized"}

// String gives the return code in words.
func (r ReturnCode) String() string {
	if r < returnCodes {
		return returnNames[r]
	}
	return "reserved"
}

// ReasonCode gives the MQTT 5 code with the same meaning; reserved return codes become Unspecified error.
func (r ReturnCode) ReasonCode() ReasonCode {
	if r < returnCodes {
		return returnReasons[r]
	}
	return ReasonUnspecifiedError
}

// ReturnCode gives the closest code that a CONNACK of MQTT 3.1 and 3.1.1 can carry. Causes that those versions cannot
// name become ReturnServerUnavailable.
func (r ReasonCode) ReturnCode() ReturnCode {
	switch r {
	case ReasonSuccess:
		return ReturnAccepted
	case ReasonUnsupportedProtocolVersion:
		return ReturnUnacceptableVersion
	case ReasonClientIdentifierNotValid:
		return ReturnIdentifierRejected
	case ReasonBadUserNameOrPassword, ReasonBadAuthenticationMethod:
		return ReturnBadUserNameOrPassword
	case ReasonNotAuthorized, ReasonBanned, ReasonTopicNameInvalid:
		return ReturnNotAuthorized
	}
	return ReturnServerUnavailable
}
