package tabletest

import (
	"bytes"
	"context"
	"maps"
	"sync"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// Memory is a database of one namespace in memory. The zero value is empty.
type Memory struct {
	mu    sync.Mutex
	parts map[string]map[string][]byte
	claim int // how many there were
}

// Open gives one more Table of it.
func (m *Memory) Open() sessions.Database { return &memoryTable{memory: m} }

// Edit has f look at all that stands there, by part and key, and change it, whoever has
// claimed it; f must keep nothing of it.
func (m *Memory) Edit(f func(parts map[string]map[string][]byte)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.parts == nil {
		m.parts = map[string]map[string][]byte{}
	}
	f(m.parts)
}

// Clone is a database with the same in it, claimed by nobody.
func (m *Memory) Clone() *Memory {
	c := &Memory{parts: map[string]map[string][]byte{}}
	m.Edit(func(parts map[string]map[string][]byte) {
		for part, pairs := range parts {
			c.parts[part] = maps.Clone(pairs) // values are never changed in place
		}
	})
	return c
}

type memoryTable struct {
	memory *Memory
	claim  int
}

func (t *memoryTable) Claim(ctx context.Context, _ string) error {
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	t.memory.claim++
	t.claim = t.memory.claim
	return ctx.Err()
}

func (t *memoryTable) Write(ctx context.Context, ws []sessions.Write) error {
	m := t.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case t.claim == 0:
		return sessions.ErrUnclaimed
	case t.claim != m.claim:
		return sessions.ErrClaimed
	}
	for _, w := range ws {
		part := m.parts[string(w.Part)]
		switch w.Kind {
		case sessions.Delete:
			if delete(part, string(w.Key)); len(part) == 0 {
				delete(m.parts, string(w.Part))
			}
		case sessions.DeletePart:
			delete(m.parts, string(w.Part))
		case sessions.Set:
			if m.parts == nil {
				m.parts = map[string]map[string][]byte{}
			}
			if part == nil {
				part = map[string][]byte{}
				m.parts[string(w.Part)] = part
			}
			part[string(w.Key)] = bytes.Clone(w.Value)
		}
	}
	return nil
}

func (t *memoryTable) Get(ctx context.Context, part []byte, keys [][]byte, f func(key, value []byte) error) error {
	for _, key := range keys {
		t.memory.mu.Lock()
		value, ok := t.memory.parts[string(part)][string(key)]
		t.memory.mu.Unlock()
		if !ok {
			continue
		}
		if err := f(key, value); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (t *memoryTable) Scan(ctx context.Context, f func(part, key, value []byte) error) error {
	for part, pairs := range t.memory.Clone().parts { // in the order of a Go map: none
		for key, value := range pairs {
			if err := f([]byte(part), []byte(key), value); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (t *memoryTable) Init(context.Context, bool) ([]string, error) { return nil, nil }

func (t *memoryTable) Caveats(context.Context) ([]string, error) {
	return []string{"memory: all is lost when the process ends"}, nil
}

func (t *memoryTable) Close() error { return nil }
