package httpauth

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/identity/identitytest"
	"github.com/fairlead-iot/fairlead/core"
)

// rights is a server that knows what may be done, as "ACCESS TOPIC" lines.
type rights struct {
	mu    sync.Mutex
	allow map[string]bool
	pass  map[string]bool // has no opinion about
}

func (r *rights) set(allow ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.allow = map[string]bool{}
	for _, a := range allow {
		r.allow[a] = true
	}
}

func (r *rights) answer(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path != "/acl" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	what := q.URL.Query().Get("access") + " " + q.URL.Query().Get("topic")
	switch {
	case r.pass[what]:
		io.WriteString(w, "ignore")
	case !r.allow[what]:
		w.WriteHeader(403)
	}
}

// asking is a source that asks about topics, and a client of it.
type asking struct {
	*Source
	t     *testing.T
	clock *identitytest.Clock
	http  *identitytest.Server
	id    *core.Identity
}

func newAsking(t *testing.T, r *rights, change func(*Config)) *asking {
	t.Helper()
	a := &asking{t: t, clock: identitytest.NewClock(), http: identitytest.NewServer(t)}
	a.http.Answers(r.answer)
	a.Source = source(t, a.clock, func(c *Config) {
		c.Auth.URL, c.ACL.URL = a.http.URL+"/auth", a.http.URL+"/acl"
		if change != nil {
			change(c)
		}
	})
	v, grant, err := a.Authenticate(t.Context(), client())
	if v != core.Allow || err != nil {
		t.Fatal(v, err)
	}
	a.http.Questions()
	a.id = &core.Identity{ClientID: "c1", Username: "ann", Grant: grant}
	return a
}

// settle waits until nothing is asked in the background.
func (a *asking) settle() {
	for range cap(a.slots) {
		a.slots <- struct{}{}
	}
	for range cap(a.slots) {
		<-a.slots
	}
}

func (a *asking) wants(action core.Action, topic string, want core.Verdict, fails bool) {
	a.t.Helper()
	v, err := a.Authorize(a.id, action, topic)
	if v != want || (err != nil) != fails {
		a.t.Errorf("%v %s: %v %v, want %v", action, topic, v, err, want)
	}
	a.settle()
}

func (a *asking) asked(n int) {
	a.t.Helper()
	if q := a.http.Questions(); len(q) != n {
		a.t.Errorf("asked %q, want %d questions", q, n)
	}
}

// Answers are kept for a minute, renewed beside the traffic, and hold for two.
func TestAnswersAreKept(t *testing.T) {
	r := &rights{pass: map[string]bool{"2 none": true}}
	r.set("2 up")
	a := newAsking(t, r, nil)
	before := a.Version()
	a.wants(core.ActionPublish, "up", core.Deny, true) // asked now
	if a.Version() == before {
		t.Error("the answer is not told")
	}
	for range 100 {
		a.wants(core.ActionPublish, "up", core.Allow, false)
	}
	a.wants(core.ActionPublish, "down", core.Deny, true)
	a.wants(core.ActionPublish, "down", core.Deny, false)
	a.wants(core.ActionPublish, "none", core.Deny, true)
	a.wants(core.ActionPublish, "none", core.Ignore, false)
	a.asked(3)
	r.set() // the right is taken
	a.clock.Pass(61 * time.Second)
	a.wants(core.ActionPublish, "up", core.Allow, false)
	a.wants(core.ActionPublish, "up", core.Deny, false)
	a.asked(1)
	r.set("2 up")
	a.clock.Pass(61 * time.Second)
	a.http.Says(500, "", "") // the server is away
	a.wants(core.ActionPublish, "up", core.Deny, false)
	a.clock.Pass(60 * time.Second)
	a.wants(core.ActionPublish, "up", core.Deny, true)
	a.http.Answers(r.answer)
	a.wants(core.ActionPublish, "up", core.Deny, true)
	a.wants(core.ActionPublish, "up", core.Allow, false)
}

// What is prepared needs no question, and tells nobody to ask again.
func TestPrepare(t *testing.T) {
	r := &rights{}
	r.set("2 up", "1 down/#")
	a := newAsking(t, r, nil)
	before := a.Version()
	for _, q := range []struct {
		action core.Action
		topic  string
		want   core.Verdict
	}{{core.ActionPublish, "up", core.Allow}, {core.ActionPublish, "down", core.Deny}, {core.ActionSubscribe, "down/#", core.Allow}} {
		if a.Prepared(a.id, q.action, q.topic) {
			t.Errorf("%s is known", q.topic)
		}
		a.Prepare(t.Context(), a.id, q.action, q.topic)
		if !a.Prepared(a.id, q.action, q.topic) {
			t.Errorf("%s is not known", q.topic)
		}
		a.wants(q.action, q.topic, q.want, false)
	}
	a.wants(core.ActionDeliver, "down/x", core.Allow, false)
	a.asked(3)
	if a.Version() != before || !a.Prepared(a.id, core.ActionDeliver, "z") || !a.Prepared(&core.Identity{}, core.ActionPublish, "z") {
		t.Error("others would be asked")
	}
	a.clock.Pass(121 * time.Second)
	if a.Prepared(a.id, core.ActionPublish, "up") {
		t.Error("an old answer is one")
	}
	a.http.Says(500, "", "")
	a.Prepare(t.Context(), a.id, core.ActionPublish, "up")
	a.wants(core.ActionPublish, "up", core.Deny, true)
}

// Who may subscribe to a filter gets what it matches; nobody asks about each message.
func TestDeliveriesFollowSubscriptions(t *testing.T) {
	r := &rights{}
	r.set("1 down/#")
	a := newAsking(t, r, nil)
	a.wants(core.ActionSubscribe, "down/#", core.Deny, true)
	a.wants(core.ActionSubscribe, "down/#", core.Allow, false)
	a.wants(core.ActionSubscribe, "#", core.Deny, true)
	a.wants(core.ActionSubscribe, "#", core.Deny, false)
	if v := a.Covers(a.id, "down/#"); v != core.Allow {
		t.Errorf("covers %v", v)
	}
	if v := a.Covers(a.id, "#"); v != core.Deny {
		t.Errorf("covers %v", v)
	}
	a.asked(2)
	for _, name := range []string{"down", "down/a", "down/a/b"} {
		a.wants(core.ActionDeliver, name, core.Allow, false)
	}
	a.wants(core.ActionDeliver, "up", core.Deny, false) // '#' was denied
	a.wants(core.ActionPublish, "down/a", core.Deny, true)
	a.asked(1)
	r.set()
	a.clock.Pass(61 * time.Second)
	a.wants(core.ActionDeliver, "down/a", core.Allow, false)
	a.wants(core.ActionDeliver, "down/a", core.Deny, false)
}

// Each client's answers are bounded, and those about its subscriptions stay longest.
func TestKeptAnswersAreBounded(t *testing.T) {
	r := &rights{}
	r.set("1 down/#")
	a := newAsking(t, r, func(c *Config) { c.Kept = 8 })
	a.wants(core.ActionSubscribe, "down/#", core.Deny, true)
	for n := range 100 {
		a.clock.Pass(time.Millisecond)
		a.wants(core.ActionPublish, strings.Repeat("x", n+1), core.Deny, true)
	}
	own := a.of(a.id)
	if n := len(own.known); n > 8 {
		t.Errorf("%d are kept", n)
	}
	a.http.Questions()
	a.wants(core.ActionDeliver, "down/a", core.Allow, false)
	a.asked(0)
}

// A storm of questions makes no more of them at once than there are connections, and a
// server that is away none.
func TestStormOfQuestions(t *testing.T) {
	a := newAsking(t, &rights{}, func(c *Config) { c.Pool, c.Kept = 4, 10_000 })
	hold := make(chan struct{})
	a.http.Answers(func(w http.ResponseWriter, _ *http.Request) { <-hold; w.WriteHeader(500) })
	for n := range 5000 {
		if v, err := a.Authorize(a.id, core.ActionPublish, strings.Repeat("x", n+1)); v != core.Deny || err == nil {
			t.Fatal(v, err)
		}
	}
	if n := len(a.slots); n != 4 {
		t.Errorf("%d are under way", n)
	}
	close(hold)
	a.settle()
	for range 20 {
		a.wants(core.ActionPublish, "x", core.Deny, true)
	}
	if n := len(a.http.Questions()); n > 6 {
		t.Errorf("asked %d times", n)
	}
}
