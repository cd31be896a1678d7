package redis

import (
	"strconv"
	"testing"
	"time"
)

func TestSwept(t *testing.T) {
	var s swept
	for i, c := range []struct {
		topic string
		keep  time.Duration
		now   int64
		due   bool
	}{
		{"a", 8 * time.Second, 1000, true},
		{"a", 8 * time.Second, 1999, false},
		{"b", 8 * time.Second, 1999, true},
		{"a", 16 * time.Second, 1999, true}, // another rule keeps its messages longer
		{"a", 8 * time.Second, 500, false},  // of before
		{"a", 8 * time.Second, 2000, true},
		{"a", 8 * time.Second, 2999, false},
		{"c", 7 * time.Millisecond, 1, true},
		{"c", 7 * time.Millisecond, 1, true}, // an eighth is nothing
	} {
		if due := s.due(c.topic, c.keep, c.now); due != c.due {
			t.Errorf("%d: %s at %d: due %v, want %v", i, c.topic, c.now, due, c.due)
		}
	}
	s.forget()
	if !s.due("a", 8*time.Second, 2999) {
		t.Error("not due after a failure")
	}
	for i := range 2 * rememberSwept {
		s.due(strconv.Itoa(i), time.Hour, 0)
	}
	if n := len(s.last); n > rememberSwept {
		t.Errorf("%d topics are remembered", n)
	}
}
