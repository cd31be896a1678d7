package sessions_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/backends/sessions/tabletest"
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

// server is a database in memory that goes wrong on demand.
type server struct {
	memory *tabletest.Memory

	mu    sync.Mutex
	late  []lateWrite
	calls int
	// plan says what goes wrong with call n, counted from 1.
	plan func(call string, n int, ws []sessions.Write) fault
	// most is the longest value that it takes.
	most int
}

type lateWrite struct {
	by sessions.Table
	ws []sessions.Write
}

func newServer() *server { return &server{memory: &tabletest.Memory{}, most: 256 << 20} }

// connect makes a Table of the server's.
func (v *server) connect() *memTable { return &memTable{v.memory.Open(), v} }

// clone is the server as it is now: of what is late some has come.
func (v *server) clone(rng *rand.Rand) *server {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := &server{memory: v.memory.Clone(), most: v.most}
	own := c.memory.Open()
	own.Claim(context.Background(), "what is late")
	for _, l := range v.late {
		if rng.IntN(2) == 0 {
			own.Write(context.Background(), l.ws)
		}
	}
	return c
}

// meet has a call come: what goes wrong with it.
func (v *server) meet(call string, ws []sessions.Write) fault {
	v.calls++
	for _, l := range v.late { // what was late comes, if nobody has claimed since
		if call != "claim" {
			l.by.Write(context.Background(), l.ws)
		}
	}
	v.late = nil
	if v.plan == nil {
		return works
	}
	return v.plan(call, v.calls, ws)
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
	v.memory.Edit(func(parts map[string]map[string][]byte) {
		for part, keys := range parts {
			if strings.IndexByte(families, part[0]) >= 0 {
				n += len(keys)
			}
		}
	})
	return n
}

// memTable is a connection to a server.
type memTable struct {
	sessions.Database
	v *server
}

var (
	errAway    = errors.New("the server is away")
	errUnheard = errors.New("the connection is lost")
)

// Claim implements sessions.Table.
func (t *memTable) Claim(ctx context.Context, who string) error {
	t.v.mu.Lock()
	defer t.v.mu.Unlock()
	switch t.v.meet("claim", nil) {
	case away:
		return errAway
	case hangs:
		return t.hang(ctx)
	case works, robbed:
		return t.Database.Claim(ctx, who)
	default:
		t.Database.Claim(ctx, who)
		return errUnheard
	}
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
		t.v.memory.Open().Claim(ctx, "a robber")
	case refusing:
		return fmt.Errorf("%w: it does not like it", sessions.ErrRefused)
	}
	if err := t.Database.Write(ctx, nil); err != nil { // another has claimed it
		return err
	}
	if err := check(ws, t.v.most); err != nil {
		return err
	}
	if f == late {
		t.v.late = append(t.v.late, lateWrite{t.Database, cloneWrites(ws)})
		return errUnheard
	}
	if err := t.Database.Write(ctx, ws); err != nil || f == works {
		return err
	}
	return errUnheard
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
	err := t.Database.Get(ctx, part, keys, func(key, value []byte) error {
		found = append(found, pair{key, value})
		return nil
	})
	t.v.mu.Unlock()
	if err != nil {
		return err
	}
	rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	for _, p := range found {
		if err := f(p.key, p.value); err != nil {
			return err
		}
	}
	return nil
}

// Scan implements sessions.Table.
func (t *memTable) Scan(ctx context.Context, f func(part, key, value []byte) error) error {
	t.v.mu.Lock()
	wrong := t.v.meet("scan", nil)
	t.v.mu.Unlock()
	if wrong != works {
		return errAway
	}
	return t.Database.Scan(ctx, f)
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
