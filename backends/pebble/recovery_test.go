package pebble_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

var recoverMessages = flag.Int("recover", 20_000, "messages that wait in the queues of TestRecovery")

// A start finds every queued message again; the log says how long it took.
func TestRecovery(t *testing.T) {
	const sessions, each = 1000, 100
	cfg := small(t.TempDir())
	cfg.MemtableSize = 16 << 20 // the default: it bounds what a start replays
	s := open(t, cfg)
	for i := range sessions {
		if err := s.Commit(&core.Batch{Ops: []core.Op{op(core.OpPutSession, fmt.Sprint("c", i), 0, 0)}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	var ahead []<-chan error
	settle := func() {
		for _, done := range ahead {
			if err := wait(t, done); err != nil {
				t.Fatal(err)
			}
		}
		ahead = ahead[:0]
	}
	payload := make([]byte, 100)
	for n := 0; n < *recoverMessages; n += each {
		var ops []core.Op
		id := fmt.Sprint("c", n/each%sessions)
		for i := range each {
			seq := uint64(n/each/sessions*each + i)
			ops = append(ops, core.Op{Kind: core.OpEnqueue, Session: id, Entry: core.QueuedMessage{Seq: seq, QoS: 1,
				Msg: &core.Message{Topic: "plant/1/temperature", ID: uint64(n + i), QoS: 1, Payload: payload}}})
		}
		done := send(t, s, ops...)
		if ahead = append(ahead, done); len(ahead) == 100 {
			settle()
		}
	}
	settle()
	if err := s.Close(); err != nil { // flushes nothing: the log is replayed as after a crash
		t.Fatal(err)
	}
	began := time.Now()
	s = open(t, cfg)
	defer s.Close()
	opened := since(began)
	load(t, s)
	st := s.Stats()
	t.Logf("%d messages in %d sessions, %d MiB: opened in %v, loaded in %v in all", st.Queued, st.Sessions, st.Bytes>>20, opened, since(began))
	if st.Queued != int64(*recoverMessages) || st.Sessions != sessions || st.Damaged != 0 {
		t.Errorf("%+v", st)
	}
}

// since is the time that passed, for figures.
func since(began time.Time) time.Duration { return time.Since(began).Round(time.Millisecond) }
