package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
)

// code is the response code that tells one of core's reasons.
func code(r core.Reason) codes.Code {
	switch r {
	case core.Success, core.NoMatchingSubscribers, core.NormalDisconnect:
		return codes.Changed
	case core.BadCredentials, core.BadAuthenticationMethod, core.IdentityExpired:
		return codes.Unauthorized
	case core.NotAuthorized, core.Banned, core.AdministrativeAction, core.WillNotAuthorized, core.ExclusiveTaken,
		core.SharedNotSupported, core.WildcardNotSupported, core.RetainNotSupported, core.QoSNotSupported, core.FastlaneNeedsCleanSession:
		return codes.Forbidden
	case core.ClientIDNotValid, core.TopicNameInvalid, core.TopicFilterInvalid, core.ProtocolError, core.PayloadFormatInvalid, core.MalformedPacket:
		return codes.BadRequest
	case core.PacketTooLarge, core.TooLargeForReceiver:
		return codes.RequestEntityTooLarge
	case core.MessageRateTooHigh, core.ConnectionRateExceeded:
		return codes.TooManyRequests
	case core.QuotaExceeded, core.ServerBusy, core.ServerUnavailable, core.ServerShuttingDown, core.AuthUnavailable, core.StoreUnavailable,
		core.StoreFull, core.RetainedLimit, core.SubscriptionLimit, core.SubscriberLimit, core.ConnectionLimit, core.AddressLimit, core.SessionTakenOver, core.UseAnotherServer:
		return codes.ServiceUnavailable
	}
	return codes.InternalServerError
}

// refusal is the answer that tells r; detail may be "". Where trying again helps it says
// when. [CoAP-5.9.3-1]
func (m *Machine) refusal(r core.Reason, detail string) response {
	if detail == "" {
		detail = r.String()
	}
	out := failure(code(r), detail)
	if out.code == codes.ServiceUnavailable || out.code == codes.TooManyRequests {
		out.maxAge = m.retryAfter()
	}
	return out
}

// busy is the answer of a gateway that cannot take more now.
func (m *Machine) busy(text string) response {
	r := failure(codes.ServiceUnavailable, text)
	r.maxAge = m.retryAfter()
	return r
}

func (m *Machine) retryAfter() int64 { return int64(m.adapter.cfg.RetryAfter.Seconds()) }
