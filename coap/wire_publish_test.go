package coap

import (
	"context"
	"errors"

	"github.com/fairlead-iot/fairlead/core"
)

// people is an identity source: user ann with password secret; "down" breaks it.
type people struct{}

func (people) Name() string { return "people" }

func (people) Authenticate(_ context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	switch {
	case c.Username == "down":
		return core.Ignore, nil, errors.New("unplugged")
	case c.Username == "ann" && string(c.Password) == "secret":
		return core.Allow, nil, nil
	case c.HasUsername:
		return core.Deny, nil, nil
	}
	return core.Ignore, nil, nil
}

// rules allow everything but what begins with "no".
type rules struct{}

func (rules) Name() string { return "rules" }

func (rules) Authorize(_ *core.Identity, _ core.Action, topic string) (core.Verdict, error) {
	if len(topic) >= 2 && topic[:2] == "no" {
		return core.Deny, nil
	}
	return core.Allow, nil
}

func (rules) Covers(*core.Identity, string) core.Verdict { return core.Ignore }

func (rules) Version() uint64 { return 1 }

// guarded asks for identities and keeps topics apart.
func guarded(s *setup) {
	s.core.Authenticators = []core.Authenticator{people{}}
	s.core.Authorizers = []core.Authorizer{rules{}}
	s.core.Anonymous = nil
}

func publishScenes() []scene {
	return []scene{
		{name: "CoAP-5.8.3-1: PUT to /mqtt/{topic}, as EMQ X has it", script: `
			mqtt s subscribe a/b 2
			a > CON PUT 1 /mqtt/a/b?c=dev&u=x&p=y 'hello'
			a < ACK 2.04 1
			mqtt s got a/b 1 hello;
			a > NON PUT 2 /mqtt/a/b?c=dev&u=x&p=y 'once'
			a < NON 2.04 $n
			mqtt s got a/b 0 once;
			a > CON PUT 3 /mqtt/a/b 'who'
			a < ACK 4.00 3 'the query c=, the client id, is missing'`},
		{name: "CoAP-5.8.2-1 CoAP-5.8.3-1: POST and PUT to /ps/{topic}, with each QoS", script: `
			mqtt s subscribe # 2
			a > CON POST 1 /ps/a?qos=0 'zero'
			a < ACK 2.04 1
			mqtt s got a 0 zero;
			a > CON PUT 2 /ps/a?q=1 'one'
			a < ACK 2.04 2
			mqtt s got a 1 one;
			a > CON PUT 3 /ps/a?q=2 'two'
			a < ACK 2.04 3
			mqtt s got a 2 two;
			a > NON PUT 4 /ps/a?q=1 'one'
			a < NON 2.04 $n
			mqtt s got a 1 one;
			a > CON PUT 5 /ps//a/ 'empty levels'
			a < ACK 2.04 5
			mqtt s got /a/ 1 empty levels;
			a > CON PUT 6 /ps/a?q=3 'x'
			a < ACK 4.00 6 'qos must be 0, 1 or 2'
			a > CON PUT 7 /ps/a?r=maybe 'x'
			a < ACK 4.00 7 'retain must be true or false'
			a > CON PUT 8 /ps/a?e=soon 'x'
			a < ACK 4.00 8 'expiry must be a number of seconds'
			a > CON PUT 9 /ps/+ 'x'
			a < ACK 4.00 9 *`},
		{name: "CoAP-5.9.2-1: who nobody vouches for", set: guarded, script: `
			a > CON PUT 1 /ps/t 'x'
			a < ACK 4.01 1 'anonymous clients may not connect here; send a user name and password'
			a > CON PUT 2 /mqtt/t?c=d&u=ann&p=wrong 'x'
			a < ACK 4.01 2 'bad user name or password'
			a > CON PUT 3 /mqtt/t?c=d&u=down&p=wrong 'x'
			a < ACK 5.03 3 maxage=10 'identity source people cannot answer'
			a > CON PUT 4 /mqtt/t?c=d&u=ann&p=secret 'x'
			a < ACK 2.04 4
			a > CON PUT 5 /ps/t 'spoofed' // from the same address, without proof
			a < ACK 4.01 5 'credentials are missing'
			a > CON PUT 6 /mqtt/t?c=d&u=ann&p=guess 'spoofed'
			a < ACK 4.01 6 'bad user name or password'`},
		{name: "CoAP-5.9.2-2: what is not allowed", set: guarded, script: `
			a > CON PUT 1 /mqtt/no/t?c=d&u=ann&p=secret 'x'
			a < ACK 4.03 1 'not_authorized'
			a > NON PUT 2 /mqtt/no/t?c=d&u=ann&p=secret 'x'
			a < NON 4.03 $n 'not_authorized'
			a > CON GET 3 /mqtt/no/t?c=d&u=ann&p=secret
			a < ACK 4.03 3 'not_authorized'
			a > CON GET 4 /mqtt/no/t?c=d&u=ann&p=secret obs=0
			a < ACK 4.03 4 'not_authorized'`},
		{name: "CoAP-5.9.3-1: what cannot be taken now says when to come again", set: func(s *setup) { s.core.Config.MaxRetained = 1 }, script: `
			a > CON PUT 1 /ps/a?retain=true 'x'
			a < ACK 2.04 1
			a > CON PUT 2 /ps/b?r=1 'x'
			a < ACK 5.03 2 maxage=10 'retained_limit'`},
	}
}

func readScenes() []scene {
	return []scene{
		{name: "CoAP-5.8.1-1 CoAP-5.10.5-1: GET shows the retained message and how long it is fresh", script: `
			a > CON GET 1 /ps/t tok=01
			a < ACK 4.04 1 tok=01 'nothing is retained there'
			mqtt p retain t value
			a > CON GET 2 /ps/t tok=01
			a < ACK 2.05 2 tok=01 etag=* ct=42 'value'
			mqtt p lapse t 90 brief
			a > CON GET 3 /ps/t
			a < ACK 2.05 3 etag=* ct=42 maxage=90 'brief'
			wait 30s
			a > CON GET 4 /ps/t
			a < ACK 2.05 4 etag=* ct=42 maxage=60 'brief'
			wait 60s
			a > CON GET 5 /ps/t
			a < ACK 4.04 5 'nothing is retained there'
			a > CON GET 6 /ps/t/#
			a < ACK 4.00 6 'a topic with wildcards can be observed, not read'
			b > CON GET 1 /mqtt/t?c=b // keeps the client alive, as EMQ X has it
			b < ACK 2.05 1`},
		{name: "CoAP-5.10.5-2: Max-Age and expiry of a publication are the message's", script: `
			a > CON PUT 1 /ps/t?retain maxage=30 'x'
			a < ACK 2.04 1
			a > CON GET 2 /ps/t
			a < ACK 2.05 2 etag=* ct=42 maxage=30 'x'
			a > CON PUT 3 /ps/t?r=true&expiry=9 maxage=30 'x'
			a < ACK 2.04 3
			wait 1s
			a > CON GET 4 /ps/t
			a < ACK 2.05 4 etag=* ct=42 maxage=8 'x'`},
		{name: "CoAP-5.9.1-1 CoAP-5.10.6-1: a value that is known is not sent again", script: `
			mqtt p retain t value
			a > CON GET 1 /ps/t
			a < ACK 2.05 1 etag=$e ct=42 'value'
			a > CON GET 2 /ps/t etag=0011 etag=$e
			a < ACK 2.03 2 etag=$e
			mqtt p retain t other
			a > CON GET 3 /ps/t etag=$e
			a < ACK 2.05 3 etag=* ct=42 'other'`},
		{name: "CoAP-5.10.3-1 CoAP-5.10.4-1: Content-Format and Accept are the Content Type of MQTT 5", script: `
			a > CON PUT 1 /ps/t?r=1 ct=50 '{}'
			a < ACK 2.04 1
			a > CON GET 2 /ps/t
			a < ACK 2.05 2 etag=* ct=50 '{}'
			a > CON GET 3 /ps/t accept=50
			a < ACK 2.05 3 etag=* ct=50 '{}'
			a > CON GET 4 /ps/t accept=60
			a < ACK 4.06 4 'it is of type application/json'
			mqtt p typed u application/xml <x/>
			a > CON GET 5 /ps/u
			a < ACK 2.05 5 etag=* ct=41 '<x/>'
			mqtt p typed u my/own text
			a > CON GET 6 /ps/u
			a < ACK 2.05 6 etag=* ct=42 'text'
			mqtt p retain v untyped
			a > CON GET 7 /ps/v accept=0
			a < ACK 2.05 7 etag=* ct=0 'untyped'
			a > CON PUT 8 /ps/w?r=1 ct=30000 'x'
			a < ACK 2.04 8
			a > CON GET 9 /ps/w
			a < ACK 2.05 9 etag=* ct=30000 'x'`},
		{name: "CoAP-5.10.8.1-1 CoAP-5.10.8.2-1: conditions", script: `
			a > CON PUT 1 /ps/t?r=1 ifmatch= 'x'
			a < ACK 4.12 1 'the value is another one'
			a > CON PUT 2 /ps/t?r=1 ifnone= 'x'
			a < ACK 2.04 2
			a > CON PUT 3 /ps/t?r=1 ifnone= 'y'
			a < ACK 4.12 3 'there is a value already'
			a > CON GET 4 /ps/t
			a < ACK 2.05 4 etag=$e ct=42 'x'
			a > CON PUT 5 /ps/t?r=1 ifmatch=00 ifmatch=$e 'y'
			a < ACK 2.04 5
			a > CON PUT 6 /ps/t?r=1 ifmatch=$e 'z'
			a < ACK 4.12 6 'the value is another one'
			a > CON PUT 7 /ps/t?r=1 ifmatch= 'z'
			a < ACK 2.04 7`},
		{name: "CoAP-5.1-1: a repeated GET is done again", script: `
			mqtt p retain t one
			a > CON GET 1 /ps/t
			a < ACK 2.05 1 etag=* ct=42 'one'
			mqtt p retain t two
			a > CON GET 1 /ps/t
			a < ACK 2.05 1 etag=* ct=42 'two'`},
		{name: "CoAP-5.8.4-1: DELETE takes the retained message away", script: `
			mqtt p retain t value
			a > CON DELETE 1 /ps/t
			a < ACK 2.02 1
			a > CON GET 2 /ps/t
			a < ACK 4.04 2 'nothing is retained there'
			a > CON DELETE 3 /ps/t
			a < ACK 2.02 3`},
		{name: "Link-4-1 Link-2-1 Link-4.1-1: discovery", script: `
			a > CON GET 1 /.well-known/core
			a < ACK 2.05 1 ct=40 '</ps>;rt="core.ps";ct=40,</mqtt>,</mqtt/connection>;obs,</pubsub>;rt="core.ps.coll";ct="40 606"'
			a > CON GET 2 /.well-known/core?rt=core.ps.coll
			a < ACK 2.05 2 ct=40 '</pubsub>;rt="core.ps.coll";ct="40 606"'
			a > CON GET 3 /.well-known/core?href=/mqtt*
			a < ACK 2.05 3 ct=40 '</mqtt>,</mqtt/connection>;obs'
			a > CON GET 4 /.well-known/core?rt=core.ps*&ct=606
			a < ACK 2.05 4 ct=40 '</pubsub>;rt="core.ps.coll";ct="40 606"'
			a > CON GET 5 /.well-known/core?if=nothing
			a < ACK 2.05 5 ct=40
			a > CON GET 6 /.well-known/core accept=50
			a < ACK 4.06 6 'this is application/link-format'`},
	}
}
