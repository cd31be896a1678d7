package coap

import (
	"strings"

	"github.com/fairlead-iot/fairlead/core"
)

// proxied subscribes every client by proxy.
func proxied(filters ...string) func(*setup) {
	return func(s *setup) {
		for _, f := range filters {
			s.core.Config.Subscriptions = append(s.core.Config.Subscriptions, core.ProxySubscription{Filter: f, QoS: 1})
		}
	}
}

func proxyScenes() []scene {
	return []scene{
		{name: "Fairlead-observe-1 Fairlead-observe-2: one request connects and observes what the client is subscribed to by proxy", set: proxied("cmd/%c/#", "all"), script: `
			mqtt p retain cmd/dev/mode eco
			a > CON GET 1 /mqtt/connection?c=dev tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			a < CON 2.05 $a tok=a1 etag=* obs=* loc=ps loc=cmd loc=dev loc=mode ct=42 'eco'
			a > ACK EMPTY $a
			mqtt p publish all 1 hello
			a < CON 2.05 $b tok=a1 etag=* obs=* loc=ps loc=all ct=42 'hello'
			a > ACK EMPTY $b
			mqtt p publish cmd/other/mode 1 x
			a nothing
			a > CON GET 2 /mqtt/connection?c=dev tok=a1 obs=1
			a < ACK 2.05 2 tok=a1
			mqtt p publish all 1 unheard
			a nothing
			a > CON GET 3 /mqtt/connection?c=dev tok=a2 obs=0 // the subscriptions are core's: they go on
			a < ACK 2.05 3 tok=a2 obs=*
			mqtt p publish all 1 again
			a < CON 2.05 $c tok=a2 etag=* obs=* loc=ps loc=all ct=42 'again'
			a > ACK EMPTY $c`},
		{name: "Fairlead-observe-1: with a token, and by who proves who it is only", set: func(s *setup) { guarded(s); proxied("all")(s) }, script: `
			a > CON GET 1 /mqtt/connection?c=dev&u=ann&p=wrong tok=a1 obs=0
			a < ACK 4.01 1 tok=a1 'bad user name or password'
			a > CON GET 2 /mqtt/connection?c=dev&t=guessed tok=a1 obs=0
			a < ACK 4.01 2 tok=a1 'the token is not known here; POST /mqtt/connection gives one'
			a > CON POST 3 /mqtt/connection?c=dev&u=ann&p=secret
			a < ACK 2.01 3 '$token'
			a > CON GET 4 /mqtt/connection?c=dev&t=$token tok=a1 obs=0
			a < ACK 2.05 4 tok=a1 obs=*
			mqtt p publish all 1 x
			a < CON 2.05 $a tok=a1 etag=* obs=* loc=ps loc=all ct=42 'x'
			a > ACK EMPTY $a`},
		{name: "Fairlead-observe-3: a session that lasts is told without asking again, after a restart, too", set: proxied("cmd/%c"), script: `
			a > CON GET 1 /mqtt/connection?c=dev&expiry=3600 tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			a lost
			mqtt p publish cmd/dev 1 asleep
			restart
			mqtt p publish cmd/dev 1 restarted
			b > CON POST 1 /mqtt/connection?c=dev&expiry=3600 // heard of again, elsewhere
			b < ACK 2.01 1 '$token'
			b < CON 2.05 $a tok=a1 etag=* obs=* loc=ps loc=cmd loc=dev ct=42 'asleep'
			b > ACK EMPTY $a
			b < CON 2.05 $b tok=a1 etag=* obs=* loc=ps loc=cmd loc=dev ct=42 'restarted'
			b > ACK EMPTY $b
			b nothing`},
		{name: "Fairlead-observe-2: an observation of a topic goes first", set: proxied("a/#"), script: `
			a > CON GET 1 /mqtt/connection?c=dev tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			a > CON GET 2 /ps/a/own?c=dev tok=a2 obs=0
			a < ACK 2.05 2 tok=a2 obs=*
			mqtt p publish a/own 1 x
			a < CON 2.05 $a tok=a2 etag=* obs=* ct=42 'x'
			a > ACK EMPTY $a
			mqtt p publish a/other 1 y
			a < CON 2.05 $b tok=a1 etag=* obs=* loc=ps loc=a loc=other ct=42 'y'
			a > ACK EMPTY $b
			a > CON GET 3 /ps/a/own?c=dev tok=a2 obs=1
			a < ACK 2.05 3 tok=a2
			mqtt p publish a/own 1 z
			a < CON 2.05 $c tok=a1 etag=* obs=* loc=ps loc=a loc=own ct=42 'z'
			a > ACK EMPTY $c`},
	}
}

// proxyBoundScenes show what of the connection's messages is not told as it is.
func proxyBoundScenes() []scene {
	long := strings.Repeat("x", 256)
	return []scene{
		{name: "Block-2.6-1: a large message of the connection comes block by block", set: func(s *setup) { proxied("all")(s); s.coap.BlockSize = 16 }, script: `
			a > CON GET 1 /mqtt/connection?c=dev tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p publish all 1 v*20
			a < CON 2.05 $a tok=a1 etag=* obs=* loc=ps loc=all ct=42 b2=0/m/16 size2=20 'v*16'
			a > ACK EMPTY $a
			a > CON GET 2 /mqtt/connection?c=dev tok=a2 b2=1/-/16
			a < ACK 2.05 2 tok=a2 etag=* ct=42 b2=1/-/16 'vvvv'
			mqtt p publish all 1 next
			a < CON 2.05 $b tok=a1 etag=* obs=* loc=ps loc=all ct=42 'next'
			a > ACK EMPTY $b`},
		{name: "Fairlead-observe-2: a topic that is too long to be told is dropped by name", set: proxied("#"), script: `
			a > CON GET 1 /mqtt/connection?c=dev tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p publish ` + long + ` 1 x
			a nothing
			mqtt p publish ` + strings.Repeat("x/", 150) + ` 1 x
			a nothing
			mqtt p publish fits 1 y
			a < CON 2.05 $a tok=a1 etag=* obs=* loc=ps loc=fits ct=42 'y'
			a > ACK EMPTY $a`},
		{name: "what nobody observes is dropped, and the connection is there to be read", set: proxied("all"), script: `
			a > CON POST 1 /mqtt/connection?c=dev
			a < ACK 2.01 1 '$token'
			mqtt p publish all 1 unheard
			a nothing
			a > CON GET 2 /mqtt/connection?c=dev&t=$token
			a < ACK 2.05 2
			a > CON GET 3 /mqtt/connection?c=dev&t=$token tok=a1 obs=0
			a < ACK 2.05 3 tok=a1 obs=*
			a nothing`},
	}
}
