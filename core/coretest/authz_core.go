package coretest

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// CoreProtocol drives core without any protocol: what is told are core's own reasons.
type CoreProtocol struct{}

// Name implements Protocol.
func (CoreProtocol) Name() string { return "core" }

// Lacks implements Protocol.
func (CoreProtocol) Lacks(f Feature) string {
	switch f {
	case Aliases:
		return "aliases belong to MQTT"
	case WillLasts:
		return "a protocol asks for it"
	}
	return ""
}

// Open implements Protocol.
func (CoreProtocol) Open(t testing.TB, g *Gateway) Site { return coreSite{t, g} }

type coreSite struct {
	t testing.TB
	g *Gateway
}

// Dial implements Site.
func (s coreSite) Dial(from netip.AddrPort) Wire { return &coreWire{coreSite: s, from: from} }

// Wait implements Site.
func (s coreSite) Wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// coreWire is a Client as a Wire.
type coreWire struct {
	coreSite
	from netip.AddrPort
	c    *Client
	id   uint16
	held []core.Delivery // taken while an answer was looked for
}

// Connect implements Wire.
func (w *coreWire) Connect(l Login, want core.Reason, present bool) {
	w.t.Helper()
	w.c = w.g.ConnectFrom(w.from, l.ClientID, func(r *core.ConnectRequest) {
		c := &r.Credentials
		c.Username, c.HasUsername = l.Username, l.Username != ""
		c.Password, c.HasPassword = []byte(l.Password), l.Username != ""
		r.Will = l.Will
		if l.Kept {
			r.CleanStart, r.Expiry = false, 3600
		}
	})
	if w.c.Result.Reason != want || w.c.Result.SessionPresent != present {
		w.t.Fatalf("connect: %s, session present %v; want %s, %v", w.c.Result.Reason, w.c.Result.SessionPresent, want, present)
	}
	synctest.Wait()
}

// Subscribe implements Wire.
func (w *coreWire) Subscribe(filter string, qos uint8, want core.Reason) {
	w.t.Helper()
	if why := w.c.Subscribe(qos, filter); why != want {
		w.t.Fatalf("subscribe %s: %s, want %s", filter, why, want)
	}
	synctest.Wait()
}

func (w *coreWire) send(p Post, id uint16, again bool) {
	w.t.Helper()
	_, err := w.c.Publish(core.Publish{Topic: p.Topic, Payload: []byte(p.Payload), QoS: p.QoS, Retain: p.Retain, PacketID: id, Dup: again})
	if err != nil {
		w.t.Fatalf("publish: %v", err)
	}
	synctest.Wait()
}

// answer finds the answer of kind to packet id among what came.
func (w *coreWire) answer(kind core.DeliveryKind, id uint16, want core.Reason) {
	w.t.Helper()
	w.held = append(w.held, w.c.Now()...)
	for i, d := range w.held {
		if d.Kind != kind || d.PacketID != id {
			continue
		}
		w.held = append(w.held[:i], w.held[i+1:]...)
		if d.Reason != want && !(want == core.Success && d.Reason == core.NoMatchingSubscribers) {
			w.t.Fatalf("answer %s, want %s", d.Reason, want)
		}
		return
	}
	w.t.Fatal("no answer")
}

// Publish implements Wire.
func (w *coreWire) Publish(p Post, want core.Reason) {
	w.t.Helper()
	w.id++
	w.send(p, w.id, false)
	switch p.QoS {
	case 1:
		w.answer(core.DeliverAck, w.id, want)
	case 2:
		w.answer(core.DeliverReceived, w.id, want)
		if want == core.Success {
			w.c.Ack(core.AckRelease, w.id)
			synctest.Wait()
			w.answer(core.DeliverComplete, w.id, core.Success)
		}
	}
}

// Half implements Wire.
func (w *coreWire) Half(p Post, again bool) {
	w.t.Helper()
	w.send(p, 77, again)
	w.answer(core.DeliverReceived, 77, core.Success)
}

// Take implements Wire.
func (w *coreWire) Take(finish bool) (got []Got) {
	for synctest.Wait(); ; synctest.Wait() {
		ds := append(w.held, w.c.Now()...)
		w.held = nil
		for _, d := range ds {
			if d.Kind == core.DeliverAsleep { // the end of what gathered
				continue
			}
			g := Got{ID: d.PacketID, QoS: d.QoS, Released: d.Kind == core.DeliverRelease}
			if d.Msg != nil {
				g.Topic, g.Payload = d.Topic(), string(d.Msg.Payload)
			}
			if finish {
				w.finish(g)
			}
			if !finish || !g.Released {
				got = append(got, g)
			}
		}
		if len(ds) == 0 || !finish {
			return got
		}
	}
}

func (w *coreWire) finish(g Got) {
	switch {
	case g.Released:
		w.c.Ack(core.AckComplete, g.ID)
	case g.QoS == 1:
		w.c.Ack(core.AckReceived1, g.ID)
	case g.QoS == 2:
		w.c.Ack(core.AckReceived2, g.ID)
	}
}

// Receive implements Wire.
func (w *coreWire) Receive(g Got) {
	w.t.Helper()
	w.c.Ack(core.AckReceived2, g.ID)
	synctest.Wait()
	if ds := w.c.Now(); len(ds) != 1 || ds[0].Kind != core.DeliverRelease || ds[0].PacketID != g.ID {
		w.t.Fatalf("no release: %v", ds)
	}
}

// Ended implements Wire.
func (w *coreWire) Ended(why core.Reason) {
	w.t.Helper()
	synctest.Wait()
	if got := w.c.Closed(); got != why {
		w.t.Fatalf("ended for %s, want %s", got, why)
	}
}

// Lose implements Wire.
func (w *coreWire) Lose() {
	w.c.Disconnect(core.ConnectionLost)
	synctest.Wait()
}

// Sleep implements Sleeper.
func (w *coreWire) Sleep() {
	w.t.Helper()
	if r := w.c.Sleep(time.Minute); r != core.Success {
		w.t.Fatalf("sleep: %s", r)
	}
	synctest.Wait()
}

// Wake implements Sleeper.
func (w *coreWire) Wake() {
	w.t.Helper()
	if !w.c.Awake() {
		w.t.Fatal("it cannot wake")
	}
	synctest.Wait()
}

// ChangeWill implements Willing.
func (w *coreWire) ChangeWill(topic string, want core.Reason) {
	w.t.Helper()
	will := *w.g.Will(w.c.Result.Link)
	will.Topic = topic
	if r := w.c.SetWill(&will); r != want {
		w.t.Fatalf("will to %s: %s, want %s", topic, r, want)
	}
}

// Shout implements Stranger.
func (w *coreWire) Shout(topic, payload string) {
	w.g.T.Begin(time.Now())
	w.g.PublishUnconnected(w.g.T, &core.Identity{Peer: w.from.Addr()}, &core.Publish{Topic: topic, Payload: []byte(payload)})
	w.g.T.End()
	synctest.Wait()
}

// Read implements Reader.
func (w *coreWire) Read(topic string, want core.Reason) (payload string) {
	w.t.Helper()
	w.g.T.Begin(time.Now())
	m, r, late := w.g.Gateway.Read(w.g.T, w.c.Result.Link, 1, topic)
	w.g.T.End()
	if late {
		done := w.c.Completed(core.OpRead)
		if r = done.Reasons[0]; len(done.Messages) > 0 {
			m = done.Messages[0]
		}
	}
	if r != want {
		w.t.Fatalf("read %s: %s, want %s", topic, r, want)
	}
	if m == nil {
		return ""
	}
	return string(m.Payload)
}
