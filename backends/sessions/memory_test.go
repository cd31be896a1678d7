package sessions_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// fault is what happens to one call of a Table.
type fault string

const (
	works    fault = ""
	away     fault = "it fails and nothing happens"
	unheard  fault = "it happens, and the answer is lost"
	late     fault = "the answer is lost, and it happens when the next call has come"
	refusing fault = "the database refuses it for good"
	robbed   fault = "another claims the table before it"
	hangs    fault = "it does not answer"
)

// server is a database in memory: it holds what a Table wants and goes wrong on demand.
type server struct {
	mu    sync.Mutex
	parts map[string]map[string][]byte
	claim int
	who   string
	late  []lateWrite
	calls int
	// plan says what goes wrong with call n, counted from 1.
	plan func(call string, n int, ws []sessions.Write) fault
	// most is the longest value that it takes.
	most int
}

type lateWrite struct {
	claim int
	ws    []sessions.Write
}

func newServer() *server { return &server{parts: map[string]map[string][]byte{}, most: 256 << 20} }

// connect makes a Table of the server's.
func (v *server) connect() *memTable { return &memTable{v: v} }

// clone is the server as it is now: of what is late some has come.
func (v *server) clone(rng *rand.Rand) *server {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := newServer()
	c.claim, c.who, c.most = v.claim, v.who, v.most
	for part, keys := range v.parts {
		c.parts[part] = maps.Clone(keys)
	}
	for _, l := range v.late {
		if rng.IntN(2) == 0 {
			c.apply(l.ws)
		}
	}
	return c
}

// meet has a call come: what goes wrong with it.
func (v *server) meet(call string, ws []sessions.Write) fault {
	v.calls++
	for _, l := range v.late { // what was late comes, if nobody has claimed since
		if call == "claim" || l.claim != v.claim {
			continue
		}
		v.apply(l.ws)
	}
	v.late = nil
	if v.plan == nil {
		return works
	}
	return v.plan(call, v.calls, ws)
}

func (v *server) apply(ws []sessions.Write) {
	for _, w := range ws {
		part := v.parts[string(w.Part)]
		switch w.Kind {
		case sessions.Set:
			if part == nil {
				part = map[string][]byte{}
				v.parts[string(w.Part)] = part
			}
			part[string(w.Key)] = bytes.Clone(w.Value)
		case sessions.Delete:
			if delete(part, string(w.Key)); len(part) == 0 {
				delete(v.parts, string(w.Part))
			}
		case sessions.DeletePart:
			delete(v.parts, string(w.Part))
		}
	}
}

// check finds what breaks the bounds of sessions.Table.
func check(ws []sessions.Write, most int) error {
	for _, w := range ws {
		switch {
		case len(w.Part) == 0 || len(w.Part) > 32:
			panic(fmt.Sprintf("a part of %d bytes", len(w.Part)))
		case w.Kind != sessions.DeletePart && (len(w.Key) == 0 || len(w.Key) > 65_600):
			panic(fmt.Sprintf("a key of %d bytes", len(w.Key)))
		case len(w.Value) > most:
			return fmt.Errorf("%w: a value of %d bytes, most are %d", sessions.ErrRefused, len(w.Value), most)
		}
	}
	return nil
}

// size is how many values there are, in parts that begin with one of families.
func (v *server) size(families string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for part, keys := range v.parts {
		if bytes.IndexByte([]byte(families), part[0]) >= 0 {
			n += len(keys)
		}
	}
	return n
}

// memTable is a connection to a server.
type memTable struct {
	v      *server
	claim  int
	closed bool
}

var (
	errAway    = errors.New("the server is away")
	errUnheard = errors.New("the connection is lost")
)

// Claim implements sessions.Table.
func (t *memTable) Claim(ctx context.Context, who string) error {
	t.v.mu.Lock()
	defer t.v.mu.Unlock()
	switch f := t.v.meet("claim", nil); f {
	case away:
		return errAway
	case hangs:
		return t.hang(ctx)
	case works, robbed:
		t.own(who)
		return nil
	default:
		t.own(who)
		return errUnheard
	}
}

func (t *memTable) own(who string) {
	t.v.claim++
	t.claim, t.v.who = t.v.claim, who
}

// hang waits for the end of ctx, without the lock.
func (t *memTable) hang(ctx context.Context) error {
	t.v.mu.Unlock()
	<-ctx.Done()
	t.v.mu.Lock()
	return ctx.Err()
}

// Write implements sessions.Table.
func (t *memTable) Write(ctx context.Context, ws []sessions.Write) error {
	t.v.mu.Lock()
	defer t.v.mu.Unlock()
	f := t.v.meet("write", ws)
	switch f {
	case away:
		return errAway
	case hangs:
		return t.hang(ctx)
	case robbed:
		t.v.claim++
	case refusing:
		return fmt.Errorf("%w: it does not like it", sessions.ErrRefused)
	}
	if t.claim != t.v.claim {
		return sessions.ErrClaimed
	}
	if err := check(ws, t.v.most); err != nil {
		return err
	}
	if f == late {
		t.v.late = append(t.v.late, lateWrite{t.claim, cloneWrites(ws)})
		return errUnheard
	}
	t.v.apply(ws)
	if f == unheard {
		return errUnheard
	}
	return nil
}

func cloneWrites(ws []sessions.Write) []sessions.Write {
	out := make([]sessions.Write, len(ws))
	for i, w := range ws {
		out[i] = sessions.Write{Kind: w.Kind, Part: bytes.Clone(w.Part), Key: bytes.Clone(w.Key), Value: bytes.Clone(w.Value)}
	}
	return out
}

// Get implements sessions.Table.
func (t *memTable) Get(ctx context.Context, part []byte, keys [][]byte, f func(key, value []byte) error) error {
	t.v.mu.Lock()
	switch t.v.meet("get", nil) {
	case hangs:
		defer t.v.mu.Unlock()
		return t.hang(ctx)
	case works:
	default:
		t.v.mu.Unlock()
		return errAway
	}
	type pair struct{ key, value []byte }
	var found []pair
	for _, key := range keys {
		if value, ok := t.v.parts[string(part)][string(key)]; ok {
			found = append(found, pair{key, value})
		}
	}
	t.v.mu.Unlock()
	rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	for _, p := range found {
		if err := f(p.key, p.value); err != nil {
			return err
		}
	}
	return nil
}

// Scan implements sessions.Table.
func (t *memTable) Scan(_ context.Context, f func(part, key, value []byte) error) error {
	t.v.mu.Lock()
	if t.v.meet("scan", nil) != works {
		t.v.mu.Unlock()
		return errAway
	}
	all := make(map[string]map[string][]byte, len(t.v.parts))
	for part, keys := range t.v.parts {
		all[part] = maps.Clone(keys)
	}
	t.v.mu.Unlock()
	for part, keys := range all { // in the order of a Go map: none
		for key, value := range keys {
			if err := f([]byte(part), []byte(key), value); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close implements sessions.Table.
func (t *memTable) Close() error {
	t.closed = true
	return nil
}

func options(who string) sessions.Options {
	return sessions.Options{Engine: "memory", Namespace: "test", Who: who, MaxPendingBytes: 8 << 20, CommitOperations: 256}
}

// open opens a store on v.
func open(t *testing.T, v *server, who string) *sessions.Store {
	t.Helper()
	s, err := sessions.Open(t.Context(), v.connect(), options(who))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
