package core

import "fmt"

// Reason says why something was refused, closed, dropped or expired. It is the
// one enumeration of Fairlead: counters, explain records, logs and the adapters'
// wire codes all derive from it. The zero value is success.
type Reason uint8

// The reasons. Their names are stable: they are metric labels.
const (
	Success Reason = iota

	// Ends of connections.
	NormalDisconnect
	DisconnectWithWill
	ConnectionLost
	KeepAliveTimeout
	ConnectTimeout
	SessionTakenOver
	ServerShuttingDown
	AdministrativeAction
	IdentityExpired

	// Faults of the peer.
	MalformedPacket
	ProtocolError
	UnsupportedProtocolVersion
	ClientIDNotValid
	PacketTooLarge
	ReceiveMaximumExceeded
	TopicAliasInvalid
	TopicNameInvalid
	TopicFilterInvalid
	PayloadFormatInvalid
	PacketIDInUse
	PacketIDNotFound
	NoMatchingSubscribers
	NoSubscriptionExisted

	// Refusals by identity or policy.
	BadCredentials
	BadAuthenticationMethod
	NotAuthorized
	Banned
	AuthUnavailable
	QoSNotSupported
	RetainNotSupported
	SharedNotSupported
	WildcardNotSupported
	SubscriptionIDsNotSupported
	FastlaneNeedsCleanSession
	ExclusiveTaken

	// Refusals by limits.
	ServerBusy
	ServerUnavailable
	ConnectionLimit
	ConnectionRateExceeded
	AddressLimit
	AmplificationLimit // more than an unproven address may be sent
	InputOverflow      // datagrams that came while their machine waited
	QuotaExceeded
	MessageRateTooHigh
	SubscriptionLimit // of one client
	SubscriberLimit   // of one topic
	RetainedLimit
	DelayedLimit
	StoreUnavailable
	StoreFull

	// Drops of a message for one receiver, and expiry.
	MessageExpired
	QueueFull
	QueueBytesFull
	OutgoingFull
	OfflineQoS0
	SessionEnded
	DeliverNotAuthorized
	TooLargeForReceiver
	NoSharedReceiver
	MatchWorkLimit
	ReceiverRefused
	WillNotAuthorized
	NotObserved // the client asks for it by no observation now
	Superseded  // a newer state took its place, as the client wished

	// Further named outcomes.
	UseAnotherServer
	UnspecifiedError

	reasonCount
)

// ReasonCount is the number of reasons, for arrays indexed by Reason.
const ReasonCount = int(reasonCount)

var reasonNames = [reasonCount]string{
	Success:                     "success",
	NormalDisconnect:            "normal_disconnect",
	DisconnectWithWill:          "disconnect_with_will",
	ConnectionLost:              "connection_lost",
	KeepAliveTimeout:            "keep_alive_timeout",
	ConnectTimeout:              "connect_timeout",
	SessionTakenOver:            "session_taken_over",
	ServerShuttingDown:          "server_shutting_down",
	AdministrativeAction:        "administrative_action",
	IdentityExpired:             "identity_expired",
	MalformedPacket:             "malformed_packet",
	ProtocolError:               "protocol_error",
	UnsupportedProtocolVersion:  "unsupported_protocol_version",
	ClientIDNotValid:            "client_id_not_valid",
	PacketTooLarge:              "packet_too_large",
	ReceiveMaximumExceeded:      "receive_maximum_exceeded",
	TopicAliasInvalid:           "topic_alias_invalid",
	TopicNameInvalid:            "topic_name_invalid",
	TopicFilterInvalid:          "topic_filter_invalid",
	PayloadFormatInvalid:        "payload_format_invalid",
	PacketIDInUse:               "packet_id_in_use",
	PacketIDNotFound:            "packet_id_not_found",
	NoMatchingSubscribers:       "no_matching_subscribers",
	NoSubscriptionExisted:       "no_subscription_existed",
	BadCredentials:              "bad_credentials",
	BadAuthenticationMethod:     "bad_authentication_method",
	NotAuthorized:               "not_authorized",
	Banned:                      "banned",
	AuthUnavailable:             "auth_unavailable",
	QoSNotSupported:             "qos_not_supported",
	RetainNotSupported:          "retain_not_supported",
	SharedNotSupported:          "shared_not_supported",
	WildcardNotSupported:        "wildcard_not_supported",
	SubscriptionIDsNotSupported: "subscription_ids_not_supported",
	FastlaneNeedsCleanSession:   "fastlane_needs_clean_session",
	ExclusiveTaken:              "exclusive_taken",
	ServerBusy:                  "server_busy",
	ServerUnavailable:           "server_unavailable",
	ConnectionLimit:             "connection_limit",
	ConnectionRateExceeded:      "connection_rate_exceeded",
	AddressLimit:                "address_limit",
	AmplificationLimit:          "amplification_limit",
	InputOverflow:               "input_overflow",
	QuotaExceeded:               "quota_exceeded",
	MessageRateTooHigh:          "message_rate_too_high",
	SubscriptionLimit:           "subscription_limit",
	SubscriberLimit:             "subscriber_limit",
	RetainedLimit:               "retained_limit",
	DelayedLimit:                "delayed_limit",
	StoreUnavailable:            "store_unavailable",
	StoreFull:                   "store_full",
	MessageExpired:              "message_expired",
	QueueFull:                   "queue_full",
	QueueBytesFull:              "queue_bytes_full",
	OutgoingFull:                "outgoing_full",
	OfflineQoS0:                 "offline_qos0",
	SessionEnded:                "session_ended",
	DeliverNotAuthorized:        "deliver_not_authorized",
	TooLargeForReceiver:         "too_large_for_receiver",
	NoSharedReceiver:            "no_shared_receiver",
	MatchWorkLimit:              "match_work_limit",
	ReceiverRefused:             "receiver_refused",
	WillNotAuthorized:           "will_not_authorized",
	NotObserved:                 "not_observed",
	Superseded:                  "superseded",
	UseAnotherServer:            "use_another_server",
	UnspecifiedError:            "unspecified_error",
}

// EndsOffer says that a message which was offered to a client and dropped for r need not be
// offered again: the client cannot or may not have it, or does not want it.
func (r Reason) EndsOffer() bool {
	switch r {
	case NoMatchingSubscribers, DeliverNotAuthorized, MessageExpired, TooLargeForReceiver, ReceiverRefused:
		return true
	}
	return false
}

// String gives the reason's stable name in snake_case.
func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason_%d", uint8(r))
}

// Error is a refusal or fault that crosses a seam: a Reason, what a person may
// read of it, and the cause if there is one.
type Error struct {
	Reason Reason
	Detail string // one line, lower case; may be sent to the client as a Reason String
	Err    error  // the cause, never sent to a client
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Reason.String()
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is compare by Reason.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason && t.Detail == "" && t.Err == nil
}

// Errorf makes an Error with a formatted detail.
func Errorf(r Reason, format string, a ...any) *Error {
	return &Error{Reason: r, Detail: fmt.Sprintf(format, a...)}
}
