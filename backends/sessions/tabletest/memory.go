package tabletest

import (
	"bytes"
	"context"
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
			delete(part, string(w.Key))
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
	for part, pairs := range t.memory.parts { // nobody writes meanwhile
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
