package packet

// Packet is a message of any type.
type Packet interface {
	// Decode reads f, whose bytes it borrows.
	Decode(f Frame) error
	// Append writes the message in its shortest form behind dst.
	Append(dst []byte) []byte
}

// New gives an empty message to decode a frame of type t into, nil where there is none.
func New(t Type) Packet {
	switch t {
	case TypeAdvertise:
		return new(Advertise)
	case TypeSearchGW:
		return new(SearchGW)
	case TypeGWInfo:
		return new(GWInfo)
	case TypeConnect:
		return new(Connect)
	case TypeConnack:
		return new(Connack)
	case TypeWillTopicReq, TypeWillMsgReq, TypePingresp:
		return new(Bare)
	case TypeWillTopic, TypeWillTopicUpd:
		return new(WillTopic)
	case TypeWillMsg, TypeWillMsgUpd:
		return new(WillMsg)
	case TypeWillTopicResp, TypeWillMsgResp:
		return new(WillResp)
	case TypeRegister:
		return new(Register)
	case TypeRegack, TypePuback:
		return new(Topicack)
	case TypePublish:
		return new(Publish)
	case TypePubrec, TypePubrel, TypePubcomp, TypeUnsuback:
		return new(Ack)
	case TypeSubscribe, TypeUnsubscribe:
		return new(Subscribe)
	case TypeSuback:
		return new(Suback)
	case TypePingreq:
		return new(Pingreq)
	case TypeDisconnect:
		return new(Disconnect)
	}
	return nil
}
