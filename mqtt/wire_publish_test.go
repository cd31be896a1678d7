package mqtt

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// pair is how many scenes begin: s has subscribed to a with QoS 2, p will publish.
const pair = `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 02
			s < 90 .. 0001 {} 02
			p > @c 'c2'
			p < @ok
`

// keptPair is pair with a session that s can come back to.
const keptPair = `
			s > @k 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 02
			s < 90 .. 0001 {} 02
			p > @c 'c2'
			p < @ok
`

// notTopic allows everything but one topic.
type notTopic struct {
	coretest.AllowAll
	topic string
}

func (n notTopic) Authorize(id *core.Identity, a core.Action, topic string) (core.Verdict, error) {
	if topic == n.topic {
		return core.Deny, nil
	}
	return n.AllowAll.Authorize(id, a, topic)
}

func (notTopic) Covers(*core.Identity, string) core.Verdict { return core.Ignore }

// forbid refuses publishing to "no" and subscribing to it.
func forbid(s *setup) { s.core.Authorizers = []core.Authorizer{notTopic{topic: "no"}} }

// publishScenes are about PUBLISH from a client.
func publishScenes() []scene {
	return []scene{
		{name: "MQTT-3.3.4-1 MQTT-4.3.1-1 MQTT-2.2.1-2 MQTT-4.3.2-4 MQTT-4.3.3-8 MQTT-2.2.1-5 MQTT-4.5.0-1 MQTT-2.2.1-4 MQTT-4.3.2-2 MQTT-4.3.3-2 each QoS", script: pair + `
			p > 30 .. 'a' {} "0"
			p open
			s < 30 .. 'a' {} "0"
			p > 32 .. 'a' 1234 {} "1"
			p < 40 .. 1234
			s < 32 .. 'a' 0001 {} "1"
			p > 34 .. 'a' ffff {} "2"
			p < 50 .. ffff
			s < 34 .. 'a' 0002 {} "2"
			p > 62 .. ffff
			p < 70 .. ffff`},
		{name: "MQTT-3.3.1-2 QoS 0 with DUP", in: "45", script: pair + `
			p > 38 .. 'a' {} "0"
			5: p closed e0 .. 81
			4: p closed
			s open`},
		{name: "MQTT-3.3.1-3 DUP is not passed on", script: pair + `
			p > 3a .. 'a' 0001 {} "1" ; 3c .. 'a' 0002 {} "2"
			p < 40 .. 0001 ; 50 .. 0002
			s < 32 .. 'a' 0001 {} "1" ; 34 .. 'a' 0002 {} "2"`},
		{name: "MQTT-3.3.1-4 MQTT-4.13.1-1 MQTT-4.13.2-1 QoS 3", script: pair + `
			p > 36 .. 'a' 0001 {} "x" ; 30 .. 'a' {} "y"
			5: p closed e0 .. 81
			34: p closed
			s open`},
		{name: "MQTT-2.2.1-3 MQTT311-2.3.1-1 identifier 0", script: pair + `
			p > 32 .. 'a' 0000 {} "x"
			5: p closed e0 .. 82
			34: p closed
			s open`},
		{name: "MQTT-4.3.2-5 a second QoS 1 message of one identifier", script: pair + `
			p > 32 .. 'a' 0001 {} "x" ; 3a .. 'a' 0001 {} "x"
			p < 40 .. 0001 ; 40 .. 0001
			s < 32 .. 'a' 0001 {} "x" ; 32 .. 'a' 0002 {} "x"`},
		{name: "MQTT-4.3.3-10 MQTT-4.3.3-11 MQTT-4.3.3-12 QoS 2 is delivered once", script: pair + `
			p > 34 .. 'a' 0001 {} "x" ; 3c .. 'a' 0001 {} "x"
			p < 50 .. 0001 ; 50 .. 0001
			s < 34 .. 'a' 0001 {} "x"
			p > 62 .. 0001
			p < 70 .. 0001
			p > 34 .. 'a' 0001 {} "x"
			p < 50 .. 0001
			s < 34 .. 'a' 0002 {} "x"`},
		{name: "MQTT-4.3.3-10 QoS 2 is delivered once though the connection broke", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 02
			s < 90 .. 0001 {} 02
			p > @k 'c2'
			p < @ok
			p > 34 .. 'a' 0001 {} "x"
			p < 50 .. 0001
			s < 34 .. 'a' 0001 {} "x"
			p lost
			p > @k 'c2'
			p < @again
			p > 3c .. 'a' 0001 {} "x" ; 62 .. 0001
			p < 50 .. 0001 ; 70 .. 0001
			s open`},
		{name: "MQTT-4.3.3-13 QoS 2 goes on after the message expired", in: "5", script: `
			s > @k 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 02
			s < 90 .. 0001 {} 02
			s lost
			p > @c 'c2'
			p < @ok
			p > 34 .. 'a' 0001 {02 00000001} "x"
			p < 50 .. 0001
			wait 10s
			p > 3c .. 'a' 0001 {02 00000001} "x" ; 62 .. 0001
			p < 50 .. 0001 ; 70 .. 0001
			s > @k 'c1'
			s < @again`},
		{name: "MQTT-4.3.3-9 MQTT-3.5.2-1 MQTT-3.4.2-1 a refused identifier is free", in: "5", set: forbid, script: pair + `
			p > 32 .. 'no' 0001 {} "x"
			p < 40 .. 0001 87
			p > 34 .. 'no' 0001 {} "x"
			p < 50 .. 0001 87
			p > 34 .. 'a' 0001 {} "x"
			p < 50 .. 0001
			s < 34 .. 'a' 0001 {} "x"`},
		{name: "MQTT311-3.3.5-2 MQTT31-3.3-1 what is not allowed is acknowledged and not delivered", in: "34", set: forbid, script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 '+' 02
			s < 90 .. 0001 02
			p > @c 'c2'
			p < @ok
			p > 30 .. 'no' "x" ; 32 .. 'no' 0001 "x" ; 34 .. 'no' 0002 "x" ; 62 .. 0002
			p < 40 .. 0001 ; 50 .. 0002 ; 70 .. 0002
			s open`},
	}
}

// topicNameScenes are about the topic and the properties of a PUBLISH.
func topicNameScenes() []scene {
	return []scene{
		{name: "MQTT-3.3.2-1 MQTT-1.5.4-1 MQTT-1.5.4-2 MQTT-4.7.3-2 a topic that is no string", script: pair + `
			p > 30 .. 0002 c3 28 {} "x"
			5: p closed e0 .. 81
			34: p closed
			p > @c 'c2'
			p < @ok
			p > 30 .. 0003 61 00 62 {} "x"
			5: p closed e0 .. 81
			34: p closed
			p > @c 'c2'
			p < @ok
			p > 30 .. 0004 "x"     // the length goes beyond the packet
			5: p closed e0 .. 81
			34: p closed`},
		{name: "MQTT-3.3.2-2 MQTT-4.7.0-1 wildcards in a topic", script: pair + `
			p > 30 .. 'a/+' {} "x"
			5: p closed e0 .. 90
			34: p closed
			p > @c 'c2'
			p < @ok
			p > 30 .. '#' {} "x"
			5: p closed e0 .. 90
			34: p closed`},
		{name: "MQTT-4.7.3-1 an empty topic", script: pair + `
			p > 30 .. '' {} "x"
			5: p closed e0 .. 82
			34: p closed`},
		{name: "MQTT-3.3.2-4 MQTT-3.3.2-15 MQTT-3.3.2-16 MQTT-3.3.2-17 MQTT-3.3.2-18 MQTT-3.3.2-20 properties go through unaltered", in: "5", script: pair + `
			p > 30 .. 'a' {26 'b' '1' 01 01 08 're/x' 26 'a' '' 09 0003 00 ff 01 26 'b' '1' 03 'text/plain'} "x"
			s < 30 .. 'a' {01 01 03 'text/plain' 08 're/x' 09 0003 00 ff 01 26 'b' '1' 26 'a' '' 26 'b' '1'} "x"
			p > 30 .. 'a' {09 0000} "x"   // empty is not absent
			s < 30 .. 'a' {09 0000} "x"`},
		{name: "MQTT-3.3.2-13 MQTT-3.3.2-14 MQTT-3.3.2-19 MQTT-1.5.7-1 properties that are no strings", in: "5", script: pair + `
			p > 30 .. 'a' {08 0001 ff} "x"
			p closed e0 .. 81
			p > @c 'c2'
			p < @ok
			p > 30 .. 'a' {08 're/#'} "x"
			p closed e0 .. 82
			p > @c 'c2'
			p < @ok
			p > 30 .. 'a' {03 0003 ed bf bf} "x"
			p closed e0 .. 81
			p > @c 'c2'
			p < @ok
			p > 30 .. 'a' {26 'k' 0001 00} "x"
			p closed e0 .. 81
			p > @c 'c2'
			p < @ok
			p > 30 .. 'a' {26 0001 80 'v'} "x"
			p closed e0 .. 81
			s open`},
		{name: "MQTT-4.13.1-1 properties that do not belong or stand twice", in: "5", script: pair + `
			p > 30 .. 'a' {11 00000001} "x"
			p closed e0 .. 81
			p > @c 'c2'
			p < @ok
			p > 30 .. 'a' {01 00 01 00} "x"
			p closed e0 .. 82
			p > @c 'c2'
			p < @ok
			p > 30 .. 'a' {01 02} "x"
			p closed e0 .. 82`},
		{name: "MQTT-3.3.4-6 a Subscription Identifier from a client", in: "5", script: pair + `
			p > 30 .. 'a' {0b 01} "x"
			p closed e0 .. 82`},
		{name: "MQTT-3.3.2-7 MQTT-3.3.2-12 a client's aliases", in: "5", script: pair + `
			p > 30 .. 'a' {23 0001} "1" ; 30 .. 'b' {23 0020} "-" ; 30 .. '' {23 0001} "2"
			s < 30 .. 'a' {} "1" ; 30 .. 'a' {} "2"
			p > 30 .. 'a' {23 0020} "3" ; 30 .. '' {23 0020} "4"
			s < 30 .. 'a' {} "3" ; 30 .. 'a' {} "4"
			p > e0 00
			p closed
			p > @c 'c2'
			p < @ok
			p > 30 .. '' {23 0001} "5"
			p closed e0 .. 82
			s open`},
		{name: "MQTT-3.3.2-8 MQTT-3.3.2-9 MQTT-3.2.2-17 aliases out of bounds", in: "5", script: pair + `
			p > 30 .. 'a' {23 0000} "x"
			p closed e0 .. 94
			p > @c 'c2'
			p < @ok
			p > 30 .. 'a' {23 0021} "x"
			p closed e0 .. 94
			s open`},
		{name: "MQTT-3.2.2-18 aliases are off", in: "5", set: func(s *setup) { s.mqtt.TopicAliasMaximum = 0 }, script: `
			p > @c 'c2'
			p < 20 .. 00 00 {21 0400 27 00100000}
			p > 30 .. 'a' {23 0001} "x"
			p closed e0 .. 94`},
		{name: "MQTT-3.3.4-7 more than the server's Receive Maximum", in: "5", set: func(s *setup) { s.core.Config.ReceiveMaximum = 1 }, script: `
			p > @c 'c2'
			p < 20 .. 00 00 {21 0001 22 0020 27 00100000}
			p > 34 .. 'a' 0001 {} "x"
			p < 50 .. 0001 10
			p > 34 .. 'a' 0002 {} "x"
			p closed e0 .. 93`},
	}
}

// deliverScenes are about PUBLISH to a client.
func deliverScenes() []scene {
	return []scene{
		{name: "MQTT-4.3.2-1 MQTT-4.3.3-1 MQTT-2.2.1-4 MQTT-4.6.0-5 MQTT-4.6.0-6 identifiers in use are not given again, and order is kept", script: pair + `
			p > 32 .. 'a' 0001 {} "1" ; 34 .. 'a' 0002 {} "2" ; 32 .. 'a' 0003 {} "3" ; 34 .. 'a' 0004 {} "4"
			p < 40 .. 0001 ; 50 .. 0002 ; 40 .. 0003 ; 50 .. 0004
			s < 32 .. 'a' 0001 {} "1" ; 34 .. 'a' 0002 {} "2" ; 32 .. 'a' 0003 {} "3" ; 34 .. 'a' 0004 {} "4"
			s > 40 .. 0003 ; 40 .. 0001
			p > 32 .. 'a' 0001 {} "5"
			p < 40 .. 0001
			s < 32 .. 'a' 0005 {} "5"`},
		{name: "MQTT-4.3.3-4 MQTT-4.3.3-5 MQTT-4.3.3-6 MQTT-4.3.3-3 MQTT-2.2.1-5 MQTT-4.4.0-1 MQTT311-2.3.1-3 MQTT-3.3.1-1 QoS 2 to a client that comes back", script: keptPair + `
			p > 34 .. 'a' 0001 {} "x"
			p < 50 .. 0001
			s < 34 .. 'a' 0001 {} "x"
			s lost
			s > @k 'c1'
			s < @again 3c .. 'a' 0001 {} "x"
			s > 50 .. 0001
			s < 62 .. 0001
			s lost
			s > @k 'c1'
			s < @again 62 .. 0001      // never the PUBLISH again
			s > 70 .. 0001
			s lost
			s > @k 'c1'
			s < @again`},
		{name: "MQTT-4.3.2-3 MQTT-4.4.0-1 MQTT311-2.3.1-3 MQTT-3.3.1-1 QoS 1 to a client that comes back", script: keptPair + `
			p > 32 .. 'a' 0001 {} "1" ; 32 .. 'a' 0002 {} "2" ; 32 .. 'a' 0003 {} "3"
			p < 40 .. 0001 ; 40 .. 0002 ; 40 .. 0003
			s < 32 .. 'a' 0001 {} "1" ; 32 .. 'a' 0002 {} "2" ; 32 .. 'a' 0003 {} "3"
			s > 40 .. 0002
			wait 1h                    // nothing is sent again on a connection
			s open
			s lost
			s > @k 'c1'
			s < @again 3a .. 'a' 0001 {} "1" ; 3a .. 'a' 0003 {} "3"`},
		{name: "MQTT-4.3.3-7 no expiry of what was sent", in: "5", script: keptPair + `
			p > 34 .. 'a' 0001 {02 00000005} "x"
			p < 50 .. 0001
			s < 34 .. 'a' 0001 {02 00000005} "x"
			s lost
			wait 10s
			s > @k 'c1'
			s < @again 3c .. 'a' 0001 {02 00000000} "x"`},
		{name: "MQTT-4.4.0-2 a refused message is not sent again", in: "5", script: keptPair + `
			p > 32 .. 'a' 0001 {} "1" ; 34 .. 'a' 0002 {} "2"
			p < 40 .. 0001 ; 50 .. 0002
			s < 32 .. 'a' 0001 {} "1" ; 34 .. 'a' 0002 {} "2"
			s > 40 .. 0001 87 ; 50 .. 0002 87
			s open                     // no PUBREL
			s lost
			s > @k 'c1'
			s < @again`},
		{name: "MQTT-3.3.4-9 MQTT-3.3.4-10 MQTT-4.9.0-1 MQTT-4.9.0-2 MQTT-4.9.0-3 the client's Receive Maximum", in: "5", script: `
			s > 10 .. @v 02 0000 {21 0002} 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 02
			s < 90 .. 0001 {} 02
			p > @c 'c2'
			p < @ok
			p > 32 .. 'a' 0001 {} "1" ; 34 .. 'a' 0002 {} "2" ; 32 .. 'a' 0003 {} "3" ; 32 .. 'a' 0004 {} "4" ; 32 .. 'a' 0005 {} "5"
			p < 40 .. 0001 ; 50 .. 0002 ; 40 .. 0003 ; 40 .. 0004 ; 40 .. 0005
			s < 32 .. 'a' 0001 {} "1" ; 34 .. 'a' 0002 {} "2"
			s > c0 00 ; 82 .. 0002 {} 'b' 00 ; 34 .. 'c' 0009 {} "x" ; 62 .. 0009
			s < d0 00 ; 90 .. 0002 {} 00 ; 50 .. 0009 10 ; 70 .. 0009
			s > 50 .. 0002             // PUBREC of success frees nothing
			s < 62 .. 0002
			s > 40 .. 0001
			s < 32 .. 'a' 0003 {} "3"
			s > 70 .. 0002
			s < 32 .. 'a' 0004 {} "4"
			s > 40 .. 0003 80          // a refusal frees as well
			s < 32 .. 'a' 0005 {} "5"`},
		{name: "MQTT-3.1.2-24 MQTT-3.1.2-25 a message too large for the client", in: "5", script: `
			s > 10 .. @v 02 0000 {21 0001 27 00000014} 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 01
			s < 90 .. 0001 {} 01
			p > @c 'c2'
			p < @ok
			p > 32 .. 'a' 0001 {} "0123456789012" ; 32 .. 'a' 0002 {} "012345678901"
			p < 40 .. 0001 ; 40 .. 0002
			s < 32 12 'a' 0002 {} "012345678901"`},
		{name: "MQTT-3.1.2-26 MQTT-3.1.2-27 MQTT-3.3.2-11 MQTT-3.3.2-7 the server's aliases", in: "5", script: `
			s > 10 .. @v 00 0000 {11 0000003c 22 0001} 'c1'
			s < @ok
			s > 82 .. 0001 {} 'topic' 00
			s < 90 .. 0001 {} 00
			n > @c 'c3'                // allows none
			n < @ok
			n > 82 .. 0001 {} 'topic' 00
			n < 90 .. 0001 {} 00
			p > @c 'c2'
			p < @ok
			p > 30 .. 'topic' {} "1" ; 30 .. 'topic' {} "2" ; 30 .. 'topic' {} "3"
			s < 30 .. 'topic' {} "1" ; 30 .. 'topic' {23 0001} "2" ; 30 .. '' {23 0001} "3"
			n < 30 .. 'topic' {} "1" ; 30 .. 'topic' {} "2" ; 30 .. 'topic' {} "3"
			s lost
			s > 10 .. @v 00 0000 {11 0000003c 22 0001} 'c1'
			s < @again
			p > 30 .. 'topic' {} "4"
			s < 30 .. 'topic' {} "4"
			n < 30 .. 'topic' {} "4"`},
		{name: "MQTT-3.3.2-5 MQTT-3.3.2-6 expiry while the client is away", in: "5", script: keptPair + `
			s lost
			p > 32 .. 'a' 0001 {02 0000003c} "1" ; 32 .. 'a' 0002 {02 0000000a} "2" ; 32 .. 'a' 0003 {} "3"
			p < 40 .. 0001 ; 40 .. 0002 ; 40 .. 0003
			wait 20s
			s > @k 'c1'
			s < @again 32 .. 'a' 0001 {02 00000028} "1" ; 32 .. 'a' 0003 {} "3"`},
		{name: "MQTT-2.2.2-1 no properties have a length", in: "5", script: pair + `
			p > 32 .. 'a' 0001 00 "x"
			p < 40 02 0001
			s < 32 07 'a' 0001 00 "x"
			s > 82 06 0002 00 'b' 00     // one byte short
			s closed e0 .. 81`},
	}
}
