package coretest

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// retainedRows are about messages that were there before the subscription.
func retainedRows() []authzRow {
	put := func(w *authzWorld) {
		p := w.publisher()
		p.Publish(Post{Topic: "a/b", Payload: "1", QoS: 1, Retain: true}, core.Success)
		p.Publish(Post{Topic: "a/c", Payload: "2", QoS: 1, Retain: true}, core.Success)
	}
	ask := func(w *authzWorld) {
		c := w.client("c1")
		c.Subscribe("a/#", 1, core.Success)
		var got []string
		for _, g := range c.Take(true) {
			got = append(got, g.String())
		}
		sort.Strings(got) // topics have no order
		want := w.told(map[bool]string{true: "a/b=1 a/c=2", false: "a/c=2"}[w.allow])
		if s := strings.Join(got, " "); s != want {
			w.t.Errorf("received %s, want %s", s, want)
		}
		w.refused(1, core.DeliverNotAuthorized, "c1", "a/b")
	}
	return []authzRow{
		{path: "retained, on a subscription", run: func(w *authzWorld) {
			w.grant("c1", core.ActionSubscribe, "a/b")
			put(w)
			c := w.client("c1")
			c.Subscribe("a/b", 1, w.want(core.NotAuthorized))
			c.should("a/b=1")
			w.refused(1, core.NotAuthorized, "c1", "a/b")
		}},
		{path: "retained, of a part that is denied", run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a/#")
			w.withhold("c1", "a/b")
			put(w)
			ask(w)
		}},
		{path: "retained, after a restart", run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a/#")
			put(w)
			w.restart()
			w.withhold("c1", "a/b")
			ask(w)
		}},
		{path: "retained, revoked while they are being sent", set: oneInflight, run: retainedMidway},
	}
}

// retainedMidway: more than one slice of the replay, so that some are read from the
// table after the right is gone, and others wait in the queue.
func retainedMidway(w *authzWorld) {
	w.rights.Allow("c1", core.ActionSubscribe, "a/#")
	p, c := w.publisher(), w.client("c1")
	const n = 300
	for i := range n {
		p.Publish(Post{Topic: fmt.Sprintf("a/%03d", i), Payload: "x", QoS: 1, Retain: true}, core.Success)
	}
	c.Subscribe("a/#", 1, core.Success)
	w.revoke("c1", "a/#")
	got := len(c.Take(true))
	if want := map[bool]int{true: n, false: 1}[w.allow]; got != want {
		w.t.Errorf("%d retained messages came, want %d", got, want)
	}
	if !w.allow {
		w.named[core.DeliverNotAuthorized.String()] = n - 1
	}
}

// resumeRows are about what waited for a client that was away.
func resumeRows() []authzRow {
	needs := []Feature{Resumes}
	away := func(w *authzWorld) (p *authzPeer) {
		w.rights.Allow("c1", core.ActionSubscribe, "a", "b")
		c := w.kept("c1", false)
		c.Subscribe("a", 2, core.Success)
		c.Subscribe("b", 2, core.Success)
		c.Lose()
		return w.publisher()
	}
	queue := func(w *authzWorld) {
		p := away(w)
		for i, topic := range []string{"a", "b", "a"} {
			p.Publish(Post{Topic: topic, Payload: fmt.Sprint(i), QoS: uint8(1 + i/2)}, core.Success)
		}
	}
	back := func(w *authzWorld) {
		c := w.kept("c1", true)
		if w.allow {
			c.gets("a=0 b=1 a=2")
		} else {
			c.gets("b=1")
		}
		w.refused(2, core.DeliverNotAuthorized, "c1", "a")
		c.Lose()
		w.rights.Allow("c1", core.ActionSubscribe, "a")
		w.kept("c1", true).gets("") // what was dropped stays so
	}
	return []authzRow{
		{path: "deliver to a session that is away", needs: needs, run: func(w *authzWorld) {
			p := away(w)
			w.revoke("c1", "a")
			p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
			w.refused(1, core.DeliverNotAuthorized, "c1", "a")
			w.kept("c1", true).should("a=1")
		}},
		{path: "resume: the queue, after the right was revoked", needs: needs, run: func(w *authzWorld) {
			queue(w)
			w.revoke("c1", "a")
			back(w)
		}},
		{path: "resume: the queue, after a restart", needs: needs, run: func(w *authzWorld) {
			queue(w)
			w.revoke("c1", "a")
			w.life.end()
			w.start()
			back(w)
		}},
		{path: "resume: a subscription, after a restart", needs: needs, run: func(w *authzWorld) {
			away(w)
			w.revoke("c1", "a")
			w.restart()
			w.publisher().Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
			w.refused(1, core.DeliverNotAuthorized, "c1", "a")
			w.kept("c1", true).should("a=1")
		}},
		{path: "resume: QoS 1, sent and not acknowledged", needs: needs, run: func(w *authzWorld) { unacknowledged(w, 1) }},
		{path: "resume: QoS 2, sent and not acknowledged", needs: append(needs, QoS2), run: func(w *authzWorld) { unacknowledged(w, 2) }},
		{path: "resume: QoS 2, received and not released", needs: append(needs, QoS2), run: unreleased},
		{path: "resume: from an address without the right", needs: needs, run: elsewhere},
		{path: "resume: publish from an address without the right", needs: needs, run: publishElsewhere},
		{path: "resume: the queue, from an address without the right", needs: needs, run: queueElsewhere},
	}
}

// unacknowledged: what may have arrived is not sent again. At QoS 2 the client is
// released instead, so that it does not wait with the Packet Identifier.
func unacknowledged(w *authzWorld, qos uint8) {
	w.rights.Allow("c1", core.ActionSubscribe, "a")
	c, p := w.kept("c1", false), w.publisher()
	c.Subscribe("a", qos, core.Success)
	p.Publish(Post{Topic: "a", Payload: "1", QoS: qos}, core.Success)
	if got := c.Take(false); len(got) != 1 {
		w.t.Fatalf("received %v", got)
	}
	c.Lose()
	w.revoke("c1", "a")
	want := w.told("a=1")
	switch {
	case !w.allow && qos == 1:
		want = ""
	case !w.allow:
		want = "release"
	}
	c = w.kept("c1", true)
	if got := fmt.Sprint(c.Take(false)); got != "["+want+"]" {
		w.t.Errorf("received again %s, want %s", got, want)
	}
	w.refused(1, core.DeliverNotAuthorized, "c1", "a")
	c.Lose()
	c = w.kept("c1", true)
	c.should("a=1")
	c.Lose()
	w.kept("c1", true).gets("")
}

// unreleased: of a message that has arrived only the release is left.
func unreleased(w *authzWorld) {
	w.rights.Allow("c1", core.ActionSubscribe, "a")
	c, p := w.kept("c1", false), w.publisher()
	c.Subscribe("a", 2, core.Success)
	p.Publish(Post{Topic: "a", Payload: "1", QoS: 2}, core.Success)
	got := c.Take(false)
	if len(got) != 1 {
		w.t.Fatalf("received %v", got)
	}
	c.Receive(got[0])
	c.Lose()
	w.revoke("c1", "a")
	c = w.kept("c1", true)
	if got := c.Take(false); len(got) != 1 || !got[0].Released {
		w.t.Errorf("received %v, want a release", got)
	}
	c.Lose()
	w.kept("c1", true).gets("")
}

// elsewhere: a subscription that was allowed from one address is asked about anew.
func elsewhere(w *authzWorld) {
	p := w.publisher() // no change of the rules comes between
	c := w.fromHere()
	c.Subscribe("a", 1, core.Success)
	p.Publish(Post{Topic: "a", Payload: "0", QoS: 1}, core.Success)
	c.gets("a=0")
	c.Lose()
	c = w.fromThere()
	p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
	c.should("a=1")
	w.refused(1, core.DeliverNotAuthorized, "c1", "a")
}

func publishElsewhere(w *authzWorld) {
	w.rights.Allow("from 127.0.0.1", core.ActionPublish, "a")
	w.grant("from 192.0.2.9", core.ActionPublish, "a")
	seen, c := w.watch("a"), w.kept("c1", false)
	c.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
	seen.gets("a=1")
	c.Lose()
	c = w.fromThere()
	c.Publish(Post{Topic: "a", Payload: "2", QoS: 1}, w.want(core.NotAuthorized))
	seen.should("a=2")
	w.refused(1, core.NotAuthorized, "c1", "a")
}

func queueElsewhere(w *authzWorld) {
	c := w.fromHere()
	c.Subscribe("a", 1, core.Success)
	c.Lose()
	w.publisher().Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
	w.fromThere().should("a=1")
	w.refused(1, core.DeliverNotAuthorized, "c1", "a")
}

func (w *authzWorld) fromHere() *authzPeer {
	w.t.Helper()
	w.rights.Allow("from 127.0.0.1", core.ActionSubscribe, "a")
	w.grant("from 192.0.2.9", core.ActionSubscribe, "a")
	return w.kept("c1", false)
}

func (w *authzWorld) fromThere() *authzPeer {
	w.t.Helper()
	c := &authzPeer{w.site.Dial(away), w}
	c.Connect(Login{ClientID: "c1", Kept: true}, core.Success, true)
	return c
}

// willRows are about Wills: as a client leaves one, and as it is sent.
func willRows() []authzRow {
	will := []Feature{Wills}
	kept := []Feature{Wills, Resumes}
	delayed := []Feature{Wills, Resumes, WillDelay}
	return []authzRow{
		{path: "Will, at CONNECT", needs: will, run: func(w *authzWorld) {
			w.grant("c1", core.ActionPublish, "a")
			seen, c := w.watch("#"), w.dial()
			c.Connect(Login{ClientID: "c1", Will: bye("a", 0)}, w.want(core.NotAuthorized), false)
			w.refused(1, core.NotAuthorized, "c1", "will topic")
			if w.allow {
				c.Lose()
			}
			seen.should("a=bye")
		}},
		{path: "Will, at CONNECT, of a client that has a session", needs: kept, run: willOfKnown},
		{path: "Will, at CONNECT, of a client that is connected", needs: kept, run: willOfConnected},
		{path: "Will, at sending", needs: will, run: func(w *authzWorld) { willSent(w, Login{ClientID: "c1", Will: bye("a", 0)}, 0) }},
		{path: "Will, at sending, of a kept session", needs: kept, run: func(w *authzWorld) {
			willSent(w, Login{ClientID: "c1", Kept: true, Will: bye("a", 0)}, 0)
		}},
		{path: "Will, at sending, after its delay", needs: delayed, run: func(w *authzWorld) {
			willSent(w, Login{ClientID: "c1", Kept: true, Will: bye("a", 60)}, 61*time.Second)
		}},
		{path: "Will, at sending, with the end of the session", needs: delayed, run: func(w *authzWorld) {
			willSent(w, Login{ClientID: "c1", Kept: true, Will: bye("a", 7200)}, time.Hour+time.Second)
		}},
		{path: "Will with RETAIN, at sending", needs: will, run: func(w *authzWorld) {
			l := Login{ClientID: "c1", Will: bye("a", 0)}
			l.Will.Retain = true
			willSent(w, l, 0)
			c := w.dial()
			w.rights.Allow("w2", core.ActionSubscribe, "a")
			c.Connect(Login{ClientID: "w2"}, core.Success, false)
			c.Subscribe("a", 0, core.Success)
			c.should("a=bye")
		}},
		{path: "Will, at sending, as its session is taken over", needs: kept, run: func(w *authzWorld) { willTakenOver(w, true) }},
		{path: "Will, at sending, as its session is replaced", needs: will, run: func(w *authzWorld) { willTakenOver(w, false) }},
		{path: "Will, at sending, after a restart", needs: kept, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "a")
			w.dial().Connect(Login{ClientID: "c1", Kept: true, Will: bye("a", 0)}, core.Success, false)
			w.revoke("c1", "a")
			w.rights.Allow("w1", core.ActionSubscribe, "#")
			w.kept("w1", false).Subscribe("#", 1, core.Success)
			w.restart()
			w.site.Wait(time.Second)
			w.refused(1, core.WillNotAuthorized, "c1", "a")
			w.kept("w1", true).should("a=bye")
		}},
	}
}

func bye(topic string, delay uint32) *core.Will {
	return &core.Will{Topic: topic, Payload: []byte("bye"), QoS: 1, Delay: delay}
}

// willSent: the right is gone when the Will is due.
func willSent(w *authzWorld, l Login, after time.Duration) {
	w.rights.Allow("c1", core.ActionPublish, "a")
	seen, c := w.watch("#"), w.dial()
	c.Connect(l, core.Success, false)
	if after == 0 {
		w.revoke("c1", "a")
		c.Lose()
	} else {
		c.Lose()
		seen.gets("")
		w.revoke("c1", "a")
		w.site.Wait(after)
	}
	seen.should("a=bye")
	w.refused(1, core.WillNotAuthorized, "c1", "a")
}

// willTakenOver: the Will is sent because its client connects again.
func willTakenOver(w *authzWorld, kept bool) {
	w.rights.Allow("c1", core.ActionPublish, "a")
	seen, c := w.watch("#"), w.dial()
	c.Connect(Login{ClientID: "c1", Kept: kept, Will: bye("a", 0)}, core.Success, false)
	w.revoke("c1", "a")
	w.dial().Connect(Login{ClientID: "c1", Kept: kept}, core.Success, kept)
	c.Ended(core.SessionTakenOver)
	seen.should("a=bye")
	w.refused(1, core.WillNotAuthorized, "c1", "a")
}

// willOfKnown: a Will that is refused changes nothing about the session, in memory or
// in the store.
func willOfKnown(w *authzWorld) {
	w.rights.Allow("c1", core.ActionSubscribe, "s")
	w.grant("c1", core.ActionPublish, "a")
	c := w.kept("c1", false)
	c.Subscribe("s", 1, core.Success)
	c.Lose()
	w.publisher().Publish(Post{Topic: "s", Payload: "1", QoS: 1}, core.Success)
	for _, kept := range []bool{true, false} { // with a clean session as well
		if !kept && w.allow {
			continue // it would end the session, as it should
		}
		c = w.dial()
		c.Connect(Login{ClientID: "c1", Kept: kept, Will: bye("a", 0)}, w.want(core.NotAuthorized), w.allow)
	}
	w.refused(2, core.NotAuthorized, "c1", "will topic")
	if w.allow {
		c.gets("s=1")
		c.Lose()
		w.kept("c1", true).gets("")
		return
	}
	c = w.kept("c1", true)
	c.gets("s=1")
	c.Lose()
	w.restart()
	w.kept("c1", true).gets("")
}

// willOfConnected: a connection whose Will is refused does not end another.
func willOfConnected(w *authzWorld) {
	w.rights.Allow("c1", core.ActionSubscribe, "s")
	w.grant("c1", core.ActionPublish, "a")
	first, next := w.kept("c1", false), w.dial()
	first.Subscribe("s", 1, core.Success)
	next.Connect(Login{ClientID: "c1", Kept: true, Will: bye("a", 0)}, w.want(core.NotAuthorized), w.allow)
	w.refused(1, core.NotAuthorized, "c1", "will topic")
	w.publisher().Publish(Post{Topic: "s", Payload: "1", QoS: 1}, core.Success)
	if w.allow {
		first.Ended(core.SessionTakenOver)
		next.gets("s=1")
	} else {
		first.gets("s=1")
	}
}
