package coretest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// RunGatewayCrash lets the power fail under a whole gateway, core and store, at
// least crashes times: at each step between receiving and acknowledging, and at
// any time. Clients that follow the specification to the letter publish and
// receive QoS 1 and 2 in durable sessions. In the end nothing that was
// acknowledged is lost, nothing of QoS 2 came twice, and nothing is left over.
func RunGatewayCrash(t *testing.T, crashes int, fresh func(t *testing.T, seed uint64) Disk) {
	steps := crashSteps()
	for _, step := range steps {
		seed := rand.Uint64()
		t.Run(string(step)+" "+seedName(seed), func(t *testing.T) {
			w := &powerWorld{t: t, rng: rand.New(rand.NewPCG(seed, 4)), step: step, disk: fresh(t, seed), open: map[uint16]*openPublish{},
				acked: map[string]uint8{}, received: map[string]int{}, holding: map[uint16]bool{}}
			w.run((crashes + len(steps) - 1) / len(steps))
		})
	}
}

// powerWorld is a publisher and a subscriber around a gateway on a disk.
type powerWorld struct {
	t     *testing.T
	rng   *rand.Rand
	step  crashStep
	disk  Disk
	store *crashPoint
	g     *Gateway
	up    bool // both clients are connected
	stop  func()
	p, s  *Client

	next     int
	open     map[uint16]*openPublish // the publisher's unacknowledged messages
	order    []uint16
	acked    map[string]uint8 // payload → QoS, once PUBACK or PUBCOMP came
	received map[string]int   // by the subscriber's application
	holding  map[uint16]bool  // QoS 2 identifiers the subscriber has not seen released
	pending  []core.Delivery  // at the subscriber, not yet answered
}

type openPublish struct {
	topic    string
	payload  string
	qos      uint8
	received bool // PUBREC came: only PUBREL is sent again
}

func (w *powerWorld) run(crashes int) {
	w.start(false)
	w.arm()
	for range crashes {
		for w.life(); w.store.leftover() == nil; w.life() {
			if w.step == crashLoading {
				w.store.cut()
			}
			w.reconnect() // some steps only happen with new connections
		}
		w.fail()
		w.start(true)
	}
	w.settle()
}

// start runs the gateway on the disk; with armed the power will fail.
func (w *powerWorld) start(armed bool) {
	for first := true; ; first = false {
		w.store = &crashPoint{Store: w.disk.Open(w.t), disk: w.disk, gone: make(chan struct{})}
		if armed && first {
			w.arm()
		}
		err := w.restore()
		if err == nil {
			break
		}
		if w.store.leftover() == nil {
			w.t.Fatalf("restore: %v", err)
		}
		w.fail()
	}
	w.connect(w.next == 0)
}

// arm lets the power fail at the step of this world.
func (w *powerWorld) arm() {
	times := w.rng.IntN(30)
	if w.step == crashLoading || w.step == crashBeforeFetch || w.step == crashAfterFetch {
		times %= 2 // it happens once or twice in a life
	}
	w.store.arm(w.step, times)
}

// restore makes a gateway on the store.
func (w *powerWorld) restore() error {
	o := core.Options{Config: core.DefaultConfig(), Store: w.store, Node: "test", Version: "test",
		Authorizers: []core.Authorizer{AllowAll{}}, Anonymous: func(*core.Credentials) bool { return true }}
	o.Config.SysInterval, o.Config.MaxInflight = 0, 1+w.rng.IntN(8)
	g := core.New(o)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	w.g = &Gateway{Gateway: g, T: g.NewTurn(), t: w.t, ends: &clientEnds{}}
	err := g.Restore(ctx)
	go func() {
		defer close(ended)
		_ = g.Run(ctx)
	}()
	w.stop = func() {
		w.g.T.Close()
		cancel()
		<-ended
	}
	return err
}

// fail goes over to what the power failure left.
func (w *powerWorld) fail() {
	if w.up {
		w.read() // what was on the wire arrives
	}
	w.up = false
	w.stop()
	_ = w.store.Store.Close() // of a machine without power: how it ends is no matter
	w.disk = w.store.leftover()
}

// connect connects both clients; the publisher repeats what is unanswered.
// [MQTT-4.4.0-1]
func (w *powerWorld) connect(first bool) {
	w.s, w.p, w.pending = w.client("s"), nil, nil
	if w.s.Result.Reason == core.Success {
		w.p = w.client("p")
	}
	if w.up = w.p != nil && w.p.Result.Reason == core.Success; !w.up {
		return // the power failed meanwhile
	}
	if first {
		w.s.Subscribe(2, "t")
	}
	for _, id := range w.order {
		if o := w.open[id]; o.received {
			w.p.Ack(core.AckRelease, id)
		} else {
			w.p.Publish(core.Publish{Topic: o.topic, Payload: []byte(o.payload), QoS: o.qos, PacketID: id, Dup: true})
		}
	}
}

// client connects; it is refused where the power fails before the answer.
func (w *powerWorld) client(id string) *Client {
	answered, gone := make(chan struct{}), w.store.gone // the next life has another store
	defer close(answered)
	return w.g.Connect(id, func(r *core.ConnectRequest) {
		r.CleanStart, r.Expiry = false, core.NeverExpires
		go func() {
			select {
			case <-gone:
				r.Conn.Complete(core.Completion{Op: core.OpConnect, Connect: &core.ConnectResult{Reason: core.StoreUnavailable}})
			case <-answered:
			}
		}()
	})
}

// life is some work, until the power fails or a while has passed.
func (w *powerWorld) life() {
	for range 60 {
		if w.store.leftover() != nil {
			return
		}
		for range w.rng.IntN(4) {
			w.publish()
		}
		if w.step == crashAnyTime && w.rng.IntN(40) == 0 {
			w.store.cut()
		}
		w.read()
		w.pause()
	}
}

// reconnect breaks both connections; the subscriber was too slow to take all.
func (w *powerWorld) reconnect() {
	if w.store.leftover() != nil {
		return
	}
	w.s.Disconnect(core.ConnectionLost)
	for range 20 {
		w.publish()
	}
	w.pause()
	w.p.Disconnect(core.ConnectionLost)
	if w.store.leftover() == nil {
		w.connect(false)
	}
}

// pause lets the store's goroutines work.
func (w *powerWorld) pause() { <-time.After(time.Duration(w.rng.IntN(300)) * time.Microsecond) }

// publish sends one message, unless a window's worth is unanswered.
func (w *powerWorld) publish() {
	if len(w.open) >= 50 {
		return
	}
	id := uint16(1)
	for w.open[id] != nil {
		id++
	}
	w.next++
	o := &openPublish{payload: fmt.Sprint(w.next), qos: uint8(1 + w.rng.IntN(2))}
	w.open[id] = o
	w.order = append(w.order, id)
	o.topic = "t"
	if w.rng.IntN(8) == 0 {
		o.topic = "$delayed/1/t"
	}
	w.p.Publish(core.Publish{Topic: o.topic, Payload: []byte(o.payload), QoS: o.qos, PacketID: id})
}

// read lets both clients read, and the subscriber answer some. It gives how much
// came.
func (w *powerWorld) read() (n int) {
	answers, ds := w.p.Now(), w.s.Now()
	for _, d := range answers {
		w.answer(d)
	}
	w.pending = append(w.pending, ds...)
	some := w.rng.IntN(len(w.pending) + 1)
	for _, d := range w.pending[:some] {
		w.got(d)
	}
	w.pending = w.pending[some:]
	return len(answers) + len(ds) + len(w.pending)
}

func (w *powerWorld) answer(d core.Delivery) {
	o := w.open[d.PacketID]
	switch {
	case o == nil:
	case d.Kind == core.DeliverReceived:
		o.received = true
		w.p.Ack(core.AckRelease, d.PacketID)
	case d.Kind == core.DeliverAck, d.Kind == core.DeliverComplete:
		w.acked[o.payload] = o.qos
		delete(w.open, d.PacketID)
		w.order = slices.DeleteFunc(w.order, func(id uint16) bool { return id == d.PacketID })
	}
}

func (w *powerWorld) got(d core.Delivery) {
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

// settle lets everything come through after a last failure, then judges.
func (w *powerWorld) settle() {
	w.store.cut()
	w.fail()
	w.start(false)
	deadline := time.Now().Add(patience)
	for w.read() > 0 || !w.settled() {
		if time.Now().After(deadline) {
			break
		}
		w.pause()
	}
	w.judge()
	w.stop()
	if err := w.store.Store.Close(); err != nil {
		w.t.Errorf("Close: %v", err)
	}
}

// settled tells whether nothing is under way any more. Each figure counts by itself: a
// delayed message that has just gone out may be missing in one and stand in another still.
func (w *powerWorld) settled() bool {
	s := w.g.Stats()
	return len(w.open) == 0 && s.Pending() == 0 && s.Delayed == 0 && s.Store.Delayed == 0 && s.Store.Queued == 0 && s.Store.Damaged == 0
}

func (w *powerWorld) judge() {
	for payload, qos := range w.acked {
		switch n := w.received[payload]; {
		case n == 0:
			w.t.Errorf("message %s (QoS %d) was acknowledged and lost", payload, qos)
		case qos == 2 && n != 1:
			w.t.Errorf("message %s (QoS 2) came %d times", payload, n)
		}
	}
	if !w.settled() {
		s := w.g.Stats()
		w.t.Errorf("%d messages never acknowledged, %d pending by the ledger, %d delayed, %d and %d in the store, %d damaged",
			len(w.open), s.Pending(), s.Delayed, s.Store.Queued, s.Store.Delayed, s.Store.Damaged)
	}
	if len(w.acked) == 0 {
		w.t.Error("nothing was acknowledged")
	}
	w.t.Logf("%d messages acknowledged", len(w.acked))
}

// StartOn makes and runs a gateway on a store of any kind, which the caller
// closes after the test's other cleanups. Store is nil in it.
func StartOn(t *testing.T, store core.Store) *Gateway {
	t.Helper()
	w := &powerWorld{t: t, rng: rand.New(rand.NewPCG(1, 1)), store: &crashPoint{Store: store, gone: make(chan struct{})}}
	if err := w.restore(); err != nil {
		t.Fatalf("restore: %v", err)
	}
	t.Cleanup(w.stop)
	return w.g
}
