package tabletest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// tryClaims: the last claim counts, and only it.
func tryClaims(t *testing.T, s Site) {
	a, more := s.fresh(t)
	b, c := more(), more()
	if err := b.Write(within(t), []sessions.Write{set("p", "k", "unclaimed")}); !errors.Is(err, sessions.ErrUnclaimed) {
		t.Errorf("a write without a claim: %v, want %v", err, sessions.ErrUnclaimed)
	}
	a.write(set("p", "k", "a"), set("p", "a", "a"))
	b.claim("gateway b")
	lost := func(who table) {
		t.Helper()
		for range 2 {
			err := who.Write(within(t), []sessions.Write{set("p", "k", "lost"), set("p", "l", "lost"), del("p", "a"), drop("q")})
			if !errors.Is(err, sessions.ErrClaimed) {
				t.Errorf("a write after another's claim: %v, want %v", err, sessions.ErrClaimed)
			}
		}
	}
	lost(a)
	b.write(set("p", "b", "b"), set("q", "b", "b"))
	lost(a)
	c.claim("gateway c")
	lost(a)
	lost(b)
	c.want(map[pair]string{{"p", "k"}: "a", {"p", "a"}: "a", {"p", "b"}: "b", {"q", "b"}: "b"})
	a.claim("gateway a")
	a.claim("gateway a again")
	lost(c)
	a.write(set("p", "k", "a again"))
	b.want(map[pair]string{{"p", "k"}: "a again", {"p", "a"}: "a", {"p", "b"}: "b", {"q", "b"}: "b"})
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if err := a.Write(done, []sessions.Write{set("p", "k", "late")}); err == nil || errors.Is(err, sessions.ErrClaimed) {
		t.Errorf("a write that nobody waits for: %v", err)
	}
}

// The state of a writer that tests follow: each Write sets all keys of each part to its
// number, so that half of it would be seen.
const (
	raceParts = 3
	raceKeys  = 20
	racePad   = 200

	seriesLength = 10
)

// numbered is the Write number n: it leaves nothing but itself.
func numbered(n int) (ws []sessions.Write) {
	for p := range raceParts {
		part := fmt.Sprint("part ", p)
		if n%2 == 0 {
			ws = append(ws, drop(part))
		}
		for k := range raceKeys {
			ws = append(ws, set(part, fmt.Sprint("key ", k), repeat(fmt.Sprintf("%d ", n), racePad)))
		}
		if n%2 == 0 {
			ws = append(ws, set(part, "even", ""))
		} else {
			ws = append(ws, del(part, "even"))
		}
	}
	return ws
}

// standing is the number of the Write that stands there, 0 for none. It fails t where
// there are parts of several.
func standing(t testing.TB, b table) (n int) {
	t.Helper()
	got := b.all()
	if len(got) == 0 {
		return 0
	}
	if _, err := fmt.Sscanf(got[pair{"part 0", "key 0"}], "%d ", &n); err != nil {
		t.Fatalf("there are %d pairs, but not the first: %v", len(got), err)
	}
	want := map[pair]string{}
	for p := range raceParts {
		part := fmt.Sprint("part ", p)
		for k := range raceKeys {
			want[pair{part, fmt.Sprint("key ", k)}] = repeat(strconv.Itoa(n)+" ", racePad)
		}
		if n%2 == 0 {
			want[pair{part, "even"}] = ""
		}
	}
	compare(t, fmt.Sprintf("write %d", n), got, want)
	return n
}

// tryRace: gateways take the table from each other while all of them write. Each number is
// confirmed to one of them only, none that was confirmed is missing when another takes
// over, and no Write is there by half.
func tryRace(t *testing.T, s Site) {
	first, more := s.fresh(t)
	const gateways, claims = 3, 20
	var confirmed sync.Map // number → gateway
	var all sync.WaitGroup
	for g := range gateways {
		b := more()
		all.Go(func() {
			for range claims {
				if err := b.Claim(within(t), fmt.Sprint("gateway ", g)); err != nil {
					t.Errorf("gateway %d: claim: %v", g, err)
					return
				}
				if !series(t, b, g, &confirmed) {
					return
				}
			}
		})
	}
	all.Wait()
	n := standing(t, first)
	count := 0
	confirmed.Range(func(number, _ any) bool {
		count++
		if number.(int) > n {
			t.Errorf("write %d was confirmed, the last that stands is %d", number, n)
		}
		return true
	})
	if count < seriesLength { // the last series nobody disturbs
		t.Errorf("only %d writes were confirmed: nothing was tried", count)
	}
	t.Logf("%d writes were confirmed in %d claims", count, gateways*claims)
}

// series writes as gateway g from where the table stands until another has claimed it, or
// it has written enough. Others may have claimed it before it has read: then its first
// Write is refused.
func series(t *testing.T, b table, g int, confirmed *sync.Map) bool {
	n := 0
	for _, value := range b.get("part 0", "key 0") {
		fmt.Sscanf(value, "%d ", &n)
	}
	for range seriesLength {
		n++
		err := b.Write(within(t), numbered(n))
		if errors.Is(err, sessions.ErrClaimed) {
			return true
		}
		if err != nil {
			t.Errorf("gateway %d: write %d: %v", g, n, err)
			return false
		}
		if other, twice := confirmed.LoadOrStore(n, g); twice {
			t.Errorf("write %d was confirmed to gateway %d and to gateway %v", n, g, other)
			return false
		}
	}
	return true
}

// tryPaused: while the server does not answer, a call ends when its context does; what was
// written so may be there later, but not after a new claim.
func tryPaused(t *testing.T, s Site) {
	a, more := s.fresh(t)
	b := more()
	a.write(numbered(1)...)
	b.get("part 0", "key 0") // it has a connection
	s.Pause(t)
	briefly, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := a.Write(briefly, numbered(2)); err == nil || errors.Is(err, sessions.ErrClaimed) {
		t.Errorf("a write to a server that is paused: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s, half a second was given", took)
	}
	s.Resume(t)
	b.claim("gateway b")
	n := standing(t, b)
	if n != 1 && n != 2 {
		t.Errorf("write %d stands there, want 1 or 2", n)
	}
	b.write(numbered(3)...)
	if err := a.Write(within(t), numbered(4)); !errors.Is(err, sessions.ErrClaimed) {
		t.Errorf("the gateway that was before writes: %v", err)
	}
	if n := standing(t, b); n != 3 {
		t.Errorf("write %d stands there, want 3", n)
	}
}
