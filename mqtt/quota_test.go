package mqtt

import "testing"

// TestInputStopsAtItsQuota: no more messages are taken than the edge allows; what
// follows them waits, in order, and the rest goes on with the next quota.
func TestInputStopsAtItsQuota(t *testing.T) {
	r := opened(t, connect311)
	b := unhex(t, "30 04 00 01 61 31 30 04 00 01 61 32 c0 00 30 04 00 01 61 33")
	r.a.Reset()
	r.a.Limited, r.a.Messages = true, 1
	used := r.m.Input(r.turn, b, &r.a)
	if used != 6 || r.a.Messages != 0 || r.a.Pause || len(r.a.Out) != 0 {
		t.Fatalf("took %d bytes, %d messages left, said % x", used, r.a.Messages, r.a.Out)
	}
	b = b[used:]
	r.a.Reset()
	r.a.Limited, r.a.Messages = true, 0
	if used := r.m.Input(r.turn, b, &r.a); used != 0 {
		t.Errorf("took %d bytes without a quota", used)
	}
	r.a.Reset()
	r.a.Limited, r.a.Messages = true, 9
	if used := r.m.Input(r.turn, b, &r.a); used != len(b) || r.a.Messages != 7 || hexOf(r.a.Out) != "d000" {
		t.Errorf("took %d bytes, %d messages left, said % x", used, r.a.Messages, r.a.Out)
	}
	if n := len(r.gw.published); n != 3 {
		t.Errorf("%d messages", n)
	}
}
