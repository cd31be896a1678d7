package packet

import "fmt"

// Type is a message type. [SN-5.2.2-1]
type Type byte

// The message types.
const (
	TypeAdvertise     Type = 0x00
	TypeSearchGW      Type = 0x01
	TypeGWInfo        Type = 0x02
	TypeConnect       Type = 0x04
	TypeConnack       Type = 0x05
	TypeWillTopicReq  Type = 0x06
	TypeWillTopic     Type = 0x07
	TypeWillMsgReq    Type = 0x08
	TypeWillMsg       Type = 0x09
	TypeRegister      Type = 0x0A
	TypeRegack        Type = 0x0B
	TypePublish       Type = 0x0C
	TypePuback        Type = 0x0D
	TypePubcomp       Type = 0x0E
	TypePubrec        Type = 0x0F
	TypePubrel        Type = 0x10
	TypeSubscribe     Type = 0x12
	TypeSuback        Type = 0x13
	TypeUnsubscribe   Type = 0x14
	TypeUnsuback      Type = 0x15
	TypePingreq       Type = 0x16
	TypePingresp      Type = 0x17
	TypeDisconnect    Type = 0x18
	TypeWillTopicUpd  Type = 0x1A
	TypeWillTopicResp Type = 0x1B
	TypeWillMsgUpd    Type = 0x1C
	TypeWillMsgResp   Type = 0x1D
	TypeForwarded     Type = 0xFE
)

// typeNames are the types in the specification's spelling; the others are reserved.
var typeNames = map[Type]string{
	TypeAdvertise: "ADVERTISE", TypeSearchGW: "SEARCHGW", TypeGWInfo: "GWINFO",
	TypeConnect: "CONNECT", TypeConnack: "CONNACK",
	TypeWillTopicReq: "WILLTOPICREQ", TypeWillTopic: "WILLTOPIC", TypeWillMsgReq: "WILLMSGREQ", TypeWillMsg: "WILLMSG",
	TypeRegister: "REGISTER", TypeRegack: "REGACK",
	TypePublish: "PUBLISH", TypePuback: "PUBACK", TypePubcomp: "PUBCOMP", TypePubrec: "PUBREC", TypePubrel: "PUBREL",
	TypeSubscribe: "SUBSCRIBE", TypeSuback: "SUBACK", TypeUnsubscribe: "UNSUBSCRIBE", TypeUnsuback: "UNSUBACK",
	TypePingreq: "PINGREQ", TypePingresp: "PINGRESP", TypeDisconnect: "DISCONNECT",
	TypeWillTopicUpd: "WILLTOPICUPD", TypeWillTopicResp: "WILLTOPICRESP", TypeWillMsgUpd: "WILLMSGUPD", TypeWillMsgResp: "WILLMSGRESP",
	TypeForwarded: "encapsulated message",
}

// String gives the type in the specification's spelling, "PUBLISH".
func (t Type) String() string {
	if s := typeNames[t]; s != "" {
		return s
	}
	return fmt.Sprintf("type 0x%02x", byte(t))
}

// ReturnCode answers a request. [SN-5.3.10-1]
type ReturnCode byte

// The return codes; those from 0x04 on are reserved.
const (
	Accepted       ReturnCode = 0x00
	Congestion     ReturnCode = 0x01 // rejected: try again after T_WAIT
	InvalidTopicID ReturnCode = 0x02 // rejected: the topic id is not known
	NotSupported   ReturnCode = 0x03 // rejected: not supported
)

// String gives the code in words.
func (c ReturnCode) String() string {
	switch c {
	case Accepted:
		return "accepted"
	case Congestion:
		return "rejected: congestion"
	case InvalidTopicID:
		return "rejected: invalid topic id"
	case NotSupported:
		return "rejected: not supported"
	}
	return fmt.Sprintf("return code 0x%02x", byte(c))
}

// IDType says what a topic field holds. [SN-5.3.4-5]
type IDType byte

// The kinds of topic fields.
const (
	NormalID     IDType = 0 // a topic id of this client; in SUBSCRIBE and UNSUBSCRIBE the name itself
	PredefinedID IDType = 1 // a topic id that gateway and client know beforehand
	ShortName    IDType = 2 // the two octets are the topic name
)

// QoSMinusOne is how the wire spells QoS −1: without a connection, without an answer.
const QoSMinusOne uint8 = 3

// Topic ids that stand for nothing. [SN-5.3.11-1]
const (
	NoTopicID       uint16 = 0x0000
	ReservedTopicID uint16 = 0xFFFF
)

// ProtocolID is the only Protocol Id there is. [SN-5.3.8-1]
const ProtocolID byte = 0x01

// MaxClientID is the longest client id that the specification allows, in characters.
// [SN-5.3.1-1]
const MaxClientID = 23
