package mqttsn

import (
	"strings"
	"time"
)

const deliverOne = clean + `
			a > 12 40 0001 "aaa"
			a < 13 40 0001 0001 00`
const deliverWild = clean + `
			a > 12 40 0001 "b/+"
			a < 13 40 0000 0001 00`

func deliverScenes() []scene {
	return []scene{
		{name: "SN-6.10-4 one message of QoS 1 after the other, QoS 0 in between", script: deliverOne + `
			send aaa 1 x
			send aaa 1 y
			send aaa 0 z
			a < 0c 20 0001 $m "x" ; 0c 00 0001 0000 "z"
			a > 0d 0001 $m 00
			a < 0c 20 0001 $n "y"
			a > 0d 0001 $n 00`},
		{name: "SN-6.5-5 SN-6.10-3 one REGISTER after the other", script: deliverWild + `
			send b/1 0 x
			send b/2 0 y
			a < 0a 0001 $r "b/1"
			a > 0b 0001 $r 00
			a < 0c 00 0001 0000 "x" ; 0a 0002 $s "b/2"
			a > 0b 0002 $s 00
			a < 0c 00 0002 0000 "y"`},
		{name: "SN-6.10-8 QoS 2", script: deliverOne + `
			send aaa 2 x
			send aaa 2 y
			a < 0c 40 0001 $m "x"
			a > 0f $m
			a < 10 $m
			a > 0f $m
			a < 10 $m
			a > 0e $m
			a < 0c 40 0001 $n "y"
			a > 0f $n
			a < 10 $n
			a > 0e $n`},
		{name: "SN-6.10-2 SN-6.10-7 a rejected REGISTER ends the subscription to that name", script: kept + `
			a > 12 20 0001 "aaa"
			a < 13 20 0001 0001 00
			a > 18
			a < 18
			a > 04 00 01 003c "c1"
			a < 05 00
			send aaa 1 x
			a < 0a 0001 $r "aaa"
			a > 0b 0001 $r 02
			send aaa 1 y
			a <`},
		{name: "SN-6.10-7 but not one with wildcards", script: deliverWild + `
			send b/1 1 x
			a < 0a 0001 $r "b/1"
			a > 0b 0001 $r 03
			send b/2 1 y
			a < 0a 0002 $s "b/2"
			a > 0b 0002 $s 00
			a < 0c 20 0002 $m "y"
			a > 0d 0002 $m 00
			send b/1 1 z // its id stays its own: the client may remember it
			a < 0a 0001 $t "b/1"
			a > 0b 0001 $t 00
			a < 0c 20 0001 $n "z"
			a > 0d 0001 $n 00`},
		{name: "SN-6.10-5 a client that does not know a topic id is told again, and gets the message", script: deliverOne + `
			send aaa 1 x
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 02
			a < 0a 0001 $r "aaa"
			a > 0b 0001 $r 00
			a < 0c a0 0001 $m "x"
			a > 0d 0001 $m 00
			send aaa 1 y
			a < 0c 20 0001 $n "y"
			a > 0d 0001 $n 00`},
		{name: "SN-6.10-5 answers that come late or twice lose nothing", script: deliverOne + `
			send aaa 1 x
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 02
			a < 0a 0001 $r "aaa"
			a > 0d 0001 $m 02
			a <
			a > 0b 0001 $r 00
			a < 0c a0 0001 $m "x"
			a > 0d 0001 $m 02
			a < 0a 0001 $s "aaa"
			a > 0b 0001 $s 00
			a < 0c a0 0001 $m "x"
			a > 0d 0001 $m 00
			send aaa 1 y
			a < 0c 20 0001 $n "y"`},
		{name: "SN-6.10-5 at QoS 0 the next message is introduced again", script: deliverOne + `
			send aaa 0 x
			a < 0c 00 0001 0000 "x"
			a > 0d 0001 0000 02
			send aaa 0 y
			a < 0a 0001 $r "aaa"
			a > 0b 0001 $r 00
			a < 0c 00 0001 0000 "y"`},
		{name: "SN-6.7-3 an unknown predefined id cannot be introduced", script: clean + `
			a > 12 21 0001 0066
			a < 13 20 0000 0001 00
			send plant/two 1 x
			a < 0c 21 0066 $m "x"
			a > 0d 0066 $m 02
			send plant/two 1 y
			a < 0c 21 0066 $n "y"
			a > 0d 0066 $n 00`},
		{name: "SN-6.13-4 a client that is congested gets the message later", set: func(u *setup) { u.cfg.CongestionWait = 10 * time.Second }, script: deliverOne + `
			send aaa 1 x
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 01
			wait 9s
			a <
			wait 1s
			a < 0c a0 0001 $m "x"
			a > 0d 0001 $m 00
			a > 12 20 0002 "b/+"
			a < 13 20 0000 0002 00
			send b/1 1 y
			a < 0a 0002 $r "b/1"
			a > 0b 0002 $r 01
			wait 10s
			a < 0a 0002 $r "b/1"
			a > 0b 0002 $r 00
			a < 0c 20 0002 $n "y"
			a > 0d 0002 $n 00`},
		{name: "SN-6.10-6 what is too large is dropped", set: func(u *setup) { u.cfg.MaxPacketSize, u.secure = 64, true }, script: deliverOne + `
			send aaa 1 ` + strings.Repeat("x", 58) + `
			send aaa 1 ` + strings.Repeat("y", 57) + `
			a < 0c 20 0001 $m 79*57
			a > 0d 0001 $m 00
			a > 12 20 0002 "#"
			a < 13 20 0000 0002 00
			send ` + strings.Repeat("t", 59) + ` 1 x
			a <`},
		{name: "SN-5.2.1-1 a message above 255 bytes has a Length of three", script: deliverOne + `
			send aaa 0 ` + strings.Repeat("x", 300) + `
			a < 0a xxxx xxxx "aaa"
			a > 0b 0001 7001 00
			a < 0c 00 0001 0000 78*300`},
		{name: "SN-6.6-8 QoS 1 from below and from above cross each other", script: deliverOne + `
			send aaa 1 x
			a > 0c 22 "zz" 0005 "up"
			a < 0c 20 0001 $m "x" ; 0d "zz" 0005 00
			a > 0d 0001 $m 00
			seen zz=up`},
	}
}

const repeatOne = clean + `
			a > 12 40 0001 "aaa"
			a < 13 40 0001 0001 00`

func repeatScenes() []scene {
	return []scene{
		{name: "SN-6.13-1 SN-6.13-2 SN-6.13-3 SN-7.2-1 a PUBLISH is sent again with DUP, then the client is lost", script: `
			a > 04 0c 01 0000 "c1"
			a < 06
			a > 07 00 "will"
			a < 08
			a > 09 "gone"
			a < 05 00
			a > 12 20 0001 "aaa"
			a < 13 20 0001 0001 00
			send aaa 1 x
			a < 0c 20 0001 $m "x"
			wait 10s
			a < 0c a0 0001 $m "x"
			wait 20s
			a < 0c a0 0001 $m "x" ; 0c a0 0001 $m "x"
			wait 9s
			a known
			wait 1s
			a < 18
			a unknown
			seen will=gone`},
		{name: "SN-6.13-1 PUBREL is sent again", script: repeatOne + `
			send aaa 2 x
			a < 0c 40 0001 $m "x"
			a > 0f $m
			a < 10 $m
			wait 10s
			a < 10 $m
			a > 0e $m
			wait 10s
			a <`},
		{name: "SN-6.13-1 REGISTER is sent again", script: clean + `
			a > 12 20 0001 "b/+"
			a < 13 20 0000 0001 00
			send b/1 1 x
			a < 0a 0001 $r "b/1"
			wait 10s
			a < 0a 0001 $r "b/1"
			a > 0b 0001 $r 00
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 00
			wait 20s
			a <`},
		{name: "SN-6.13-1 an answer starts the count anew", script: repeatOne + `
			send aaa 1 x
			a < 0c 20 0001 $m "x"
			wait 30s
			a < 0c a0 0001 $m "x" ; 0c a0 0001 $m "x" ; 0c a0 0001 $m "x"
			a > 0d 0001 $m 00
			send aaa 1 y
			a < 0c 20 0001 $n "y"
			wait 30s
			a < 0c a0 0001 $n "y" ; 0c a0 0001 $n "y" ; 0c a0 0001 $n "y"
			a > 0d 0001 $n 00`},
		{name: "SN-6.13-5 SUBSCRIBE, REGISTER and UNSUBSCRIBE that were sent again are answered again", script: repeatOne + `
			a > 12 c0 0001 "aaa"
			a < 13 40 0001 0001 00
			a > 0a 0000 0002 "bbb"
			a < 0b 0002 0002 00
			a > 0a 0000 0002 "bbb"
			a < 0b 0002 0002 00
			a > 14 00 0003 "aaa"
			a < 15 0003
			a > 14 80 0003 "aaa"
			a < 15 0003`},
		{name: "SN-6.13-3 a queue of a lost client is there when it comes back", script: kept + `
			a > 12 20 0001 "aaa"
			a < 13 20 0001 0001 00
			send aaa 1 x
			a < 0c 20 0001 $m "x"
			wait 30s
			a < 0c a0 0001 $m "x" ; 0c a0 0001 $m "x" ; 0c a0 0001 $m "x"
			wait 10s
			a < 18
			a unknown
			a > 04 00 01 003c "c1"
			a < 05 00 ; 0a 0001 $r "aaa"
			a > 0b 0001 $r 00
			a < 0c a0 0001 $n "x"
			a > 0d 0001 $n 00`},
	}
}

// renewScenes are of clients that are there, though they did not answer.
func renewScenes() []scene {
	return []scene{
		{name: "SN-6.13-6 a client that pings gets what it did not answer at once", script: repeatOne + `
			send aaa 1 x
			a < 0c 20 0001 $m "x"
			a > 16
			a < 17 // it may be on its way still
			wait 12s
			a < 0c a0 0001 $m "x"
			a > 16
			a < 17 ; 0c a0 0001 $m "x"
			wait 9s
			a <
			a > 0d 0001 $m 00
			wait 30s
			a <`},
		{name: "SN-6.13-6 SN-6.13-3 a client that was heard of is not lost but gets the message later", set: func(u *setup) { u.cfg.Retries = 1 }, script: `
			a > 04 08 01 003c "c1"
			a < 06
			a > 07 00 "will"
			a < 08
			a > 09 "gone"
			a < 05 00
			a > 12 20 0001 "aaa"
			a < 13 20 0001 0001 00
			send aaa 1 x
			a < 0c 20 0001 $m "x"
			wait 5s
			a > 16
			a < 17
			wait 30s
			a < 0c a0 0001 $m "x"
			seen
			wait 40s
			a <
			a > 0c 00 0001 0000 "y"
			a < 0c a0 0001 $m "x" ; 0c 00 0001 0000 "y"
			a > 0d 0001 $m 00
			seen aaa=y
			send aaa 1 z
			a < 0c 20 0001 $n "z"
			wait 20s
			a < 0c a0 0001 $n "z" ; 18
			seen will=gone`},
		{name: "SN-6.13-6 SN-6.13-3 who answers nothing but pings is lost in the end", set: func(u *setup) { u.cfg.Retries = 1 }, script: `
			a > 04 00 01 003c "c1"
			a < 05 00
			a > 12 20 0001 "aaa"
			a < 13 20 0001 0001 00
			send aaa 1 x
			a < 0c 20 0001 $m "x"
			wait 15s
			a < 0c a0 0001 $m "x"
			a > 16
			a < 17 ; 0c a0 0001 $m "x"
			wait 15s
			a < 0c a0 0001 $m "x"
			a > 16
			a < 17
			wait 5s
			a < 18
			a unknown`},
		{name: "SN-6.13-6 SN-6.11-4 a parked message does not keep a silent client", set: func(u *setup) { u.cfg.Retries = 1 }, script: `
			a > 04 04 01 003c "c1"
			a < 05 00
			a > 12 20 0001 "b/+"
			a < 13 20 0000 0001 00
			send b/1 1 x
			a < 0a 0001 $r "b/1"
			wait 5s
			a > 16
			a < 17
			wait 89s
			a < 0a 0001 $r "b/1"
			a known
			wait 2s
			a unknown`},
	}
}
