package coretest

import "github.com/fairlead-iot/fairlead/core"

// proxyRows are about subscriptions that the configuration makes for c1: they need the
// same rights as those that a client makes.
func proxyRows() (rows []authzRow) {
	of := func(filter string) func(*core.Options) {
		return func(o *core.Options) {
			o.Config.Subscriptions = []core.ProxySubscription{{Filter: filter, QoS: 1, ClientID: "^c1$"}}
		}
	}
	for _, prefix := range []string{"", "$share/g/", "$queue/", "$local/", "$fastlane/", "$exclusive/"} {
		rows = append(rows, authzRow{path: "proxy subscription " + prefix + "a", needs: []Feature{Unasked}, set: of(prefix + "a"), run: func(w *authzWorld) {
			w.grant("c1", core.ActionSubscribe, "a")
			c, p := w.client("c1"), w.publisher()
			w.refused(1, core.NotAuthorized, "c1", "proxy subscribe "+prefix+"a")
			p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
			c.should("a=1")
		}})
	}
	return append(rows,
		authzRow{path: "deliver to a proxy subscription after the right was revoked", needs: []Feature{Unasked}, set: of("a"), run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a")
			c, p := w.client("c1"), w.publisher()
			w.revoke("c1", "a")
			p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
			c.should("a=1")
			w.refused(1, core.DeliverNotAuthorized, "c1", "a")
		}},
		authzRow{path: "deliver to a client's own subscription beside a proxy one", set: of("a/#"), run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a/#")
			w.withhold("c1", "a/b")
			c, p := w.client("c1"), w.publisher()
			c.Subscribe("a/#", 0, core.Success)
			p.Publish(Post{Topic: "a/b", Payload: "1", QoS: 1}, core.Success)
			c.should("a/b=1")
			w.refused(1, core.DeliverNotAuthorized, "c1", "a/b")
		}},
		authzRow{path: "retained, to a proxy subscription, of a part that is denied", needs: []Feature{Unasked}, set: of("a/#"), run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a/#")
			w.withhold("c1", "a/b")
			w.publisher().Publish(Post{Topic: "a/b", Payload: "1", QoS: 1, Retain: true}, core.Success)
			w.client("c1").should("a/b=1")
			w.refused(1, core.DeliverNotAuthorized, "c1", "a/b")
		}},
		authzRow{path: "resume: a proxy subscription without the right", needs: []Feature{Resumes, Unasked}, set: of("a"), run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a")
			w.kept("c1", false).Lose()
			p := w.publisher()
			p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success) // it is queued
			w.revoke("c1", "a")
			c := w.kept("c1", true)
			w.refused(1, core.NotAuthorized, "c1", "proxy subscribe a")
			c.should("a=1")
			w.refused(1, core.DeliverNotAuthorized, "c1", "a")
			p.Publish(Post{Topic: "a", Payload: "2", QoS: 1}, core.Success)
			c.should("a=2") // the subscription is gone
		}},
	)
}
