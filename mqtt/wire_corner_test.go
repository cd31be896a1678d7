package mqtt

// cornerScenes are where statements meet: sessions and Wills.
func cornerScenes() []scene {
	return []scene{
		{name: "MQTT-3.3.4-9 MQTT-4.4.0-1 a lower Receive Maximum on coming back", in: "5", script: keptPair + `
			p > 32 .. 'a' 0001 {} "1" ; 32 .. 'a' 0002 {} "2" ; 32 .. 'a' 0003 {} "3"
			p < 40 .. 0001 ; 40 .. 0002 ; 40 .. 0003
			s < 32 .. 'a' 0001 {} "1" ; 32 .. 'a' 0002 {} "2" ; 32 .. 'a' 0003 {} "3"
			s lost
			s > 10 .. @v 00 0000 {11 00000e10 21 0001} 'c1'
			s < @again 3a .. 'a' 0001 {} "1"
			s > 40 .. 0001
			s < 3a .. 'a' 0002 {} "2"
			s > 40 .. 0002
			s < 3a .. 'a' 0003 {} "3"`},
		{name: "MQTT-3.1.2-24 MQTT-3.1.2-25 a lower Maximum Packet Size on coming back", in: "5", script: keptPair + `
			p > 32 .. 'a' 0001 {} "0123456789012345" ; 32 .. 'a' 0002 {} "2"
			p < 40 .. 0001 ; 40 .. 0002
			s < 32 .. 'a' 0001 {} "0123456789012345" ; 32 .. 'a' 0002 {} "2"
			s lost
			s > 10 .. @v 00 0000 {11 00000e10 21 0001 27 00000014} 'c1'
			s < @again 3a .. 'a' 0002 {} "2"`},
		{name: "MQTT-3.1.3-2 MQTT-3.1.2-5 one session in two versions", in: "5", script: `
			s > 10 .. 'MQTT' 04 00 0000 'c1'
			s < 20 02 00 00
			s > 82 .. 0001 'a' 01
			s < 90 .. 0001 01
			s > e0 00
			s closed
			p > @c 'c2'
			p < @ok
			p > 32 .. 'a' 0001 {03 't'} "1"
			p < 40 .. 0001
			s > @k 'c1'
			s < @again 32 .. 'a' 0001 {03 't'} "1"
			s lost
			s > 10 .. 'MQTT' 04 00 0000 'c1'
			s < 20 02 01 00 3a .. 'a' 0001 "1"`},
		{name: "MQTT-3.3.2-12 an alias of a message that was refused", in: "5", set: forbid, script: pair + `
			p > 32 .. 'no' 0001 {23 0001} "x" ; 32 .. '' 0002 {23 0001} "x"
			p < 40 .. 0001 87 ; 40 .. 0002 87
			p > 30 .. 'a' {23 0001} "y" ; 30 .. '' {23 0001} "z"
			s < 30 .. 'a' {} "y" ; 30 .. 'a' {} "z"`},
		{name: "MQTT-3.3.4-3 MQTT-3.3.1-9 retained messages carry the Subscription Identifier", in: "5", script: `
			a > @c 'c1'
			a < @ok
			a > 31 .. 'w' {26 'k' 'v'} "1"
			a > 82 .. 0001 {0b 07} 'w' 08
			a < 90 .. 0001 {} 00 ; 31 .. 'w' {26 'k' 'v' 0b 07} "1"
			a > 82 .. 0002 {0b 08} 'w' 00
			a < 90 .. 0002 {} 00 ; 31 .. 'w' {26 'k' 'v' 0b 08} "1"`},
		{name: "MQTT-3.3.1-6 MQTT-3.1.2-15 an empty retained Will removes what is retained", script: watch + `
			p > @c 'c2'
			p < @ok
			p > 31 .. 'w' {} "1"
			w < 30 .. 'w' {} "1"
			a > 10 .. @v 26 0000 {} 'c1' {} 'w' ''
			a < @ok
			a lost
			w < 30 .. 'w' {}
			p > 82 .. 0001 {} 'w' 00
			p < 90 .. 0001 {} 00`},
		{name: "MQTT-3.1.2-8 DISCONNECT with code 04 that ends the session sends a delayed Will", in: "5", script: watch + `
			a > 10 .. @v 06 0000 {11 0000003c} 'c1' {18 0000001e} 'w' 'bye'
			a < @ok
			a > e0 .. 04 {11 00000000}
			a closed
			w < 30 .. 'w' {} "bye"`},
		{name: "MQTT-3.1.2-8 MQTT-3.1.4-3 a takeover sends the Will of the first connection", script: watch + `
			a > 10 .. @v 06 0000 {} 'c1' {} 'w' 'bye'
			a < @ok
			b > @c 'c1'
			b < @ok
			5: a closed e0 .. 8e
			34: a closed
			w < 30 .. 'w' {} "bye"`},
		{name: "MQTT-3.1.3-9 MQTT-3.1.4-3 a takeover within the Will's delay", in: "5", script: watch + `
			a > 10 .. @v 04 0000 {11 0000003c} 'c1' {18 0000001e} 'w' 'bye'
			a < @ok
			b > @k 'c1'
			b < @again
			a closed e0 .. 8e
			wait 5m
			w open`},
	}
}

// oddScenes are where statements meet: the rest.
func oddScenes() []scene {
	return []scene{
		{name: "MQTT-3.1.2-19 a password alone is version 5's", in: "5", script: `
			a > 10 .. @v 42 0000 {} 'c1' 'secret'
			a < @ok`},
		{name: "MQTT-3.4.2-1 MQTT-3.5.2-1 acknowledgements of every length", in: "5", script: keptPair + `
			p > 32 .. 'a' 0001 {} "1" ; 32 .. 'a' 0002 {} "2" ; 32 .. 'a' 0003 {} "3" ; 34 .. 'a' 0004 {} "4"
			p < 40 .. 0001 ; 40 .. 0002 ; 40 .. 0003 ; 50 .. 0004
			s < 32 .. 'a' 0001 {} "1" ; 32 .. 'a' 0002 {} "2" ; 32 .. 'a' 0003 {} "3" ; 34 .. 'a' 0004 {} "4"
			s > 40 .. 0001 10 ; 40 .. 0002 00 {} ; 40 .. 0003 83 {1f 'why' 26 'k' 'v'} ; 50 .. 0004 00 {26 'k' 'v'}
			s < 62 .. 0004
			s > 70 .. 0004 00 {1f 'why'}
			s lost
			s > @k 'c1'
			s < @again`},
		{name: "MQTT-4.3.3-5 MQTT-4.9.0-2 a PUBREL unanswered holds the window", in: "5", script: `
			s > 10 .. @v 00 0000 {11 0000003c 21 0001} 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 02
			s < 90 .. 0001 {} 02
			p > @c 'c2'
			p < @ok
			p > 34 .. 'a' 0001 {} "1" ; 34 .. 'a' 0002 {} "2"
			p < 50 .. 0001 ; 50 .. 0002
			s < 34 .. 'a' 0001 {} "1"
			s > 50 .. 0001
			s < 62 .. 0001
			s lost
			s > 10 .. @v 00 0000 {11 0000003c 21 0001} 'c1'
			s < @again 62 .. 0001
			s > 70 .. 0001
			s < 34 .. 'a' 0002 {} "2"`},
		{name: "MQTT-3.8.4-4 no message is lost while a subscription is replaced", script: pair + `
			p > 32 .. 'a' 0001 {} "1"
			p < 40 .. 0001
			s < 32 .. 'a' 0001 {} "1"
			s > 82 .. 0002 {} 'a' 01
			s < 90 .. 0002 {} 01
			p > 32 .. 'a' 0002 {} "2"
			p < 40 .. 0002
			s < 32 .. 'a' 0002 {} "2"
			s > 40 .. 0001 ; 40 .. 0002
			s open`},
		{name: "MQTT-3.3.1-12 MQTT-3.3.1-13 MQTT-3.3.4-2 overlapping subscriptions that differ in Retain As Published", in: "5", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 00 '+' 08
			s < 90 .. 0001 {} 00 00
			p > @c 'c2'
			p < @ok
			p > 30 .. 'a' {} "x"
			s < 30 .. 'a' {} "x"`},
		{name: "MQTT-3.8.3-3 No Local beside another subscription", in: "5", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {0b 01} 'a' 04
			s < 90 .. 0001 {} 00
			s > 82 .. 0002 {0b 02} '+' 00
			s < 90 .. 0002 {} 00
			s > 30 .. 'a' {} "x"
			s < 30 .. 'a' {0b 02} "x"`},
		{name: "MQTT-3.1.2-23 an expiry that never ends", in: "5", script: `
			a > 10 .. @v 02 0000 {11 ffffffff} 'c1'
			a < @ok
			a lost
			wait 24h
			a > 10 .. @v 00 0000 {11 ffffffff} 'c1'
			a < @again`},
		{name: "MQTT-3.2.2-16 MQTT-3.1.2-5 an assigned ClientID can be used again", in: "5", script: `
			a > 10 .. @v 02 0000 {11 0000003c} ''
			a matches 20 2e 00 00 2b 12 001d (66616972 6c656164 2d [0-9a-f]{40}) 21 0400 22 0020 27 00100000`},
		{name: "MQTT-4.3.1-1 MQTT-4.3.3-10 QoS 2 towards no subscriber is kept to its end", script: `
			p > @c 'c2'
			p < @ok
			p > 34 .. 'a' 0001 {} "x" ; 3c .. 'a' 0001 {} "x" ; 62 .. 0001 ; 62 .. 0001
			p < 50 .. 0001 [10] ; 50 .. 0001 ; 70 .. 0001 ; 70 .. 0001 [92]`},
		{name: "MQTT-1.5.4-1 characters that are no characters are still UTF-8", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 0003 ef bf bf 00
			s < 90 .. 0001 {} 00
			s > 30 .. 0003 ef bf bf {} "x"
			s < 30 .. 0003 ef bf bf {} "x"`},
	}
}

// wrongAckScenes are about acknowledgements of the wrong kind.
func wrongAckScenes() []scene {
	return []scene{
		{name: "MQTT-4.3.3-3 PUBACK or PUBCOMP do not end a QoS 2 message", script: keptPair + `
			p > 34 .. 'a' 0001 {} "x"
			p < 50 .. 0001
			s < 34 .. 'a' 0001 {} "x"
			s > 40 .. 0001 ; 70 .. 0001
			s open
			s lost
			s > @k 'c1'
			s < @again 3c .. 'a' 0001 {} "x"`},
		{name: "MQTT-4.3.2-3 PUBREC or PUBCOMP do not end a QoS 1 message", in: "5", script: keptPair + `
			p > 32 .. 'a' 0001 {} "x"
			p < 40 .. 0001
			s < 32 .. 'a' 0001 {} "x"
			s > 50 .. 0001 ; 70 .. 0001
			s < 62 .. 0001 92
			s lost
			s > @k 'c1'
			s < @again 3a .. 'a' 0001 {} "x"`},
		{name: "MQTT-4.3.3-5 PUBREC again repeats PUBREL", script: keptPair + `
			p > 34 .. 'a' 0001 {} "x"
			p < 50 .. 0001
			s < 34 .. 'a' 0001 {} "x"
			s > 50 .. 0001
			s < 62 .. 0001
			s > 50 .. 0001
			s < 62 .. 0001
			s > 70 .. 0001
			s lost
			s > @k 'c1'
			s < @again`},
		{name: "MQTT-4.4.0-1 MQTT-3.1.4-3 a takeover resends what the first connection left", script: keptPair + `
			p > 32 .. 'a' 0001 {} "x"
			p < 40 .. 0001
			s < 32 .. 'a' 0001 {} "x"
			t > @k 'c1'
			t < @again 3a .. 'a' 0001 {} "x"
			5: s closed e0 .. 8e
			34: s closed`},
		{name: "MQTT-4.1.0-2 MQTT-3.1.2-23 an expiry of 0 on coming back ends the session", in: "5", script: keptPair + `
			s lost
			s > 10 .. @v 00 0000 {} 'c1'
			s < @again
			s lost
			s > @k 'c1'
			s < @ok`},
		{name: "MQTT-4.1.0-2 MQTT-4.5.0-1 nothing is kept for a session that ended", in: "5", script: `
			s > 10 .. @v 02 0000 {11 0000000a} 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 01
			s < 90 .. 0001 {} 01
			s lost
			wait 30s
			p > @c 'c2'
			p < @ok
			p > 32 .. 'a' 0001 {} "x"
			p < 40 .. 0001 10`},
		{name: "MQTT-3.10.4-1 unsubscribing a shared subscription", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} '$share/g/a' 00 'a' 00
			s < 90 .. 0001 {} 00 00
			p > @c 'c2'
			p < @ok
			s > a2 .. 0002 {} '$share/h/a' '$share/g/a'
			s < b0 .. 0002 {} [11 00]
			p > 30 .. 'a' {} "x"
			s < 30 .. 'a' {} "x"
			s > a2 .. 0003 {} '$share/g/a' 'a'
			s < b0 .. 0003 {} [11 00]
			p > 30 .. 'a' {} "x"
			s open`, in: "45"},
	}
}

// keptOptionScenes are about what a subscription asked for, in a session that goes on.
func keptOptionScenes() []scene {
	return []scene{
		{name: "MQTT-3.3.4-3 MQTT-4.4.0-1 Subscription Identifiers of queued and repeated messages", in: "5", script: `
			s > @k 'c1'
			s < @ok
			s > 82 .. 0001 {0b 05} 'a' 01
			s < 90 .. 0001 {} 01
			p > @c 'c2'
			p < @ok
			p > 32 .. 'a' 0001 {} "1"
			p < 40 .. 0001
			s < 32 .. 'a' 0001 {0b 05} "1"
			s lost
			p > 32 .. 'a' 0002 {} "2"
			p < 40 .. 0002
			s > @k 'c1'
			s < @again 3a .. 'a' 0001 {0b 05} "1" ; 32 .. 'a' 0002 {0b 05} "2"`},
		{name: "MQTT-3.3.1-13 MQTT-3.8.3-3 MQTT-3.1.2-5 options outlive the connection", in: "5", script: `
			s > @k 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 0c
			s < 90 .. 0001 {} 00
			s lost
			s > @k 'c1'
			s < @again
			p > @c 'c2'
			p < @ok
			p > 31 .. 'a' {} "x"
			s < 31 .. 'a' {} "x"
			s > 30 .. 'a' {} "y"
			s open`},
		{name: "MQTT-3.8.3-3 MQTT-3.3.1-9 No Local and one's own retained message", in: "5", script: `
			s > @c 'c1'
			s < @ok
			s > 31 .. 'a' {} "x"
			s > 82 .. 0001 {} 'a' 04
			s < 90 .. 0001 {} 00`},
		{name: "MQTT-3.3.4-3 MQTT-4.8.2-3 a shared subscription's identifier", in: "5", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {0b 09} '$share/g/a' 00
			s < 90 .. 0001 {} 00
			s > 30 .. 'a' {} "x"
			s < 30 .. 'a' {0b 09} "x"`},
		{name: "MQTT-3.1.4-5 MQTT-3.2.0-1 packets that come before CONNACK", script: `
			a > @c 'c1' ; c0 00 ; 82 .. 0001 {} 'a' 00
			a < @ok d0 00 ; 90 .. 0001 {} 00`},
		{name: "MQTT-4.13.1-1 MQTT-2.2.1-3 SUBSCRIBE or UNSUBSCRIBE with identifier 0", script: `
			a > @c 'c1'
			a < @ok
			a > 82 .. 0000 {} 'a' 00
			5: a closed e0 .. 82
			34: a closed
			a > @c 'c1'
			a < @ok
			a > a2 .. 0000 {} 'a'
			5: a closed e0 .. 82
			34: a closed`},
		{name: "MQTT-3.3.2-14 MQTT-4.7.3-1 a Will's Response Topic", in: "5", script: `
			a > 10 .. @v 06 0000 {} 'c1' {08 'a/+'} 'w' 'x'
			a closed 20 .. 00 82 {}
			b > 10 .. @v 06 0000 {} 'c1' {08 ''} 'w' 'x'
			b closed 20 .. 00 82 {}`},
		{name: "MQTT-3.1.4-1 properties of CONNECT that stand twice or do not belong", in: "5", script: `
			a > 10 .. @v 02 0000 {11 00000001 11 00000002} 'c1'
			a closed 20 .. 00 82 {}
			b > 10 .. @v 02 0000 {24 01} 'c1'
			b closed 20 .. 00 81 {}
			c > 10 .. @v 06 0000 {} 'c1' {11 00000001} 'w' 'x'
			c closed 20 .. 00 81 {}`},
	}
}
