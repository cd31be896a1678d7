package coap

import "time"

func observeScenes() []scene {
	return []scene{
		{name: "Observe-3.6-1 Observe-4.1-1 Observe-4.1-4 Observe-4.4-1: a client observes, is notified, and ends it", script: `
			mqtt p retain t now
			a > CON GET 1 /ps/t tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 etag=* obs=* ct=42 'now'
			mqtt p publish t 1 next
			a < CON 2.05 $n tok=a1 etag=* obs=* ct=42 'next'
			a > ACK EMPTY $n
			mqtt p publish t 0 another
			a < CON 2.05 $m tok=a1 etag=* obs=* ct=42 'another'
			a > ACK EMPTY $m
			a > CON GET 2 /ps/t tok=a1 obs=1   // [Observe-3.6-1]
			a < ACK 2.05 2 tok=a1 etag=* ct=42 'now'
			mqtt p publish t 1 unheard
			a nothing`},
		{name: "Observe-4.1-2: the same token renews, it does not add", script: `
			a > CON GET 1 /ps/t tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			a > CON GET 2 /ps/t tok=a1 obs=0
			a < ACK 2.05 2 tok=a1 obs=*
			mqtt p publish t 1 x
			a < CON 2.05 $n tok=a1 etag=* obs=* ct=42 'x'
			a > ACK EMPTY $n
			a nothing`},
		{name: "Observe-4.1-1: two tokens are two relations, one subscription", script: `
			a > CON GET 1 /ps/t tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			a > CON GET 2 /ps/t tok=a2 obs=0
			a < ACK 2.05 2 tok=a2 obs=*
			mqtt p publish t 1 x
			a < CON 2.05 $n tok=a2 etag=* obs=* ct=42 'x'
			a > ACK EMPTY $n
			a < CON 2.05 $m tok=a1 etag=* obs=* ct=42 'x'
			a > ACK EMPTY $m
			a > CON GET 3 /ps/t tok=a1 obs=1
			a < ACK 2.05 3 tok=a1
			mqtt p publish t 1 y
			a < CON 2.05 $o tok=a2 etag=* obs=* ct=42 'y'
			a > ACK EMPTY $o`},
		{name: "Observe-4.1-3: what cannot be observed is answered without Observe", set: func(s *setup) { s.coap.MaxObservations = 1 }, script: `
			a > CON GET 1 /ps/t tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			a > CON GET 2 /ps/u tok=a2 obs=0
			a < ACK 2.05 2 tok=a2
			a > CON GET 3 /ps/t tok=a3 obs=7 // no value that means anything
			a < ACK 4.04 3 tok=a3 'nothing is retained there'`},
		{name: "CoAP-4.7-1 Observe-4.5-6: one notification is on its way, the others wait in order", script: `
			a > CON GET 1 /ps/t tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p publish t 1 one
			mqtt p publish t 0 two
			mqtt p publish t 1 three
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			a nothing
			a > ACK EMPTY $a
			a < CON 2.05 $b tok=a1 etag=* obs=* ct=42 'two'
			a > ACK EMPTY $b
			a < CON 2.05 $c tok=a1 etag=* obs=* ct=42 'three'
			a > ACK EMPTY $c
			a nothing`},
	}
}

func pacingScenes() []scene {
	return []scene{
		{name: "Observe-4.5-4: notify=latest conflates what waits", script: `
			a > CON GET 1 /ps/t?notify=latest tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p publish t 1 one
			mqtt p publish t 1 two
			mqtt p publish t 1 three
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			a > ACK EMPTY $a
			a < CON 2.05 $b tok=a1 etag=* obs=* ct=42 'three'
			a > ACK EMPTY $b
			a nothing`},
		{name: "Observe-4.5-5: a repetition shows the newest state, and counts on", set: func(s *setup) { s.coap.AckRandom = 1 }, script: `
			a > CON GET 1 /ps/t?n=latest tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p publish t 1 one
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			mqtt p publish t 1 two
			wait 2s
			a < CON 2.05 $b tok=a1 etag=* obs=* ct=42 'two'
			wait 3s
			a nothing
			wait 1s
			a < CON 2.05 $b tok=a1 etag=* obs=* ct=42 'two'
			a > ACK EMPTY $b
			wait 60s
			a nothing`},
		{name: "Observe-3.6-2: a reset ends the relation", script: `
			a > CON GET 1 /ps/t tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p publish t 1 one
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			a > RST EMPTY $a
			mqtt p publish t 1 two
			a nothing`},
		{name: "Observe-3.6-3: also of one that is not confirmable", script: `
			a > CON GET 1 /ps/t?q=0 tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p publish t 1 one
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one' // the first finds out how far the client is
			wait 50ms
			a > ACK EMPTY $a
			mqtt p publish t 1 two
			a < NON 2.05 $b tok=a1 etag=* obs=* ct=42 'two'
			a > RST EMPTY $b
			mqtt p publish t 1 three
			wait 1s
			a nothing`},
		{name: "Observe-4.5-1 Observe-4.5-2: notifications without confirmation keep their distance, and one a day is confirmed", script: `
			a > CON GET 1 /ps/t?q=0 tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p publish t 0 one
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			wait 100ms
			a > ACK EMPTY $a
			mqtt p publish t 0 two
			a < NON 2.05 $b tok=a1 etag=* obs=* ct=42 'two'
			mqtt p publish t 0 three
			wait 99ms
			a nothing
			wait 2ms
			a < NON 2.05 $c tok=a1 etag=* obs=* ct=42 'three'
			wait 3600s
			a < CON EMPTY $d
			a > RST EMPTY $d`},
		{name: "Observe-4.5-2 Observe-4.5-3 CoAP-4.2-4 CoAP-4.2-5: a client that is gone", set: func(s *setup) { s.coap.AckRandom = 1 }, script: `
			a > CON GET 1 /ps/t tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p publish t 1 one
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			wait 1999ms
			a nothing
			wait 1ms
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			wait 4s
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			wait 8s
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			wait 16s
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			wait 31999ms
			a nothing
			wait 1ms
			a nothing
			a gone`},
	}
}

func tellingScenes() []scene {
	return []scene{
		{name: "Observe-4.2-1 Observe-4.2-2: another Content-Format ends the relation", script: `
			mqtt p typed t application/json {}
			a > CON GET 1 /ps/t tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 etag=* obs=* ct=50 '{}'
			mqtt p publish t 1 untyped
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=50 'untyped'
			a > ACK EMPTY $a
			mqtt p typed t application/xml <x/>
			a < NON 4.06 $b tok=a1 'it is of type application/xml'
			mqtt p typed t application/json {}
			a nothing`},
		{name: "Observe-4.2-2: what is not acceptable is not observed", script: `
			mqtt p typed t application/json {}
			a > CON GET 1 /ps/t tok=a1 obs=0 accept=60
			a < ACK 4.06 1 tok=a1 'it is of type application/json'
			mqtt p publish t 1 x
			a nothing`},
		{name: "Observe-4.1-1: wildcards are observed, too", script: `
			mqtt p retain a/x kept
			a > CON GET 1 /ps/a/+ tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'kept'
			a > ACK EMPTY $a
			mqtt p publish a/b 1 x
			a < CON 2.05 $b tok=a1 etag=* obs=* ct=42 'x'
			a > ACK EMPTY $b
			a > CON GET 2 /ps/a/b/# tok=a2 obs=0
			a < ACK 2.05 2 tok=a2 obs=*
			a > CON GET 3 /ps/a/b+ tok=a3 obs=0
			a < ACK 4.00 3 tok=a3 *`},
		{name: "CoAP-5.10.5-1: a notification says how long it is fresh, and none is told that has lapsed", script: `
			a > CON GET 1 /ps/t tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p lapse t 20 brief
			mqtt p lapse t 1 briefer
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 maxage=20 'brief'
			wait 1500ms
			a > ACK EMPTY $a
			a nothing`},
		{name: "Block-2.6-1: a long notification shows its first block, and the next comes when the rest was fetched", set: func(s *setup) { s.coap.BlockSize = 64 }, script: `
			a > CON GET 1 /ps/t tok=a1 obs=0
			a < ACK 2.05 1 tok=a1 obs=*
			mqtt p publish t 1 x*100
			mqtt p publish t 1 next
			a < CON 2.05 $a tok=a1 etag=$e obs=* ct=42 b2=0/m/64 size2=100 'x*64'
			a > ACK EMPTY $a
			a nothing
			a > CON GET 2 /ps/t tok=b1 b2=1/-/64
			a < ACK 2.05 2 tok=b1 etag=$e ct=42 b2=1/-/64 'x*36'
			a < CON 2.05 $b tok=a1 etag=* obs=* ct=42 'next'
			a > ACK EMPTY $b
			mqtt p publish t 1 w*100
			a < CON 2.05 $w tok=a1 etag=$f obs=* ct=42 b2=0/m/64 size2=100 'w*64'
			a > CON GET 3 /ps/t tok=b2 b2=1/-/64 // before it acknowledges, as libcoap does
			a < ACK 2.05 3 tok=b2 etag=$f ct=42 b2=1/-/64 'w*36'
			a > ACK EMPTY $w
			mqtt p publish t 1 y*100
			mqtt p publish t 1 last
			a < CON 2.05 $c tok=a1 etag=* obs=* ct=42 b2=0/m/64 size2=100 'y*64'
			a > ACK EMPTY $c
			wait 8s // it does not want the rest
			a < CON 2.05 $d tok=a1 etag=* obs=* ct=42 'last'
			a > ACK EMPTY $d`},
		{name: "a session that lasts keeps what its observer did not confirm", set: func(s *setup) { s.coap.AckRandom = 1 }, script: `
			a > CON POST 1 /mqtt/connection?c=dev&expiry=600
			a < ACK 2.01 1 '$token'
			a > CON GET 2 /ps/t?c=dev&t=$token tok=a1 obs=0
			a < ACK 2.05 2 tok=a1 obs=*
			mqtt p publish t 1 one
			mqtt p publish t 1 two
			a < CON 2.05 $a tok=a1 etag=* obs=* ct=42 'one'
			a > RST EMPTY $a // it has restarted
			a nothing
			a > CON GET 3 /ps/t?c=dev&t=$token tok=a2 obs=0
			a < ACK 2.05 3 tok=a2 obs=*
			a < CON 2.05 $b tok=a2 etag=* obs=* ct=42 'one'
			a > ACK EMPTY $b
			a < CON 2.05 $c tok=a2 etag=* obs=* ct=42 'two'
			a > ACK EMPTY $c
			a > CON GET 4 /ps/t?c=dev&t=$token tok=a2 obs=1
			a < ACK 2.05 4 tok=a2
			mqtt p publish t 1 three
			a nothing`},
		{name: "CoAP-5.2.2-1: observing takes as long as the store", set: func(s *setup) { s.slow.delay = 3 * time.Second }, script: `
			a > CON POST 1 /mqtt/connection?c=dev&expiry=never
			wait 3s
			a < ACK 2.01 1 '$token'
			a > CON GET 2 /ps/t?c=dev&t=$token tok=a1 obs=0
			wait 3s
			a < ACK 2.05 2 tok=a1 obs=*`},
	}
}
