package mqttsn

import "github.com/fairlead-iot/fairlead/core"

const sleepOne = kept + `
			a > 12 40 0001 "aaa"
			a < 13 40 0001 0001 00`
const sleepSleeps = sleepOne + `
			a > 18 0064
			a < 18`
const sleepWilling = `
			a > 04 08 01 003c "c1"
			a < 06
			a > 07 00 "will"
			a < 08
			a > 09 "gone"
			a < 05 00
			a > 12 20 0001 "aaa"
			a < 13 20 0001 0001 00
			a > 18 0064
			a < 18`

func sleepScenes() []scene {
	return []scene{
		{name: "SN-6.14-1 SN-6.14-2 SN-6.14-3 SN-6.14-4 SN-6.14-5 SN-6.14-6 messages gather, come one by one, then PINGRESP", script: sleepSleeps + `
			send aaa 1 x
			send aaa 2 y
			send aaa 0 lost
			a <
			a > 16 "c1"
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 00
			a < 0c 40 0001 $n "y"
			a > 0f $n
			a < 10 $n
			a > 0e $n
			a < 17
			a known`},
		{name: "SN-6.14-5 nothing gathered: PINGRESP at once", script: sleepSleeps + `
			a > 16 "c1"
			a < 17
			a > 16 "c1"
			a < 17`},
		{name: "SN-6.14-5 what comes while it fetches waits", script: sleepSleeps + `
			send aaa 1 x
			a > 16 "c1"
			a < 0c 20 0001 $m "x"
			send aaa 1 y
			a > 0d 0001 $m 00
			a < 17
			a > 16 "c1"
			a < 0c 20 0001 $n "y"
			a > 0d 0001 $n 00
			a < 17`},
		{name: "SN-6.14-6 SN-7.2-2 the sleep timer begins anew with each PINGRESP", script: sleepSleeps + `
			wait 109s
			a > 16 "c1"
			a < 17
			wait 109s
			a > 16 "c1"
			a < 17
			wait 111s
			a unknown`},
		{name: "SN-6.14-3 late: the Will goes out", script: sleepWilling + `
			wait 109s
			seen
			a known
			wait 2s
			seen will=gone
			a unknown`},
		{name: "SN-6.14-7 CONNECT makes it active; what gathered comes", script: sleepSleeps + `
			send aaa 1 x
			a > 04 00 01 003c "c1"
			a < 05 00 ; 0a 0001 $r "aaa"
			a > 0b 0001 $r 00
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 00
			a > 16
			a < 17`},
		{name: "SN-6.14-7 DISCONNECT ends the session's sleep, without Will", script: sleepWilling + `
			a > 18
			a < 18
			a unknown
			wait 200s
			seen`},
		{name: "SN-6.14-7 DISCONNECT with another duration", script: sleepSleeps + `
			wait 60s
			a > 18 0e10
			a < 18
			wait 1h
			a known
			wait 7m
			a unknown`},
		{name: "SN-6.14-2 a DISCONNECT that was sent again is answered again", script: sleepSleeps + `
			a > 18 0064
			a < 18`},
		{name: "SN-6.14-11 a sleeping client that takes itself for active is told to connect", script: sleepSleeps + `
			a > 0c 20 0001 0001 "x"
			a < 18
			a > 16
			a < 18
			a > 12 00 0002 "b"
			a < 18
			seen
			a > 16 "c1"
			a < 17`},
		{name: "SN-6.14-3 a clean session sleeps as well", script: clean + `
			a > 12 20 0001 "aaa"
			a < 13 20 0001 0001 00
			a > 18 0064
			a < 18
			send aaa 1 x
			a > 16 "c1"
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 00
			a < 17`},
		{name: "SN-6.14-3 QoS 0 gathers where the configuration says so", set: func(u *setup) { u.core.Config.QueueQoS0 = true }, script: sleepSleeps + `
			send aaa 0 x
			send aaa 0 y
			a > 16 "c1"
			a < 0c 00 0001 0000 "x" ; 0c 00 0001 0000 "y" ; 17`},
		{name: "SN-6.14-3 no more than the queue holds", set: func(u *setup) { u.core.Config.MaxQueued = 2 }, script: sleepSleeps + `
			send aaa 1 x
			send aaa 1 y
			send aaa 1 dropped
			a > 16 "c1"
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 00
			a < 0c 20 0001 $n "y"
			a > 0d 0001 $n 00
			a < 17`},
	}
}

// returnScenes are of sleeping clients that wake to another gateway, or elsewhere.
func returnScenes() []scene {
	return []scene{
		{name: "SN-6.14-8 SN-7.3-2 the gateway is killed: the client wakes by PINGREQ, with its queue, and no topic is told anew", script: sleepSleeps + `
			send aaa 1 x
			restart
			send aaa 1 y
			a unknown
			a > 16 "c1"
			a < 0c a0 0001 $m "x"
			a > 0d 0001 $m 00
			a < 0c 20 0001 $n "y"
			a > 0d 0001 $n 00
			a < 17
			a > 0c 61 0009 0000 "x"
			a > 16 "c1"
			a < 17`},
		{name: "SN-6.14-8 the gateway ends in order: a sleeping client hears nothing of it", script: sleepWilling + `
			send aaa 1 x
			stop
			a <
			a > 16 "c1"
			a < 0c a0 0001 $m "x"
			a > 0d 0001 $m 00
			a < 17
			seen`},
		{name: "SN-6.14-3 after a restart it may still be late", script: sleepWilling + `
			restart
			wait 109s
			seen
			wait 2s
			seen will=gone`},
		{name: "SN-6.14-10 another address: the client has to connect, and its queue is kept", script: sleepSleeps + `
			send aaa 1 x
			a moves
			a > 16 "c1"
			a < 18
			a unknown
			a > 04 00 01 003c "c1"
			a < 05 00 ; 0a 0001 $r "aaa"
			a > 0b 0001 $r 00
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 00`},
		{name: "SN-6.14-10 another address after a restart, too", script: sleepSleeps + `
			restart
			a moves
			a > 16 "c1"
			a < 18
			a unknown`},
		{name: "SN-6.14-9 another address where something else proves who it is", set: func(u *setup) { u.secure = true }, script: sleepSleeps + `
			send aaa 1 x
			a moves
			a > 16 "c1"
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 00
			a < 17`},
		{name: "SN-6.14-9 another address with a token", set: func(u *setup) {
			u.cfg.TokenSeparator = ":"
			u.core.Authenticators = []core.Authenticator{oneUser{}}
		}, script: `
			a > 04 00 01 003c "pump:secret"
			a < 05 00
			a > 18 0064
			a < 18
			a moves
			a > 16 "pump:guess"
			a < 18
			a > 16 "pump"
			a < 18
			a > 16 "pump:secret"
			a < 17`},
		{name: "SN-6.14-10 who does not sleep cannot wake", script: clean + `
			b > 16 "c1"
			b < 18
			b unknown
			b > 16 "nobody"
			b < 18
			a > 16
			a < 17`},
		{name: "SN-6.13-3 a client that falls silent while it is awake sleeps on", script: sleepSleeps + `
			send aaa 1 x
			a > 16 "c1"
			a < 0c 20 0001 $m "x"
			wait 30s
			a < 0c a0 0001 $m "x" ; 0c a0 0001 $m "x" ; 0c a0 0001 $m "x"
			wait 20s
			a known
			a > 16 "c1"
			a < 0c a0 0001 $n "x"
			a > 0d 0001 $n 00
			a < 17`},
		{name: "SN-6.14-5 SN-6.10-3 topics that are new while it sleeps are introduced when it wakes", script: kept + `
			a > 12 20 0001 "b/+"
			a < 13 20 0000 0001 00
			a > 18 0064
			a < 18
			send b/1 1 x
			send b/2 1 y
			a > 16 "c1"
			a < 0a 0001 $r "b/1"
			a > 0b 0001 $r 00
			a < 0c 20 0001 $m "x"
			a > 0d 0001 $m 00
			a < 0a 0002 $s "b/2"
			a > 0b 0002 $s 00
			a < 0c 20 0002 $n "y"
			a > 0d 0002 $n 00
			a < 17
			restart
			send b/2 1 z
			a > 16 "c1"
			a < 0c 20 0002 $o "z"
			a > 0d 0002 $o 00
			a < 17`},
	}
}

func forwarderScenes() []scene {
	return []scene{
		{name: "SN-5.5-1 SN-5.5-2 SN-5.5-3 nodes behind a forwarder are clients of their own", script: `
			f/01 > 04 04 01 003c "n1"
			f/01 < 05 00
			f/0203 > 04 04 01 003c "n2"
			f/0203 < 05 00
			f/01 > 0a 0000 0001 "aaa"
			f/01 < 0b 0001 0001 00
			f/0203 > 12 20 0001 "aaa"
			f/0203 < 13 20 0001 0001 00
			f/01 > 0c 20 0001 0002 "x"
			f/01 < 0d 0001 0002 00
			f/0203 < 0c 20 0001 $m "x"
			f/0203 > 0d 0001 $m 00
			seen aaa=x
			f/01 > 18
			f/01 < 18
			f/01 unknown
			f/0203 known`},
		{name: "SN-5.5-3 SN-6.1-2 a search through a forwarder", script: `
			f/07 > 01 01
			f/07 < 02 01
			f/07 unknown`},
		{name: "SN-5.5-1 the forwarder itself may be a client", script: `
			f > 04 04 01 003c "f"
			f < 05 00
			f/01 > 0c 00 0001 0000 "x"
			f/01 < 18
			f > 16
			f < 17`},
		{name: "SN-5.5-1 broken capsules are not answered", script: `
			f raw 03 fe 00 02 16
			f raw 09 fe 00 01
			f raw 04 fe 00 01
			f raw 04 fe 00 01 04 fe 00 02 02 16
			f <
			f unknown`},
	}
}

func addressScenes() []scene {
	return []scene{
		{name: "SN-0-2 no more than three times what came goes to an address that nobody has proven", script: `
			a > 04 00 01 003c "sensor-01"
			a < 05 00
			a > 12 21 0001 0065
			a < 13 20 0000 0001 00
			a > 18 0064
			a < 18
			send plant/one 1 0123456789012345678901234567890123456789
			restart
			a > 16 "sensor-01"
			a < 0a 0001 $r "plant/one"
			a <
			a > 0b 0001 $r 00
			a < 0c a0 0001 $m "0123456789012345678901234567890123456789"
			a > 0d 0001 $m 00
			a < 17`},
		{name: "SN-0-1 whose answer names the identifier that was sent is there", script: kept + `
			a > 12 21 0001 0065
			a < 13 20 0000 0001 00
			a > 18 0064
			a < 18
			send plant/one 1 short
			send plant/one 1 0123456789012345678901234567890123456789
			restart
			a > 16 "c1"
			a < 0c a1 0065 $m "short"
			a > 0d 0001 $m 00
			a < 0c a1 0065 $n "0123456789012345678901234567890123456789"
			a > 0d 0001 $n 00
			a < 17`},
		{name: "SN-0-2 SN-6.13-1 what could not be repeated asks for the proof first, which can", script: `
			a > 04 00 01 0000 "sensor-3"
			a < 05 00
			a > 12 20 0001 "order/3"
			a < 13 20 0001 0001 00
			send order/3 1 0123456789012345678901234567890123456789
			a < 0a 0001 $r "order/3"
			wait 10s
			a < 0a 0001 $r "order/3"
			a > 0b 0001 $r 00
			a < 0c 20 0001 $m "0123456789012345678901234567890123456789"
			wait 10s
			a < 0c a0 0001 $m "0123456789012345678901234567890123456789"
			a > 0d 0001 $m 00`},
		{name: "SN-0-2 SN-6.13-3 who was not sent a repetition, as it had no room, is not taken for lost", script: `
			a > 04 00 01 0000 "c1"
			a < 05 00
			a > 12 21 0001 0065
			a < 13 20 0000 0001 00
			send plant/one 1 12345678
			a < 0c 21 0065 $m "12345678"
			wait 10s
			a < 0c a1 0065 $m "12345678"
			wait 10m
			a <
			a known
			a > 16
			a < 17
			a > 16 "c1"
			a < 17 ; 0c a1 0065 $m "12345678"
			a > 0d 0065 $m 00`},
		{name: "SN-0-2 SN-6.10-4 nor is one that fetches, when it asks again", script: kept + `
			a > 12 21 0001 0065
			a < 13 20 0000 0001 00
			a > 18 0064
			a < 18
			send plant/one 1 short
			restart
			a > 16 "c1"
			a < 0c a1 0065 $m "short"
			wait 30s
			a <
			a > 16 "c1"
			a < 0c a1 0065 $m "short"
			a > 0d 0065 $m 00
			a < 17`},
		{name: "SN-0-2 a client that does not prove its address sleeps on", script: kept + `
			a > 12 20 0001 "a/name/that/is/longer/than/three/times/the/pingreq/of/its/client"
			a < 13 20 0001 0001 00
			a > 18 0064
			a < 18
			send a/name/that/is/longer/than/three/times/the/pingreq/of/its/client 1 0123456789012345678901234567890123456789
			restart
			a > 16 "c1"
			a <
			wait 41s
			a known
			a > 16 "c1"
			wait 5s
			a <`},
	}
}
