package coretest

import (
	"context"

	"github.com/fairlead-iot/fairlead/core"
)

// identityRows are about who may connect, and as whom.
func identityRows() []authzRow {
	needs := []Feature{Passwords}
	return []authzRow{
		{path: "connect with a password", needs: needs, run: func(w *authzWorld) {
			w.users.Put("u", User{Password: "good"})
			w.rights.Allow("user u", core.ActionPublish, "a")
			password := map[bool]string{true: "good", false: "bad"}[w.allow]
			w.login(Login{ClientID: "c1", Username: "u", Password: password}, core.BadCredentials)
		}},
		{path: "connect as a user that nobody knows", needs: needs, run: func(w *authzWorld) {
			if w.allow {
				w.users.Put("u", User{Password: "good"})
			}
			w.rights.Allow("user u", core.ActionPublish, "a")
			w.login(Login{ClientID: "c1", Username: "u", Password: "good"}, core.BadCredentials)
		}},
		{path: "connect while the source of users cannot answer", needs: needs, run: func(w *authzWorld) {
			w.users.Put("u", User{Password: "good"})
			w.users.Break(!w.allow)
			w.rights.Allow("user u", core.ActionPublish, "a")
			w.login(Login{ClientID: "c1", Username: "u", Password: "good"}, core.AuthUnavailable)
		}},
		{path: "connect without credentials", set: func(o *core.Options) {
			o.Anonymous = func(c *core.Credentials) bool { return c.ClientID == "w1" || c.ClientID == "c2" }
		}, run: func(w *authzWorld) {
			id := map[bool]string{true: "c2", false: "c1"}[w.allow]
			w.rights.Allow(id, core.ActionPublish, "a")
			w.login(Login{ClientID: id}, core.NotAuthorized)
		}},
		{path: "connect without credentials, where a source denies", run: func(w *authzWorld) {
			w.door.shut = !w.allow
			w.rights.Allow("c1", core.ActionPublish, "a")
			w.login(Login{ClientID: "c1"}, core.BadCredentials)
		}},
		{path: "connect with a user name that nobody can check", needs: needs, set: func(o *core.Options) {
			o.Authenticators, o.Anonymous = nil, func(c *core.Credentials) bool { return c.ClientID == "w1" || c.ClientID == "c2" }
		}, run: func(w *authzWorld) {
			id := map[bool]string{true: "c2", false: "c1"}[w.allow]
			w.rights.Allow(id, core.ActionPublish, "a")
			w.login(Login{ClientID: id, Username: "u", Password: "x"}, core.BadCredentials)
		}},
		{path: "a user name that nobody has checked gives no rights", needs: needs, set: func(o *core.Options) { o.Authenticators = nil }, run: func(w *authzWorld) {
			w.rights.Allow("user u", core.ActionPublish, "a")
			w.grant("c1", core.ActionPublish, "a")
			w.unchecked(Login{ClientID: "c1", Username: "u", Password: "x"})
		}},
		{path: "a user name with another's ClientID gives no rights of the ClientID's owner", needs: needs, run: func(w *authzWorld) {
			w.users.Put("u", User{Password: "good"})
			w.users.Put("v", User{Password: "good"})
			w.rights.Allow("user u", core.ActionPublish, "a")
			name := map[bool]string{true: "u", false: "v"}[w.allow]
			w.unchecked(Login{ClientID: "c1", Username: name, Password: "good"})
		}},
		{path: "connect with a ClientID that is not the identity's own", needs: needs, run: func(w *authzWorld) {
			w.users.Put("u", User{Password: "good", Grant: core.Grant{ClientID: map[bool]string{true: "c1", false: "c2"}[w.allow]}})
			w.rights.Allow("user u", core.ActionPublish, "a")
			w.login(Login{ClientID: "c1", Username: "u", Password: "good"}, core.ClientIDNotValid)
		}},
	}
}

// ownerRows are about whose session it is, and what its user may have afterwards.
func ownerRows() []authzRow {
	needs := []Feature{Passwords}
	kept := []Feature{Passwords, Resumes}
	return []authzRow{
		{path: "take over a connection", needs: needs, run: func(w *authzWorld) { takeConnection(w, false) }},
		{path: "take over the connection of a kept session", needs: kept, run: func(w *authzWorld) { takeConnection(w, true) }},
		{path: "take over a session that is away", needs: kept, run: func(w *authzWorld) { takeSession(w, func() {}, "v") }},
		{path: "take over a session that is away, after a restart", needs: kept, run: func(w *authzWorld) { takeSession(w, w.restart, "v") }},
		{path: "take over a session that is away, without credentials", needs: kept, run: func(w *authzWorld) { takeSession(w, func() {}, "") }},
		{path: "everything, of a superuser", needs: needs, run: superuser},
		{path: "deliver to a session whose user is no superuser any more", needs: kept, run: demoted},
		{path: "resume: the queue of a user who is no superuser any more", needs: kept, run: queueOfDemoted},
		{path: "deliver to a session whose user was granted other rules", needs: append(kept, Claims), run: func(w *authzWorld) {
			regranted(w, core.Grant{ACL: "one"}, core.Grant{ACL: map[bool]string{true: "one", false: "two"}[w.allow]})
		}},
		{path: "deliver to a session whose user has no rules any more", needs: append(kept, Claims), run: func(w *authzWorld) {
			regranted(w, core.Grant{ACL: "one"}, map[bool]core.Grant{true: {ACL: "one"}, false: {}}[w.allow])
		}},
		{path: "deliver to a session whose user was granted rules", needs: append(kept, Claims), run: func(w *authzWorld) {
			if w.allow {
				w.rights.Allow("acl two", core.ActionSubscribe, "a")
			}
			w.rights.Allow("acl <nil>", core.ActionSubscribe, "a")
			regranted(w, core.Grant{}, core.Grant{ACL: "two"})
		}},
		{path: "deliver to a session of nobody who is trusted no more", needs: []Feature{Resumes}, run: distrusted},
		{path: "deliver to a user a part that is denied", needs: needs, run: func(w *authzWorld) {
			w.users.Put("u", User{Password: "good"})
			w.rights.Allow("user u", core.ActionSubscribe, "a/#")
			w.withhold("user u", "a/b")
			c, p := w.dial(), w.publisher()
			c.Connect(Login{ClientID: "c1", Username: "u", Password: "good"}, core.Success, false)
			c.Subscribe("a/#", 1, core.Success)
			p.Publish(Post{Topic: "a/b", Payload: "1", QoS: 1}, core.Success)
			c.should("a/b=1")
			w.refused(1, core.DeliverNotAuthorized, "c1", "a/b")
		}},
	}
}

// login connects, and publishes once it is in.
func (w *authzWorld) login(l Login, refusal core.Reason) {
	w.t.Helper()
	seen, c := w.watch("a"), w.dial()
	c.Connect(l, w.want(refusal), false)
	if w.allow {
		c.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
	}
	seen.should("a=1")
	w.refused(1, refusal, l.ClientID, "")
}

// unchecked connects in any case; what it may do differs.
func (w *authzWorld) unchecked(l Login) {
	w.t.Helper()
	seen, c := w.watch("a"), w.dial()
	c.Connect(l, core.Success, false)
	c.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, w.want(core.NotAuthorized))
	seen.should("a=1")
	w.refused(1, core.NotAuthorized, l.ClientID, "a")
}

// takers are the owner u of the ClientID c1, and who comes for it.
func (w *authzWorld) takers(kept bool, other string) (owner, taker Login) {
	w.users.Put("u", User{Password: "good"})
	w.users.Put("v", User{Password: "good"})
	w.rights.Allow("user u", core.ActionSubscribe, "a")
	owner = Login{ClientID: "c1", Username: "u", Password: "good", Kept: kept}
	taker = owner
	if !w.allow {
		taker.Username = other
	}
	return owner, taker
}

func takeConnection(w *authzWorld, kept bool) {
	owner, taker := w.takers(kept, "v")
	first, next := w.dial(), w.dial()
	first.Connect(owner, core.Success, false)
	first.Subscribe("a", 1, core.Success)
	next.Connect(taker, w.want(core.NotAuthorized), kept && w.allow)
	w.refused(1, core.NotAuthorized, "c1", "another user")
	if w.allow {
		first.Ended(core.SessionTakenOver)
		next.Subscribe("a", 1, core.Success)
		first = next
	}
	w.publisher().Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
	first.gets("a=1") // undisturbed where it was not its own identity that came
}

func takeSession(w *authzWorld, between func(), other string) {
	owner, taker := w.takers(true, other)
	c := w.dial()
	c.Connect(owner, core.Success, false)
	c.Subscribe("a", 1, core.Success)
	c.Lose()
	w.publisher().Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
	w.life.end()
	w.start()
	between()
	c = w.dial()
	c.Connect(taker, w.want(core.NotAuthorized), w.allow)
	w.refused(1, core.NotAuthorized, "c1", "another user")
	if !w.allow {
		c = w.dial()
		c.Connect(owner, core.Success, true)
	}
	c.gets("a=1")
}

func superuser(w *authzWorld) {
	w.users.Put("u", User{Password: "good", Grant: core.Grant{Superuser: w.allow}})
	seen, c := w.watch("a"), w.dial()
	c.Connect(Login{ClientID: "c1", Username: "u", Password: "good"}, core.Success, false)
	c.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, w.want(core.NotAuthorized))
	seen.should("a=1")
	c.Subscribe("b", 1, w.want(core.NotAuthorized))
	w.publisher().Publish(Post{Topic: "b", Payload: "2", QoS: 1}, core.Success)
	c.should("b=2")
	w.refused(1, core.NotAuthorized, "c1", "a")
	w.refused(1, core.NotAuthorized, "c1", "subscribe b")
}

// demote connects a superuser, who subscribes, and takes the word away.
func (w *authzWorld) demote() Login {
	w.users.Put("u", User{Password: "good", Grant: core.Grant{Superuser: true}})
	l := Login{ClientID: "c1", Username: "u", Password: "good", Kept: true}
	c := w.dial()
	c.Connect(l, core.Success, false)
	c.Subscribe("a", 1, core.Success)
	c.Lose()
	w.users.Put("u", User{Password: "good", Grant: core.Grant{Superuser: w.allow}})
	return l
}

func demoted(w *authzWorld) {
	p := w.publisher() // no change of the rules comes between
	l, c := w.demote(), w.dial()
	c.Connect(l, core.Success, true)
	p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
	c.should("a=1")
	w.refused(1, core.DeliverNotAuthorized, "c1", "a")
}

// regranted: the same user connects again with another grant.
func regranted(w *authzWorld, before, after core.Grant) {
	w.rights.Allow("acl one", core.ActionSubscribe, "a")
	p := w.publisher()
	w.users.Put("u", User{Password: "good", Grant: before})
	l := Login{ClientID: "c1", Username: "u", Password: "good", Kept: true}
	c := w.dial()
	c.Connect(l, core.Success, false)
	c.Subscribe("a", 1, core.Success)
	c.Lose()
	w.users.Put("u", User{Password: "good", Grant: after})
	c = w.dial()
	c.Connect(l, core.Success, true)
	p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
	c.should("a=1")
	w.refused(1, core.DeliverNotAuthorized, "c1", "a")
}

// doorman knows c1, which sends no name: he turns it away, or lets it do everything, or
// says nothing. A row changes his mind between two connects.
type doorman struct{ shut, trusts bool }

// Name implements core.Authenticator.
func (*doorman) Name() string { return "doorman" }

// Authenticate implements core.Authenticator.
func (d *doorman) Authenticate(_ context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	switch {
	case c.ClientID == "c1" && d.shut:
		return core.Deny, nil, nil
	case c.ClientID == "c1" && d.trusts:
		return core.Allow, &core.Grant{Superuser: true}, nil
	}
	return core.Ignore, nil, nil
}

// distrusted: a client without a name was granted everything once, and comes back to
// nothing.
func distrusted(w *authzWorld) {
	p := w.publisher()
	w.door.trusts = true
	c := w.kept("c1", false)
	c.Subscribe("a", 1, core.Success)
	c.Lose()
	w.door.trusts = w.allow
	c = w.kept("c1", true)
	p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
	c.should("a=1")
	w.refused(1, core.DeliverNotAuthorized, "c1", "a")
}

func queueOfDemoted(w *authzWorld) {
	l, c := w.demote(), w.dial()
	w.publisher().Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
	c.Connect(l, core.Success, true)
	c.should("a=1")
	w.refused(1, core.DeliverNotAuthorized, "c1", "a")
}

// veto denies what is published to a, c1 alone, if it is in force.
type veto struct{ Rights }

// Authorize implements core.Authorizer.
func (v *veto) Authorize(id *core.Identity, a core.Action, name string) (core.Verdict, error) {
	if id.ClientID == "c1" && name == "a" {
		return core.Deny, nil
	}
	return core.Ignore, nil
}

// Covers implements core.Authorizer.
func (v *veto) Covers(*core.Identity, string) core.Verdict { return core.Ignore }

// sourceRows are about sources of rules that disagree, or fail.
func sourceRows() []authzRow {
	before := func(o *core.Options) { o.Authorizers = append([]core.Authorizer{&veto{}}, o.Authorizers...) }
	after := func(o *core.Options) { o.Authorizers = append(o.Authorizers, &veto{}) }
	return []authzRow{
		{path: "publish where an earlier source denies", set: before, run: func(w *authzWorld) { vetoed(w, "p2") }},
		{path: "publish where only a later source denies", set: after, run: func(w *authzWorld) {
			w.grant("c1", core.ActionPublish, "a")
			seen, c := w.watch("a"), w.client("c1")
			c.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, w.want(core.NotAuthorized))
			seen.should("a=1")
			w.refused(1, core.NotAuthorized, "c1", "a")
		}},
		{path: "deliver where an earlier source denies in part", set: before, run: func(w *authzWorld) {
			id := map[bool]string{true: "c2", false: "c1"}[w.allow]
			w.rights.Allow(id, core.ActionSubscribe, "+")
			c, p := w.client(id), w.publisher()
			c.Subscribe("+", 1, core.Success)
			p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
			c.should("a=1")
			w.refused(1, core.DeliverNotAuthorized, "c1", "a")
		}},
		{path: "subscribe where an earlier source has nothing to say", set: before, run: func(w *authzWorld) {
			w.grant("c1", core.ActionSubscribe, "b")
			c, p := w.client("c1"), w.publisher()
			c.Subscribe("b", 1, w.want(core.NotAuthorized))
			p.Publish(Post{Topic: "b", Payload: "1", QoS: 1}, core.Success)
			c.should("b=1")
			w.refused(1, core.NotAuthorized, "c1", "subscribe b")
		}},
		{path: "publish while the rules cannot be read", needs: []Feature{BadRules}, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionPublish, "a")
			c := w.client("c1")
			w.rights.Break(!w.allow)
			c.Publish(Post{Topic: "a", Payload: "1", QoS: 1, Retain: true}, w.want(core.NotAuthorized))
			w.rights.Break(false)
			w.watch("a").should("a=1")
			w.refused(1, core.NotAuthorized, "c1", "a")
		}},
		{path: "subscribe while the rules cannot be read", needs: []Feature{BadRules}, run: func(w *authzWorld) {
			w.rights.Allow("c1", core.ActionSubscribe, "a")
			c, p := w.client("c1"), w.publisher()
			w.rights.Break(!w.allow)
			c.Subscribe("a", 1, w.want(core.NotAuthorized))
			w.rights.Break(false)
			p.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, core.Success)
			c.should("a=1")
			w.refused(1, core.NotAuthorized, "c1", "a")
		}},
	}
}

func vetoed(w *authzWorld, other string) {
	id := map[bool]string{true: other, false: "c1"}[w.allow]
	w.rights.Allow(id, core.ActionPublish, "a")
	seen, c := w.watch("a"), w.client(id)
	c.Publish(Post{Topic: "a", Payload: "1", QoS: 1}, w.want(core.NotAuthorized))
	seen.should("a=1")
	w.refused(1, core.NotAuthorized, "c1", "a")
}
