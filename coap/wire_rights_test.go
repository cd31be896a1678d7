package coap

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// only lets client c1 publish and subscribe what is named, and all others everything.
func only(publish, subscribe []string, withheld ...string) func(*setup) {
	return func(s *setup) {
		r := &coretest.Rights{}
		for _, who := range []string{"p", "s"} {
			r.Allow(who, core.ActionPublish, "#")
			r.Allow(who, core.ActionSubscribe, "#")
		}
		r.Allow("c1", core.ActionPublish, publish...)
		r.Allow("c1", core.ActionSubscribe, subscribe...)
		for _, filter := range withheld {
			r.Withhold("c1", filter)
		}
		s.core.Authorizers = []core.Authorizer{r}
	}
}

// rightsScenes are what the authorisation matrix has no rows for: the collection, whose
// topics are one step away from their paths, and requests that MQTT clients answer.
func rightsScenes() []scene { return append(dataScenes(), resourceScenes()...) }

// dataScenes are about the data of topics.
func dataScenes() []scene {
	pubsub := []string{"pubsub/+"}
	return []scene{
		{name: "CoAP-5.9.2-2: whoever may have a topic resource may not for that have its data", set: only(pubsub, pubsub), script: withCBOR(`
			mqtt p retain temp secret
			a > CON POST 1 /pubsub?c=c1 ct=606 hex=a2TEMPRT
			a < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			a > CON GET 2 /pubsub/$n/data?c=c1
			a < ACK 4.03 2 'not_authorized'
			a > CON GET 3 /pubsub/$n/data?c=c1 obs=0 tok=d1
			a < ACK 4.03 3 tok=d1 'not_authorized'
			a > CON PUT 4 /pubsub/$n/data?c=c1 ct=0 'forged'
			a < ACK 4.03 4 'not_authorized'
			a > CON DELETE 5 /pubsub/$n/data?c=c1
			a < ACK 4.03 5 'not_authorized'
			mqtt p publish temp 1 later
			a nothing
			a > CON DELETE 6 /pubsub/$n?c=c1
			a < ACK 2.02 6
			mqtt s subscribe temp 1
			mqtt s got temp 0 secret; // it went with no topic resource`)},
		{name: "CoAP-5.9.2-2: a topic resource does not bring a first value that its maker may not publish", set: only(pubsub, pubsub), script: withCBOR(`
			mqtt s subscribe temp 1
			a > CON POST 1 /pubsub?c=c1 ct=606 hex=a4TEMPRT0300084131
			a < ACK 4.03 1 'not_authorized'
			mqtt s got
			a > CON GET 2 /pubsub?c=c1
			a < ACK 2.05 2 ct=40`)},
		{name: "CoAP-5.9.2-2: data that may be read may not for that be written", set: only(pubsub, []string{"pubsub/+", "temp"}), script: withCBOR(`
			mqtt p retain temp 21
			a > CON POST 1 /pubsub?c=c1 ct=606 hex=a2TEMPRT
			a < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			a > CON GET 2 /pubsub/$n/data?c=c1 obs=0 tok=d1
			a < ACK 2.05 2 tok=d1 etag=* obs=* ct=42 '21'
			a > CON PUT 3 /pubsub/$n/data?c=c1 ct=0 'forged'
			a < ACK 4.03 3 'not_authorized'
			a > CON DELETE 4 /pubsub/$n/data?c=c1
			a < ACK 4.03 4 'not_authorized'
			a > CON GET 5 /pubsub/$n/data?c=c1
			a < ACK 2.05 5 etag=* ct=42 '21'`)},
		{name: "CoAP-5.9.2-2: data that may be written may not for that be read", set: only([]string{"pubsub/+", "temp"}, pubsub), script: withCBOR(`
			a > CON POST 1 /pubsub?c=c1 ct=606 hex=a2TEMPRT
			a < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			mqtt s subscribe temp 1
			a > CON PUT 2 /pubsub/$n/data?c=c1 ct=0 '21'
			a < ACK 2.01 2
			mqtt s got temp 1 21;
			a > CON GET 3 /pubsub/$n/data?c=c1
			a < ACK 4.03 3 'not_authorized'
			a > CON GET 4 /pubsub/$n/data?c=c1 obs=0 tok=d1
			a < ACK 4.03 4 tok=d1 'not_authorized'`)},
	}
}

// resourceScenes are about topic resources, lists and requests.
func resourceScenes() []scene {
	pubsub := []string{"pubsub/+"}
	return []scene{
		{name: "CoAP-5.9.2-2: a list shows no topic resource that is withheld", set: only(pubsub, pubsub, "pubsub/"+confName("temp")), script: withCBOR(`
			b > CON POST 1 /pubsub?c=p ct=606 hex=a2TEMPRT
			b < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			b > CON GET 2 /pubsub?c=p
			b < ACK 2.05 2 ct=40 '</pubsub/$n>;rt="core.ps.conf"'
			a > CON GET 1 /pubsub?c=c1
			a < ACK 2.05 1 ct=40
			a > CON FETCH 2 /pubsub?c=c1 ct=606 hex=a1TEMP
			a < ACK 2.05 2 ct=40
			a > CON GET 3 /pubsub/$n?c=c1
			a < ACK 4.03 3 'not_authorized'
			a > CON FETCH 4 /pubsub/$n?c=c1 ct=60 hex=820003
			a < ACK 4.03 4 'not_authorized'
			a > CON GET 5 /pubsub/$n/data?c=c1
			a < ACK 4.03 5 'not_authorized'`)},
		{name: "CoAP-5.9.2-2: a topic resource that may be read may not for that be changed", set: only(nil, pubsub), script: withCBOR(`
			b > CON POST 1 /pubsub?c=p ct=606 hex=a2TEMPRT
			b < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			a > CON POST 1 /pubsub?c=c1 ct=606 hex=a2006178RT
			a < ACK 4.03 1 'not_authorized'
			a > CON IPATCH 2 /pubsub/$n?c=c1 ct=606 hex=a1071901f4
			a < ACK 4.03 2 'not_authorized'
			a > CON DELETE 3 /pubsub/$n?c=c1
			a < ACK 4.03 3 'not_authorized'
			a > CON FETCH 4 /pubsub/$n?c=c1 ct=60 hex=820007
			a < ACK 2.05 4 ct=606 hex=a1TEMP`)},
		{name: "CoAP-5.9.2-2: who may not remove a topic resource does not remove its data", set: only([]string{"temp"}, append(pubsub, "temp")), script: withCBOR(`
			b > CON POST 1 /pubsub?c=p ct=606 hex=a2TEMPRT
			b < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			mqtt p retain temp 21
			a > CON DELETE 1 /pubsub/$n?c=c1
			a < ACK 4.03 1 'not_authorized'
			a > CON GET 2 /pubsub/$n/data?c=c1
			a < ACK 2.05 2 etag=* ct=42 '21'
			b > CON DELETE 2 /pubsub/$n?c=p ifmatch=0102
			b < ACK 4.12 2 'the value is another one'
			a > CON GET 3 /pubsub/$n/data?c=c1
			a < ACK 2.05 3 etag=* ct=42 '21'`)},
		{name: "Link-4-1: discovery tells surfaces, and no topic of anybody", set: only(nil, nil), script: withCBOR(`
			b > CON POST 1 /pubsub?c=p ct=606 hex=a2TEMPRT
			b < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=*
			mqtt p retain temp secret
			a > CON GET 1 /.well-known/core
			a < ACK 2.05 1 ct=40 '</ps>;rt="core.ps";ct=40,</mqtt>,</mqtt/connection>;obs,</pubsub>;rt="core.ps.coll";ct="40 606"'
			a > CON GET 2 /.well-known/core?rt=core.ps.data
			a < ACK 2.05 2 ct=40`)},
		{name: "CoAP-5.9.2-2: what depends on a value that may not be read does not tell it", set: only([]string{"t"}, nil), script: `
			mqtt p retain t x
			a > CON PUT 1 /ps/t?c=c1 ifnone= 'y'
			a < ACK 4.03 1 'not_authorized'
			a > CON PUT 2 /ps/t?c=c1 ifmatch=0102 'y'
			a < ACK 4.03 2 'not_authorized'
			a > CON DELETE 3 /ps/no?c=c1
			a < ACK 4.03 3 'not_authorized'`},
		{name: "CoAP-5.9.2-2: a request is not made by whom its response may not reach", set: only([]string{"lamp/set"}, nil), script: `
			mqtt s subscribe lamp/set 1
			a > CON POST 1 /ps/lamp/set?c=c1&wait=5 'on'
			a < ACK 4.03 1 'not_authorized'
			mqtt s got`},
	}
}
