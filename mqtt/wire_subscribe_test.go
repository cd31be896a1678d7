package mqtt

// subscribeScenes are about SUBSCRIBE and UNSUBSCRIBE.
func subscribeScenes() []scene {
	return []scene{
		{name: "MQTT-3.8.4-1 MQTT-3.8.4-2 MQTT-2.2.1-6 MQTT-3.8.4-5 MQTT-3.8.4-6 MQTT-3.8.4-7 MQTT-3.9.3-1 MQTT-3.9.3-2 several filters", set: forbid, script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. abcd {} 'a' 02 'no' 01 'b' 00 'c' 01
			5: s < 90 .. abcd {} 02 87 00 01
			4: s < 90 .. abcd 02 80 00 01
			s > 30 .. 'c' {} "x"
			s < 30 .. 'c' {} "x"`, in: "45"},
		{name: "MQTT311-3.9.3-2 MQTT-4.7.1-1 MQTT-4.7.1-2 MQTT-4.7.3-1 filters that are none", in: "45", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a/#/b' 00 'a#' 00 'a+' 00 '+a/b' 00 '' 00 'a/b+/c' 00 '#' 00 '+/+' 00 '/' 00
			5: s < 90 .. 0001 {} 8f 8f 8f 8f 8f 8f 00 00 00
			4: s < 90 .. 0001 80 80 80 80 80 80 00 00 00`},
		{name: "MQTT311-3.8.3-2 wildcards are off", in: "4", set: func(s *setup) { s.mqtt.WildcardAvailable = false }, script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 'a/+' 00 'a' 00 '#' 00
			s < 90 .. 0001 80 00 80`},
		{name: "MQTT-3.8.3-1 MQTT-1.5.4-1 MQTT-1.5.4-2 MQTT-4.7.3-2 filters that are no strings", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 0001 ff 00
			5: s closed e0 .. 81
			34: s closed
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 0003 61 00 62 00
			5: s closed e0 .. 81
			34: s closed`},
		{name: "MQTT-3.8.3-2 MQTT-3.10.3-2 no filter", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {}
			5: s closed e0 .. 82
			34: s closed
			s > @c 'c1'
			s < @ok
			s > a2 .. 0001 {}
			5: s closed e0 .. 82
			34: s closed`},
		{name: "MQTT-3.8.3-5 MQTT311-3.8.3-4 reserved option bits", in: "45", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 40
			5: s closed e0 .. 81
			4: s closed
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 80
			5: s closed e0 .. 81
			4: s closed
			4: s > @c 'c1'
			4: s < @ok
			4: s > 82 .. 0001 'a' 04       // No Local is version 5's
			4: s closed`},
		{name: "MQTT311-3.8.3-4 MQTT-4.13.1-1 QoS 3", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 03
			5: s closed e0 .. 82
			34: s closed`},
		{name: "MQTT-4.13.1-1 Retain Handling 3", in: "5", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 30
			s closed e0 .. 82`},
		{name: "MQTT-4.13.1-1 Subscription Identifier 0 or twice", in: "5", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {0b 00} 'a' 00
			s closed e0 .. 82
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {0b 01 0b 02} 'a' 00
			s closed e0 .. 82`},
		{name: "MQTT-3.8.4-3 MQTT-3.8.4-8 a subscription is replaced", script: pair + `
			s > 82 .. 0002 {} 'a' 00
			s < 90 .. 0002 {} 00
			p > 32 .. 'a' 0001 {} "x"
			p < 40 .. 0001
			s < 30 .. 'a' {} "x"           // once, with the new QoS
			s > a2 .. 0003 {} 'a'
			s < b0 .. 0003 {} [00]
			p > 30 .. 'a' {} "x"
			s open`},
		{name: "MQTT-3.8.4-8 MQTT-3.8.4-7 the lesser QoS", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 01 'b' 00 'c' 02
			s < 90 .. 0001 {} 01 00 02
			p > @c 'c2'
			p < @ok
			p > 34 .. 'a' 0001 {} "x" ; 34 .. 'b' 0002 {} "x" ; 30 .. 'c' {} "x"
			p < 50 .. 0001 ; 50 .. 0002
			s < 32 .. 'a' 0001 {} "x" ; 30 .. 'b' {} "x" ; 30 .. 'c' {} "x"`},
	}
}

// optionScenes are about what subscriptions do, and how they end.
func optionScenes() []scene {
	return []scene{
		{name: "MQTT-3.3.4-2 overlapping subscriptions", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 00 '+' 02 '#' 01
			s < 90 .. 0001 {} 00 02 01
			p > @c 'c2'
			p < @ok
			p > 34 .. 'a' 0001 {} "x"
			p < 50 .. 0001
			s < 34 .. 'a' 0001 {} "x"`},
		{name: "MQTT-3.3.4-3 MQTT-3.3.4-4 Subscription Identifiers", in: "5", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {0b ffffff7f} 'a' 00
			s < 90 .. 0001 {} 00
			p > @c 'c2'
			p < @ok
			p > 30 .. 'a' {} "x"
			s < 30 .. 'a' {0b ffffff7f} "x"
			s > 82 .. 0002 {0b 05} '+' 00
			s < 90 .. 0002 {} 00
			s > 82 .. 0003 {} '#' 00
			s < 90 .. 0003 {} 00
			p > 30 .. 'a' {} "x"
			s matches 30 0c 0001 61 07 (0b ffffff7f 0b 05|0b 05 0b ffffff7f) 78
			p > 30 .. 'b' {} "x"
			s < 30 .. 'b' {0b 05} "x"
			s > 82 .. 0004 {} '+' 00      // replaced by one without
			s < 90 .. 0004 {} 00
			p > 30 .. 'b' {} "x"
			s < 30 .. 'b' {} "x"`},
		{name: "MQTT-3.8.3-3 No Local", in: "5", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 04 'b' 00
			s < 90 .. 0001 {} 00 00
			p > @c 'c2'
			p < @ok
			s > 30 .. 'a' {} "x" ; 30 .. 'b' {} "x"
			s < 30 .. 'b' {} "x"
			p > 30 .. 'a' {} "y"
			s < 30 .. 'a' {} "y"`},
		{name: "MQTT-3.8.3-4 No Local on a shared subscription", in: "5", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} '$share/g/a' 04
			s closed e0 .. 82`},
		{name: "MQTT-3.10.4-1 MQTT-3.10.4-2 MQTT-3.10.4-4 MQTT-3.10.4-5 MQTT-3.10.4-6 MQTT-3.11.3-1 MQTT-3.11.3-2 MQTT-2.2.1-6 unsubscribing", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a' 00 'a/+' 00 'b' 00
			s < 90 .. 0001 {} 00 00 00
			p > @c 'c2'
			p < @ok
			s > a2 .. dcba {} 'A' '+' 'a/b' '#'    // none of them
			s < b0 .. dcba {} [11 11 11 11]
			p > 30 .. 'a' {} "1" ; 30 .. 'a/b' {} "2" ; 30 .. 'b' {} "3"
			s < 30 .. 'a' {} "1" ; 30 .. 'a/b' {} "2" ; 30 .. 'b' {} "3"
			s > a2 .. 0003 {} 'a/+' 'x' 'b'
			s < b0 .. 0003 {} [00 11 00]
			p > 30 .. 'a' {} "1" ; 30 .. 'a/b' {} "2" ; 30 .. 'b' {} "3"
			s < 30 .. 'a' {} "1"`},
		{name: "MQTT-3.10.4-3 what is under way is completed", script: keptPair + `
			p > 34 .. 'a' 0001 {} "2" ; 32 .. 'a' 0002 {} "1"
			p < 50 .. 0001 ; 40 .. 0002
			s < 34 .. 'a' 0001 {} "2" ; 32 .. 'a' 0002 {} "1"
			s > a2 .. 0002 {} 'a'
			s < b0 .. 0002 {} [00]
			p > 32 .. 'a' 0003 {} "3"
			p < 40 .. 0003 [10]
			s > 50 .. 0001
			s < 62 .. 0001
			s lost
			s > @k 'c1'
			s < @again 62 .. 0001 ; 3a .. 'a' 0002 {} "1"`},
		{name: "MQTT-3.10.3-1 MQTT-1.5.4-1 filters to unsubscribe that are no strings", script: `
			s > @c 'c1'
			s < @ok
			s > a2 .. 0001 {} 0001 ff
			5: s closed e0 .. 81
			34: s closed`},
		{name: "MQTT31-3.9-1 what cannot be said of a filter", in: "3", set: forbid, script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 'a' 01 'no' 00
			s < 90 .. 0001 01 80`},
	}
}

// topicScenes are about names and filters.
func topicScenes() []scene {
	return []scene{
		{name: "MQTT-4.7.1-1 MQTT-4.7.1-2 MQTT-3.3.2-3 what wildcards match", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'a/+/c' 00
			s < 90 .. 0001 {} 00
			t > @c 'c3'
			t < @ok
			t > 82 .. 0001 {} 'a/#' 00
			t < 90 .. 0001 {} 00
			p > @c 'c2'
			p < @ok
			p > 30 .. 'a/b/c' {} "1" ; 30 .. 'a//c' {} "2" ; 30 .. 'a/b/c/d' {} "3" ; 30 .. 'a/c' {} "4" ; 30 .. 'a' {} "5" ; 30 .. 'ab' {} "6" ; 30 .. '/a' {} "7"
			s < 30 .. 'a/b/c' {} "1" ; 30 .. 'a//c' {} "2"
			t < 30 .. 'a/b/c' {} "1" ; 30 .. 'a//c' {} "2" ; 30 .. 'a/b/c/d' {} "3" ; 30 .. 'a/c' {} "4" ; 30 .. 'a' {} "5"`},
		{name: "MQTT-4.7.2-1 topics that begin with $", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} '#' 00 '+/b' 00
			s < 90 .. 0001 {} 00 00
			t > @c 'c3'
			t < @ok
			t > 82 .. 0001 {} '$a/+' 00
			t < 90 .. 0001 {} 00
			p > @c 'c2'
			p < @ok
			p > 30 .. '$a/b' {} "1" ; 30 .. 'a/$b' {} "2"
			s < 30 .. 'a/$b' {} "2"
			t < 30 .. '$a/b' {} "1"`},
		{name: "MQTT-4.7.3-4 MQTT-1.5.4-3 topics are not normalised", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 0002 c3 a9 00 'a/b' 00 0004 efbbbf 61 00
			s < 90 .. 0001 {} 00 00 00
			p > @c 'c2'
			p < @ok
			p > 30 .. 0003 65 cc 81 {} "1" ; 30 .. 'A/b' {} "2" ; 30 .. 'a/b/' {} "3" ; 30 .. '/a/b' {} "4" ; 30 .. 'a//b' {} "5" ; 30 .. 'a' {} "6" ; 30 .. 'a /b' {} "7"
			s open
			p > 30 .. 0004 efbbbf 61 {} "8" ; 30 .. 0002 c3 a9 {} "9"
			s < 30 .. 0004 efbbbf 61 {} "8" ; 30 .. 0002 c3 a9 {} "9"`},
		{name: "MQTT-4.7.3-3 the longest topic there can be", set: func(s *setup) { s.core.Config.MaxTopicLength = 65535 }, script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} ffff 61*65535 00
			s < 90 .. 0001 {} 00
			s > 30 .. ffff 61*65535 {} "x"
			s < 30 .. ffff 61*65535 {} "x"
			5: s > 30 .. ffff 61*65536 {} "x"   // a byte more belongs to the properties
			5: s closed e0 .. 81`},
		{name: "MQTT-1.5.4-3 MQTT-3.1.3-2 EF BB BF makes another ClientID", script: `
			a > @c 0004 efbbbf 61
			a < @ok
			b > @c 'a'
			b < @ok
			a open`},
		{name: "MQTT-1.5.4-1 characters of every length", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 000a 24 c2a2 e282ac f09f9880 00
			s < 90 .. 0001 {} 00
			s > 30 .. 000a 24 c2a2 e282ac f09f9880 {} "x"
			s < 30 .. 000a 24 c2a2 e282ac f09f9880 {} "x"`},
		{name: "MQTT-1.5.4-1 overlong, surrogate and beyond Unicode", script: `
			a > @c 'c1'
			a < @ok
			a > 30 .. 0002 c0 af {} "x"
			5: a closed e0 .. 81
			34: a closed
			a > @c 'c1'
			a < @ok
			a > 30 .. 0003 ed a0 80 {} "x"
			5: a closed e0 .. 81
			34: a closed
			a > @c 'c1'
			a < @ok
			a > 30 .. 0004 f4 90 80 80 {} "x"
			5: a closed e0 .. 81
			34: a closed`},
	}
}

// shareScenes are about shared subscriptions.
func shareScenes() []scene {
	return []scene{
		{name: "MQTT-4.8.2-1 MQTT-4.8.2-2 share names", in: "45", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} '$share/g' 00 '$share/g/' 00 '$share//a' 00 '$share/+/a' 00 '$share/g#/a' 00 '$share/g/a/#' 00 '$share/g//' 00
			5: s < 90 .. 0001 {} 8f 8f 8f 8f 8f 00 00
			4: s < 90 .. 0001 80 80 80 80 80 00 00`},
		{name: "MQTT-4.8.2-3 the granted QoS of a shared subscription", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} '$share/g/a' 01
			s < 90 .. 0001 {} 01
			p > @c 'c2'
			p < @ok
			p > 34 .. 'a' 0001 {} "x" ; 30 .. 'a' {} "y"
			p < 50 .. 0001
			s < 32 .. 'a' 0001 {} "x" ; 30 .. 'a' {} "y"`},
		{name: "MQTT-4.8.2-4 QoS 2 is completed with the same member", script: `
			s > @k 'c1'
			s < @ok
			s > 82 .. 0001 {} '$share/g/a' 02
			s < 90 .. 0001 {} 02
			p > @c 'c2'
			p < @ok
			p > 34 .. 'a' 0001 {} "x"
			p < 50 .. 0001
			s < 34 .. 'a' 0001 {} "x"
			t > @c 'c3'
			t < @ok
			t > 82 .. 0001 {} '$share/g/a' 02
			t < 90 .. 0001 {} 02
			s > 50 .. 0001
			s < 62 .. 0001
			s lost
			wait 1m
			s > @k 'c1'
			s < @again 62 .. 0001
			s > 70 .. 0001
			t open`},
		{name: "MQTT-4.8.2-5 QoS 2 dies with the member's session", in: "5", script: `
			s > 10 .. @v 02 0000 {11 0000000a} 'c1'
			s < @ok
			s > 82 .. 0001 {} '$share/g/a' 02
			s < 90 .. 0001 {} 02
			p > @c 'c2'
			p < @ok
			p > 34 .. 'a' 0001 {} "x"
			p < 50 .. 0001
			s < 34 .. 'a' 0001 {} "x"
			t > @c 'c3'
			t < @ok
			t > 82 .. 0001 {} '$share/g/a' 02
			t < 90 .. 0001 {} 02
			s lost
			wait 1m
			t open
			p > 34 .. 'a' 0002 {} "y"
			p < 50 .. 0002
			t < 34 .. 'a' 0001 {} "y"`},
		{name: "MQTT-4.8.2-6 a member refuses", in: "5", script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} '$share/g/a' 02
			s < 90 .. 0001 {} 02
			p > @c 'c2'
			p < @ok
			p > 34 .. 'a' 0001 {} "x" ; 32 .. 'a' 0002 {} "y"
			p < 50 .. 0001 ; 40 .. 0002
			s < 34 .. 'a' 0001 {} "x" ; 32 .. 'a' 0002 {} "y"
			t > @c 'c3'
			t < @ok
			t > 82 .. 0001 {} '$share/g/a' 02
			t < 90 .. 0001 {} 02
			s > 50 .. 0001 80 ; 40 .. 0002 80
			s open
			wait 1m
			t open`},
		{name: "MQTT-3.8.4-4 no retained messages for shared subscriptions", in: "5", script: `
			p > @c 'c2'
			p < @ok
			p > 31 .. 'a' {} "x"
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} '$share/g/a' 00
			s < 90 .. 0001 {} 00`},
	}
}
