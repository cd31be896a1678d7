package mqtt

import (
	"strings"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// answers are the codes that tell one of core's reasons to an MQTT 5 client, by
// the packet that carries it. Zero stands for Unspecified error where the reason
// cannot come up in that packet.
type answers struct {
	connack, publish, subscribe, unsubscribe, disconnect packet.ReasonCode
}

// Short names of the codes, for the table's sake.
const (
	specific  = packet.ReasonImplementationSpecificError
	denied    = packet.ReasonNotAuthorized
	quota     = packet.ReasonQuotaExceeded
	busy      = packet.ReasonServerBusy
	malformed = packet.ReasonMalformedPacket
	protocol  = packet.ReasonProtocolError
	noName    = packet.ReasonTopicNameInvalid
	noFilter  = packet.ReasonTopicFilterInvalid
	idInUse   = packet.ReasonPacketIdentifierInUse
	noFormat  = packet.ReasonPayloadFormatInvalid
	down      = packet.ReasonServerUnavailable
	tooLarge  = packet.ReasonPacketTooLarge
)

// answerTable holds every reason of core. [MQTT-3.2.2-8] [MQTT-3.4.2-1]
// [MQTT-3.5.2-1] [MQTT-3.9.3-2] [MQTT-3.11.3-2] [MQTT-3.14.2-1]
var answerTable = [core.ReasonCount]answers{
	core.Success:              {},
	core.NormalDisconnect:     {connack: down},
	core.DisconnectWithWill:   {connack: down},
	core.ConnectionLost:       {},
	core.KeepAliveTimeout:     {disconnect: packet.ReasonKeepAliveTimeout},
	core.ConnectTimeout:       {},
	core.SessionTakenOver:     {connack: busy, publish: specific, subscribe: specific, unsubscribe: specific, disconnect: packet.ReasonSessionTakenOver},
	core.ServerShuttingDown:   {connack: down, publish: specific, subscribe: specific, unsubscribe: specific, disconnect: packet.ReasonServerShuttingDown},
	core.AdministrativeAction: {connack: denied, publish: denied, subscribe: denied, unsubscribe: denied, disconnect: packet.ReasonAdministrativeAction},
	core.IdentityExpired:      {connack: denied, publish: denied, subscribe: denied, unsubscribe: denied, disconnect: packet.ReasonMaximumConnectTime},

	core.MalformedPacket:            {connack: malformed, disconnect: malformed},
	core.ProtocolError:              {connack: protocol, disconnect: protocol},
	core.UnsupportedProtocolVersion: {connack: packet.ReasonUnsupportedProtocolVersion, disconnect: protocol},
	core.ClientIDNotValid:           {connack: packet.ReasonClientIdentifierNotValid, disconnect: protocol},
	core.PacketTooLarge:             {connack: tooLarge, publish: quota, subscribe: quota, disconnect: tooLarge},
	core.ReceiveMaximumExceeded:     {connack: protocol, publish: quota, disconnect: packet.ReasonReceiveMaximumExceeded},
	core.TopicAliasInvalid:          {connack: protocol, publish: noName, disconnect: packet.ReasonTopicAliasInvalid},
	core.TopicNameInvalid:           {connack: noName, publish: noName, subscribe: noFilter, unsubscribe: noFilter, disconnect: noName},
	core.TopicFilterInvalid:         {connack: protocol, publish: noName, subscribe: noFilter, unsubscribe: noFilter, disconnect: noFilter},
	core.PayloadFormatInvalid:       {connack: noFormat, publish: noFormat, disconnect: noFormat},
	core.PacketIDInUse:              {connack: protocol, publish: idInUse, subscribe: idInUse, unsubscribe: idInUse, disconnect: protocol},
	core.PacketIDNotFound:           {connack: protocol, disconnect: protocol},
	core.NoMatchingSubscribers:      {publish: packet.ReasonNoMatchingSubscribers},
	core.NoSubscriptionExisted:      {unsubscribe: packet.ReasonNoSubscriptionExisted},

	core.BadCredentials:              {connack: packet.ReasonBadUserNameOrPassword, publish: denied, subscribe: denied, unsubscribe: denied, disconnect: denied},
	core.BadAuthenticationMethod:     {connack: packet.ReasonBadAuthenticationMethod, publish: denied, subscribe: denied, unsubscribe: denied, disconnect: packet.ReasonBadAuthenticationMethod},
	core.NotAuthorized:               {connack: denied, publish: denied, subscribe: denied, unsubscribe: denied, disconnect: denied},
	core.Banned:                      {connack: packet.ReasonBanned, publish: denied, subscribe: denied, unsubscribe: denied, disconnect: denied},
	core.AuthUnavailable:             {connack: down, publish: denied, subscribe: denied, unsubscribe: denied, disconnect: busy},
	core.QoSNotSupported:             {connack: packet.ReasonQoSNotSupported, publish: specific, subscribe: specific, disconnect: packet.ReasonQoSNotSupported},
	core.RetainNotSupported:          {connack: packet.ReasonRetainNotSupported, publish: specific, subscribe: specific, disconnect: packet.ReasonRetainNotSupported},
	core.SharedNotSupported:          {connack: protocol, subscribe: packet.ReasonSharedSubscriptionsNotSupported, disconnect: packet.ReasonSharedSubscriptionsNotSupported},
	core.WildcardNotSupported:        {connack: protocol, subscribe: packet.ReasonWildcardSubscriptionsNotSupported, disconnect: packet.ReasonWildcardSubscriptionsNotSupported},
	core.SubscriptionIDsNotSupported: {connack: protocol, subscribe: packet.ReasonSubscriptionIdentifiersNotSupported, disconnect: packet.ReasonSubscriptionIdentifiersNotSupported},
	core.FastlaneNeedsCleanSession:   {connack: protocol, publish: specific, subscribe: noFilter, unsubscribe: noFilter, disconnect: noFilter},
	core.ExclusiveTaken:              {connack: quota, subscribe: quota, disconnect: quota},

	core.ServerBusy:             {connack: busy, publish: quota, subscribe: quota, unsubscribe: specific, disconnect: busy},
	core.ServerUnavailable:      {connack: down, publish: specific, subscribe: specific, unsubscribe: specific, disconnect: busy},
	core.ConnectionLimit:        {connack: quota, disconnect: quota},
	core.ConnectionRateExceeded: {connack: packet.ReasonConnectionRateExceeded, disconnect: packet.ReasonConnectionRateExceeded},
	core.AddressLimit:           {connack: quota, disconnect: quota},
	core.AmplificationLimit:     {connack: quota, disconnect: quota},
	core.InputOverflow:          {connack: busy, publish: quota, subscribe: quota, disconnect: busy},
	core.QuotaExceeded:          {connack: quota, publish: quota, subscribe: quota, unsubscribe: specific, disconnect: quota},
	core.MessageRateTooHigh:     {connack: quota, publish: quota, subscribe: quota, unsubscribe: specific, disconnect: packet.ReasonMessageRateTooHigh},
	core.SubscriptionLimit:      {connack: quota, publish: quota, subscribe: quota, disconnect: quota},
	core.SubscriberLimit:        {connack: quota, publish: quota, subscribe: quota, disconnect: quota},
	core.RetainedLimit:          {connack: quota, publish: quota, subscribe: quota, disconnect: quota},
	core.DelayedLimit:           {connack: quota, publish: quota, subscribe: quota, disconnect: quota},
	core.StoreUnavailable:       {connack: down, publish: specific, subscribe: specific, unsubscribe: specific, disconnect: specific},
	core.StoreFull:              {connack: down, publish: quota, subscribe: quota, unsubscribe: specific, disconnect: quota},

	core.MessageExpired:       {connack: specificConnack},
	core.QueueFull:            {connack: busy, publish: quota, disconnect: quota},
	core.QueueBytesFull:       {connack: busy, publish: quota, disconnect: quota},
	core.OutgoingFull:         {connack: busy, publish: quota, disconnect: quota},
	core.OfflineQoS0:          {connack: specificConnack},
	core.SessionEnded:         {connack: down, publish: specific, subscribe: specific, unsubscribe: specific, disconnect: packet.ReasonAdministrativeAction},
	core.DeliverNotAuthorized: {connack: denied, publish: denied, subscribe: denied, unsubscribe: denied, disconnect: denied},
	core.TooLargeForReceiver:  {connack: tooLarge, publish: quota, disconnect: tooLarge},
	core.NoSharedReceiver:     {connack: specificConnack, publish: packet.ReasonNoMatchingSubscribers},
	core.MatchWorkLimit:       {connack: quota, publish: quota, subscribe: quota, disconnect: quota},
	core.ReceiverRefused:      {connack: specificConnack, publish: specific},
	core.WillNotAuthorized:    {connack: denied, publish: denied, disconnect: denied},
	core.NotObserved:          {connack: specificConnack, publish: specific},
	core.Superseded:           {connack: specificConnack, publish: specific},

	core.UseAnotherServer: {connack: packet.ReasonUseAnotherServer, publish: specific, subscribe: specific, unsubscribe: specific, disconnect: packet.ReasonUseAnotherServer},
	core.UnspecifiedError: {},
}

// specificConnack marks reasons of deliveries, which no CONNECT can meet.
const specificConnack = specific

// code gives the reason code that tells r to an MQTT 5 client in a packet of type
// t, one that the specification allows there.
func code(r core.Reason, t packet.Type) packet.ReasonCode {
	if r == core.Success {
		return packet.ReasonSuccess
	}
	if int(r) >= core.ReasonCount {
		r = core.UnspecifiedError
	}
	var c packet.ReasonCode
	switch row := answerTable[r]; t {
	case packet.TypeConnack:
		c = row.connack
	case packet.TypePuback, packet.TypePubrec:
		c = row.publish
	case packet.TypePubrel, packet.TypePubcomp:
		// The only failure these two have. [MQTT-3.6.2-1] [MQTT-3.7.2-1]
		return packet.ReasonPacketIdentifierNotFound
	case packet.TypeSuback:
		c = row.subscribe
	case packet.TypeUnsuback:
		c = row.unsubscribe
	case packet.TypeDisconnect:
		if r == core.NormalDisconnect {
			return packet.ReasonNormalDisconnection
		}
		c = row.disconnect
	}
	if c == packet.ReasonSuccess {
		return packet.ReasonUnspecifiedError
	}
	return c
}

// returnCode gives what a CONNACK of MQTT 3.1 and 3.1.1 can say of r; ok is false
// where those versions close the connection without a word.
// [MQTT 3.1.1 section 3.2.2.3]
func returnCode(r core.Reason) (c packet.ReturnCode, ok bool) {
	switch r {
	case core.Success:
		return packet.ReturnAccepted, true
	case core.UnsupportedProtocolVersion:
		return packet.ReturnUnacceptableVersion, true
	case core.ClientIDNotValid:
		return packet.ReturnIdentifierRejected, true
	case core.BadCredentials, core.BadAuthenticationMethod:
		return packet.ReturnBadUserNameOrPassword, true
	case core.NotAuthorized, core.Banned, core.WillNotAuthorized, core.IdentityExpired, core.AdministrativeAction:
		return packet.ReturnNotAuthorized, true
	case core.MalformedPacket, core.ProtocolError, core.PacketTooLarge, core.TopicNameInvalid,
		core.PayloadFormatInvalid, core.ConnectTimeout, core.ConnectionLost:
		return 0, false
	}
	return packet.ReturnServerUnavailable, true
}

// reasonOf gives core's reason for a code, be it of the codec's finding or sent by
// a client.
func reasonOf(c packet.ReasonCode) core.Reason {
	switch c {
	case packet.ReasonMalformedPacket:
		return core.MalformedPacket
	case packet.ReasonProtocolError:
		return core.ProtocolError
	case packet.ReasonUnsupportedProtocolVersion:
		return core.UnsupportedProtocolVersion
	case packet.ReasonClientIdentifierNotValid:
		return core.ClientIDNotValid
	case packet.ReasonTopicNameInvalid:
		return core.TopicNameInvalid
	case packet.ReasonTopicFilterInvalid:
		return core.TopicFilterInvalid
	case packet.ReasonTopicAliasInvalid:
		return core.TopicAliasInvalid
	case packet.ReasonPacketTooLarge:
		return core.PacketTooLarge
	case packet.ReasonQuotaExceeded:
		return core.QuotaExceeded
	}
	return core.UnspecifiedError
}

// words are what a client may read of a reason that comes without a detail.
func words(r core.Reason) string { return strings.ReplaceAll(r.String(), "_", " ") }
