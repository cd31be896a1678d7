package coretest

import (
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// sensorRows are about what sensors have beyond MQTT: sleep, Wills that change, messages
// without a connection, reading, and topics of two characters.
func sensorRows() []authzRow {
	rows := append(sleepRows(), willUpdateRows()...)
	rows = append(rows, readRows()...)
	return append(rows,
		authzRow{path: "publish without a connection", needs: []Feature{Unconnected}, run: func(w *authzWorld) {
			w.grant("from 127.0.0.1", core.ActionPublish, "xy")
			w.rights.Allow("from 192.0.2.9", core.ActionPublish, "xy") // another right does not help
			seen, c := w.watch("xy"), w.dial()
			c.Wire.(Stranger).Shout("xy", "1")
			seen.should("xy=1")
			w.refused(1, core.NotAuthorized, "", "xy")
		}},
		authzRow{path: "publish to a topic of two characters", run: func(w *authzWorld) {
			w.grant("c1", core.ActionPublish, "xy")
			seen, c := w.watch("#"), w.client("c1")
			c.Publish(Post{Topic: "xy", Payload: "1", QoS: 1}, w.want(core.NotAuthorized))
			seen.should("xy=1")
			w.refused(1, core.NotAuthorized, "c1", "xy")
		}},
		authzRow{path: "subscribe a topic of two characters", run: func(w *authzWorld) {
			w.grant("c1", core.ActionSubscribe, "xy")
			c, p := w.client("c1"), w.publisher()
			c.Subscribe("xy", 1, w.want(core.NotAuthorized))
			p.Publish(Post{Topic: "xy", Payload: "1", QoS: 1}, core.Success)
			c.should("xy=1")
			w.refused(1, core.NotAuthorized, "c1", "xy")
		}})
}

// sleepRows: what gathers while a client sleeps is asked about when it is sent.
func sleepRows() []authzRow {
	needs := []Feature{Sleeps}
	asleep := func(w *authzWorld, c *authzPeer) {
		w.rights.Allow("c1", core.ActionSubscribe, "a", "b")
		c.Subscribe("a", 1, core.Success)
		c.Subscribe("b", 1, core.Success)
		c.Wire.(Sleeper).Sleep()
	}
	gather := func(w *authzWorld) {
		p := w.publisher()
		for i, topic := range []string{"a", "b", "a"} {
			p.Publish(Post{Topic: topic, Payload: string(rune('0' + i)), QoS: 1}, core.Success)
		}
	}
	fetch := func(w *authzWorld, c *authzPeer) {
		c.Wire.(Sleeper).Wake()
		if w.allow {
			c.gets("a=0 b=1 a=2")
		} else {
			c.gets("b=1")
		}
		w.refused(2, core.DeliverNotAuthorized, "c1", "a")
		w.rights.Allow("c1", core.ActionSubscribe, "a")
		c.Wire.(Sleeper).Wake()
		c.gets("") // what was dropped stays so
	}
	return []authzRow{
		{path: "wake: what gathered, after the right was revoked", needs: needs, run: func(w *authzWorld) {
			c := w.client("c1")
			asleep(w, c)
			gather(w)
			w.revoke("c1", "a")
			fetch(w, c)
		}},
		{path: "wake: what gathered for a kept session, after the right was revoked", needs: append(needs, Resumes), run: func(w *authzWorld) {
			c := w.kept("c1", false)
			asleep(w, c)
			gather(w)
			w.revoke("c1", "a")
			fetch(w, c)
		}},
		{path: "deliver to a client that sleeps", needs: needs, run: func(w *authzWorld) {
			c := w.client("c1")
			asleep(w, c)
			w.revoke("c1", "a")
			gather(w)
			fetch(w, c)
		}},
		{path: "resume: what gathered in sleep, after the right was revoked", needs: append(needs, Resumes), run: func(w *authzWorld) {
			c := w.kept("c1", false)
			asleep(w, c)
			gather(w)
			c.Lose()
			w.revoke("c1", "a")
			c = w.kept("c1", true)
			if w.allow {
				c.gets("a=0 b=1 a=2")
			} else {
				c.gets("b=1")
			}
			w.refused(2, core.DeliverNotAuthorized, "c1", "a")
		}},
	}
}

// willUpdateRows: a Will that is changed is asked about as one that comes with CONNECT.
func willUpdateRows() []authzRow {
	needs := []Feature{WillUpdates}
	begin := func(w *authzWorld, l Login) (seen, c *authzPeer) {
		w.rights.Allow("c1", core.ActionPublish, "b")
		seen, c = w.watch("#"), w.dial()
		l.ClientID, l.Will = "c1", bye("b", 0)
		c.Connect(l, core.Success, false)
		return seen, c
	}
	ends := func(w *authzWorld, seen, c *authzPeer) {
		c.Lose()
		if w.allow {
			seen.gets("a=bye")
		} else {
			seen.gets("b=bye")
		}
	}
	change := func(l Login) func(w *authzWorld) {
		return func(w *authzWorld) {
			w.grant("c1", core.ActionPublish, "a")
			seen, c := begin(w, l)
			c.Wire.(Willing).ChangeWill("a", w.want(core.NotAuthorized))
			w.refused(1, core.NotAuthorized, "c1", "will topic")
			ends(w, seen, c) // the old one stands where the new one was refused
		}
	}
	return []authzRow{
		{path: "Will, as it is changed", needs: needs, run: change(Login{})},
		{path: "Will, as it is changed, of a kept session", needs: append(needs, Resumes), run: change(Login{Kept: true})},
		{path: "Will that was changed, at sending", needs: needs, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "a")
			seen, c := begin(w, Login{})
			c.Wire.(Willing).ChangeWill("a", core.Success)
			w.revoke("c1", "a")
			c.Lose()
			seen.should("a=bye")
			w.refused(1, core.WillNotAuthorized, "c1", "a")
		}},
		{path: "Will that lasts, at sending, of a later connection", needs: []Feature{WillLasts, Resumes}, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "a")
			seen, c := w.watch("#"), w.dial()
			c.Connect(Login{ClientID: "c1", Kept: true, Will: bye("a", 0)}, core.Success, false)
			c.Lose()
			seen.gets("a=bye")
			w.revoke("c1", "a")
			w.kept("c1", true).Lose() // it brings none
			seen.should("a=bye")
			w.refused(1, core.WillNotAuthorized, "c1", "a")
		}},
		{path: "Will that was changed, to $delayed/5/a", needs: needs, run: func(w *authzWorld) {
			w.grant("c1", core.ActionPublish, "a")
			w.rights.Allow("c1", core.ActionPublish, "5/a") // another right does not help
			seen, c := begin(w, Login{})
			c.Wire.(Willing).ChangeWill("$delayed/5/a", w.want(core.NotAuthorized))
			w.refused(1, core.NotAuthorized, "c1", "will topic")
			c.Lose()
			w.site.Wait(6 * time.Second)
			if w.allow {
				seen.gets("a=bye")
			} else {
				seen.gets("b=bye")
			}
		}},
	}
}

// readRows: who asks needs the rights of a subscriber.
func readRows() []authzRow {
	needs := []Feature{Reads}
	read := func(w *authzWorld, topic string) {
		w.publisher().Publish(Post{Topic: topic, Payload: "1", QoS: 1, Retain: true}, core.Success)
		got := w.client("c1").Wire.(Reader).Read(topic, w.want(core.NotAuthorized))
		if want := map[bool]string{true: "1"}[w.allow]; got != want {
			w.t.Errorf("read %q, want %q", got, want)
		}
	}
	return []authzRow{
		{path: "read a retained message", needs: needs, run: func(w *authzWorld) {
			w.grant("c1", core.ActionSubscribe, "a")
			w.rights.Allow("c1", core.ActionPublish, "a") // another right does not help
			read(w, "a")
			w.refused(1, core.NotAuthorized, "c1", "read a")
		}},
		{path: "read a retained message of a part that is denied", needs: needs, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a/#")
			w.withhold("c1", "a/b")
			read(w, "a/b")
			w.refused(1, core.NotAuthorized, "c1", "read a/b")
		}},
		{path: "read below a mount point", needs: needs, set: func(o *core.Options) { o.Mounts = map[string]string{"": "t/", "mqtt": "t/"} }, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a")
			w.grant("c1", core.ActionSubscribe, "t/a")
			read(w, "a")
			w.refused(1, core.NotAuthorized, "c1", "read t/a")
		}},
	}
}
