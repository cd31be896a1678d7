package core_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// wordy is a method that does as the client says: "more", "no", "break", "wait",
// "nobody", or the name of who it is, with ":expires", ":super" or ":only" behind.
type wordy struct{}

func (wordy) Name() string                          { return "wordy" }
func (wordy) Method() string                        { return "WORDS" }
func (wordy) Begin(*core.Credentials) core.Exchange { return wordy{} }

func (wordy) Step(ctx context.Context, data []byte) (core.Step, error) {
	word, more, _ := strings.Cut(string(data), ":")
	switch word {
	case "more":
		return core.Step{Data: []byte("and?")}, nil
	case "no":
		return core.Step{Verdict: core.Deny, Detail: "not you"}, nil
	case "break":
		return core.Step{}, errors.New("a wire is loose")
	case "wait":
		<-ctx.Done()
		return core.Step{}, ctx.Err()
	case "nobody":
		return core.Step{Verdict: core.Allow, Grant: &core.Grant{}}, nil
	}
	grant := &core.Grant{Username: word}
	switch more {
	case "expires":
		grant.Expires = time.Now().Add(time.Minute).UnixMilli()
	case "soon":
		grant.Expires = time.Now().Add(10 * time.Second).UnixMilli()
	case "super":
		grant.Superuser = true
	case "only":
		grant.ClientID = "other"
	}
	return core.Step{Verdict: core.Allow, Grant: grant, Data: []byte("welcome")}, nil
}

// talker is a connection whose client speaks a method.
type talker struct {
	g    *coretest.Gateway
	late chan core.Completion
	mu   sync.Mutex
	shut []core.Reason
	auth *core.Authentication
	link core.Link
}

func (c *talker) Wake(*core.Turn)            {}
func (c *talker) Complete(d core.Completion) { c.late <- d }
func (c *talker) Close(r core.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shut = append(c.shut, r)
}

func (c *talker) closed() []core.Reason {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shut
}

func (c *talker) Peer() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.7:7") }

// connect begins; the answer is that of Connect, whenever it came.
func (c *talker) connect(id, method, data string, change func(*core.ConnectRequest)) *core.ConnectResult {
	r := &core.ConnectRequest{Conn: c, Protocol: "mqtt", Version: 5, Listener: "l", CleanStart: true,
		Credentials: core.Credentials{ClientID: id, Listener: "l", Method: method, Data: []byte(data),
			Username: "claimed", HasUsername: true, Password: []byte("secret"), HasPassword: true}}
	if change != nil {
		change(r)
	}
	c.g.T.Begin(time.Now())
	return c.answer(core.OpConnect, func() (*core.ConnectResult, bool) { return c.g.Gateway.Connect(c.g.T, r) })
}

func (c *talker) step(op core.CompletionOp, again bool, data string) *core.ConnectResult {
	c.g.T.Begin(time.Now())
	return c.answer(op, func() (*core.ConnectResult, bool) { return c.g.Authenticate(c.g.T, c.auth, again, []byte(data)) })
}

func (c *talker) answer(op core.CompletionOp, ask func() (*core.ConnectResult, bool)) *core.ConnectResult {
	res, pending := ask()
	c.g.T.End()
	if pending {
		d := <-c.late
		if d.Op != op {
			panic(fmt.Sprintf("completion of %d, want %d", d.Op, op))
		}
		res = d.Connect
	}
	if res.Authentication != nil {
		c.auth = res.Authentication
	}
	if res.Link.Session != nil {
		c.link = res.Link
	}
	return res
}

func startWordy(t *testing.T, change func(*core.Options)) *talker {
	g := coretest.Start(t, nil, func(o *core.Options) {
		o.Exchangers = []core.Exchanger{wordy{}}
		if change != nil {
			change(o)
		}
	})
	return &talker{g: g, late: make(chan core.Completion, 1)}
}

// told checks that a refusal was counted and explained, once.
func told(t *testing.T, g *coretest.Gateway, res *core.ConnectResult, why core.Reason, detail string) {
	t.Helper()
	if res.Reason != why || !strings.Contains(res.Detail, detail) {
		t.Fatalf("refused as %s %q, want %s %q", res.Reason, res.Detail, why, detail)
	}
	if n := g.Stats().Reasons[why]; n != 1 {
		t.Errorf("%s was counted %d times", why, n)
	}
	records := g.Explain(10, func(r *core.Record) bool { return r.Reason == why })
	if len(records) != 1 || records[0].ClientID != "c" || records[0].Listener != "l" || records[0].Peer == "" || !strings.Contains(records[0].Detail, detail) {
		t.Errorf("explained as %+v", records)
	}
}

func stat(g *coretest.Gateway, c core.Counter) uint64 {
	s := g.Stats()
	return s.Get(c)
}

func TestEnhancedConnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := startWordy(t, nil)
		res := c.connect("c", "WORDS", "more", nil)
		if res.Reason != core.Success || !res.Continue || string(res.Data) != "and?" || res.Link.Session != nil {
			t.Fatalf("first step: %+v", res)
		}
		if stat(c.g, core.Connects) != 0 {
			t.Fatal("the client counts as connected")
		}
		res = c.step(core.OpConnect, false, "alice")
		if res.Reason != core.Success || res.Continue || string(res.Data) != "welcome" || res.Link.Session == nil {
			t.Fatalf("last step: %+v", res)
		}
		for i := range c.g.Clients {
			if i.Username != "alice" {
				t.Errorf("the user is %q, want who was proven", i.Username)
			}
		}
	})
}

func TestEnhancedConnectRefused(t *testing.T) {
	for _, c := range []struct {
		name, method string
		steps        []string
		why          core.Reason
		detail       string
	}{
		{"unknown method", "NOISE", []string{"alice"}, core.BadAuthenticationMethod, `"NOISE" is not offered; there are WORDS`},
		{"method in small letters", "words", []string{"alice"}, core.BadAuthenticationMethod, "not offered"},
		{"denied", "WORDS", []string{"more", "no"}, core.BadCredentials, "not you"},
		{"source fails", "WORDS", []string{"break"}, core.AuthUnavailable, "identity source wordy cannot answer"},
		{"source hangs", "WORDS", []string{"more", "wait"}, core.AuthUnavailable, "cannot answer"},
		{"a proof of nobody", "WORDS", []string{"nobody"}, core.AuthUnavailable, "who was authenticated"},
		{"another client id", "WORDS", []string{"alice:only"}, core.ClientIDNotValid, "its own client id"},
		{"too many steps", "WORDS", strings.Split(strings.Repeat("more ", 8)+"alice", " "), core.NotAuthorized, "more than 8 steps"},
		{"too much data", "WORDS", []string{"more", strings.Repeat("x", 4097)}, core.NotAuthorized, "more than 4096 bytes"},
		{"too much at once", "WORDS", []string{strings.Repeat("x", 4097)}, core.NotAuthorized, "more than 4096 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				k := startWordy(t, nil)
				res := k.connect("c", c.method, c.steps[0], nil)
				for _, s := range c.steps[1:] {
					if !res.Continue {
						t.Fatalf("before %q: %+v", s, res)
					}
					res = k.step(core.OpConnect, false, s)
				}
				synctest.Wait()
				told(t, k.g, res, c.why, c.detail)
				if n := stat(k.g, core.ConnectsRefused); n != 1 || res.Link.Session != nil {
					t.Errorf("%d connects refused, link %v", n, res.Link.Session)
				}
			})
		})
	}
}

func TestEnhancedConnectTakesTooLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := startWordy(t, nil)
		c.connect("c", "WORDS", "more", nil)
		<-time.After(31 * time.Second)
		res := c.step(core.OpConnect, false, "alice")
		told(t, c.g, res, core.NotAuthorized, "longer than 30s")
	})
}

func TestEnhancedConnectBacklog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := startWordy(t, func(o *core.Options) { o.Config.AuthWorkers, o.Config.AuthBacklog = 1, 1 })
		var waiting []*talker
		for range 2 { // one at work, one in the queue
			w := &talker{g: c.g, late: make(chan core.Completion, 1)}
			r := &core.ConnectRequest{Conn: w, Credentials: core.Credentials{ClientID: "w", Method: "WORDS", Data: []byte("wait")}}
			if _, pending := c.g.Gateway.Connect(c.g.T, r); !pending {
				t.Fatal("not pending")
			}
			synctest.Wait()
			waiting = append(waiting, w)
		}
		told(t, c.g, c.connect("c", "WORDS", "alice", nil), core.ServerBusy, "too many authentications wait")
		for _, w := range waiting {
			<-w.late
		}
	})
}

// opened is a client that alice authenticated.
func openedWordy(t *testing.T, first string, change func(*core.ConnectRequest)) *talker {
	c := startWordy(t, nil)
	if res := c.connect("c", "WORDS", first, change); res.Reason != core.Success || res.Link.Session == nil {
		t.Fatalf("%+v", res)
	}
	c.g.Resume(c.g.T, c.link)
	return c
}

func TestReauthenticationRefused(t *testing.T) {
	for _, c := range []struct {
		name, words string
		why         core.Reason
		detail      string
	}{
		{"denied", "no", core.BadCredentials, "not you"},
		{"another user", "bob", core.NotAuthorized, "must not change the user"},
		{"another client id", "alice:only", core.NotAuthorized, "its own client id"},
		{"source fails", "break", core.AuthUnavailable, "cannot answer"},
		{"a proof of nobody", "nobody", core.AuthUnavailable, "who was authenticated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				k := openedWordy(t, "alice", nil)
				res := k.step(core.OpAuthenticate, true, "more")
				if !res.Continue || string(res.Data) != "and?" {
					t.Fatalf("first step: %+v", res)
				}
				res = k.step(core.OpAuthenticate, false, c.words)
				synctest.Wait()
				told(t, k.g, res, c.why, c.detail)
				if stat(k.g, core.ReauthenticationsRefused) != 1 || stat(k.g, core.ConnectsRefused) != 0 {
					t.Error("counted as something else")
				}
			})
		})
	}
}

// TestReauthenticationRenewsExpiry: what ends the connection is the grant that holds.
func TestReauthenticationRenewsExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := openedWordy(t, "alice:expires", nil)
		<-time.After(50 * time.Second)
		if res := c.step(core.OpAuthenticate, true, "alice:expires"); res.Reason != core.Success || res.Continue || string(res.Data) != "welcome" {
			t.Fatalf("%+v", res)
		}
		<-time.After(50 * time.Second) // the first grant is over
		synctest.Wait()
		if len(c.closed()) != 0 {
			t.Fatalf("closed for %v", c.closed())
		}
		<-time.After(11 * time.Second)
		synctest.Wait()
		if len(c.closed()) != 1 || c.closed()[0] != core.IdentityExpired {
			t.Fatalf("closed for %v", c.closed())
		}
		if n := stat(c.g, core.Reauthentications); n != 1 {
			t.Errorf("%d re-authentications", n)
		}
	})
}

// TestReauthenticationMayShorten: the earliest end counts, and none that was given up.
func TestReauthenticationMayShorten(t *testing.T) {
	for _, c := range []struct {
		words []string
		ends  time.Duration // 0: not at all
	}{
		{[]string{"alice:expires", "alice:soon"}, 10 * time.Second},
		{[]string{"alice:soon", "alice:expires"}, time.Minute},
		{[]string{"alice:soon", "alice:expires", "alice:soon"}, 10 * time.Second},
		{[]string{"alice:soon", "alice"}, 0},
		{[]string{"alice", "alice:soon"}, 10 * time.Second},
		{[]string{"alice:expires", "alice:soon", "alice"}, 0},
	} {
		bubble(t, func(t *testing.T) {
			k := openedWordy(t, c.words[0], nil)
			for _, w := range c.words[1:] {
				k.step(core.OpAuthenticate, true, w)
			}
			began := time.Now()
			for time.Since(began) < 2*time.Minute {
				<-time.After(time.Second)
				synctest.Wait()
				if over := c.ends != 0 && time.Since(began) >= c.ends; over != (len(k.closed()) == 1) {
					t.Fatalf("%v: closed for %v after %s", c.words, k.closed(), time.Since(began))
				} else if over {
					return
				}
			}
		})
	}
}

// superOnly lets superusers through, whom nobody asks about, and no one else.
type superOnly struct{ coretest.AllowAll }

func (superOnly) Authorize(*core.Identity, core.Action, string) (core.Verdict, error) {
	return core.Deny, nil
}
func (superOnly) Covers(*core.Identity, string) core.Verdict { return core.Ignore }

// TestReauthenticationChangesRights: decisions that were made before are not kept.
func TestReauthenticationChangesRights(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := startWordy(t, func(o *core.Options) { o.Authorizers = []core.Authorizer{superOnly{}} })
		c.connect("c", "WORDS", "alice:super", func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = false, 100 })
		c.g.Resume(c.g.T, c.link)
		may := func() bool {
			p := pub("a", "x", 0, 0)
			before := stat(c.g, core.MessagesRefused)
			_, _ = c.g.Publish(c.g.T, c.link, &p)
			c.g.T.End()
			return stat(c.g, core.MessagesRefused) == before
		}
		for i, word := range []string{"alice:super", "alice", "alice", "alice:super"} {
			if res := c.step(core.OpAuthenticate, true, word); res.Reason != core.Success {
				t.Fatalf("%+v", res)
			}
			if want := strings.HasSuffix(word, "super"); may() != want {
				t.Errorf("step %d: allowed = %v", i, !want)
			}
		}
	})
}

func TestReauthenticationAfterTakeover(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := openedWordy(t, "alice", nil)
		other := &talker{g: c.g, late: make(chan core.Completion, 1)}
		other.connect("c", "WORDS", "alice", nil)
		if res := c.step(core.OpAuthenticate, true, "alice:super"); res.Reason != core.SessionTakenOver {
			t.Fatalf("%+v", res)
		}
	})
}

// TestAuthenticationOrder plays random steps against the rules of section 4.12, written
// down once more as a table of three states.
func TestAuthenticationOrder(t *testing.T) {
	const connecting, idle, renewing = 0, 1, 2
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				c := startWordy(t, nil)
				state, steps := connecting, 1
				c.connect("c", "WORDS", "more", nil)
				for range 12 {
					again, word := r.IntN(2) == 0, []string{"more", "alice", "alice", "no", "bob"}[r.IntN(5)]
					op, from := core.OpAuthenticate, state
					if state == connecting {
						op = core.OpConnect
					}
					res := c.step(op, again, word)
					want := core.Success
					switch {
					case again != (state == idle):
						want = core.ProtocolError
					case word == "no":
						want = core.BadCredentials
					case word == "bob" && state != connecting:
						want = core.NotAuthorized
					}
					if steps++; again {
						steps = 1
					}
					if want == core.Success && steps > 8 {
						want = core.NotAuthorized
					}
					if res.Reason != want || want == core.Success && res.Continue != (word == "more") {
						t.Fatalf("state %d, again %v, %q: %+v, want %s", from, again, word, res, want)
					}
					switch {
					case want != core.Success:
						return
					case word == "bob":
						return // it is bob's from the start
					case word != "more":
						state = idle
					case state == idle:
						state = renewing
					}
				}
			})
		})
	}
}
