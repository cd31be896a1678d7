package core_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// crashWorld is a publisher and a subscriber, both with durable sessions, around a
// gateway that is killed at random: what its store had not committed is lost.
// Both clients follow the specification to the letter.
type crashWorld struct {
	t     *testing.T
	rnd   *rand.Rand
	store *coretest.MemStore
	g     *coretest.Gateway
	p, s  *coretest.Client

	filter   string // what the subscriber subscribed
	next     int
	open     map[uint16]*sent // the publisher's own unacknowledged messages
	order    []uint16
	acked    map[string]uint8 // payload → QoS, once PUBACK or PUBCOMP came
	received map[string]int   // by the subscriber's application
	holding  map[uint16]bool  // QoS 2 identifiers the subscriber has not seen released
	pending  []core.Delivery  // at the subscriber, not yet answered
}

type sent struct {
	topic    string
	payload  string
	qos      uint8
	received bool // PUBREC came: only PUBREL is sent again
}

func TestNothingAcknowledgedIsLost(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := &crashWorld{t: t, rnd: rand.New(rand.NewPCG(uint64(seed), 1)), store: coretest.NewMemStore(),
					open: map[uint16]*sent{}, acked: map[string]uint8{}, received: map[string]int{}, holding: map[uint16]bool{}}
				w.start()
				w.filter = []string{"t", "$exclusive/t"}[seed%2]
				w.s.Subscribe(2, w.filter)
				for range 150 {
					w.step()
				}
				w.settle()
			})
		})
	}
}

func (w *crashWorld) start() {
	w.g = coretest.Start(w.t, w.store, func(o *core.Options) { o.Config.MaxInflight = 1 + w.rnd.IntN(8) })
	w.connectS()
	w.connectP()
}

func (w *crashWorld) connectS() {
	w.s = w.g.Connect("s", durable)
	w.pending = nil
}

func (w *crashWorld) connectP() {
	w.p = w.g.Connect("p", durable)
	for _, id := range w.order { // [MQTT-4.4.0-1]
		if o := w.open[id]; o.received {
			w.p.Ack(core.AckRelease, id)
		} else {
			w.p.Publish(core.Publish{Topic: o.topic, Payload: []byte(o.payload), QoS: o.qos, PacketID: id, Dup: true})
		}
	}
}

func (w *crashWorld) step() {
	switch n := w.rnd.IntN(100); {
	case n < 45:
		w.publish()
	case n < 75:
		w.work()
	case n < 80:
		w.s.Disconnect(core.ConnectionLost)
		w.release()
		w.connectS()
	case n < 84:
		w.p.Disconnect(core.ConnectionLost)
		w.release()
		w.connectP()
	case n < 92:
		w.store.Hold()
	case n < 96:
		w.release()
	case n < 97:
		time.Sleep(time.Second) // delayed messages become due
	default: // kill -9
		w.kill()
	}
}

// kill begins anew with what had reached the store by chance.
func (w *crashWorld) kill() {
	w.store = w.store.Kill(w.rnd.IntN(w.store.Held() + 1))
	w.start()
}

func (w *crashWorld) release() {
	w.store.Release()
	synctest.Wait()
}

func (w *crashWorld) publish() {
	id := uint16(1)
	for w.open[id] != nil {
		id++
	}
	w.next++
	o := &sent{payload: fmt.Sprint(w.next), qos: uint8(1 + w.rnd.IntN(2))}
	w.open[id] = o
	w.order = append(w.order, id)
	o.topic = []string{"t", "t", "t", "$delayed/1/t"}[w.rnd.IntN(4)]
	w.p.Publish(core.Publish{Topic: o.topic, Payload: []byte(o.payload), QoS: o.qos, PacketID: id})
}

// work lets both clients read, and the subscriber answer some.
func (w *crashWorld) work() {
	synctest.Wait()
	for _, d := range w.p.Now() {
		w.answerOfGateway(d)
	}
	w.pending = append(w.pending, w.s.Now()...)
	n := w.rnd.IntN(len(w.pending) + 1)
	for _, d := range w.pending[:n] {
		w.subscriberGot(d)
	}
	w.pending = w.pending[n:]
}

func (w *crashWorld) answerOfGateway(d core.Delivery) {
	o := w.open[d.PacketID]
	if o == nil {
		return
	}
	switch {
	case d.Kind == core.DeliverReceived:
		o.received = true
		w.p.Ack(core.AckRelease, d.PacketID)
	case d.Kind == core.DeliverAck, d.Kind == core.DeliverComplete:
		w.acked[o.payload] = o.qos
		delete(w.open, d.PacketID)
		for i, id := range w.order {
			if id == d.PacketID {
				w.order = append(w.order[:i], w.order[i+1:]...)
				break
			}
		}
	}
}

func (w *crashWorld) subscriberGot(d core.Delivery) {
	switch {
	case d.Kind == core.DeliverRelease:
		delete(w.holding, d.PacketID)
		w.s.Ack(core.AckComplete, d.PacketID)
	case d.QoS == 1:
		w.received[string(d.Msg.Payload)]++
		w.s.Ack(core.AckReceived1, d.PacketID)
	case d.QoS == 2:
		if !w.holding[d.PacketID] {
			w.holding[d.PacketID] = true
			w.received[string(d.Msg.Payload)]++
		}
		w.s.Ack(core.AckReceived2, d.PacketID)
	}
}

// settle lets everything come through, then judges.
func (w *crashWorld) settle() {
	w.kill()
	for range 2000 {
		w.release()
		if n := w.g.Stats(); n.Delayed > 0 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		ds := w.s.Now()
		for _, d := range append(w.pending, ds...) {
			w.subscriberGot(d)
		}
		w.pending = nil
		as := w.p.Now()
		for _, d := range as {
			w.answerOfGateway(d)
		}
		if n := w.g.Stats(); len(ds)+len(as) == 0 && len(w.open) == 0 && n.Delayed == 0 {
			break
		}
	}
	if len(w.open) != 0 {
		w.t.Errorf("%d messages were never acknowledged", len(w.open))
	}
	for payload, qos := range w.acked {
		switch n := w.received[payload]; {
		case n == 0:
			w.t.Errorf("message %s (QoS %d) was acknowledged and lost", payload, qos)
		case qos == 2 && n != 1:
			w.t.Errorf("message %s (QoS 2) came %d times", payload, n)
		}
	}
	if r := w.p.Subscribe(0, "$exclusive/t"); w.filter != "t" && r != core.ExclusiveTaken {
		w.t.Errorf("the holder lost its exclusive filter: another's subscription got %s", r)
	}
	synctest.Wait()
	if n := w.store.Queued("s"); n != 0 {
		w.t.Errorf("the store still holds %d messages", n)
	}
	if p := w.g.Stats(); p.Pending() != 0 || p.Delayed != 0 || p.Store.Delayed != 0 {
		w.t.Errorf("the ledger has %d pending, %d delayed, %d in the store", p.Pending(), p.Delayed, p.Store.Delayed)
	}
}
