package mqtt

// watch is how scenes about Wills and retained messages begin: w has a subscription.
const watch = `
			w > @c 'c0'
			w < @ok
			w > 82 .. 0001 {} 'w' 02
			w < 90 .. 0001 {} 02
`

// willScenes are about Wills.
func willScenes() []scene {
	return []scene{
		{name: "MQTT-3.1.2-7 MQTT-3.1.2-8 MQTT-3.1.2-14 MQTT311-3.1.2-8 a broken connection sends the Will", script: watch + `
			a > 10 .. @v 06 0000 {} 'c1' {} 'w' 'bye'
			a < @ok
			a lost
			w < 30 .. 'w' {} "bye"
			b > @c 'c2'
			b < @ok
			b > 82 .. 0001 {} 'w' 00
			b < 90 .. 0001 {} 00   // it was not retained`},
		{name: "MQTT-3.1.2-8 the Will after a protocol error", script: watch + `
			a > 10 .. @v 06 0000 {} 'c1' {} 'w' 'bye'
			a < @ok
			a > 36 .. 'x' 0001 {}  // QoS 3
			5: a closed e0 .. 81
			34: a closed
			w < 30 .. 'w' {} "bye"`},
		{name: "MQTT-3.1.2-8 the Will after silence", script: watch + `
			a > 10 .. @v 06 000a {} 'c1' {} 'w' 'bye'
			a < @ok
			wait 16s
			5: a closed e0 .. 8d
			34: a closed
			w < 30 .. 'w' {} "bye"`},
		{name: "MQTT-3.1.2-8 the Will after DISCONNECT with code 04", in: "5", script: watch + `
			a > 10 .. @v 06 0000 {} 'c1' {} 'w' 'bye'
			a < @ok
			a > e0 .. 04
			a closed
			w < 30 .. 'w' {} "bye"`},
		{name: "MQTT-3.14.4-3 MQTT-3.1.2-10 MQTT311-3.1.2-10 DISCONNECT discards the Will", script: watch + `
			a > 10 .. @v 04 0000 {11 00000e10} 'c1' {} 'w' 'bye'
			a < @ok
			a > e0 00
			a closed
			wait 2h
			w open`},
		{name: "MQTT-3.1.2-10 MQTT311-3.1.2-10 a Will is sent once", script: watch + `
			a > 10 .. @v 04 0000 {11 00000e10} 'c1' {} 'w' 'bye'
			a < @ok
			a lost
			w < 30 .. 'w' {} "bye"
			a > @k 'c1'
			a < @again
			a lost
			wait 30m
			w open`},
		{name: "MQTT311-3.1.2-12 MQTT-3.1.2-11 no Will, no message", script: watch + `
			a > @c 'c1'
			a < @ok
			a lost
			w open`},
		{name: "MQTT-3.1.2-15 a retained Will", script: watch + `
			a > 10 .. @v 26 0000 {} 'c1' {} 'w' 'bye'
			a < @ok
			a lost
			w < 30 .. 'w' {} "bye"
			b > @c 'c2'
			b < @ok
			b > 82 .. 0001 {} 'w' 00
			b < 90 .. 0001 {} 00 ; 31 .. 'w' {} "bye"`},
		{name: "MQTT-3.1.2-12 Wills of QoS 1 and 2", script: watch + `
			a > 10 .. @v 0e 0000 {} 'c1' {} 'w' '1'
			a < @ok
			a lost
			w < 32 .. 'w' 0001 {} "1"
			a > 10 .. @v 16 0000 {} 'c1' {} 'w' '2'
			a < @ok
			a lost
			w < 34 .. 'w' 0002 {} "2"`},
		{name: "MQTT-3.1.2-8 the Will Delay Interval", in: "5", script: watch + `
			a > 10 .. @v 06 0000 {11 0000003c} 'c1' {18 0000000a} 'w' 'bye'
			a < @ok
			a lost
			wait 8s
			w open
			wait 4s
			w < 30 .. 'w' {} "bye"`},
		{name: "MQTT-3.1.2-8 the session's end is before the Will's delay", in: "5", script: watch + `
			a > 10 .. @v 06 0000 {11 00000005} 'c1' {18 0000003c} 'w' 'bye'
			a < @ok
			a lost
			wait 8s
			w < 30 .. 'w' {} "bye"
			wait 2m
			w open`},
		{name: "MQTT-3.1.3-9 back within the Will's delay", in: "5", script: watch + `
			a > 10 .. @v 06 0000 {11 0000003c} 'c1' {18 0000000a} 'w' 'bye'
			a < @ok
			a lost
			wait 5s
			a > 10 .. @v 00 0000 {11 0000003c} 'c1'
			a < @again
			wait 5m
			w open`},
		{name: "MQTT-3.1.2-8 MQTT-3.1.2-4 a clean start ends the session and sends its delayed Will", in: "5", script: watch + `
			a > 10 .. @v 06 0000 {11 0000003c} 'c1' {18 0000000a} 'w' 'bye'
			a < @ok
			a lost
			wait 5s
			a > @c 'c1'
			a < @ok
			w < 30 .. 'w' {} "bye"`},
		{name: "MQTT-3.1.3-10 MQTT-3.3.2-4 MQTT-3.3.2-15 MQTT-3.3.2-16 MQTT-3.3.2-17 MQTT-3.3.2-20 the Will's properties", in: "5", script: watch + `
			a > 10 .. @v 06 0000 {} 'c1' {01 01 03 'txt' 08 're' 09 'id' 26 'b' '1' 26 'a' '2' 26 'b' '0'} 'w' 'bye'
			a < @ok
			a lost
			w < 30 .. 'w' {01 01 03 'txt' 08 're' 09 'id' 26 'b' '1' 26 'a' '2' 26 'b' '0'} "bye"`},
		{name: "MQTT-3.3.2-6 the Will's expiry interval", in: "5", script: `
			a > 10 .. @v 06 0000 {} 'c1' {02 0000000a} 'w' 'bye'
			a < @ok
			w > 10 .. @v 00 0000 {11 0000003c} 'c0'
			w < @ok
			w > 82 .. 0001 {} 'w' 01
			w < 90 .. 0001 {} 01
			wait 1m
			a lost
			w < 30 .. 'w' {02 0000000a} "bye"`},
		{name: "MQTT-3.3.2-2 MQTT-4.7.0-1 MQTT-4.7.3-1 MQTT-3.1.4-1 a Will topic that is no topic name", script: `
			a > 10 .. @v 06 0000 {} 'c1' {} 'w/+' 'x'
			5: a closed 20 .. 00 90 {}
			34: a closed
			b > 10 .. @v 06 0000 {} 'c1' {} '' 'x'
			5: b closed 20 .. 00 90 {}
			34: b closed`},
	}
}

// retainScenes are about retained messages.
func retainScenes() []scene {
	return []scene{
		{name: "MQTT-3.3.1-5 MQTT-3.3.1-9 MQTT311-3.3.1-7 MQTT311-3.3.1-8 a retained message is replaced, and sent to new subscriptions", script: `
			a > @c 'c1'
			a < @ok
			a > 33 .. 'w' 0001 {} "1"
			a < 40 .. 0001 [10]
			a > 31 .. 'w' {} "2"
			b > @c 'c2'
			b < @ok
			b > 82 .. 0001 {} 'w' 01
			b < 90 .. 0001 {} 01 ; 31 .. 'w' {} "2"`},
		{name: "MQTT-3.3.1-6 MQTT-3.3.1-7 an empty payload removes what is retained", script: watch + `
			a > @c 'c1'
			a < @ok
			a > 31 .. 'w' {} "1"
			w < 30 .. 'w' {} "1"
			a > 31 .. 'w' {}
			w < 30 .. 'w' {}       // processed as any other
			a > 82 .. 0001 {} 'w' 00
			a < 90 .. 0001 {} 00`},
		{name: "MQTT-3.3.1-8 a message that is not retained leaves the retained one", script: `
			a > @c 'c1'
			a < @ok
			a > 31 .. 'w' {} "1" ; 30 .. 'w' {} "2" ; 30 .. 'w' {}
			a > 82 .. 0001 {} 'w' 00
			a < 90 .. 0001 {} 00 ; 31 .. 'w' {} "1"
			a > 82 .. 0002 {} 'other' 00
			a < 90 .. 0002 {} 00`},
		{name: "MQTT311-3.1.2-7 retained messages outlive the session", script: `
			a > @c 'c1'
			a < @ok
			a > 31 .. 'w' {} "1" ; e0 00
			a closed
			a > @c 'c1'
			a < @ok
			a > 82 .. 0001 {} 'w' 00
			a < 90 .. 0001 {} 00 ; 31 .. 'w' {} "1"`},
		{name: "MQTT-3.3.1-12 MQTT311-3.3.1-9 RETAIN is not forwarded", script: watch + `
			a > @c 'c1'
			a < @ok
			a > 33 .. 'w' 0001 {} "1"
			a < 40 .. 0001
			w < 32 .. 'w' 0001 {} "1"`},
		{name: "MQTT-3.3.1-13 Retain As Published", in: "5", script: `
			w > @c 'c0'
			w < @ok
			w > 82 .. 0001 {} 'w' 08
			w < 90 .. 0001 {} 00
			a > @c 'c1'
			a < @ok
			a > 31 .. 'w' {} "1" ; 30 .. 'w' {} "2"
			w < 31 .. 'w' {} "1" ; 30 .. 'w' {} "2"`},
		{name: "MQTT-3.3.1-9 MQTT-3.8.4-4 MQTT-3.8.4-3 subscribing again sends retained messages again", script: `
			a > @c 'c1'
			a < @ok
			a > 31 .. 'w' {} "1"
			a > 82 .. 0001 {} 'w' 00
			a < 90 .. 0001 {} 00 ; 31 .. 'w' {} "1"
			a > 82 .. 0002 {} 'w' 00
			a < 90 .. 0002 {} 00 ; 31 .. 'w' {} "1"`},
		{name: "MQTT-3.3.1-10 Retain Handling 1", in: "5", script: `
			a > @c 'c1'
			a < @ok
			a > 31 .. 'w' {} "1"
			a > 82 .. 0001 {} 'w' 10
			a < 90 .. 0001 {} 00 ; 31 .. 'w' {} "1"
			a > 82 .. 0002 {} 'w' 10
			a < 90 .. 0002 {} 00
			a > a2 .. 0003 {} 'w'
			a < b0 .. 0003 {} 00
			a > 82 .. 0004 {} 'w' 10
			a < 90 .. 0004 {} 00 ; 31 .. 'w' {} "1"`},
		{name: "MQTT-3.3.1-11 Retain Handling 2", in: "5", script: `
			a > @c 'c1'
			a < @ok
			a > 31 .. 'w' {} "1"
			a > 82 .. 0001 {} 'w' 20
			a < 90 .. 0001 {} 00
			a > 82 .. 0002 {} 'w' 20
			a < 90 .. 0002 {} 00`},
		{name: "MQTT-3.8.4-8 a retained message's QoS is not above the granted", script: `
			a > @c 'c1'
			a < @ok
			a > 33 .. 'w' 0001 {} "1"
			a < 40 .. 0001 [10]
			a > 31 .. 'v' {} "0"
			b > @c 'c2'
			b < @ok
			b > 82 .. 0001 {} 'w' 02
			b < 90 .. 0001 {} 02 ; 33 .. 'w' 0001 {} "1"
			b > 82 .. 0002 {} 'w' 00
			b < 90 .. 0002 {} 00 ; 31 .. 'w' {} "1"
			b > 82 .. 0003 {} 'v' 02
			b < 90 .. 0003 {} 02 ; 31 .. 'v' {} "0"`},
		{name: "MQTT-3.3.2-5 MQTT-3.3.2-6 a retained message's expiry", in: "5", script: `
			a > @c 'c1'
			a < @ok
			a > 31 .. 'w' {02 0000003c} "1"
			wait 20s
			a > 82 .. 0001 {} 'w' 00
			a < 90 .. 0001 {} 00 ; 31 .. 'w' {02 00000028} "1"
			wait 1m
			a > 82 .. 0002 {} 'w' 00
			a < 90 .. 0002 {} 00`},
		{name: "MQTT-4.7.2-1 retained messages below $ and leading wildcards", script: `
			a > @c 'c1'
			a < @ok
			a > 31 .. '$x/w' {} "1"
			a > 82 .. 0001 {} '+/w' 00
			a < 90 .. 0001 {} 00
			a > 82 .. 0002 {} '#' 00
			a < 90 .. 0002 {} 00
			a > 82 .. 0003 {} '$x/+' 00
			a < 90 .. 0003 {} 00 ; 31 .. '$x/w' {} "1"`},
	}
}
