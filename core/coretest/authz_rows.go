package coretest

import (
	"fmt"
	"slices"

	"github.com/fairlead-iot/fairlead/core"
)

// authzRows are the paths.
func authzRows() []authzRow {
	return slices.Concat(publishRows(), prefixRows(), subscribeRows(), deliverRows(), retainedRows(), resumeRows(), willRows(), placeRows(), proxyRows(), identityRows(), ownerRows(), sourceRows(), sensorRows())
}

func publishRows() []authzRow {
	rows := []authzRow{
		{path: "publish with RETAIN", run: func(w *authzWorld) {
			w.grant("c1", core.ActionPublish, "a")
			w.client("c1").Publish(Post{Topic: "a", Payload: "1", Retain: true}, w.want(core.NotAuthorized))
			w.watch("a").should("a=1")
			w.refused(1, core.NotAuthorized, "c1", "a")
			w.restart()
			w.watch("a").should("a=1")
		}},
		{path: "publish to $SYS, where # is allowed", run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "#")
			w.grant("c1", core.ActionPublish, "$SYS/#")
			seen := w.watch("$SYS/#")
			w.client("c1").Publish(Post{Topic: "$SYS/a", Payload: "1", QoS: 1}, w.want(core.NotAuthorized))
			seen.should("$SYS/a=1")
			w.refused(1, core.NotAuthorized, "c1", "$SYS/a")
		}},
		{path: "publish after the right was revoked", run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "a")
			seen, c := w.watch("a"), w.client("c1")
			c.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
			seen.gets("a=1")
			w.revoke("c1", "a")
			c.Publish(Post{Topic: "a", Payload: "2", QoS: 1}, w.want(core.NotAuthorized))
			seen.should("a=2")
			w.refused(1, core.NotAuthorized, "c1", "a")
		}},
		{path: "publish again at QoS 2 after a resume", needs: []Feature{QoS2, Resumes}, run: publishAgain},
		{path: "publish by a Topic Alias of a denied topic", needs: []Feature{Aliases}, run: aliasOfDenied},
		{path: "publish by a Topic Alias after the right was revoked", needs: []Feature{Aliases}, run: aliasRevoked},
	}
	for qos := range uint8(3) {
		row := authzRow{path: fmt.Sprintf("publish at QoS %d", qos), run: func(w *authzWorld) { publishAt(w, qos) }}
		if qos == 2 {
			row.needs = []Feature{QoS2}
		}
		rows = append(rows, row)
	}
	return rows
}

func publishAt(w *authzWorld, qos uint8) {
	w.grant("c1", core.ActionPublish, "a")
	w.rights.Allow("c1", core.ActionPublish, "b") // another right does not help
	seen, c := w.watch("#"), w.client("c1")
	c.Publish(Post{Topic: "a", Payload: "1", QoS: qos}, w.want(core.NotAuthorized))
	seen.should("a=1")
	c.Publish(Post{Topic: "b", Payload: "2", QoS: qos}, core.Success)
	seen.gets("b=2")
	w.refused(1, core.NotAuthorized, "c1", "a")
}

// publishAgain: what was taken before is answered again and goes nowhere a second
// time, whatever the rights are by then.
func publishAgain(w *authzWorld) {
	w.rights.Allow("c1", core.ActionPublish, "a")
	seen, c := w.watch("a"), w.kept("c1", false)
	c.Half(Post{Topic: "a", Payload: "1", QoS: 2}, false)
	seen.gets("a=1")
	c.Lose()
	w.revoke("c1", "a")
	c = w.kept("c1", true)
	c.Half(Post{Topic: "a", Payload: "1", QoS: 2}, true)
	c.Publish(Post{Topic: "a", Payload: "2", QoS: 2}, w.want(core.NotAuthorized))
	seen.should("a=2")
	w.refused(1, core.NotAuthorized, "c1", "a")
}

func aliasOfDenied(w *authzWorld) {
	w.grant("c1", core.ActionPublish, "a")
	w.rights.Allow("c1", core.ActionPublish, "b")
	seen, c := w.watch("#"), w.client("c1")
	c.Publish(Post{Topic: "a", Payload: "1", QoS: 1, Alias: 1}, w.want(core.NotAuthorized))
	c.Publish(Post{Payload: "2", QoS: 1, Alias: 1}, w.want(core.NotAuthorized))
	seen.should("a=1 a=2")
	c.Publish(Post{Topic: "b", Payload: "3", QoS: 1, Alias: 1}, core.Success) // from now on it stands for b
	c.Publish(Post{Payload: "4", QoS: 1, Alias: 1}, core.Success)
	seen.gets("b=3 b=4")
	c.Publish(Post{Topic: "a", Payload: "5", QoS: 1, Alias: 1}, w.want(core.NotAuthorized))
	c.Publish(Post{Payload: "6", QoS: 1, Alias: 1}, w.want(core.NotAuthorized))
	seen.should("a=5 a=6")
	w.refused(4, core.NotAuthorized, "c1", "a")
}

func aliasRevoked(w *authzWorld) {
	w.rights.Allow("c1", core.ActionPublish, "a")
	seen, c := w.watch("#"), w.client("c1")
	c.Publish(Post{Topic: "a", Payload: "1", QoS: 1, Alias: 1}, core.Success)
	seen.gets("a=1")
	w.revoke("c1", "a")
	c.Publish(Post{Payload: "2", QoS: 1, Alias: 1}, w.want(core.NotAuthorized))
	seen.should("a=2")
	w.refused(1, core.NotAuthorized, "c1", "a")
}

// prefixes are the forms of a subscription; the rules are asked about what follows.
func prefixes() []string {
	return []string{"", "$share/g/", "$queue/", "$local/", "$fastlane/", "$exclusive/", "$fastlane/$local/", "$local/$fastlane/",
		"$exclusive/$local/", "$local/$share/g/", "$local/$queue/", "$fastlane/$share/g/", "$fastlane/$local/$queue/"}
}

// prefixRows are about subscriptions of every form: as they are made, and as messages
// come to them.
func prefixRows() (rows []authzRow) {
	for _, prefix := range prefixes() {
		rows = append(rows,
			authzRow{path: "subscribe " + prefix + "a/b", run: func(w *authzWorld) {
				w.grant("c1", core.ActionSubscribe, "a/+")
				w.rights.Allow("c1", core.ActionSubscribe, "other/#") // another right does not help
				c, p := w.client("c1"), w.publisher()
				c.Subscribe(prefix+"a/b", 1, w.want(core.NotAuthorized))
				p.Publish(Post{Topic: "a/b", Payload: "1", QoS: 1}, core.Success)
				c.should("a/b=1")
				w.refused(1, core.NotAuthorized, "c1", prefix+"a/b")
			}},
			authzRow{path: "deliver to " + prefix + "a/b after the right was revoked", run: func(w *authzWorld) {
				w.rights.Allow("c1", core.ActionSubscribe, "a/b")
				c, p := w.client("c1"), w.publisher()
				c.Subscribe(prefix+"a/b", 1, core.Success)
				p.Publish(Post{Topic: "a/b", Payload: "1", QoS: 1}, core.Success)
				c.gets("a/b=1")
				w.revoke("c1", "a/b")
				p.Publish(Post{Topic: "a/b", Payload: "2", QoS: 1}, core.Success)
				c.should("a/b=2")
				w.refused(1, core.DeliverNotAuthorized, "c1", "a/b")
			}},
			authzRow{path: "deliver to " + prefix + "a/# a part that is denied", run: func(w *authzWorld) {
				w.rights.Allow("c1", core.ActionSubscribe, "a/#")
				w.withhold("c1", "a/b")
				c, p := w.client("c1"), w.publisher()
				c.Subscribe(prefix+"a/#", 1, core.Success)
				p.Publish(Post{Topic: "a/b", Payload: "1", QoS: 1}, core.Success)
				c.should("a/b=1")
				p.Publish(Post{Topic: "a/c", Payload: "2", QoS: 1}, core.Success)
				c.gets("a/c=2")
				w.refused(1, core.DeliverNotAuthorized, "c1", "a/b")
			}})
	}
	return rows
}

func subscribeRows() []authzRow {
	wider := func(right, prefix, inner, topic string) authzRow {
		filter := prefix + inner
		return authzRow{path: "subscribe " + filter + ", where " + right + " is allowed", run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, right)
			w.grant("c1", core.ActionSubscribe, inner)
			c, p := w.client("c1"), w.publisher()
			c.Subscribe(filter, 1, w.want(core.NotAuthorized))
			p.Publish(Post{Topic: topic, Payload: "1", QoS: 1}, core.Success)
			c.should(topic + "=1")
			w.refused(1, core.NotAuthorized, "c1", filter)
		}}
	}
	return []authzRow{
		wider("a/+", "", "a/#", "a/b/c"), wider("a/b", "", "a/+", "a/c"), wider("a/#", "", "#", "b"), wider("+/b", "", "+/+", "x/c"),
		wider("#", "", "$SYS/#", "$SYS/a"), wider("#", "$share/g/", "$SYS/#", "$SYS/a"),
		{path: "subscribe again after the right was revoked", run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a")
			c, p := w.client("c1"), w.publisher()
			c.Subscribe("a", 1, core.Success)
			w.revoke("c1", "a")
			c.Subscribe("a", 1, w.want(core.NotAuthorized))
			w.refused(1, core.NotAuthorized, "c1", "a")
			p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
			c.should("a=1") // the old subscription stands, and gets nothing
			w.refused(1, core.DeliverNotAuthorized, "c1", "a")
		}},
	}
}

func deliverRows() []authzRow {
	rows := []authzRow{
		{path: "deliver to overlapping subscriptions", run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a/#", "a/+")
			w.withhold("c1", "a/b")
			c, p := w.client("c1"), w.publisher()
			c.Subscribe("a/#", 1, core.Success)
			c.Subscribe("a/+", 0, core.Success)
			p.Publish(Post{Topic: "a/b", Payload: "1", QoS: 1}, core.Success)
			c.should("a/b=1")
			w.refused(1, core.DeliverNotAuthorized, "c1", "a/b")
		}},
		{path: "deliver to a shared group: another member gets what one may not", run: sharedOther},
		{path: "deliver what waits for a full window", set: oneInflight, run: func(w *authzWorld) { windowed(w, w.client("c1")) }},
		{path: "deliver to a kept session what waits for a full window", needs: []Feature{Resumes}, set: oneInflight, run: func(w *authzWorld) { windowed(w, w.kept("c1", false)) }},
		{path: "deliver $SYS, where it was allowed once", run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "$SYS/#")
			c, p := w.client("c1"), w.publisher()
			c.Subscribe("$SYS/#", 0, core.Success)
			w.revoke("c1", "$SYS/#")
			p.Publish(Post{Topic: "$SYS/a", Payload: "1"}, core.Success)
			c.should("$SYS/a=1")
			w.refused(1, core.DeliverNotAuthorized, "c1", "$SYS/a")
		}},
	}
	for qos := range uint8(3) {
		row := authzRow{path: fmt.Sprintf("deliver at QoS %d after the right was revoked", qos), run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "+")
			c, p := w.client("c1"), w.publisher()
			c.Subscribe("+", qos, core.Success)
			w.revoke("c1", "+")
			p.Publish(Post{Topic: "a", Payload: "1", QoS: qos}, core.Success)
			c.should("a=1")
			w.refused(1, core.DeliverNotAuthorized, "c1", "a")
		}}
		if qos == 2 {
			row.needs = []Feature{QoS2}
		}
		rows = append(rows, row)
	}
	return rows
}

func oneInflight(o *core.Options) { o.Config.MaxInflight = 1 }

// windowed: the second message waits until the first is acknowledged.
func windowed(w *authzWorld, c *authzPeer) {
	w.rights.Allow("c1", core.ActionSubscribe, "a", "b")
	p := w.publisher()
	c.Subscribe("a", 1, core.Success)
	c.Subscribe("b", 1, core.Success)
	p.Publish(Post{Topic: "b", Payload: "1", QoS: 1}, core.Success)
	p.Publish(Post{Topic: "a", Payload: "2", QoS: 1}, core.Success)
	p.Publish(Post{Topic: "b", Payload: "3", QoS: 1}, core.Success)
	w.revoke("c1", "a")
	if w.allow {
		c.gets("b=1 a=2 b=3")
	} else {
		c.gets("b=1 b=3")
	}
	w.refused(1, core.DeliverNotAuthorized, "c1", "a")
}

// sharedOther: with one member less in its rights the group loses nothing.
func sharedOther(w *authzWorld) {
	w.rights.Allow("c1", core.ActionSubscribe, "a")
	w.rights.Allow("c2", core.ActionSubscribe, "a")
	c, other, p := w.client("c1"), w.client("c2"), w.publisher()
	c.Subscribe("$share/g/a", 1, core.Success)
	other.Subscribe("$share/g/a", 1, core.Success)
	w.revoke("c1", "a")
	for _, payload := range []string{"1", "2", "3", "4"} {
		p.Publish(Post{Topic: "a", Payload: payload, QoS: 1}, core.Success)
	}
	if w.allow {
		c.gets("a=1 a=3")
		other.gets("a=2 a=4")
		return
	}
	c.gets("")
	other.gets("a=1 a=2 a=3 a=4")
}
