package coap

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// remote are rights that must be asked for, which takes a while, and are known then.
type remote struct {
	*coretest.Rights
	mu    sync.Mutex
	known map[string]core.Verdict
}

func (r *remote) key(id *core.Identity, act core.Action, topic string) string {
	return fmt.Sprint(id.ClientID, act, " ", topic)
}

func (r *remote) Authorize(id *core.Identity, act core.Action, topic string) (core.Verdict, error) {
	if act == core.ActionDeliver {
		return core.Allow, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.known[r.key(id, act, topic)]; ok {
		return v, nil
	}
	return core.Deny, nil
}

func (r *remote) Prepared(id *core.Identity, act core.Action, topic string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.known[r.key(id, act, topic)]
	return ok || act == core.ActionDeliver
}

func (r *remote) Prepare(_ context.Context, id *core.Identity, act core.Action, topic string) {
	<-time.After(1500 * time.Millisecond)
	v, _ := r.Rights.Authorize(id, act, topic)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[r.key(id, act, topic)] = v
}

// askedFor has the rights of only asked for elsewhere.
func askedFor(publish, subscribe []string) func(*setup) {
	return func(s *setup) {
		only(publish, subscribe)(s)
		s.core.Authorizers = []core.Authorizer{&remote{Rights: s.core.Authorizers[0].(*coretest.Rights), known: map[string]core.Verdict{}}}
	}
}

// askedScenes are about rights that take their time.
func askedScenes() []scene {
	return []scene{
		{name: "CoAP-5.9.2-2 CoAP-5.2.2-1: a publication at QoS 0 is answered once its right is known", set: askedFor([]string{"up/#"}, nil), script: `
			mqtt s subscribe # 2
			a > CON PUT 1 /ps/down?c=c1&qos=0 'x'
			a nothing
			wait 1s
			a < ACK EMPTY 1
			wait 1s
			a < CON 4.03 $a 'not_authorized'
			a > ACK EMPTY $a
			a > NON PUT 2 /ps/down/2?c=c1 'x'
			a nothing
			wait 2s
			a < NON 4.03 $b 'not_authorized'
			a > NON PUT 3 /ps/up?c=c1 'x'
			a nothing
			wait 2s
			a < NON 2.04 $c
			mqtt s got up 0 x;
			a > NON PUT 4 /ps/up?c=c1 'y' // known
			a < NON 2.04 $d
			mqtt s got up 0 y;`},
		{name: "CoAP-5.9.2-2: a request that MQTT clients answer, whose right is not known yet", set: askedFor([]string{"up/#"}, []string{"reply/#"}), script: `
			mqtt s subscribe up 0
			a > NON POST 1 /ps/down?c=c1&wait=5 'x'
			wait 3s
			a < NON 4.03 $a 'not_authorized'
			a > NON POST 2 /ps/up/nobody?c=c1&wait=5 'x'
			wait 2s
			a < NON 5.04 $b 'nobody takes this request'
			a > NON POST 3 /ps/up?c=c1&wait=5 'x'
			wait 2s
			mqtt s respond ! text/plain
			wait 2s
			a < NON 2.05 $c ct=0 'x!'`},
	}
}
