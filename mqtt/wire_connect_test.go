package mqtt

import (
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// connectScenes are about CONNECT and CONNACK.
func connectScenes() []scene {
	return []scene{
		{name: "MQTT-3.1.4-5 MQTT-3.2.0-1 MQTT-3.1.3-3 MQTT-3.2.2-1 MQTT31-3.1-1 a client is accepted", script: `
			a > @c 'c1'
			a < @ok
			a > c0 00
			a < d0 00`},
		{name: "MQTT-3.1.0-2 MQTT-3.2.0-2 MQTT-3.14.0-1 a second CONNECT", script: `
			a > @c 'c1'
			a < @ok
			a > @c 'c1'
			5: a closed e0 .. 82
			34: a closed`},
		{name: "MQTT-3.1.0-1 MQTT311-3.1.0-1 another packet comes first", script: `
			a > c0 00
			a closed
			b > 30 .. 'a' {} "x"
			b closed`},
		{name: "MQTT-3.1.2-1 MQTT311-3.1.2-1 another protocol name", in: "45", script: `
			5: a > 10 .. 'mqtt' 05 02 0000 {} 'c1'
			5: a closed 20 .. 00 84 {}
			4: a > 10 .. 'mqtt' 04 02 0000 'c1'
			4: a closed 20 02 00 01
			4: b > 10 .. 'MQTTX' 04 02 0000 'c1'
			4: b closed 20 02 00 01`},
		{name: "MQTT-3.1.2-2 an unknown version above", in: "5", script: `
			a > 10 .. 'MQTT' 06 02 0000 {} 'c1'
			a closed 20 .. 00 84 {}`},
		{name: "MQTT311-3.1.2-2 an unknown version below", in: "4", script: `
			a > 10 .. 'MQTT' 02 02 0000 'c1'
			a closed 20 .. 00 01
			b > 10 .. 'MQIsdp' 04 02 0000 'c1'
			b closed 20 .. 00 01`},
		{name: "MQTT-3.1.2-3 MQTT311-3.1.2-3 MQTT311-3.1.4-1 the reserved connect flag", in: "45", script: `
			a > 10 .. @v 03 0000 {} 'c1'
			5: a closed 20 .. 00 81 {}
			4: a closed`},
		{name: "MQTT-3.1.2-4 MQTT-3.1.2-5 MQTT-3.1.2-6 MQTT-3.1.3-2 MQTT-3.1.4-4 MQTT-3.2.2-2 MQTT-3.2.2-3 MQTT311-3.1.2-4 MQTT311-3.1.2-6 sessions go on or begin anew", script: `
			a > @k 'c1'            // nothing to go on with
			a < @ok
			a > 82 .. 0001 {} 'a' 01
			a < 90 .. 0001 {} 01
			a > e0 00
			a closed
			a > @k 'c1'
			a < @again
			b > @c 'c2'
			b < @ok
			b > 32 .. 'a' 0001 {} "x"
			b < 40 .. 0001
			a < 32 .. 'a' 0001 {} "x"
			a > e0 00
			a closed
			a > @c 'c1'            // thrown away
			a < @ok
			b > 30 .. 'a' {} "x"
			a open
			a > e0 00
			a closed
			a > @k 'c1'            // the clean one ended with its connection
			a < @ok`},
		{name: "MQTT31-3.2-1 no Session Present", in: "3", script: `
			a > @k 'c1'
			a < 20 02 00 00
			a lost
			a > @k 'c1'
			a < 20 02 00 00`},
		{name: "MQTT-3.1.2-9 MQTT-3.1.4-1 a Will flag without a Will", script: `
			a > 10 .. @v 06 0000 {} 'c1' {}
			5: a closed 20 .. 00 81 {}
			34: a closed
			b > 10 .. @v 06 0000 {} 'c1' {} 'w'
			5: b closed 20 .. 00 81 {}
			34: b closed`},
		{name: "MQTT-3.1.2-11 MQTT-3.1.2-13 MQTT311-3.1.2-11 Will QoS or Retain without a Will", in: "45", script: `
			a > 10 .. @v 0a 0000 {} 'c1'
			5: a closed 20 .. 00 81 {}
			4: a closed
			b > 10 .. @v 22 0000 {} 'c1'
			5: b closed 20 .. 00 81 {}
			4: b closed`},
		{name: "MQTT-3.1.2-12 a Will of QoS 3", script: `
			a > 10 .. @v 1e 0000 {} 'c1' {} 'w' 'x'
			5: a closed 20 .. 00 81 {}
			34: a closed`},
		{name: "MQTT-3.1.2-16 MQTT-3.1.2-18 user name or password without their flags", script: `
			a > 10 .. @v 02 0000 {} 'c1' 'user'
			5: a closed 20 .. 00 81 {}
			34: a closed
			b > 10 .. @v 82 0000 {} 'c1' 'user' 'pass'
			5: b closed 20 .. 00 81 {}
			34: b closed`},
		{name: "MQTT-3.1.2-17 MQTT-3.1.2-19 flags without user name or password", in: "45", script: `
			a > 10 .. @v 82 0000 {} 'c1'
			5: a closed 20 .. 00 81 {}
			4: a closed
			b > 10 .. @v c2 0000 {} 'c1' 'user'
			5: b closed 20 .. 00 81 {}
			4: b closed`},
		{name: "MQTT31-3.1-4 the length outweighs the User Name flag", in: "3", script: `
			a > 10 .. @v c2 0000 'c1'
			a < @ok
			b > 10 .. @v c2 0000 'c2' 'user'
			b < @ok`},
		{name: "MQTT-3.1.3-1 the order of the payload", script: `
			w > @c 'c2'
			w < @ok
			w > 82 .. 0001 {} 'will' 00
			w < 90 .. 0001 {} 00
			a > 10 .. @v c6 0000 {} 'c1' {} 'will' 'bye' 'user' 'pass'
			a < @ok
			a lost
			w < 30 .. 'will' {} "bye"`},
		{name: "MQTT311-3.1.2-22 a password without a user name", in: "34", script: `
			a > 10 .. @v 42 0000 'c1' 'pass'
			a closed`},
	}
}

// identifierScenes are about ClientIDs and the other fields of CONNECT.
func identifierScenes() []scene {
	return []scene{
		{name: "MQTT-3.1.3-4 MQTT-1.5.4-1 MQTT-1.5.4-2 a ClientID that is no string", script: `
			a > @c 0002 c3 28
			5: a closed 20 .. 00 81 {}
			34: a closed
			b > @c 0003 ed a0 80   // a surrogate
			5: b closed 20 .. 00 81 {}
			34: b closed
			c > @c 0003 61 00 62
			5: c closed 20 .. 00 81 {}
			34: c closed`},
		{name: "MQTT-3.1.3-5 ClientIDs that every server takes", script: `
			a > @c 'a'
			a < @ok
			b > @c '0123456789abcdefghijklm'
			b < @ok
			c > @c 'nopqrstuvwxyzABCDEFGHIJ'
			c < @ok
			d > @c 'KLMNOPQRSTUVWXYZ'
			d < @ok`},
		{name: "MQTT311-3.1.3-8 MQTT311-3.1.3-7 an empty ClientID of a session to keep", in: "4", script: `
			a > @k ''
			a closed 20 .. 00 02`},
		{name: "MQTT311-3.1.3-6 an empty ClientID", in: "4", script: `
			a > @c ''
			a < @ok
			b > @c ''              // not the same one
			b < @ok
			a > c0 00
			a < d0 00`},
		{name: "MQTT31-3.1-2 an empty ClientID", in: "3", script: `
			a > @c ''
			a closed 20 .. 00 02`},
		{name: "MQTT31-3.1-3 a long ClientID where the text is strict", in: "3",
			set: func(s *setup) { s.mqtt.StrictClientID31 = true }, script: `
			a > @c '123456789012345678901234'
			a closed 20 .. 00 02
			b > @c '12345678901234567890123'
			b < @ok`},
		{name: "MQTT-3.1.3-8 MQTT311-3.1.3-9 MQTT-3.2.2-6 MQTT-3.2.2-7 MQTT-3.2.2-8 a ClientID that is too long",
			set: func(s *setup) { s.core.Config.MaxClientIDLength = 23 }, script: `
			a > @c '123456789012345678901234'
			5: a closed 20 .. 00 85 {}
			34: a closed 20 .. 00 02`},
		{name: "MQTT-3.1.3-11 MQTT-3.1.3-12 Will topic or user name that are no strings", script: `
			a > 10 .. @v 06 0000 {} 'c1' {} 0001 ff 'x'
			5: a closed 20 .. 00 81 {}
			34: a closed
			b > 10 .. @v 82 0000 {} 'c1' 0002 c0 80
			5: b closed 20 .. 00 81 {}
			34: b closed`},
	}
}

// acceptScenes are about what follows from a CONNECT.
func acceptScenes() []scene {
	return []scene{
		{name: "MQTT-3.1.4-2 MQTT-3.1.4-6 MQTT-3.2.2-6 MQTT-3.2.2-7 a stranger is refused, with all it sent",
			set: func(s *setup) { s.core.Anonymous = func(c *core.Credentials) bool { return c.ClientID != "c1" } }, script: `
			w > @c 'c2'
			w < @ok
			w > 82 .. 0001 {} 'a' 00
			w < 90 .. 0001 {} 00
			a > @c 'c1' ; 30 .. 'a' {} "x"
			5: a closed 20 .. 00 87 {}
			34: a closed 20 .. 00 05
			w open`},
		{name: "MQTT311-3.2.2-6 a fault for which there is no code", in: "34", script: `
			a > 10 .. @v 02 0000 'c1' 00
			a closed`},
		{name: "MQTT-3.1.4-3 MQTT311-3.1.4-2 a second connection of a client", script: `
			a > @c 'c1'
			a < @ok
			b > @c 'c1'
			b < @ok
			5: a closed e0 .. 8e
			34: a closed
			b > c0 00
			b < d0 00`},
		{name: "MQTT-3.1.4-3 a second connection of a kept session", script: `
			a > @k 'c1'
			a < @ok
			b > @k 'c1'
			b < @again
			5: a closed e0 .. 8e
			34: a closed`},
		{name: "MQTT-3.1.2-22 silence above one and a half keep alives", script: `
			a > 10 .. @v 02 000a {} 'c1'
			a < @ok
			wait 14s
			a > c0 00
			a < d0 00
			wait 14s
			a open
			wait 2s
			5: a closed e0 .. 8d
			34: a closed`},
		{name: "MQTT-3.1.2-22 a keep alive of 0 is none", script: `
			a > @c 'c1'
			a < @ok
			wait 10h
			a open`},
		{name: "MQTT-3.1.2-21 MQTT-3.2.2-21 the server's keep alive", in: "5",
			set: func(s *setup) { s.core.Config.ServerKeepAlive = 20 * time.Second }, script: `
			a > 10 .. @v 02 000a {} 'c1'
			a < 20 .. 00 00 {13 0014 21 0400 22 0020 27 00100000}
			wait 29s
			a open
			wait 2s
			a closed e0 .. 8d`},
		{name: "MQTT-3.2.2-22 the client's keep alive holds", in: "5",
			set: func(s *setup) { s.core.Config.MaxKeepAlive = 20 * time.Second }, script: `
			a > 10 .. @v 02 000a {} 'c1'
			a < @ok
			wait 16s
			a closed e0 .. 8d`},
		{name: "MQTT-3.1.2-23 MQTT-4.1.0-2 a session lasts for its expiry interval", in: "5", script: `
			a > 10 .. @v 02 0000 {11 0000003c} 'c1'
			a < @ok
			a lost
			wait 50s
			a > 10 .. @v 00 0000 {11 0000003c} 'c1'
			a < @again
			a lost
			wait 70s
			a > 10 .. @v 00 0000 {11 0000003c} 'c1'
			a < @ok
			a > e0 .. 00 {11 00000005}  // DISCONNECT can change it
			a closed
			wait 8s
			a > 10 .. @v 00 0000 {} 'c1'
			a < @ok
			a lost                      // 0 ends with the connection
			a > @k 'c1'
			a < @ok`},
		{name: "MQTT-4.1.0-1 no interval ends a session that is connected", in: "5", script: `
			a > 10 .. @v 02 0000 {11 00000001} 'c1'
			a < @ok
			a > 82 .. 0001 {} 'a' 00
			a < 90 .. 0001 {} 00
			wait 1h
			a > 30 .. 'a' {} "x"
			a < 30 .. 'a' {} "x"`},
		{name: "MQTT-3.1.2-23 MQTT311-3.1.2-5 MQTT-4.1.0-1 messages for a client that is away", script: `
			a > @k 'c1'
			a < @ok
			a > 82 .. 0001 {} 'a' 02
			a < 90 .. 0001 {} 02
			a > e0 00
			a closed
			b > @c 'c2'
			b < @ok
			b > 32 .. 'a' 0001 {} "1" ; 34 .. 'a' 0002 {} "2"
			b < 40 .. 0001 ; 50 .. 0002
			wait 10m
			a > @k 'c1'
			a < @again 32 .. 'a' 0001 {} "1" ; 34 .. 'a' 0002 {} "2"`},
		{name: "MQTT-3.1.3-6 MQTT-3.1.3-7 MQTT-3.2.2-16 an assigned ClientID", in: "5",
			set: func(s *setup) { s.core.Anonymous = func(c *core.Credentials) bool { return c.ClientID == "" } }, script: `
			a > @c ''
			a matches 20 2e 00 00 2b 12 001d (66616972 6c656164 2d [0-9a-f]{40}) 21 0400 22 0020 27 00100000
			a > c0 00
			a < d0 00
			b > @c ''
			b matches 20 2e 00 00 2b 12 001d (66616972 6c656164 2d [0-9a-f]{40}) 21 0400 22 0020 27 00100000
			b differs a`},
	}
}

// grantScenes are about what CONNACK grants.
func grantScenes() []scene {
	return []scene{
		{name: "MQTT-3.2.2-9 MQTT-3.2.2-11 MQTT-3.2.2-12 MQTT-3.2.2-10 a lower Maximum QoS", in: "5",
			set: func(s *setup) { s.mqtt.MaxQoS = 0 }, script: `
			a > @c 'c1'
			a < 20 .. 00 00 {21 0400 22 0020 24 00 27 00100000}
			a > 82 .. 0001 {} 'a' 02
			a < 90 .. 0001 {} 00
			a > 32 .. 'a' 0001 {} "x"
			a closed e0 .. 9b
			b > 10 .. @v 0e 0000 {} 'c1' {} 'w' 'x'
			b closed 20 .. 00 9b {}`},
		{name: "MQTT-3.2.2-13 MQTT-3.2.2-14 retained messages are off", in: "5",
			set: func(s *setup) { s.mqtt.RetainAvailable = false }, script: `
			a > @c 'c1'
			a < 20 .. 00 00 {21 0400 22 0020 25 00 27 00100000}
			a > 31 .. 'a' {} "x"
			a closed e0 .. 9a
			b > 10 .. @v 26 0000 {} 'c1' {} 'w' 'x'
			b closed 20 .. 00 9a {}`},
		{name: "MQTT-3.1.2-28 Response Information", in: "5",
			set: func(s *setup) { s.mqtt.ResponseInformation = "re/" }, script: `
			a > @c 'c1'
			a < @ok
			b > 10 .. @v 02 0000 {19 01} 'c2'
			b < 20 .. 00 00 {1a 're/c2' 21 0400 22 0020 27 00100000}`},
		{name: "MQTT-3.2.2-15 a packet above the server's Maximum Packet Size",
			set: func(s *setup) { s.mqtt.MaxPacketSize = 128 }, script: `
			a > 10 .. @v 02 0000 {} 'c1'
			5: a < 20 .. 00 00 {21 0400 22 0020 27 00000080}
			34: a < @ok
			a > 30 7e 'a' {} 78*120
			5: a open
			a lost
			b > 10 .. @v 02 0000 {} 'c1'
			5: b < 20 .. 00 00 {21 0400 22 0020 27 00000080}
			34: b < @ok
			b > 30 7f
			5: b closed e0 .. 95
			34: b closed`},
		{name: "MQTT-3.2.2-19 MQTT-3.1.2-24 a Reason String in CONNACK", in: "5",
			set: func(s *setup) {
				s.mqtt.ReasonStrings = true
				s.core.Config.MaxClientIDLength = 23
			}, script: `
			a > 10 .. @v 02 0000 {27 00000032} '123456789012345678901234'
			a closed 20 .. 00 85 {1f 'the client id is longer than 23 bytes'}
			b > 10 .. @v 02 0000 {27 0000001e} '123456789012345678901234'
			b closed 20 .. 00 85 {}`},
		{name: "MQTT-4.12.0-1 MQTT-4.12.0-4 an Authentication Method that nobody knows", in: "5", script: `
			a > 10 .. @v 02 0000 {15 'nobody'} 'c1'
			a closed 20 .. 00 8c {}`},
		{name: "MQTT-4.12.0-6 MQTT-4.12.0-7 an AUTH that nobody asked for", in: "5", script: `
			a > @c 'c1'
			a < @ok
			a > f0 .. 18 {15 'x'}
			a closed e0 .. 82`},
		{name: "MQTT-3.15.1-1 header flags of AUTH", in: "5", script: `
			a > @c 'c1'
			a < @ok
			a > f1 .. 18 {15 'x'}
			a closed e0 .. 81`},
	}
}
