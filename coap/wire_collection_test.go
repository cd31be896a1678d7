package coap

import "strings"

// withCBOR puts bytes in the place of words: {0: "temp", 2: "core.ps.data"} is a2TEMPRT.
func withCBOR(s string) string {
	return strings.NewReplacer("TEMP", "0064"+"74656d70", "RT", "026c636f72652e70732e64617461").Replace(s)
}

func collectionScenes() []scene {
	return []scene{
		{name: "PubSub-2.2-1 PubSub-2.2-2 PubSub-2.1-1 PubSub-3.1-1 PubSub-3.2-1 PubSub-3.2-2 PubSub-3.2-3 PubSub-3.2-4 PubSub-3.2-5 PubSub-2.3-4: a topic's life", script: withCBOR(`
			mqtt s subscribe temp 1
			a > CON GET 1 /pubsub
			a < ACK 2.05 1 ct=40
			a > CON POST 2 /pubsub ct=606 hex=a2TEMPRT
			a < ACK 2.01 2 loc=pubsub loc=$n ct=606 hex=$conf
			a > CON GET 3 /pubsub
			a < ACK 2.05 3 ct=40 '</pubsub/$n>;rt="core.ps.conf"'
			a > CON GET 4 /pubsub?rt=core.ps.data
			a < ACK 2.05 4 ct=40 '</pubsub/$n/data>;rt="core.ps.data";obs'
			a > CON GET 5 /pubsub/$n
			a < ACK 2.05 5 ct=606 hex=$conf
			a > CON GET 6 /pubsub/$n/data
			a < ACK 4.04 6 'nothing was published there yet'
			a > CON GET 7 /pubsub/$n/data obs=0 tok=d1
			a < ACK 4.04 7 tok=d1 'nothing was published there yet'
			a > CON PUT 8 /pubsub/$n/data ct=0 '21'
			a < ACK 2.01 8
			a > CON GET 9 /pubsub/$n/data obs=0 tok=d1
			a < ACK 2.05 9 tok=d1 etag=* obs=* ct=0 '21'
			a > CON PUT 10 /pubsub/$n/data ct=0 '22'
			a < CON 2.05 $a tok=d1 etag=* obs=* ct=0 '22'
			a < ACK 2.04 10 // it waits for the store
			a > ACK EMPTY $a
			mqtt s got temp 1 21;temp 1 22;
			mqtt p publish temp 1 23
			a < CON 2.05 $b tok=d1 etag=* obs=* ct=0 '23'
			a > ACK EMPTY $b
			a > CON DELETE 11 /pubsub/$n/data
			a < NON 4.04 $c tok=d1 *
			a < ACK 2.02 11
			a > CON GET 12 /pubsub/$n/data
			a < ACK 4.04 12 'nothing was published there yet'
			mqtt p retain temp 24
			a > CON GET 13 /pubsub/$n/data
			a < ACK 2.05 13 etag=* ct=42 '24'
			a > CON DELETE 14 /pubsub/$n
			a < ACK 2.02 14
			a > CON GET 15 /pubsub/$n
			a < ACK 4.04 15 'there is no such topic'
			a > CON GET 16 /pubsub/$n/data
			a < ACK 4.04 16 'there is no such topic'
			a > CON GET 17 /pubsub
			a < ACK 2.05 17 ct=40`)},
		{name: "PubSub-2.2-4 PubSub-2.2-2: what cannot be made", script: withCBOR(`
			a > CON POST 1 /pubsub ct=60 hex=a2TEMPRT
			a < ACK 4.15 1 'the payload must be of Content-Format 606'
			a > CON POST 2 /pubsub ct=606 hex=a1TEMP
			a < ACK 4.00 2 'topic-name and resource-type are required'
			a > CON POST 3 /pubsub ct=606 hex=a3TEMPRT1863666f6f
			a < ACK 4.00 3 'the payload cannot be understood'
			a > CON POST 4 /pubsub ct=606 hex=ff
			a < ACK 4.00 4 'the payload cannot be understood'
			a > CON POST 5 /pubsub ct=606 hex=a2TEMPRT
			a < ACK 2.01 5 loc=pubsub loc=* ct=606 hex=*
			a > CON POST 6 /pubsub ct=606 hex=a2TEMPRT
			a < ACK 4.00 6 'there is a topic of this name'
			a > CON POST 7 /pubsub ct=606 hex=a200612bRT
			a < ACK 4.00 7 'topic-name is no valid topic'
			a > CON POST 8 /pubsub ct=606 hex=a3TEMPRT084131
			a < ACK 4.00 8 'initialize needs topic-content-format'`)},
		{name: "PubSub-2.2-5 PubSub-2.2-3 PubSub-2.3-1 PubSub-2.3-2 PubSub-2.3-3 PubSub-3.2-1: properties", script: withCBOR(`
			a > CON POST 1 /pubsub ct=606 hex=a4TEMPRT0300084131
			a < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			a > CON GET 2 /pubsub/$n/data
			a < ACK 2.05 2 etag=* ct=0 '1'
			a > CON PUT 3 /pubsub/$n/data ct=50 '2'
			a < ACK 4.15 3 *
			a > CON FETCH 4 /pubsub/$n ct=60 hex=820003
			a < ACK 2.05 4 ct=606 hex=a2TEMP0300
			a > CON IPATCH 5 /pubsub/$n ct=606 hex=a1071901f4
			a < ACK 2.04 5 ct=606 hex=*
			a > CON FETCH 6 /pubsub/$n ct=60 hex=820307
			a < ACK 2.05 6 ct=606 hex=a20300071901f4
			a > CON POST 7 /pubsub/$n ct=606 hex=a10605
			a < ACK 2.04 7 ct=606 hex=*
			a > CON FETCH 8 /pubsub/$n ct=60 hex=83030607
			a < ACK 2.05 8 ct=606 hex=a10605
			a > CON IPATCH 9 /pubsub/$n ct=606 hex=a1006178
			a < ACK 4.00 9 'topic-name, topic-data, resource-type and initialize cannot be changed'
			a > CON FETCH 10 /pubsub ct=606 hex=a10605
			a < ACK 2.05 10 ct=40 '</pubsub/$n>;rt="core.ps.conf"'
			a > CON FETCH 11 /pubsub ct=606 hex=a10606
			a < ACK 2.05 11 ct=40`)},
		{name: "PubSub-2.1-2: a topic expires", script: withCBOR(`
			a > CON POST 1 /pubsub ct=606 hex=a3TEMPRT05c11a386d43bc // 60 seconds from now
			a < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			wait 59s
			a > CON GET 2 /pubsub/$n
			a < ACK 2.05 2 ct=606 hex=*
			wait 2s
			a > CON GET 3 /pubsub/$n
			a < ACK 4.04 3 'there is no such topic'`)},
		{name: "a topic survives a restart", script: withCBOR(`
			a > CON POST 1 /pubsub ct=606 hex=a2TEMPRT
			a < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			a > CON PUT 2 /pubsub/$n/data ct=0 '21'
			a < ACK 2.01 2
			restart
			a > CON GET 3 /pubsub/$n/data
			a < ACK 2.05 3 etag=* ct=0 '21'`)},
		{name: "CoAP-5.9.2-2: a collection is guarded by the rules of its topics", set: func(s *setup) {
			guarded(s)
			s.coap.Collection = "no"
		}, script: withCBOR(`
			a > CON POST 1 /no?c=d&u=ann&p=secret ct=606 hex=a2TEMPRT
			a < ACK 4.03 1 'not_authorized'
			a > CON GET 2 /no?c=d&u=ann&p=secret
			a < ACK 4.03 2 'not_authorized'`)},
	}
}
