package packet

import (
	"bytes"
	"testing"
)

// Packets built by hand write the bytes of the golden case with the same content: the writing side alone, without a
// Decode in between.
func TestBuiltPackets(t *testing.T) {
	cases := map[string]struct {
		version Version
		packet  Packet
	}{
		"connect.txt: smallest (3.1)":                              {V31, &Connect{CleanStart: true, KeepAlive: 60, ClientID: []byte("abc")}},
		"connect.txt: Will QoS 2, retained, empty payload (3.1.1)": {V311, builtWill()},
		"connect.txt: all properties (5.0)":                        {V5, builtConnect()},
		"connect.txt: all Will properties (5.0)":                   {V5, builtWillProperties()},
		"connack.txt: 3.1 does not use the flags byte (3.1)":       {V31, &Connack{SessionPresent: true}},
		"connack.txt: refused with a reason (5.0)": {V5, &Connack{SessionPresent: true, Reason: ReasonBadUserNameOrPassword,
			Properties: with(func(p *Properties) { p.SetReasonString([]byte("who?")) })}},
		"connack.txt: all properties (5.0)":                    {V5, builtConnack()},
		"publish.txt: all properties of a client (5.0)":        {V5, builtPublish()},
		"disconnect.txt: DISCONNECT with all properties (5.0)": {V5, builtDisconnect()},
		"disconnect.txt: AUTH, again (5.0)": {V5, &Auth{Reason: ReasonReauthenticate,
			Properties: with(func(p *Properties) { p.SetAuthenticationMethod([]byte("m")) })}},
		"subscribe.txt: the example of section 3.8.3 (5.0)": {V5, &Subscribe{PacketID: 10, Filters: []Subscription{
			{Filter: []byte("a/b"), QoS: 1}, {Filter: []byte("c/d"), QoS: 2}}}},
		"subscribe.txt: SUBACK (3.1.1)": {V311, &Suback{PacketID: 10,
			Codes: []ReasonCode{ReasonGrantedQoS0, ReasonGrantedQoS1, ReasonGrantedQoS2, ReasonNotAuthorized}}},
	}
	found := 0
	for _, g := range goldens(t) {
		c, ok := cases[g.name]
		if !ok {
			continue
		}
		found++
		if got := c.packet.Append(nil, c.version); !bytes.Equal(got, g.writes) {
			t.Errorf("%s:\n% x, want\n% x", g.name, got, g.writes)
		}
	}
	if found != len(cases) {
		t.Errorf("found %d golden cases of %d", found, len(cases))
	}
}

func builtWill() *Connect {
	return &Connect{CleanStart: true, KeepAlive: 0xFFFF, ClientID: []byte("c"), HasWill: true,
		Will: Will{Topic: []byte("w/t"), QoS: 2, Retain: true}}
}

func builtConnect() *Connect {
	c := &Connect{CleanStart: true, ClientID: []byte("c")}
	p := &c.Properties
	p.SetSessionExpiry(0xFFFFFFFF)
	p.SetAuthenticationMethod([]byte("SCRAM-SHA-256"))
	p.SetAuthenticationData([]byte{1, 2})
	p.SetRequestProblemInformation(false)
	p.SetRequestResponseInformation(true)
	p.SetReceiveMaximum(1)
	p.SetTopicAliasMaximum(0xFFFF)
	p.AddUser([]byte("k"), []byte("v"))
	p.SetMaximumPacketSize(0x10000000)
	return c
}

func builtWillProperties() *Connect {
	c := &Connect{CleanStart: true, ClientID: []byte("c"), HasWill: true,
		Will: Will{Topic: []byte("w"), Payload: []byte("p")}}
	p := &c.Will.Properties
	p.SetPayloadFormat(true)
	p.SetMessageExpiry(10)
	p.SetContentType([]byte("text"))
	p.SetResponseTopic([]byte("r/t"))
	p.SetCorrelationData([]byte{0, 0xFF})
	p.SetWillDelay(60)
	p.AddUser([]byte("a"), []byte("b"))
	return c
}

func builtConnack() *Connack {
	c := new(Connack)
	p := &c.Properties
	p.SetSessionExpiry(10)
	p.SetAssignedClientID([]byte("auto-1"))
	p.SetServerKeepAlive(30)
	p.SetAuthenticationMethod([]byte("m"))
	p.SetAuthenticationData([]byte{0})
	p.SetResponseInformation([]byte("resp/"))
	p.SetServerReference([]byte("other:1883"))
	p.SetReasonString([]byte("ok"))
	p.SetReceiveMaximum(100)
	p.SetTopicAliasMaximum(10)
	p.SetMaximumQoS(1)
	p.SetRetainAvailable(true)
	p.AddUser([]byte("a"), []byte("b"))
	p.AddUser([]byte("a"), []byte("c"))
	p.SetMaximumPacketSize(65536)
	p.SetWildcardSubscriptionAvailable(true)
	p.SetSubscriptionIDAvailable(true)
	p.SetSharedSubscriptionAvailable(false)
	return c
}

func builtPublish() *Publish {
	m := &Publish{Topic: []byte("t"), Payload: []byte("x")}
	p := &m.Properties
	p.SetPayloadFormat(false)
	p.SetMessageExpiry(0xFFFFFFFF)
	p.SetContentType([]byte("text/plain"))
	p.SetResponseTopic([]byte("reply/1"))
	p.SetCorrelationData([]byte{0, 0xFF, 0, 0xFE})
	p.SetTopicAlias(1)
	p.AddUser([]byte("k"), []byte("v"))
	p.AddUser(nil, nil)
	return m
}

func builtDisconnect() *Disconnect {
	d := &Disconnect{Reason: ReasonServerMoved}
	d.Properties.SetSessionExpiry(0)
	d.Properties.SetServerReference([]byte("b:1883"))
	d.Properties.SetReasonString([]byte("moved"))
	d.Properties.AddUser([]byte("a"), []byte("b"))
	return d
}

// Append leaves out what the packet may not carry, and all properties before version 5.
func TestAppendLeavesOut(t *testing.T) {
	var all Connack
	all.Properties = builtConnack().Properties
	all.Properties.AddSubscriptionID(1)
	all.Properties.Remove(^SetOf(PropReasonString))
	p := Publish{Topic: []byte("t"), Properties: all.Properties}
	if got, want := p.Append(nil, V5), (&Publish{Topic: []byte("t")}).Append(nil, V5); !bytes.Equal(got, want) {
		t.Errorf("PUBLISH with a Reason String writes % x, want % x", got, want)
	}
	if got := all.Append(nil, V311); len(got) != 4 || len(got) != all.Size(V311) {
		t.Errorf("CONNACK of 3.1.1 with properties is % x", got)
	}
	if got := describeProperties(&all.Properties); got != `{Reason String="ok"}` {
		t.Errorf("left after Remove: %s", got)
	}
}
