package mqttsn

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
)

// code gives the return code that tells r. What may pass if the client tries again later
// is congestion. [SN-5.3.10-2]
func code(r core.Reason) packet.ReturnCode {
	switch r {
	case core.Success, core.NoMatchingSubscribers, core.NoSubscriptionExisted:
		return packet.Accepted
	case core.TopicAliasInvalid:
		return packet.InvalidTopicID
	case core.ServerBusy, core.ServerUnavailable, core.ServerShuttingDown, core.AuthUnavailable,
		core.ConnectionLimit, core.ConnectionRateExceeded, core.AddressLimit,
		core.QuotaExceeded, core.MessageRateTooHigh, core.ReceiveMaximumExceeded,
		core.StoreUnavailable, core.StoreFull, core.RetainedLimit, core.QueueFull, core.QueueBytesFull, core.OutgoingFull:
		return packet.Congestion
	}
	return packet.NotSupported
}
