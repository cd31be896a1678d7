package coap

import (
	"net/netip"
	"time"
)

func sessionScenes() []scene {
	return []scene{
		{name: "EMQX-connection-1: a connection with its token, heartbeat and end", set: guarded, script: `
			mqtt s subscribe t 0
			a > CON POST 1 /mqtt/connection?clientid=dev&username=ann&password=secret
			a < ACK 2.01 1 '$token'
			a > CON POST 2 /ps/t?clientid=dev&token=$token 'x'
			a < ACK 2.04 2
			a > CON PUT 3 /mqtt/connection?c=dev&t=$token
			a < ACK 2.04 3
			a > CON POST 4 /ps/t?c=dev&t=wrong 'x'
			a < ACK 4.01 4 'the token is not known here; POST /mqtt/connection gives one'
			a > CON POST 5 /ps/t?c=other&t=$token 'x'
			a < ACK 4.01 5 'the token is not known here; POST /mqtt/connection gives one'
			a > CON POST 6 /ps/t 'x'
			a < ACK 4.01 6 'credentials are missing'
			a > CON DELETE 7 /mqtt/connection?c=dev&t=$token
			a < ACK 2.02 7
			a > CON POST 8 /ps/t?c=dev&t=$token 'x'
			a < ACK 4.01 8 'the token is not known here; POST /mqtt/connection gives one'
			a > CON PUT 9 /mqtt/connection?c=dev&u=ann&p=secret
			a < ACK 4.01 9 'the token is not known here; POST /mqtt/connection gives one'`},
		{name: "EMQX-connection-2: a connection without heartbeat ends", set: guarded, script: `
			a > CON POST 1 /mqtt/connection?c=dev&u=ann&p=secret
			a < ACK 2.01 1 '$token'
			wait 100s
			a > CON PUT 2 /mqtt/connection?c=dev&t=$token
			a < ACK 2.04 2
			wait 181s
			a > CON PUT 3 /mqtt/connection?c=dev&t=$token
			a < ACK 4.01 3 'the token is not known here; POST /mqtt/connection gives one'`},
		{name: "a client is one at a time: a second address takes the session over", script: `
			a > CON GET 1 /mqtt/t?c=dev obs=0 tok=01
			a < ACK 2.05 1 tok=01 obs=*
			b > CON PUT 1 /mqtt/t?c=dev 'x'
			b < ACK 2.04 1
			a < NON 5.03 $n tok=01 maxage=10 'the session has ended'
			a gone`},
		{name: "one address is one client at a time", script: `
			mqtt s subscribe # 0
			a > CON PUT 1 /mqtt/t?c=one 'x'
			a < ACK 2.04 1
			a > CON PUT 2 /mqtt/t?c=two 'y'
			a < ACK 2.04 2
			mqtt s got t 0 x;t 0 y;`},
		{name: "Echo-2.4-1 Echo-2.3-1 Echo-2.3-2 CoAP-11.3-1: a large answer asks for the address first", set: func(s *setup) { s.coap.Echo = echoAnswers }, script: `
			mqtt p retain t v*200
			a > CON GET 1 /ps/t tok=01
			a < ACK 4.01 1 tok=01 echo=$echo
			a > CON GET 2 /ps/t tok=01 echo=000000000000000000000000
			a < ACK 4.01 2 tok=01 echo=*
			b > CON GET 1 /ps/t echo=$echo // made for another
			b < ACK 4.01 1 echo=*
			a > CON GET 3 /ps/t tok=01 echo=$echo
			a < ACK 2.05 3 tok=01 etag=* ct=42 'v*200'
			a proven
			a > CON GET 4 /ps/t
			a < ACK 2.05 4 etag=* ct=42 'v*200'`},
		{name: "Echo-2.3-2: an old value is none", set: func(s *setup) { s.coap.Echo = echoAnswers }, script: `
			mqtt p retain t v*200
			a > CON GET 1 /ps/t
			a < ACK 4.01 1 echo=$echo
			wait 62s
			a > CON GET 2 /ps/t echo=$echo
			a < ACK 4.01 2 echo=*`},
		{name: "Echo-2.4-1: nothing is done for an address that was not shown, where that is wanted", set: func(s *setup) { s.coap.Echo = echoAll }, script: `
			mqtt s subscribe t 0
			a > CON PUT 1 /mqtt/t?c=a 'x'
			a < ACK 4.01 1 echo=$echo
			mqtt s got
			a > CON PUT 2 /mqtt/t?c=a echo=$echo 'x'
			a < ACK 2.04 2
			mqtt s got t 0 x;`},
		{name: "CoAP-11.3-1: a password that nobody asked for proves nothing", set: func(s *setup) { s.coap.Echo = echoAnswers }, script: `
			mqtt p retain t v*200
			a > CON GET 1 /mqtt/t?c=a&u=x&p=y
			a < ACK 4.01 1 echo=*`},
		{name: "CoAP-11.3-1: a client that has proved who it is needs no Echo", set: func(s *setup) { guarded(s); s.coap.Echo = echoAnswers }, script: `
			mqtt p retain t v*200
			a > CON GET 1 /mqtt/t?c=a&u=ann&p=secret
			a < ACK 2.05 1 etag=* ct=42 'v*200'
			a proven`},
		{name: "CoAP-11.3-1 CoAP-4.2-2: before the first notification a ping asks whether the address is the client's own", set: func(s *setup) { s.coap.Echo = echoAnswers }, script: `
			a > CON GET 1 /mqtt/t?c=a obs=0 tok=01
			a < ACK 2.05 1 tok=01 obs=*
			mqtt p publish t 1 v*100
			a < CON EMPTY $p
			a nothing
			a > RST EMPTY $p
			a proven
			a < CON 2.05 $n tok=01 etag=* obs=* ct=42 'v*100'
			a > ACK EMPTY $n`},
		{name: "Echo-2.4-1: DTLS needs no Echo", set: func(s *setup) { s.coap.Echo = echoAll; s.info.Secure = true }, script: `
			mqtt p retain t v*200
			a > CON GET 1 /ps/t
			a < ACK 2.05 1 etag=* ct=42 'v*200'`},
		{name: "CoAP-8.1-1 CoAP-8.2-1 CoAP-8.2-2: requests to a group", set: func(s *setup) {
			s.info.Local = netip.MustParseAddrPort("224.0.1.187:5683")
		}, script: `
			a > CON GET 1 /.well-known/core?rt=core.ps
			a nothing
			a > NON GET 2 /.well-known/core?rt=core.ps
			a < NON 2.05 $n ct=40 '</ps>;rt="core.ps";ct=40'
			a > NON GET 3 /.well-known/core?rt=other
			a nothing
			a > NON GET 4 /nowhere
			a nothing
			a > NON PUT 5 /ps/t 'x'
			a nothing
			a > CON EMPTY 6
			a nothing`},
		{name: "CoAP-5.9.3-1: messages beyond the listener's rates are told to wait, and all else goes on", rate: 1, script: `
			mqtt s subscribe t 0
			a > CON PUT 1 /ps/t?c=dev 'x'
			a < ACK 2.04 1
			a > CON PUT 2 /ps/t?c=dev 'y'
			a < ACK 4.29 2 maxage=10 'message_rate_too_high'
			a > NON PUT 3 /mqtt/t?c=dev&q=0 'z'
			a < NON 4.29 $n maxage=10 'message_rate_too_high'
			a > CON DELETE 4 /ps/t?c=dev
			a < ACK 4.29 4 maxage=10 'message_rate_too_high'
			a > CON GET 5 /ps/t?c=dev obs=0 tok=01
			a < ACK 2.05 5 tok=01 obs=*
			mqtt s got t 0 x;`},
		{name: "a rate over TCP refuses nothing: less is read", stream: true, rate: 1, script: `
			mqtt s subscribe t 0
			a > MSG CSM
			a < MSG CSM *
			a > MSG PUT /ps/t?c=dev 'x'
			a < MSG 2.04
			a > MSG PUT /ps/t?c=dev 'y'
			a < MSG 2.04
			mqtt s got t 0 x;t 0 y;`},
		{name: "CoAP-4.7-2: more requests than may wait are told so", set: func(s *setup) { s.coap.MaxPending = 1; s.slow.delay = 800 * time.Millisecond }, script: `
			b > CON POST 1 /mqtt/connection?c=b&expiry=60
			wait 1s
			b < ACK 2.01 1 '$token'
			b > CON GET 2 /ps/t?c=b&t=$token obs=0 tok=0b
			wait 1s
			b < ACK 2.05 2 tok=0b obs=*
			a > CON PUT 1 /ps/t 'x'
			a > CON PUT 2 /ps/t 'y'
			a < ACK 5.03 2 maxage=10 'too many requests wait for their answer'
			wait 2s
			a < ACK 2.04 1
			b < CON 2.05 $n tok=0b etag=* obs=* ct=42 'x'
			b > ACK EMPTY $n`},
	}
}
