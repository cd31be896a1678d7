package coretest

import (
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// placeRows are about topics that are not where their client says: delayed, rewritten,
// mounted.
func placeRows() []authzRow {
	return append(delayedRows(), append(rewriteRows(), mountRows()...)...)
}

// delayedRows are about $delayed/SECONDS/TOPIC: the rules see TOPIC, twice.
func delayedRows() []authzRow {
	wait := func(w *authzWorld) { w.site.Wait(6 * time.Second) }
	return []authzRow{
		{path: "publish $delayed/5/a", run: func(w *authzWorld) {
			w.grant("c1", core.ActionPublish, "a")
			w.rights.Allow("c1", core.ActionPublish, "5/a", "b") // other rights do not help
			seen, c := w.watch("#"), w.client("c1")
			c.Publish(Post{Topic: "$delayed/5/a", Payload: "1", QoS: 1}, w.want(core.NotAuthorized))
			wait(w)
			seen.should("a=1")
			w.refused(1, core.NotAuthorized, "c1", "a")
		}},
		{path: "$delayed/5/a, at sending", run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "a")
			seen, c := w.watch("#"), w.client("c1")
			c.Publish(Post{Topic: "$delayed/5/a", Payload: "1", QoS: 1}, core.Success)
			w.revoke("c1", "a")
			wait(w)
			seen.should("a=1")
			w.refused(1, core.NotAuthorized, "c1", "a")
		}},
		{path: "$delayed/5/a, at sending, after a restart", needs: []Feature{Resumes}, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "a")
			w.client("c1").Publish(Post{Topic: "$delayed/5/a", Payload: "1", QoS: 1, Retain: true}, core.Success)
			w.revoke("c1", "a")
			w.restart()
			seen := w.watch("#")
			wait(w)
			seen.should("a=1")
			w.refused(1, core.NotAuthorized, "c1", "a")
		}},
		{path: "$delayed/5/a, delivered to whom it is not for any more", run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a")
			c, p := w.client("c1"), w.publisher()
			c.Subscribe("a", 1, core.Success)
			p.Publish(Post{Topic: "$delayed/5/a", Payload: "1", QoS: 1}, core.Success)
			w.revoke("c1", "a")
			wait(w)
			c.should("a=1")
			w.refused(1, core.DeliverNotAuthorized, "c1", "a")
		}},
		{path: "$delayed/5/a, at sending, of a user who is no superuser any more", needs: []Feature{Passwords}, run: func(w *authzWorld) {
			w.users.Put("u", User{Password: "good", Grant: core.Grant{Superuser: true}})
			delayedOf(w, "u", core.Grant{Superuser: w.allow})
		}},
		{path: "$delayed/5/a, at sending, while the ClientID is a superuser's", needs: []Feature{Passwords}, run: func(w *authzWorld) {
			w.users.Put("u", User{Password: "good"})
			w.users.Put("v", User{Password: "good", Grant: core.Grant{Superuser: true}})
			w.rights.Allow("user u", core.ActionPublish, "a")
			delayedOf(w, "v", core.Grant{Superuser: true})
		}},
		{path: "Will to $delayed/5/a, at CONNECT", needs: []Feature{Wills}, run: func(w *authzWorld) {
			w.grant("c1", core.ActionPublish, "a")
			w.rights.Allow("c1", core.ActionPublish, "5/a", "b")
			seen, c := w.watch("#"), w.dial()
			c.Connect(Login{ClientID: "c1", Will: bye("$delayed/5/a", 0)}, w.want(core.NotAuthorized), false)
			w.refused(1, core.NotAuthorized, "c1", "will topic")
			if w.allow {
				c.Lose()
			}
			wait(w)
			seen.should("a=bye")
		}},
		{path: "Will to $delayed/5/a, as it begins to wait", needs: []Feature{Wills}, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "a")
			seen, c := w.watch("#"), w.dial()
			c.Connect(Login{ClientID: "c1", Will: bye("$delayed/5/a", 0)}, core.Success, false)
			w.revoke("c1", "a")
			c.Lose()
			wait(w)
			seen.should("a=bye")
			w.refused(1, core.WillNotAuthorized, "c1", "a")
		}},
	}
}

// delayedOf: the user u leaves a message and goes; with its ClientID comes who, with
// after. The right of u for it is gone then.
func delayedOf(w *authzWorld, who string, after core.Grant) {
	seen, c := w.watch("#"), w.dial()
	c.Connect(Login{ClientID: "c1", Username: "u", Password: "good"}, core.Success, false)
	c.Publish(Post{Topic: "$delayed/5/a", Payload: "1", QoS: 1}, core.Success)
	c.Lose()
	w.users.Put(who, User{Password: "good", Grant: after})
	w.revoke("user u", "a")
	w.dial().Connect(Login{ClientID: "c1", Username: who, Password: "good"}, core.Success, false)
	w.site.Wait(6 * time.Second)
	seen.should("a=1")
	w.refused(1, core.NotAuthorized, "c1", "a")
}

// rewriteRows: the rules see what a topic is rewritten to.
func rewriteRows() []authzRow {
	set := func(o *core.Options) {
		o.Config.Rewrite = []core.RewriteRule{{Action: "all", Source: "x/#", Re: "^x/(.+)$", Dest: "y/$1"}}
	}
	rows := []authzRow{
		{path: "publish a topic that is rewritten", set: set, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "x/#")
			w.grant("c1", core.ActionPublish, "y/1")
			seen, c := w.watch("#"), w.client("c1")
			c.Publish(Post{Topic: "x/1", Payload: "1", QoS: 1}, w.want(core.NotAuthorized))
			seen.should("y/1=1")
			w.refused(1, core.NotAuthorized, "c1", "y/1")
		}},
		{path: "publish by the alias of a topic that is rewritten", needs: []Feature{Aliases}, set: set, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "y/1")
			seen, c := w.watch("#"), w.client("c1")
			c.Publish(Post{Topic: "x/1", Payload: "1", QoS: 1, Alias: 1}, core.Success)
			seen.gets("y/1=1")
			w.revoke("c1", "y/1")
			c.Publish(Post{Payload: "2", QoS: 1, Alias: 1}, w.want(core.NotAuthorized))
			seen.should("y/1=2")
			w.refused(1, core.NotAuthorized, "c1", "y/1")
		}},
		{path: "Will to a topic that is rewritten, at CONNECT", needs: []Feature{Wills}, set: set, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "x/#")
			w.grant("c1", core.ActionPublish, "y/1")
			seen, c := w.watch("#"), w.dial()
			c.Connect(Login{ClientID: "c1", Will: bye("x/1", 0)}, w.want(core.NotAuthorized), false)
			w.refused(1, core.NotAuthorized, "c1", "will topic")
			if w.allow {
				c.Lose()
			}
			seen.should("y/1=bye")
		}},
		{path: "Will to a topic that is rewritten, at sending", needs: []Feature{Wills}, set: set, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "y/1")
			seen, c := w.watch("#"), w.dial()
			c.Connect(Login{ClientID: "c1", Will: bye("x/1", 0)}, core.Success, false)
			w.revoke("c1", "y/1")
			c.Lose()
			seen.should("y/1=bye")
			w.refused(1, core.WillNotAuthorized, "c1", "y/1")
		}},
	}
	for _, prefix := range []string{"", "$share/g/", "$queue/", "$local/", "$fastlane/", "$exclusive/"} {
		rows = append(rows, authzRow{path: "subscribe " + prefix + " and a filter that is rewritten", set: set, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "x/#")
			w.grant("c1", core.ActionSubscribe, "y/1")
			c, p := w.client("c1"), w.publisher()
			c.Subscribe(prefix+"x/1", 1, w.want(core.NotAuthorized))
			p.Publish(Post{Topic: "y/1", Payload: "1", QoS: 1}, core.Success)
			c.should("y/1=1")
			w.refused(1, core.NotAuthorized, "c1", "subscribe "+prefix+"x/1")
		}})
	}
	return rows
}

// mountRows: the rules see topics with their mount point, and clients do not.
func mountRows() []authzRow {
	at := func(mount string) func(*core.Options) {
		return func(o *core.Options) { o.Mounts = map[string]string{"": mount, "mqtt": mount} }
	}
	rows := []authzRow{
		{path: "publish below a mount point", set: at("t/"), run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "a")
			w.grant("c1", core.ActionPublish, "t/a")
			seen, c := w.watch("#"), w.client("c1")
			c.Publish(Post{Topic: "a", Payload: "1", QoS: 1, Retain: true}, w.want(core.NotAuthorized))
			seen.should("a=1")
			w.refused(1, core.NotAuthorized, "c1", "t/a")
		}},
		{path: "publish $delayed/5/a below a mount point", set: at("t/"), run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "t/a")
			seen, c := w.watch("#"), w.client("c1")
			c.Publish(Post{Topic: "$delayed/5/a", Payload: "1", QoS: 1}, core.Success)
			w.revoke("c1", "t/a")
			w.site.Wait(6 * time.Second)
			seen.should("a=1")
			w.refused(1, core.NotAuthorized, "c1", "t/a")
		}},
		{path: "Will below a mount point, at CONNECT", needs: []Feature{Wills}, set: at("t/"), run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "a")
			w.grant("c1", core.ActionPublish, "t/a")
			seen, c := w.watch("#"), w.dial()
			c.Connect(Login{ClientID: "c1", Will: bye("a", 0)}, w.want(core.NotAuthorized), false)
			w.refused(1, core.NotAuthorized, "c1", "will topic")
			if w.allow {
				c.Lose()
			}
			seen.should("a=bye")
		}},
		{path: "resume: the queue, below a mount point", needs: []Feature{Resumes}, set: at("t/"), run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "t/a")
			c := w.kept("c1", false)
			c.Subscribe("a", 1, core.Success)
			c.Lose()
			w.publisher().Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
			w.revoke("c1", "t/a")
			w.kept("c1", true).should("a=1")
			w.refused(1, core.DeliverNotAuthorized, "c1", "t/a")
		}},
		{path: "topics of another mount point", needs: []Feature{Passwords}, set: at("t/%u/"), run: otherTenant},
	}
	for _, prefix := range []string{"", "$share/g/", "$queue/", "$local/", "$fastlane/", "$exclusive/"} {
		rows = append(rows, authzRow{path: "subscribe " + prefix + "a below a mount point", set: at("t/"), run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a")
			w.grant("c1", core.ActionSubscribe, "t/a")
			c, p := w.client("c1"), w.publisher()
			c.Subscribe(prefix+"a", 1, w.want(core.NotAuthorized))
			p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
			c.should("a=1")
			w.refused(1, core.NotAuthorized, "c1", "subscribe "+prefix+"a")
		}})
	}
	return rows
}

// otherTenant: no right leads out of a mount point.
func otherTenant(w *authzWorld) {
	w.users.Put("u", User{Password: "x"})
	w.users.Put("v", User{Password: "x", Grant: core.Grant{Superuser: true}})
	w.rights.Allow("user u", core.ActionPublish, "#")
	w.rights.Allow("user u", core.ActionSubscribe, "#")
	from, to := w.dial(), w.dial()
	from.Connect(Login{ClientID: "c1", Username: "u", Password: "x"}, core.Success, false)
	to.Connect(Login{ClientID: "c2", Username: map[bool]string{true: "u", false: "v"}[w.allow], Password: "x"}, core.Success, false)
	from.Publish(Post{Topic: "a", Payload: "0", QoS: 1, Retain: true}, core.Success)
	to.Subscribe("#", 1, core.Success)
	to.Subscribe("t/u/#", 1, core.Success)
	to.should("a=0")
	from.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
	to.should("a=1")
}
