package coap

func lastingScenes() []scene {
	return []scene{
		{name: "an observation survives a restart of the gateway", script: `
			a > CON POST 1 /mqtt/connection?c=dev&expiry=3600
			a < ACK 2.01 1 '$token'
			a > CON GET 2 /ps/t?c=dev&t=$token tok=a1 obs=0
			a < ACK 2.05 2 tok=a1 obs=*
			a > CON GET 3 /ps/u?c=dev&t=$token&notify=latest tok=a2 obs=0 accept=50
			a < ACK 2.05 3 tok=a2 obs=*
			mqtt p publish t 1 before
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'before'
			restart
			mqtt p publish t 1 meanwhile
			mqtt p publish u 1 one
			mqtt p publish u 1 two
			a nothing
			a > CON POST 9 /mqtt/connection?c=dev&expiry=3600 // heard of again
			a < ACK 2.01 9 '$other'
			a < CON 2.05 $b tok=a2 etag=* obs=* ct=50 'two'
			a > ACK EMPTY $b
			a < CON 2.05 $c tok=a1 etag=* obs=* ct=42 'before' // it was not confirmed
			a > ACK EMPTY $c
			a < CON 2.05 $d tok=a1 etag=* obs=* ct=42 'meanwhile'
			a > ACK EMPTY $d
			mqtt p publish t 1 after
			a < CON 2.05 $e tok=a1 etag=* obs=* ct=42 'after'
			a > ACK EMPTY $e`},
		{name: "what waits for a forgotten observation goes to the new one, whose token came before the reset", script: `
			a > CON POST 1 /mqtt/connection?c=dev&expiry=3600
			a < ACK 2.01 1 '$token'
			a > CON GET 2 /ps/t?c=dev&t=$token tok=a1 obs=0
			a < ACK 2.05 2 tok=a1 obs=*
			mqtt p publish t 1 one
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			a > CON GET 3 /ps/t?c=dev&t=$token tok=a2 obs=0
			a < ACK 2.05 3 tok=a2 obs=*
			mqtt p publish t 1 two
			a > RST EMPTY $a
			a < CON 2.05 $b tok=a2 etag=* obs=* ct=42 'one'
			a > ACK EMPTY $b
			a < CON 2.05 $c tok=a2 etag=* obs=* ct=42 'two'
			a > ACK EMPTY $c
			a nothing`},
		{name: "an observation that was ended stays so", script: `
			a > CON POST 1 /mqtt/connection?c=dev&expiry=3600
			a < ACK 2.01 1 '$token'
			a > CON GET 2 /ps/t?c=dev&t=$token tok=a1 obs=0
			a < ACK 2.05 2 tok=a1 obs=*
			a > CON GET 3 /ps/t?c=dev&t=$token tok=a1 obs=1
			a < ACK 2.05 3 tok=a1
			restart
			mqtt p publish t 1 x
			a > CON POST 9 /mqtt/connection?c=dev&expiry=3600
			a < ACK 2.01 9 '$other'
			a nothing`},
		{name: "an observation goes on at another address", script: `
			a > CON POST 1 /mqtt/connection?c=dev&expiry=3600
			a < ACK 2.01 1 '$token'
			a > CON GET 2 /ps/t?c=dev&t=$token tok=a1 obs=0
			a < ACK 2.05 2 tok=a1 obs=*
			b > CON POST 1 /mqtt/connection?c=dev
			b < ACK 2.01 1 '$other'
			a gone
			a nothing
			mqtt p publish t 1 x
			b < CON 2.05 $b tok=a1 etag=* obs=* ct=42 'x'
			b > ACK EMPTY $b`},
		{name: "a value that is sent in passing ends no session that lasts", set: func(s *setup) { s.coap.MaxRetransmit = 0 }, script: `
			a > CON POST 1 /mqtt/connection?c=dev&expiry=3600
			a < ACK 2.01 1 '$token'
			a > CON GET 2 /ps/t?c=dev&t=$token tok=a1 obs=0
			a < ACK 2.05 2 tok=a1 obs=*
			a lost
			b > CON PUT 1 /mqtt/v?c=dev 'passing'
			b < ACK 2.04 1
			mqtt p publish t 1 kept
			b < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'kept' // where it was heard last
			wait 10s
			b gone
			c > CON POST 1 /mqtt/connection?c=dev
			c < ACK 2.01 1 '$other'
			c < CON 2.05 $b tok=a1 etag=* obs=* ct=42 'kept'
			c > ACK EMPTY $b`},
		{name: "what MQTT subscribed waits for MQTT, or for an observer", script: `
			mqtt dev durable
			mqtt dev subscribe t 1
			mqtt dev subscribe v 1
			a > CON GET 1 /ps/u?c=dev tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p publish t 1 one
			mqtt p publish v 1 two
			a nothing
			a > CON GET 2 /ps/t tok=a2 obs=0 // the client is linked, but shows nothing
			a < ACK 4.01 2 tok=a2 'credentials are missing'
			a > CON GET 3 /ps/t?c=dev tok=a2 obs=0
			a < ACK 2.05 3 tok=a2 obs=*
			a < CON 2.05 $a tok=a2 etag=* obs=* ct=42 'one'
			a > ACK EMPTY $a
			a lost
			mqtt dev again
			mqtt dev got v 1 two;`},
	}
}
