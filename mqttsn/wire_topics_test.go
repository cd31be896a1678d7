package mqttsn

import "net/netip"

func registerScenes() []scene {
	return []scene{
		{name: "SN-6.5-1 SN-6.5-2 SN-6.5-4 a topic gets an id, always the same", script: clean + `
			a > 0a 0000 0001 "aaa"
			a < 0b 0001 0001 00
			a > 0a 0000 0002 "bbb"
			a < 0b 0002 0002 00
			a > 0a 0000 0003 "aaa"
			a < 0b 0001 0003 00`},
		{name: "SN-6.5-3 wildcards have no id", script: clean + `
			a > 0a 0000 0001 "a/+"
			a < 0b 0000 0001 03`},
		{name: "SN-7.3-1 each client has its own ids", script: clean + `
			b > 04 04 01 003c "c2"
			b < 05 00
			a > 0a 0000 0001 "aaa"
			a < 0b 0001 0001 00
			b > 0a 0000 0001 "bbb"
			b < 0b 0001 0001 00
			a > 0c 00 0001 0000 "1"
			b > 0c 00 0001 0000 "2"
			seen aaa=1 bbb=2`},
		{name: "SN-6.5-6 no more ids than are allowed", set: func(u *setup) { u.core.Config.MaxRegistrations = 1 }, script: clean + `
			a > 0a 0000 0001 "aaa"
			a < 0b 0001 0001 00
			a > 0a 0000 0002 "bbb"
			a < 0b 0000 0002 01`},
		{name: "SN-7.3-3 the id of a topic that the client was told goes to another one where there is no room", set: func(u *setup) { u.core.Config.MaxRegistrations = 2 }, script: deliverWild + `
			send b/1 0 x
			a < 0a 0001 $r "b/1"
			a > 0b 0001 $r 00
			a < 0c 00 0001 0000 "x"
			send b/2 0 y
			a < 0a 0002 $s "b/2"
			a > 0b 0002 $s 00
			a < 0c 00 0002 0000 "y"
			wait 5s
			send b/1 0 x
			a < 0c 00 0001 0000 "x"
			send b/3 1 z // a datagram of any of them may be on its way still
			a <
			wait 6s
			send b/4 0 w // b/2 has waited for longest
			a < 0a 0002 $t "b/4"
			a > 0c 20 0002 0007 "?" // it takes 0002 for b/2
			a < 0d 0002 0007 02
			a > 0b 0002 $t 00
			a < 0c 00 0002 0000 "w"
			a > 0c 00 0002 0000 "!"
			a < 0c 00 0002 0000 "!"
			seen b/4=!
			wait 20s
			a > 0a 0000 0008 "own" // 0002 is the client's own now, as it used it
			a < 0b 0001 0008 00
			send b/5 0 v
			a <
			a > 0a 0000 0009 "more"
			a < 0b 0000 0009 01`},
		{name: "SN-7.3-3 SN-7.3-2 and after a start of the gateway; ids that the client asked for stay its own", set: func(u *setup) { u.core.Config.MaxRegistrations = 2 }, script: kept + `
			a > 12 20 0001 "b/+"
			a < 13 20 0000 0001 00
			a > 0a 0000 0002 "own"
			a < 0b 0001 0002 00
			send b/1 1 x
			a < 0a 0002 $r "b/1"
			a > 0b 0002 $r 00
			a < 0c 20 0002 $m "x"
			a > 0d 0002 $m 00
			restart
			a > 04 00 01 003c "c1"
			a < 05 00
			send b/2 1 y
			a < 0a 0002 $s "b/2"
			a > 0b 0002 $s 00
			a < 0c 20 0002 $n "y"
			a > 0d 0002 $n 00
			a > 0c 20 0001 0005 "z"
			a < 0d 0001 0005 00
			seen own=z`},
		{name: "SN-7.3-2 ids outlive the connection and the gateway", script: kept + `
			a > 0a 0000 0001 "aaa"
			a < 0b 0001 0001 00
			restart
			a > 04 00 01 003c "c1"
			a < 05 00
			a > 0c 20 0001 0005 "x"
			a < 0d 0001 0005 00
			seen aaa=x
			a > 0a 0000 0002 "bbb"
			a < 0b 0002 0002 00`},
		{name: "SN-6.3-1 a clean session forgets its ids", script: clean + `
			a > 0a 0000 0001 "aaa"
			a < 0b 0001 0001 00
			a > 04 04 01 003c "c1"
			a < 05 00
			a > 0c 00 0001 0000 "x"
			a < 0d 0001 0000 02
			seen`},
	}
}

func publishScenes() []scene {
	const named = clean + `
			a > 0a 0000 0001 "aaa"
			a < 0b 0001 0001 00`
	return []scene{
		{name: "SN-6.6-1 QoS 0 is not answered", script: named + `
			a > 0c 00 0001 0000 "x"
			a <
			seen aaa=x`},
		{name: "SN-6.6-2 SN-5.4.13-1 QoS 1 is answered with topic id and identifier", script: named + `
			a > 0c 20 0001 0102 "x"
			a < 0d 0001 0102 00
			seen aaa=x`},
		{name: "SN-6.6-6 SN-5.4.14-1 QoS 2, once though sent twice", script: named + `
			a > 0c 40 0001 0102 "x"
			a < 0f 0102
			a > 0c c0 0001 0102 "x"
			a < 0f 0102
			a > 10 0102
			a < 0e 0102
			a > 10 0102
			a < 0e 0102
			seen aaa=x`},
		{name: "SN-6.6-4 SN-5.4.13-2 an unknown topic id is refused at every QoS", script: named + `
			a > 0c 00 0009 0000 "x"
			a < 0d 0009 0000 02
			a > 0c 20 0009 0001 "x"
			a < 0d 0009 0001 02
			a > 0c 40 ffff 0002 "x"
			a < 0d ffff 0002 02
			a > 0c 20 0000 0003 "x"
			a < 0d 0000 0003 02
			seen`},
		{name: "SN-6.7-1 SN-6.7-2 predefined ids and short names need no REGISTER", script: clean + `
			a > 0c 01 0065 0000 "x"
			a > 0c 22 "zz" 0001 "y"
			a < 0d "zz" 0001 00
			seen plant/one=x zz=y`},
		{name: "SN-6.7-3 an unknown predefined id is refused, and so is a short name with a wildcard", script: clean + `
			a > 0c 21 0009 0001 "x"
			a < 0d 0009 0001 02
			a > 0c 22 "z#" 0002 "x"
			a < 0d "z#" 0002 02
			seen`},
		{name: "SN-6.7-4 normal ids that are predefined, where the configuration says so", set: func(u *setup) { u.cfg.PredefinedNormal = true }, script: clean + `
			a > 0c 00 0066 0000 "x"
			a > 0a 0000 0001 "aaa"
			a < 0b 0001 0001 00
			seen plant/two=x`},
		{name: "SN-6.6-7 what is not allowed is refused", set: deny, script: clean + `
			a > 0c 22 "no" 0001 "x"
			a < 0d "no" 0001 03
			a > 0c 42 "no" 0002 "x"
			a < 0d 0000 0002 03
			seen`},
		{name: "SN-5.3.4-3 SN-5.3.4-4 retained", script: named + `
			a > 0c 10 0001 0000 "x"
			seen aaa=x
			a > 12 00 0002 "aaa"
			a < 13 00 0001 0002 00 ; 0c 10 0001 0000 "x"`},
	}
}

func unconnectedScenes() []scene {
	on := func(u *setup) {
		u.cfg.UnconnectedTopics = []string{"plant/one", "zz", "no"}
		u.cfg.UnconnectedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	return []scene{
		{name: "SN-6.8-1 QoS -1 is off unless the configuration says so", script: `
			a > 0c 61 0065 0000 "x"
			a <
			seen
			a unknown`},
		{name: "SN-6.8-1 QoS -1 needs no connection and has no answer", set: on, script: `
			a > 0c 61 0065 0000 "x"
			a > 0c 62 "zz" 0000 "y"
			a <
			a unknown
			seen plant/one=x zz=y`},
		{name: "SN-6.8-2 SN-6.8-3 only listed topics, never registered ids", set: on, script: `
			a > 0c 61 0066 0000 "x"
			a > 0c 62 "yy" 0000 "y"
			a > 0c 60 0001 0000 "z"
			a > 0c 61 0009 0000 "z"
			a <
			seen`},
		{name: "SN-6.8-3 only from listed networks", set: func(u *setup) {
			on(u)
			u.cfg.UnconnectedNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		}, script: `
			a > 0c 61 0065 0000 "x"
			seen`},
		{name: "SN-6.8-3 access rules count", set: func(u *setup) { on(u); deny(u) }, script: `
			a > 0c 62 "no" 0000 "x"
			a > 0c 62 "zz" 0000 "y"
			seen zz=y`},
		{name: "SN-6.8-1 a connected client may send QoS -1, too", script: clean + `
			a > 0c 61 0065 0000 "x"
			a <
			seen plant/one=x`},
		{name: "SN-6.8-1 a sleeping client as well", set: on, script: clean + `
			a > 18 0e10
			a < 18
			a > 0c 61 0065 0000 "x"
			a <
			seen plant/one=x`},
	}
}

func subscribeScenes() []scene {
	return []scene{
		{name: "SN-6.9-1 SN-6.9-2 SN-5.4.16-1 by name, with its topic id", script: clean + `
			a > 12 40 0001 "aaa"
			a < 13 40 0001 0001 00
			send aaa 0 x
			a < 0c 00 0001 0000 "x"`},
		{name: "SN-6.9-3 SN-6.10-1 SN-6.10-3 with wildcards there is no id; REGISTER comes before the first PUBLISH, which waits", script: clean + `
			a > 12 00 0001 "b/+"
			a < 13 00 0000 0001 00
			send b/1 0 x
			a < 0a 0001 $r "b/1"
			send b/1 0 y
			a <
			a > 0b 0001 $r 00
			a < 0c 00 0001 0000 "x" ; 0c 00 0001 0000 "y"
			send b/1 0 z
			a < 0c 00 0001 0000 "z"`},
		{name: "SN-6.9-5 SN-6.7-1 by predefined id and by short name", script: clean + `
			a > 12 21 0001 0066
			a < 13 20 0000 0001 00
			a > 12 22 0002 "zz"
			a < 13 20 0000 0002 00
			send plant/two 0 x
			send zz 0 y
			a < 0c 01 0066 0000 "x" ; 0c 02 "zz" 0000 "y"
			a > 12 21 0003 0009
			a < 13 20 0000 0003 02`},
		{name: "SN-6.9-4 UNSUBSCRIBE by name, predefined id and short name", script: clean + `
			a > 12 00 0001 "aaa"
			a < 13 00 0001 0001 00
			a > 12 01 0002 0066
			a < 13 00 0000 0002 00
			a > 12 02 0003 "zz"
			a < 13 00 0000 0003 00
			a > 14 00 0004 "aaa"
			a < 15 0004
			a > 14 01 0005 0066
			a < 15 0005
			a > 14 02 0006 "zz"
			a < 15 0006
			a > 14 00 0007 "never"
			a < 15 0007
			a > 14 01 0008 0009
			a < 15 0008
			send aaa 0 x
			send plant/two 0 x
			send zz 0 x
			a <`},
		{name: "SN-6.9-6 what is not valid or not allowed is refused", set: deny, script: clean + `
			a > 12 00 0001 "a#"
			a < 13 00 0000 0001 03
			a > 12 00 0002 "no"
			a < 13 00 0000 0002 03`},
		{name: "SN-6.3-3 subscriptions outlive the gateway", script: kept + `
			a > 12 20 0001 "aaa"
			a < 13 20 0001 0001 00
			a > 14 00 0002 "bbb"
			a < 15 0002
			restart
			send aaa 1 x
			a > 04 00 01 003c "c1"
			a < 05 00 ; 0a 0001 $r "aaa"
			a > 0b 0001 $r 00
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 00`},
	}
}
