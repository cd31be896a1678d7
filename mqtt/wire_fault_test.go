package mqtt

// words5 makes the server give its reasons in words.
func words5(s *setup) {
	forbid(s)
	s.mqtt.ReasonStrings = true
}

// frameScenes are about headers and lengths.
func frameScenes() []scene {
	return []scene{
		{name: "MQTT-2.1.3-1 MQTT311-2.2.2-2 MQTT-4.13.1-1 header flags", script: `
			a > @c 'c1'
			a < @ok
			a > c1 00
			5: a closed e0 .. 81
			34: a closed
			a > @c 'c1'
			a < @ok
			a > 42 02 0001
			5: a closed e0 .. 81
			34: a closed
			a > 11 .. @v 02 0000 {} 'c1'
			a closed`},
		{name: "MQTT-3.6.1-1 MQTT-3.8.1-1 MQTT-3.10.1-1 flags of PUBREL, SUBSCRIBE and UNSUBSCRIBE", script: `
			a > @c 'c1'
			a < @ok
			a > 60 .. 0001
			5: a closed e0 .. 81
			34: a closed
			a > @c 'c1'
			a < @ok
			a > 80 .. 0001 {} 'a' 00
			5: a closed e0 .. 81
			34: a closed
			a > @c 'c1'
			a < @ok
			a > a0 .. 0001 {} 'a'
			5: a closed e0 .. 81
			34: a closed
			45: a > @c 'c1'
			45: a < @ok
			45: a > 6a .. 0001
			5: a closed e0 .. 81
			4: a closed`},
		{name: "MQTT31-2.1-1 DUP in SUBSCRIBE, UNSUBSCRIBE and PUBREL", in: "3", script: `
			a > @c 'c1'
			a < @ok
			a > 8a .. 0001 'a' 00 ; aa .. 0002 'a' ; 6a .. 0003
			a < 90 .. 0001 00 ; b0 .. 0002 ; 70 .. 0003`},
		{name: "MQTT-3.14.1-1 MQTT-3.1.2-8 flags of DISCONNECT", script: watch + `
			a > 10 .. @v 06 0000 {} 'c1' {} 'w' 'bye'
			a < @ok
			a > e1 00
			5: a closed e0 .. 81
			34: a closed
			w < 30 .. 'w' {} "bye"`},
		{name: "MQTT-1.5.5-1 MQTT-4.13.1-1 lengths that are not the shortest, or too long", script: `
			a > @c 'c1'
			a < @ok
			a > c0 80 00
			5: a closed e0 .. 81
			34: a closed
			a > @c 'c1'
			a < @ok
			a > 30 ff ff ff ff 01
			5: a closed e0 .. 81
			34: a closed
			5: a > @c 'c1'
			5: a < @ok
			5: a > 30 .. 'a' 80 00 "x"
			5: a closed e0 .. 81`},
		{name: "MQTT-4.13.1-1 packets that end early or late", script: `
			a > @c 'c1'
			a < @ok
			a > c0 01 00
			5: a closed e0 .. 81
			34: a closed
			a > @c 'c1'
			a < @ok
			a > 32 .. 'a' 00
			5: a closed e0 .. 81
			34: a closed
			a > @c 'c1'
			a < @ok
			a > a2 .. 0001 {} 'a' 00
			5: a closed e0 .. 81
			34: a closed`},
		{name: "MQTT-4.13.1-1 packet types of servers, and type 0", script: `
			a > @c 'c1'
			a < @ok
			a > 20 02 00 00
			5: a closed e0 .. 82
			34: a closed
			a > @c 'c1'
			a < @ok
			a > d0 00
			5: a closed e0 .. 82
			34: a closed
			a > @c 'c1'
			a < @ok
			a > 00 00
			5: a closed e0 .. 81
			34: a closed
			34: a > @c 'c1'
			34: a < @ok
			34: a > f0 00
			34: a closed`},
	}
}

// endScenes are about what ends a connection, and what does not.
func endScenes() []scene {
	return []scene{
		{name: "MQTT-3.4.2-1 MQTT-3.5.2-1 MQTT-3.6.2-1 MQTT-3.7.2-1 MQTT-3.14.2-1 MQTT-3.15.2-1 reason codes of other packets", in: "5", script: `
			a > @c 'c1'
			a < @ok
			a > 40 .. 0001 01
			a closed e0 .. 82
			a > @c 'c1'
			a < @ok
			a > 50 .. 0001 92
			a closed e0 .. 82
			a > @c 'c1'
			a < @ok
			a > 62 .. 0001 80
			a closed e0 .. 82
			a > @c 'c1'
			a < @ok
			a > 70 .. 0001 10
			a closed e0 .. 82
			a > @c 'c1'
			a < @ok
			a > e0 .. 01
			a closed e0 .. 82
			a > @c 'c1'
			a < @ok
			a > f0 .. 01 {15 'x'}
			a closed e0 .. 82`},
		{name: "MQTT-3.6.2-1 MQTT-3.7.2-1 acknowledgements of what nobody knows", script: `
			a > @c 'c1'
			a < @ok
			a > 62 .. 0007
			a < 70 .. 0007 [92]
			a > 50 .. 0008
			5: a < 62 .. 0008 92
			34: a < 62 .. 0008
			a > 40 .. 0009 ; 70 .. 0009
			a open`},
		{name: "MQTT-3.14.4-1 MQTT-3.14.4-2 MQTT-4.13.2-1 nothing after the server's DISCONNECT", script: pair + `
			p > 36 .. 'a' 0001 {} "x" ; c0 00 ; 32 .. 'a' 0002 {} "y"
			5: p closed e0 .. 81
			34: p closed
			s open`},
		{name: "MQTT-3.14.4-3 MQTT311-3.14.4-2 nothing is taken after the client's DISCONNECT", script: pair + `
			p > e0 00 ; 30 .. 'a' {} "x"
			p closed
			s open`},
		{name: "MQTT-3.14.2-2 MQTT-4.13.1-1 an expiry that is not allowed in DISCONNECT", in: "5", script: `
			a > @c 'c1'
			a < @ok
			a > e0 .. 00 {11 0000000a}
			a closed e0 .. 82`},
		{name: "MQTT-3.12.4-1 PINGREQ", script: `
			a > @c 'c1'
			a < @ok
			a > c0 00 ; c0 00
			a < d0 00 ; d0 00`},
		{name: "MQTT-4.13.1-1 Receive Maximum or Maximum Packet Size 0, flags that are neither 0 nor 1", in: "5", script: `
			a > 10 .. @v 02 0000 {21 0000} 'c1'
			a closed 20 .. 00 82 {}
			b > 10 .. @v 02 0000 {27 00000000} 'c1'
			b closed 20 .. 00 82 {}
			c > 10 .. @v 02 0000 {17 02} 'c1'
			c closed 20 .. 00 82 {}
			d > 10 .. @v 02 0000 {16 'x'} 'c1'
			d closed 20 .. 00 82 {}`},
	}
}

// reasonScenes are about reasons in words, which only MQTT 5 has.
func reasonScenes() []scene {
	return []scene{
		{name: "MQTT-3.4.2-2 MQTT-3.5.2-2 Reason Strings in PUBACK and PUBREC", in: "5", set: words5, script: `
			a > 10 .. @v 02 0000 {27 00000017} 'c1'    // 23 bytes
			a < @ok
			a > 32 .. 'no' 0001 {} "x" ; 34 .. 'no' 0002 {} "x"
			a < 40 .. 0001 87 {1f 'not authorized'} ; 50 .. 0002 87 {1f 'not authorized'}
			b > 10 .. @v 02 0000 {27 00000016} 'c2'
			b < @ok
			b > 32 .. 'no' 0001 {} "x" ; 34 .. 'no' 0002 {} "x"
			b < 40 .. 0001 87 ; 50 .. 0002 87`},
		{name: "MQTT-3.7.2-2 Reason Strings in PUBCOMP", in: "5", set: words5, script: `
			a > @c 'c1'
			a < @ok
			a > 62 .. 0001
			a < 70 .. 0001 92 {1f 'packet id not found'}
			b > 10 .. @v 02 0000 {27 00000016} 'c2'
			b < @ok
			b > 62 .. 0001
			b < 70 .. 0001 92`},
		{name: "MQTT-3.9.2-1 Reason Strings in SUBACK", in: "5", set: words5, script: `
			a > 10 .. @v 02 0000 {27 00000017} 'c1'
			a < @ok
			a > 82 .. 0001 {} 'no' 00
			a < 90 .. 0001 {1f 'not authorized'} 87
			b > 10 .. @v 02 0000 {27 00000016} 'c2'
			b < @ok
			b > 82 .. 0001 {} 'no' 00
			b < 90 .. 0001 {} 87`},
		{name: "MQTT-3.11.2-1 Reason Strings in UNSUBACK", in: "5", set: words5, script: `
			a > @c 'c1'
			a < @ok
			a > a2 .. 0001 {} 'a#'
			a < b0 .. 0001 {1f 'topic filter invalid'} 8f
			b > 10 .. @v 02 0000 {27 00000016} 'c2'
			b < @ok
			b > a2 .. 0001 {} 'a#'
			b < b0 .. 0001 {} 8f`},
		{name: "MQTT-3.14.2-3 MQTT-3.1.2-24 Reason Strings in DISCONNECT", in: "5", set: words5, script: `
			a > @c 'c1'
			a < @ok
			a > @c 'c1'
			a closed e0 .. 82 {1f 'a second CONNECT [MQTT-3.1.0-2]'}
			b > 10 .. @v 02 0000 {27 00000016} 'c2'
			b < @ok
			b > @c 'c2'
			b closed e0 .. 82`},
		{name: "MQTT-3.1.2-29 the client asked for no problem information", in: "5", set: words5, script: `
			a > 10 .. @v 02 0000 {17 00} 'c1'
			a < @ok
			a > 32 .. 'no' 0001 {} "x" ; 34 .. 'no' 0002 {} "x" ; 62 .. 0003
			a < 40 .. 0001 87 ; 50 .. 0002 87 ; 70 .. 0003 92
			a > 82 .. 0004 {} 'no' 00 ; a2 .. 0005 {} 'a#'
			a < 90 .. 0004 {} 87 ; b0 .. 0005 {} 8f`},
	}
}
