package coap

import (
	"strings"

	"github.com/fairlead-iot/fairlead/core"
)

// keepers let only the client "keeper" publish to topic resources.
type keepers struct{ rules }

func (keepers) Authorize(who *core.Identity, a core.Action, topic string) (core.Verdict, error) {
	if a == core.ActionPublish && strings.HasPrefix(topic, "pubsub/") && who.ClientID != "keeper" {
		return core.Deny, nil
	}
	return core.Allow, nil
}

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
		{name: "PubSub-2.1-3 PubSub-3.2-6: no more subscribers than max-subscribers", script: withCBOR(`
			a > CON POST 1 /pubsub?c=one ct=606 hex=a3TEMPRT0601
			a < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			a > CON PUT 2 /pubsub/$n/data?c=one ct=0 '21'
			a < ACK 2.01 2
			a > CON GET 3 /pubsub/$n/data?c=one obs=0 tok=d1
			a < ACK 2.05 3 tok=d1 etag=* obs=* ct=0 '21'
			b > CON GET 4 /pubsub/$n/data?c=two obs=0 tok=d2
			b < ACK 2.05 4 tok=d2 etag=* ct=0 '21'
			a > CON GET 5 /pubsub/$n/data?c=one obs=1 tok=d1
			a < ACK 2.05 5 tok=d1 etag=* ct=0 '21'
			b > CON GET 6 /pubsub/$n/data?c=two obs=0 tok=d2
			b < ACK 2.05 6 tok=d2 etag=* obs=* ct=0 '21'
			a > CON IPATCH 7 /pubsub/$n?c=one ct=606 hex=a10600
			a < ACK 2.04 7 ct=606 hex=*
			b < NON 4.04 $x tok=d2 'fewer may observe the topic now'
			c > CON GET 8 /pubsub/$n/data?c=three obs=0 tok=d3
			c < ACK 2.05 8 tok=d3 etag=* ct=0 '21'`)},
		{name: "PubSub-2.3-5: who is one too many when max-subscribers becomes smaller", script: withCBOR(`
			a > CON POST 1 /pubsub?c=one ct=606 hex=a2TEMPRT
			a < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			a > CON PUT 2 /pubsub/$n/data?c=one ct=0 '21'
			a < ACK 2.01 2
			mqtt s subscribe temp 1
			b > CON GET 3 /pubsub/$n/data?c=two obs=0 tok=d2
			b < ACK 2.05 3 tok=d2 etag=* obs=* ct=0 '21'
			d > CON GET 4 /ps/temp?c=four obs=0 tok=d4 // no observer of the topic's data
			d < ACK 2.05 4 tok=d4 etag=* obs=* ct=0 '21'
			c > CON POST 5 /mqtt/connection?c=three&expiry=3600
			c < ACK 2.01 5 '$token'
			c > CON GET 6 /pubsub/$n/data?c=three&t=$token obs=0 tok=d3
			c < ACK 2.05 6 tok=d3 etag=* obs=* ct=0 '21'
			a > CON IPATCH 7 /pubsub/$n?c=one ct=606 hex=a10604 // four have it
			a < ACK 2.04 7 ct=606 hex=*
			b nothing
			c nothing
			a > CON IPATCH 8 /pubsub/$n?c=one ct=606 hex=a10603
			a < ACK 2.04 8 ct=606 hex=*
			c < NON 4.04 $x tok=d3 'fewer may observe the topic now'
			b nothing
			a > CON PUT 9 /pubsub/$n/data?c=one ct=0 '22'
			a < ACK 2.04 9
			b < CON 2.05 $b tok=d2 etag=* obs=* ct=0 '22'
			b > ACK EMPTY $b
			d < CON 2.05 $d tok=d4 etag=* obs=* ct=0 '22'
			d > ACK EMPTY $d
			mqtt s got temp 1 21;temp 1 22;
			c nothing
			a > CON IPATCH 10 /pubsub/$n?c=one ct=606 hex=a10600 // those that speak MQTT, or observe /ps, stay
			a < ACK 2.04 10 ct=606 hex=*
			b < NON 4.04 $y tok=d2 'fewer may observe the topic now'
			d nothing
			a > CON PUT 11 /pubsub/$n/data?c=one ct=0 '23'
			a < ACK 2.04 11
			d < CON 2.05 $e tok=d4 etag=* obs=* ct=0 '23'
			d > ACK EMPTY $e
			mqtt s got temp 1 23;
			restart // the durable session has no subscription left
			d < NON 5.03 $z tok=d4 maxage=10 'the session has ended'
			c > CON POST 12 /mqtt/connection?c=three&expiry=3600
			c < ACK 2.01 12 '$other'
			a > CON PUT 13 /pubsub/$n/data?c=one ct=0 '24'
			a < ACK 2.04 13
			c nothing`)},
		{name: "PubSub-2.3-5: who may not change a topic ends no observation", set: func(s *setup) {
			s.core.Authorizers = []core.Authorizer{keepers{}}
		}, script: withCBOR(`
			a > CON POST 1 /pubsub?c=keeper ct=606 hex=a2TEMPRT
			a < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			a > CON PUT 2 /pubsub/$n/data?c=keeper ct=0 '21'
			a < ACK 2.01 2
			b > CON GET 3 /pubsub/$n/data?c=two obs=0 tok=d2
			b < ACK 2.05 3 tok=d2 etag=* obs=* ct=0 '21'
			c > CON IPATCH 4 /pubsub/$n?c=three ct=606 hex=a10600
			c < ACK 4.03 4 'not_authorized'
			b nothing
			a > CON IPATCH 5 /pubsub/$n?c=keeper ct=606 hex=a10600
			a < ACK 2.04 5 ct=606 hex=*
			b < NON 4.04 $x tok=d2 'fewer may observe the topic now'`)},
		{name: "PubSub-3.2-5: observers of a lasting session hear 4.04 after a restart, too", script: withCBOR(`
			a > CON POST 1 /pubsub?c=one ct=606 hex=a2TEMPRT
			a < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			a > CON PUT 2 /pubsub/$n/data?c=one ct=0 '21'
			a < ACK 2.01 2
			b > CON POST 3 /mqtt/connection?c=two&expiry=3600
			b < ACK 2.01 3 '$token'
			b > CON GET 4 /pubsub/$n/data?c=two&t=$token obs=0 tok=d2
			b < ACK 2.05 4 tok=d2 etag=* obs=* ct=0 '21'
			restart
			b > CON POST 5 /mqtt/connection?c=two&expiry=3600
			b < ACK 2.01 5 '$other'
			a > CON DELETE 6 /pubsub/$n/data?c=one
			a < ACK 2.02 6
			b < NON 4.04 $x tok=d2 *`)},
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
