package packet

import (
	"errors"
	"slices"
	"testing"
)

// with gives properties that one call has changed.
func with(set func(p *Properties)) Properties {
	var p Properties
	set(&p)
	return p
}

func TestValidate(t *testing.T) {
	long := make([]byte, 65_536)
	a := []byte("a")
	cases := []struct {
		name    string
		packet  Validator
		version Version
		want    *Error // nil: fine
	}{
		{"connect", &Connect{CleanStart: true, ClientID: a}, V311, nil},
		{"connect, no such version", &Connect{ClientID: a}, 6, errProtocolLevel},
		{"connect, long password", &Connect{ClientID: a, HasPassword: true, Password: long}, V5, errFieldLong},
		{"connect, long Will payload", &Connect{ClientID: a, HasWill: true, Will: Will{Topic: a, Payload: long}}, V5, errFieldLong},
		{"connect, Will QoS", &Connect{ClientID: a, HasWill: true, Will: Will{Topic: a, QoS: 4}}, V5, errWillQoS3},
		{"connect, Will topic", &Connect{ClientID: a, HasWill: true, Will: Will{Topic: []byte("#")}}, V5, errTopicWildcard},
		{"connect, Will property", &Connect{ClientID: a, HasWill: true, Will: Will{Topic: a,
			Properties: with(func(p *Properties) { p.SetTopicAlias(1) })}}, V5, errPropUnknown},
		{"connect, identifier", &Connect{ClientID: []byte{0xff}}, V5, errUTF8},
		{"connect, no identifier", &Connect{}, V311, errClientIDEmpty},
		{"connect, password alone", &Connect{ClientID: a, HasPassword: true}, V311, errPasswordAlone},
		{"connect, Receive Maximum", &Connect{Properties: with(func(p *Properties) { p.SetReceiveMaximum(0) })}, V5, errReceiveMax},
		{"connack", &Connack{SessionPresent: true}, V5, nil},
		{"connack, present and refused", &Connack{SessionPresent: true, Reason: ReasonNotAuthorized}, V5, errSessionFlag},
		{"connack, code", &Connack{Reason: ReasonKeepAliveTimeout}, V5, errConnackCode},
		{"publish", &Publish{Topic: a, QoS: 2, PacketID: 1, Payload: long}, V31, nil},
		{"publish, QoS", &Publish{Topic: a, QoS: 5, PacketID: 1}, V311, errQoS3},
		{"publish, DUP", &Publish{Topic: a, Dup: true}, V311, errDupQoS0},
		{"publish, identifier", &Publish{Topic: a, QoS: 1}, V311, errPacketID},
		{"publish, long topic", &Publish{Topic: long}, V311, errFieldLong},
		{"publish, topic", &Publish{Topic: []byte("a/+")}, V5, errTopicWildcard},
		{"publish, long content type", &Publish{Topic: a,
			Properties: with(func(p *Properties) { p.SetContentType(long) })}, V5, errFieldLong},
		{"publish, properties are not looked at", &Publish{Topic: a,
			Properties: with(func(p *Properties) { p.SetContentType(long) })}, V311, nil},
		{"publish, more than the default limits", &Publish{Topic: a, Properties: with(func(p *Properties) {
			for range 2000 {
				p.AddUser([]byte("name"), []byte("value"))
			}
		})}, V5, nil},
		{"publish, broken user list", &Publish{Topic: a, Properties: Properties{User: UserProperties{1, 1}}}, V5, errUserList},
		{"publish, short user list", &Publish{Topic: a, Properties: Properties{User: UserProperties{0x26, 0, 0}}}, V5, errUserList},
		{"publish, subscription identifier", &Publish{Topic: a,
			Properties: Properties{SubscriptionIDs: []uint32{MaxRemaining + 1}}}, V5, errVarintLong},
		{"ack", &Ack{Type: TypePubrel, PacketID: 1}, V5, nil},
		{"ack, type", &Ack{Type: TypePublish, PacketID: 1}, V5, errWrongType},
		{"ack, code", &Ack{Type: TypePubrel, PacketID: 1, Reason: ReasonQuotaExceeded}, V5, errPubrelCode},
		{"subscribe", &Subscribe{PacketID: 1, Filters: []Subscription{{Filter: a}}}, V5, nil},
		{"subscribe, none", &Subscribe{PacketID: 1}, V5, errNoFilters},
		{"subscribe, QoS", &Subscribe{PacketID: 1, Filters: []Subscription{{Filter: a, QoS: 4}}}, V5, errOptionQoS},
		{"subscribe, retain", &Subscribe{PacketID: 1, Filters: []Subscription{{Filter: a, RetainHandling: 5}}}, V5, errRetain3},
		{"subscribe, long", &Subscribe{PacketID: 1, Filters: []Subscription{{Filter: long}}}, V5, errFieldLong},
		{"subscribe, two identifiers", &Subscribe{PacketID: 1, Filters: []Subscription{{Filter: a}},
			Properties: Properties{SubscriptionIDs: []uint32{1, 2}}}, V5, errPropTwice},
		{"suback", &Suback{PacketID: 1, Codes: []ReasonCode{0, ReasonNotAuthorized}}, V311, nil},
		{"suback, code", &Suback{PacketID: 1, Codes: []ReasonCode{5}}, V311, errSubackCode},
		{"unsubscribe", &Unsubscribe{PacketID: 1, Filters: [][]byte{a}}, V5, nil},
		{"unsubscribe, too large", &Unsubscribe{PacketID: 1, Filters: slices.Repeat([][]byte{long[1:]}, 4097)}, V311, errTooLarge},
		{"unsubscribe, long", &Unsubscribe{PacketID: 1, Filters: [][]byte{a, long}}, V5, errFieldLong},
		{"unsuback", &Unsuback{PacketID: 1, Codes: []ReasonCode{ReasonNoSubscriptionExisted}}, V5, nil},
		{"unsuback, none", &Unsuback{PacketID: 1}, V5, errNoUncodes},
		{"disconnect", &Disconnect{Reason: ReasonServerMoved}, V5, nil},
		{"disconnect, code", &Disconnect{Reason: ReasonNotAuthorized + 1}, V5, errDisconnect},
		{"auth", &Auth{}, V5, nil},
		{"auth, no method", &Auth{Reason: ReasonContinueAuthentication}, V5, errAuthMethod},
		{"auth, version", &Auth{}, V311, errWrongVersion},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.packet.Validate(c.version)
			if c.want == nil && err != nil || c.want != nil && err != error(c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// What Validate has let through encodes to the size it promised, and what it would not is never written silently.
func TestAppendPanicsOnLongField(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a topic of 65,536 bytes was written")
		}
	}()
	p := Publish{Topic: make([]byte, 65_536)}
	p.Append(nil, V5)
}

func TestErrorKinds(t *testing.T) {
	cases := []struct {
		err, kind error
		want      bool
	}{
		{errUTF8, ErrMalformed, true},
		{errUTF8, ErrProtocol, false},
		{errPropTwice, ErrProtocol, true},
		{errTooLarge, ErrTooLarge, true},
		{errProtocolLevel, ErrVersion, true},
		{errFilterLimit, ErrLimit, true},
		{errUTF8, errNull, false}, // same code, another clause
		{errUTF8, errors.New("x"), false},
	}
	for _, c := range cases {
		if got := errors.Is(c.err, c.kind); got != c.want {
			t.Errorf("errors.Is(%v, %v) = %t", c.err, c.kind, got)
		}
	}
	if got := errQoS3.Error(); got != "mqtt: QoS is 3 [MQTT-3.3.1-4]" {
		t.Errorf("message is %q", got)
	}
	if got := ErrLimit.Error(); got != "mqtt: over a limit of this side" {
		t.Errorf("message is %q", got)
	}
}
