package coap

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// shelf is a database that keeps all retained messages, as bytes alone, and takes its time
// to find one. Below "gone" it is away.
type shelf struct {
	takes time.Duration
	mu    sync.Mutex
	kept  []*core.Message
}

func (*shelf) Name() string                      { return "shelf" }
func (*shelf) Sync() bool                        { return false }
func (*shelf) Wants() (core.EventKind, []string) { return core.EventPublish, nil }
func (*shelf) OwnsRetained(topic string) bool    { return !strings.HasPrefix(topic, "$") }
func (*shelf) LooksUp(string) bool               { return true }

func (s *shelf) Take(events []core.Event) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		if !e.Msg.Retain {
			continue
		}
		s.kept = slices.DeleteFunc(s.kept, func(m *core.Message) bool { return m.Topic == e.Topic })
		if len(e.Msg.Payload) > 0 {
			s.kept = append(s.kept, &core.Message{Topic: e.Topic, Payload: e.Msg.Payload, Retain: true, Expires: e.Msg.Expires})
		}
	}
	return len(events)
}

func (s *shelf) ReadRetained(_ context.Context, filter, _ string, max int) (found []*core.Message, _ string, err error) {
	<-time.After(s.takes)
	if strings.HasPrefix(filter, "gone") {
		return nil, "", errors.New("unplugged")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.kept {
		if topic.Match(filter, m.Topic) && len(found) < max {
			found = append(found, m)
		}
	}
	return found, "", nil
}

// shelved keeps retained messages elsewhere; finding one takes so long.
func shelved(takes time.Duration) func(*setup) {
	s := &shelf{takes: takes} // what it keeps outlives the gateway
	return func(st *setup) { st.core.Retained, st.core.Sinks = s, []core.Sink{s} }
}

// elsewhereScenes are about retained messages that a database keeps.
func elsewhereScenes() []scene {
	return []scene{
		{name: "CoAP-5.8.1-1: a retained message that a database keeps", set: shelved(300 * time.Millisecond), script: `
			a > CON PUT 1 /ps/t?retain=true ct=0 'kept'
			a < ACK 2.04 1
			a > CON GET 2 /ps/t
			a nothing
			wait 300ms
			a < ACK 2.05 2 etag=* ct=42 'kept' // no database has its type
			a > CON GET 3 /ps/t accept=0
			wait 300ms
			a < ACK 2.05 3 etag=$e ct=0 'kept'
			a > CON GET 4 /ps/t etag=$e
			wait 300ms
			a < ACK 2.03 4 etag=$e
			a > CON GET 5 /ps/none
			wait 300ms
			a < ACK 4.04 5 'nothing is retained there'
			a > CON GET 6 /ps/gone
			wait 300ms
			a < ACK 5.03 6 maxage=10 'server_unavailable'
			a > CON PUT 7 /ps/t?retain=true ifnone 'other'
			wait 300ms
			a < ACK 4.12 7 'there is a value already'
			a > CON DELETE 8 /ps/t
			a < ACK 2.02 8
			a > NON GET 9 /ps/t
			wait 300ms
			a < NON 4.04 $n 'nothing is retained there'`},
		{name: "CoAP-5.2.2-1: one that takes long is answered apart", set: shelved(1500 * time.Millisecond), script: `
			mqtt p retain t kept
			a > CON GET 1 /ps/t tok=01
			wait 1s
			a < ACK EMPTY 1
			wait 1s
			a < CON 2.05 $n tok=01 etag=* ct=42 'kept'
			a > ACK EMPTY $n
			a > CON GET 2 /ps/t obs=0 tok=02
			wait 1s
			a < ACK EMPTY 2
			wait 1s
			a < CON 2.05 $m tok=02 etag=* obs=* ct=42 'kept'
			a > ACK EMPTY $m
			a > CON GET 3 /ps/t obs=1 tok=02
			wait 1s
			a < ACK EMPTY 3
			wait 1s
			a < CON 2.05 $k tok=02 etag=* ct=42 'kept'
			a > ACK EMPTY $k`},
		{name: "Observe-4.1-4: an observer is told the present value first, and misses none", set: shelved(300 * time.Millisecond), script: `
			mqtt p retain t one
			a > CON GET 1 /ps/t obs=0 tok=01
			mqtt p retain t two
			a nothing
			wait 300ms
			a < ACK 2.05 1 tok=01 etag=* obs=* ct=42 'two'
			a < CON 2.05 $n tok=01 etag=* obs=* ct=42 'two'
			a > ACK EMPTY $n
			b > CON GET 2 /ps/gone/t obs=0 tok=02
			wait 300ms
			b < ACK 5.03 2 tok=02 maxage=10 'server_unavailable'
			mqtt p retain gone/t three
			b nothing // it does not observe`},
		{name: "a request that waits for a database when its client goes", set: shelved(300 * time.Millisecond), script: `
			a > CON GET 1 /ps/t?c=dev
			b > CON PUT 2 /ps/t?c=dev&qos=0 'x' // the same device, from elsewhere
			b < ACK 2.04 2
			wait 1s
			a gone`},
	}
}

// elsewhereCollectionScenes are about topics of draft-ietf-core-coap-pubsub, which are kept
// as retained messages are.
func elsewhereCollectionScenes() []scene {
	return []scene{
		{name: "PubSub-2.2-2 PubSub-2.2-1 PubSub-3.2-1 PubSub-3.2-2 PubSub-2.3-4: a collection that a database keeps", set: shelved(100 * time.Millisecond), script: withCBOR(`
			a > CON POST 1 /pubsub ct=606 hex=a2TEMPRT
			wait 200ms
			a < ACK 2.01 1 loc=pubsub loc=$n ct=606 hex=$conf
			a > CON POST 2 /pubsub ct=606 b1=0/m/16 hex=a20063616263026c636f72652e70732e
			a < ACK 2.31 2 b1=0/m/16
			a > CON POST 3 /pubsub ct=606 b1=1/-/16 hex=64617461
			wait 200ms
			a < ACK 2.01 3 loc=pubsub loc=* ct=606 b1=1/-/16 hex=*
			a > CON GET 4 /pubsub
			wait 100ms
			a < ACK 2.05 4 ct=40 *
			a > CON GET 5 /pubsub/$n
			wait 100ms
			a < ACK 2.05 5 ct=606 hex=$conf
			a > CON PUT 6 /pubsub/$n/data ct=0 '21'
			wait 200ms
			a < ACK 2.01 6
			a > CON GET 7 /pubsub/$n/data obs=0 tok=d1
			wait 300ms
			a < ACK 2.05 7 tok=d1 etag=* obs=* ct=42 '21'
			a > CON PUT 8 /pubsub/$n/data ct=0 '22'
			wait 200ms
			a < ACK 2.04 8
			a < CON 2.05 $a tok=d1 etag=* obs=* ct=42 '22'
			a > ACK EMPTY $a
			a > CON DELETE 9 /pubsub/$n
			wait 100ms
			a < ACK 2.02 9
			a < NON 4.04 $c tok=d1 *
			a > CON GET 10 /pubsub/$n
			wait 100ms
			a < ACK 4.04 10 'there is no such topic'`)},
	}
}
