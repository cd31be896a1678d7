package coapmachine

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// ReasonOf says a response code in MQTT 5's terms; UnspecifiedError where those have none.
func ReasonOf(c codes.Code) packet.ReasonCode {
	switch c {
	case codes.BadRequest:
		return packet.ReasonTopicNameInvalid
	case codes.Unauthorized:
		return packet.ReasonBadUserNameOrPassword
	case codes.Forbidden:
		return packet.ReasonNotAuthorized
	case codes.RequestEntityTooLarge:
		return packet.ReasonPacketTooLarge
	case codes.ServiceUnavailable, codes.TooManyRequests:
		return packet.ReasonServerBusy
	}
	return packet.ReasonUnspecifiedError
}
