package identitytest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/core"
)

func passwords(b *bench) {
	b.site.SetUsers(b.T, User{Name: "ann", Password: "right"}, User{Name: "bob", Password: "other"})
	s := b.source()
	b.login(s, "c1", "ann", "right", core.Allow)
	for _, wrong := range []string{"other", "Right", "righ", "right ", "", "$all", "' or '1'='1"} {
		b.login(s, "c1", "ann", wrong, core.Deny)
	}
	for _, nobody := range []string{"nobody", "Ann", "ANN", "ann ", " ann", "", "an", "ann%", "a_n", "$all", "*", "ann\x00"} {
		b.login(s, "c1", nobody, "right", core.Ignore)
	}
	b.site.SetUsers(b.T, User{Name: "ann", Password: "changed"})
	b.login(s, "c1", "ann", "right", core.Deny)
	b.login(s, "c1", "ann", "changed", core.Allow)
}

// hashes has what other programs wrote for "public" and the salt "salt": sha256sum, md5sum,
// hashlib and crypt of Python, and argon2.
func hashes(b *bench) {
	const argon = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4" // of "password"
	known := []struct{ scheme, stored, password string }{
		{"plain", "public", "public"},
		{"md5", "4c9184f37cff01bcdc32dc486ec36961", "public"},
		{"sha", "61c9b2b17db77a27841bbeeabff923448b0f6388", "public"},
		{"sha256", "efa1f375d76194fa51a3556a97e641e61685f914d446979da50a551a4333ffd7", "public"},
		{"salt,sha256", "f2ef7f9aedb2c3b5040bc16691a1177758a92ad91e1ee77770215a332bf6099f", "public"},
		{"salt sha256", "f2ef7f9aedb2c3b5040bc16691a1177758a92ad91e1ee77770215a332bf6099f", "public"},
		{"sha256,salt", "f4a8615be301fbaf6213df33cfe5f22953aafc0c31beb8f2daef55b127444d27", "public"},
		{"sha512", "d32997e9747b65a3ecf65b82533a4c843c4e16dd30cf371e8c81ab60a341de00051da422d41ff29c55695f233a1e06fac8b79aeb0a4d91ae5d3d18c8e09b8c73", "public"},
		{"pbkdf2,sha256,1000,20", "5a21f11c597da1447641c0a5ba58b856a76f1084", "public"},
		{"bcrypt", "$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK", "public"},
		{"salt,bcrypt", "$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK", "public"},
		{"sha256", argon, "password"},
	}
	rows := []User{{Name: "broken", Password: "public"}}
	for i, c := range known {
		rows = append(rows, User{Name: fmt.Sprint("user", i), Password: c.stored, Salt: "salt"})
	}
	b.site.SetUsers(b.T, rows...)
	for i, c := range known {
		name := fmt.Sprint("user", i)
		s := b.source(func(cfg *identity.Config) { cfg.PasswordHash = c.scheme })
		b.login(s, "c1", name, c.password, core.Allow)
		b.login(s, "c1", name, "x"+c.password, core.Deny)
		b.login(s, "c1", name, c.stored, map[bool]core.Verdict{true: core.Allow, false: core.Deny}[c.scheme == "plain"])
	}
	s := b.source(func(cfg *identity.Config) { cfg.PasswordHash = "sha256" })
	if v, grant, err := s.Authenticate(b.Context(), credentials("c1", "broken", "public")); v == core.Allow || grant != nil || err == nil || strings.Contains(err.Error(), "public") {
		b.Errorf("what is no hash: %v, %v, %v", v, grant, err)
	}
}

func superuser(b *bench) {
	b.site.SetUsers(b.T, User{Name: "root", Password: "right", Superuser: true}, User{Name: "ann", Password: "right"})
	for _, own := range []bool{false, true} {
		s := b.source(func(c *identity.Config) {
			if own { // a query of its own gives the same
				c.SuperQuery = c.UserQuery
			}
		})
		if id := b.login(s, "c1", "root", "right", core.Allow); !id.Grant.Superuser {
			b.Error("root is no superuser")
		}
		if id := b.login(s, "c1", "ann", "right", core.Allow); id.Grant.Superuser {
			b.Error("ann is a superuser")
		}
	}
}

func rights(b *bench) {
	b.site.SetUsers(b.T, User{Name: "ann", Password: "right"}, User{Name: "bob", Password: "right"})
	b.site.SetRules(b.T, []Rule{
		{Username: "ann", Access: 2, Topic: "up/%u/+"},
		{Username: "ann", Access: 1, Topic: "down/%c/#"},
		{Username: "ann", Access: 3, Topic: "both"},
		{Username: "bob", Access: 3, Topic: "bob/#"},
	})
	s := b.source()
	id := b.login(s, "c1", "ann", "right", core.Allow)
	b.wants(s, id, core.Allow, "publish up/ann/x", "subscribe down/c1/#", "subscribe down/c1/a/+", "deliver down/c1/a", "publish both", "subscribe both")
	b.wants(s, id, b.other(), "publish up/bob/x", "publish up/ann/x/y", "subscribe up/ann/x", "publish down/c1/a", "subscribe down/#",
		"subscribe down/c2/a", "deliver down/c2/a", "publish bob/x", "subscribe bob/#", "subscribe #", "publish other")
	id = b.login(s, "c1", "bob", "right", core.Allow)
	b.wants(s, id, core.Allow, "publish bob/x", "subscribe bob/#")
	b.wants(s, id, b.other(), "publish up/bob/x", "publish both", "subscribe down/c1/#")
}

// everybody: rows of $all are those of each user, of clients without a row of their own,
// too.
func everybody(b *bench) {
	b.site.SetUsers(b.T, User{Name: "ann", Password: "right"}, User{Name: "bob", Password: "right"}, User{Name: "$all", Password: "right"})
	b.site.SetRules(b.T, []Rule{{Username: "ann", Access: 2, Topic: "ann"}, {Username: "$all", Access: 2, Topic: "all/%u"}})
	s := b.source()
	ann := b.login(s, "c1", "ann", "right", core.Allow)
	b.wants(s, ann, core.Allow, "publish ann", "publish all/ann")
	bob := b.login(s, "c2", "bob", "right", core.Allow)
	b.wants(s, bob, core.Allow, "publish all/bob")
	b.wants(s, bob, b.other(), "publish ann", "publish all/ann")
	// Who is called so is not everybody.
	all := b.login(s, "c3", "$all", "right", core.Allow)
	b.wants(s, all, b.other(), "publish ann", "publish all/ann")
}

// denied: the first row that matches counts, of the user's own first or as they are
// numbered; an address, a client id and a user name that a row has must all be the client's.
func denied(b *bench) {
	b.site.SetUsers(b.T, User{Name: "ann", Password: "right"}, User{Name: "bob", Password: "right"})
	b.site.SetRules(b.T, []Rule{
		{Deny: true, Username: "ann", Access: 3, Topic: "up/secret/#"},
		{Username: "ann", Access: 3, Topic: "up/#"},
		{Deny: true, Username: "ann", Access: 2, Topic: "up/late"},
		{Deny: true, Username: "ann", Access: 1, Topic: "eq down/#"},
		{Username: "ann", Access: 1, Topic: "down/#"},
		{Username: "$all", ClientID: "c1", Access: 2, Topic: "for/c1"},
		{Username: "$all", IPAddr: "192.0.2.0/24", Access: 2, Topic: "from/net"},
		{Username: "$all", IPAddr: "198.51.100.1", Access: 2, Topic: "from/other"},
		{Deny: true, Username: "$all", Access: 3, Topic: "#"},
	})
	s := b.source()
	ann := b.login(s, "c1", "ann", "right", core.Allow)
	b.wants(s, ann, core.Allow, "publish up/x", "publish up/late", "subscribe up/#", "deliver up/x", "subscribe down/x", "deliver down/x", "publish for/c1", "publish from/net")
	b.wants(s, ann, core.Deny, "publish up/secret/x", "deliver up/secret/x", "subscribe up/secret/#", "subscribe down/#", "publish from/other", "publish other", "subscribe #")
	bob := b.login(s, "c2", "bob", "right", core.Allow)
	b.wants(s, bob, core.Allow, "publish from/net")
	b.wants(s, bob, core.Deny, "publish up/x", "subscribe down/x", "publish for/c1", "publish other")
}

// changed rules hold within acl_refresh, without a word of the client.
func changed(b *bench) {
	b.site.SetUsers(b.T, User{Name: "ann", Password: "right"})
	b.site.SetRules(b.T, []Rule{{Username: "ann", Access: 2, Topic: "before"}})
	const refresh = 3 * time.Second // twice that without an answer, and nothing is allowed
	s := b.source(func(c *identity.Config) { c.Refresh = refresh })
	id := b.login(s, "c1", "ann", "right", core.Allow)
	version := s.Version()
	b.wants(s, id, core.Allow, "publish before")
	b.site.SetRules(b.T, []Rule{{Username: "ann", Access: 2, Topic: "after"}})
	began := time.Now()
	b.await(func() bool { return b.may(s, id, "publish after") == core.Allow })
	if took := time.Since(began); took > refresh+10*time.Second {
		b.Errorf("seen after %s", took)
	}
	b.wants(s, id, b.other(), "publish before")
	if s.Version() == version {
		b.Error("cached answers are not asked for again")
	}
}

// await looks until the database has been read.
func (b *bench) await(happened func() bool) {
	b.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for late := time.After(time.Minute); !happened(); {
		select {
		case <-look.C:
		case <-late:
			b.Fatal("nothing happened for a minute")
		}
	}
}

// manyUsers log in at once, and each has the rules of its own.
func manyUsers(b *bench) {
	const users = 64
	var rows []User
	var list []Rule
	for i := range users {
		rows = append(rows, User{Name: fmt.Sprint("u", i), Password: fmt.Sprint("p", i)})
		list = append(list, Rule{Username: fmt.Sprint("u", i), Access: 2, Topic: fmt.Sprint("t", i)})
	}
	b.site.SetUsers(b.T, rows...)
	b.site.SetRules(b.T, list)
	s := b.source()
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() {
			id := b.login(s, fmt.Sprint("c", i), fmt.Sprint("u", i), fmt.Sprint("p", i), core.Allow)
			b.login(s, fmt.Sprint("c", i), fmt.Sprint("u", i), fmt.Sprint("p", (i+1)%users), core.Deny)
			b.wants(s, id, core.Allow, fmt.Sprint("publish t", i))
			b.wants(s, id, b.other(), fmt.Sprint("publish t", (i+1)%users))
		})
	}
	wg.Wait()
}

// away: nobody gets in, rules that are known hold for a while, one line is logged; and all
// of it is well again by itself.
func away(b *bench) {
	b.site.SetUsers(b.T, User{Name: "ann", Password: "right"})
	b.site.SetRules(b.T, []Rule{{Username: "ann", Access: 2, Topic: "t"}})
	s := b.source(func(c *identity.Config) { c.Refresh, c.Timeout = 2*time.Second, 4*time.Second })
	id := b.login(s, "c1", "ann", "right", core.Allow)
	restart := b.site.Outage(b.T)
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if v, grant, err := s.Authenticate(ctx, credentials("c2", "ann", "right")); v != core.Ignore || grant != nil || err == nil {
			b.Errorf("away: %v, %v, %v", v, grant, err)
		}
		cancel()
	}
	b.await(func() bool {
		v, err := s.Authorize(id, core.ActionPublish, "t")
		return v == core.Deny && err != nil
	})
	if lines := b.log.all(); len(lines) != 1 || !strings.Contains(lines[0], "level=WARN") {
		b.Errorf("away: %d lines, want one: %q", len(lines), lines)
	}
	restart()
	b.await(func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		v, _, err := s.Authenticate(ctx, credentials("c2", "ann", "right"))
		return v == core.Allow && err == nil
	})
	b.await(func() bool {
		v, err := s.Authorize(id, core.ActionPublish, "t")
		return v == core.Allow && err == nil
	})
	lines := b.log.all()
	if len(lines) != 2 || !strings.Contains(lines[1], "level=INFO") {
		b.Errorf("back: %d lines, want two: %q", len(lines), lines)
	}
	if strings.Contains(strings.Join(lines, ""), "right") {
		b.Errorf("a password is in the log: %q", lines)
	}
}
