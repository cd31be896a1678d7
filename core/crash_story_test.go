package core_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// crashStory is a publisher p, a subscriber s and a device d with a Will, all with
// durable sessions, around gateways that die. The clients follow the specification to
// the letter: what is unanswered they send again.
type crashStory struct {
	t     *testing.T
	mem   *coretest.MemStore
	fail  *coretest.FailPoint
	again int // commits after the first death at which it dies once more; 0 for never
	g     *coretest.Gateway

	wanted map[string]bool // who shall be connected
	live   map[string]*coretest.Client
	clean  bool // p begins anew
	fresh  bool // and was told that it has

	subscribed map[string]bool
	numbered   bool // s was told that its topic has a number
	leaving    bool // s has begun to unsubscribe
	open       map[uint16]*sentStory
	ids        []uint16 // of open, in order
	acked      map[string]uint8
	received   map[string]int
	order      []string // of what came on t, each once
	holding    map[uint16]bool

	keepReleases, keepCompletes bool // p sends no PUBREL, s no PUBCOMP
}

type sentStory struct {
	p        core.Publish
	received bool // PUBREC came
}

func newCrashStory(t *testing.T) *crashStory {
	return &crashStory{t: t, mem: coretest.NewMemStore(), wanted: map[string]bool{}, live: map[string]*coretest.Client{},
		subscribed: map[string]bool{}, open: map[uint16]*sentStory{}, acked: map[string]uint8{}, received: map[string]int{}, holding: map[uint16]bool{}}
}

// start runs a gateway that dies at an operation.
func (w *crashStory) start(at int, how coretest.Failure) {
	var running atomic.Pointer[coretest.Gateway]
	w.fail = &coretest.FailPoint{Store: w.mem, At: at, How: how, Kill: func(told coretest.Failure) {
		g := running.Load()
		if g == nil {
			return // nobody is connected yet
		}
		g.Cut(func(id string) bool {
			switch told {
			case coretest.ToldPublisher:
				return id != "p"
			case coretest.ToldReceivers:
				return id == "p"
			}
			return told != coretest.ToldAll
		})
	}}
	w.g = coretest.Start(w.t, w.mem, func(o *core.Options) { o.Store = w.fail })
	running.Store(w.g)
}

// recover starts a gateway on what the dead one has left; its clients come back.
func (w *crashStory) recover() {
	w.read() // what was on the wire arrives
	w.g.Cut(func(string) bool { return true })
	synctest.Wait()
	w.fail.End()
	again := w.again
	w.again = 0
	w.start(again, coretest.KeptUntold)
	clear(w.live)
	for _, id := range []string{"s", "p"} {
		if w.wanted[id] {
			w.connect(id)
		}
	}
}

func (w *crashStory) on(id string) {
	w.wanted[id] = true
	if w.live[id] == nil {
		w.connect(id)
	}
}

func (w *crashStory) off(id string) {
	w.wanted[id] = false
	if c := w.live[id]; c != nil {
		delete(w.live, id)
		c.Disconnect(core.ConnectionLost)
	}
}

// connect connects; it may be that the gateway dies before the answer.
func (w *crashStory) connect(id string) {
	c := w.g.Connect(id, func(r *core.ConnectRequest) {
		r.CleanStart, r.Expiry = false, core.NeverExpires
		switch {
		case id == "d":
			r.Expiry, r.Will = 10, &core.Will{Topic: "w", Payload: []byte("bye"), QoS: 1}
		case id == "p":
			r.CleanStart = w.clean && !w.fresh
		}
	})
	if c.Result.Reason != core.Success {
		if !w.fail.Dead() {
			w.t.Fatalf("%s is refused: %s", id, c.Result.Reason)
		}
		return
	}
	if w.clean && id == "p" {
		w.fresh = true
	}
	if id == "s" && w.numbered && !slices.Contains(c.Result.Registrations, storyNumber()) {
		w.t.Errorf("the number of a topic is forgotten: %v", c.Result.Registrations)
	}
	w.live[id] = c
	if id == "s" && w.subscribed["x"] && !w.leaving && len(c.Attachments()) != 1 {
		w.t.Errorf("what was attached is forgotten: %v", c.Attachments())
	}
	if id == "p" {
		for _, n := range w.ids { // [MQTT-4.4.0-1]
			if o := w.open[n]; !o.received {
				o.p.Dup = true
				c.Publish(o.p)
			} else if !w.keepReleases {
				c.Ack(core.AckRelease, n)
			}
		}
	}
}

func (w *crashStory) subscribe(filter string) {
	if c := w.live["s"]; c != nil && !w.subscribed[filter] {
		if filter == "x" {
			c.Attach(core.Attachment{Key: "k", Value: []byte("v")}) // committed before the subscription
		}
		_, reasons := c.SubscribeWith(&core.SubscribeRequest{Token: 1, Filters: []core.FilterRequest{{Filter: filter, SubscribeOptions: core.SubscribeOptions{QoS: 2}}}})
		w.subscribed[filter] = len(reasons) == 1 && reasons[0] == core.Success
	}
}

func storyNumber() core.Registration { return core.Registration{ID: 7, Topic: "x"} }

func (w *crashStory) number() {
	if c := w.live["s"]; c != nil && !w.numbered {
		w.numbered = c.Register(storyNumber().ID, storyNumber().Topic) == core.Success
	}
}

func (w *crashStory) unsubscribe() {
	if c := w.live["s"]; c != nil {
		w.leaving = true
		c.Attach(core.Attachment{Key: "k"})
		reasons := c.Unsubscribe("x")
		w.subscribed["x"] = len(reasons) != 1
	}
}

// publish sends a message, unless it is under way or done: a reconnect repeats it.
func (w *crashStory) publish(topic, payload string, qos uint8, retain bool) {
	for _, o := range w.open {
		if string(o.p.Payload) == payload {
			return
		}
	}
	if w.acked[payload] > 0 || w.live["p"] == nil {
		return
	}
	id := uint16(1)
	for w.open[id] != nil {
		id++
	}
	p := core.Publish{Topic: topic, Payload: []byte(payload), QoS: qos, Retain: retain, PacketID: id}
	w.open[id] = &sentStory{p: p}
	w.ids = append(w.ids, id)
	w.live["p"].Publish(p)
}

// half says that payload has been received at QoS 2, and not released.
func (w *crashStory) half(payload string) bool {
	for _, o := range w.open {
		if string(o.p.Payload) == payload {
			return o.received
		}
	}
	return false
}

// work lets the clients read and answer until nothing is left.
func (w *crashStory) work() {
	for synctest.Wait(); w.read() > 0; synctest.Wait() {
	}
}

func (w *crashStory) read() (n int) {
	if c := w.live["p"]; c != nil {
		for _, d := range c.Now() {
			n++
			w.answered(c, d)
		}
	}
	if c := w.live["s"]; c != nil {
		for _, d := range c.Now() {
			n++
			w.got(c, d)
		}
	}
	return n
}

func (w *crashStory) answered(c *coretest.Client, d core.Delivery) {
	o := w.open[d.PacketID]
	switch {
	case o == nil:
	case d.Kind == core.DeliverReceived:
		o.received = true
		if !w.keepReleases {
			c.Ack(core.AckRelease, d.PacketID)
		}
	case d.Kind == core.DeliverAck, d.Kind == core.DeliverComplete:
		w.acked[string(o.p.Payload)] = o.p.QoS
		delete(w.open, d.PacketID)
		w.ids = slices.DeleteFunc(w.ids, func(id uint16) bool { return id == d.PacketID })
	}
}

func (w *crashStory) got(c *coretest.Client, d core.Delivery) {
	arrive := func() {
		payload := string(d.Msg.Payload)
		w.received[payload]++
		if d.Msg.Topic == "t" && w.received[payload] == 1 {
			w.order = append(w.order, payload)
		}
	}
	switch {
	case d.Kind == core.DeliverRelease:
		if !w.keepCompletes {
			delete(w.holding, d.PacketID)
			c.Ack(core.AckComplete, d.PacketID)
		}
	case d.QoS == 1:
		arrive()
		c.Ack(core.AckReceived1, d.PacketID)
	case d.QoS == 2:
		if !w.holding[d.PacketID] {
			w.holding[d.PacketID] = true
			arrive()
		}
		c.Ack(core.AckReceived2, d.PacketID)
	}
}

// look tells what a topic retains, as a newcomer sees it.
func (w *crashStory) look(topic string) string {
	c := w.g.Connect("looker", nil)
	c.Subscribe(0, topic)
	synctest.Wait()
	ds := c.Now()
	c.Disconnect(core.NormalDisconnect)
	if len(ds) == 0 {
		return ""
	}
	return string(ds[0].Msg.Payload)
}

// pass lets d's session expire.
func (w *crashStory) pass() {
	<-time.After(11 * time.Second)
	synctest.Wait()
}
