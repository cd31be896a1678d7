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

// subscriberScenes are about who may observe a topic, and for how long.
func subscriberScenes() []scene {
	return []scene{
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
	}
}
