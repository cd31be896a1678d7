package mqtt

import (
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// packetsOfStreams are what FuzzStreams puts together; anything else comes from the
// fuzzer itself.
func packetsOfStreams() []string {
	return []string{
		"3007 0001 61 00 303132", "3207 0001 61 0001 00 31", "3407 0001 61 0001 00 31", "3407 0001 62 0002 00 31",
		"6202 0001", "6202 0002", "4002 0001", "5002 0001", "7002 0001", "4002 0002", "5003 0002 80", "c000",
		"8207 0001 00 0001 61 02", "8209 0002 00 0003 61 2f2b 01", "8207 0003 00 0001 2b 00",
		"a206 0004 00 0001 61", "a208 0005 00 0003 61 2f2b", "3008 0001 61 03 23 0001 31", "3007 0000 03 23 0001 31",
	}
}

// streamsRig is a connection with up to seven data streams, as the edge would have it.
type streamsRig struct {
	*rig
	a     protocols.Actions
	rest  [8][]byte
	ended [8]bool
	over  bool
}

// FuzzStreams has packets come by any stream, streams end, and deliveries go out, in
// any order: the machine never panics, and what it remembers of streams always fits
// together and is bounded.
func FuzzStreams(f *testing.F) {
	f.Add([]byte{0, 1, 12, 0, 2, 1, 6, 1, 1, 0, 1, 6, 4, 1}, byte(0))
	f.Add([]byte{0, 1, 2, 0, 2, 4, 6, 2, 1, 6, 4, 1, 4, 2, 0, 3, 17, 0, 4, 18}, byte(2))
	f.Add([]byte{0, 1, 12, 6, 0, 0, 1, 5, 1, 0, 2, 11, 0, 2, 0}, byte(4))
	f.Fuzz(func(t *testing.T, script []byte, answers byte) {
		s := newStreamsRig(t, answers)
		for len(script) >= 3 && !s.over {
			s.act(script[0]&7, protocols.Stream(script[1]&7), script[2])
			script = script[3:]
			s.check()
		}
		s.m.Closed(s.turn, core.ConnectionLost)
	})
}

func newStreamsRig(t *testing.T, answers byte) *streamsRig {
	r := newRig(t)
	r.m = New(DefaultConfig(), r.gw).NewStreamMachine(&protocols.ConnInfo{Peer: r.conn.Peer()}, r.conn).(*Machine)
	r.in(connect5)
	r.gw.subPending = answers&2 != 0
	r.gw.publishPause = answers&4 != 0
	if answers&8 != 0 {
		r.gw.publishErr = core.Errorf(core.ReceiveMaximumExceeded, "slow")
	}
	return &streamsRig{rig: r}
}

// act does one thing of the edge's.
func (s *streamsRig) act(what byte, stream protocols.Stream, x byte) {
	all := packetsOfStreams()
	switch what {
	case 4, 5:
		if stream != 0 && !s.ended[stream] || what == 5 && stream != 0 {
			s.ended[stream] = true
			s.a.Reset()
			s.m.StreamEnded(s.turn, stream, what == 5, &s.a)
			s.over = s.a.Close
		}
	case 6:
		d := core.Delivery{Kind: core.DeliveryKind(x % 5), PacketID: uint16(x>>3&3) + 1, QoS: x >> 5 & 1, Msg: message([]string{"a", "a/b", "b"}[x%3], "p")}
		if d.Kind == core.DeliverMessage && d.QoS == 0 {
			d.PacketID = 0
		}
		s.out(d)
	case 7:
		s.offer(stream, []byte{x})
	default:
		s.offer(stream, unhex(s.t, all[int(x)%len(all)]))
	}
}

// offer has b come by a stream, and waits out what the machine waits for.
func (s *streamsRig) offer(stream protocols.Stream, b []byte) {
	if s.ended[stream] {
		return
	}
	s.rest[stream] = append(s.rest[stream], b...)
	for again := true; again && !s.over && !s.ended[stream]; {
		s.a.Reset()
		used := 0
		if stream == 0 {
			used = s.m.Input(s.turn, s.rest[0], &s.a)
		} else {
			used = s.m.InputStream(s.turn, stream, s.rest[stream], &s.a)
		}
		s.rest[stream] = s.rest[stream][used:]
		s.over, s.ended[stream] = s.a.Close, s.a.EndStream
		if s.a.Close && s.a.Stream != 0 {
			s.t.Fatal("a goodbye by a data stream")
		}
		if s.a.EndStream && stream == 0 {
			s.t.Fatal("the first stream was ended for itself")
		}
		for again = s.a.Pause && !s.a.Close; s.a.Pause && !s.a.Close; {
			s.a.Reset()
			completeWhatIsPending(s.rig, &s.a)
		}
	}
}

// check compares the tables with each other.
func (s *streamsRig) check() {
	d := s.m.streams()
	if d == nil || s.over {
		return
	}
	owed, awaited := map[protocols.Stream]int{}, map[protocols.Stream]int{}
	for _, by := range d.received {
		owed[by]++
	}
	for _, by := range d.sent {
		awaited[by]++
	}
	for id, state := range d.open {
		if state.owed != owed[id] || state.awaited != awaited[id] {
			s.t.Fatalf("stream %d: %+v, but %d and %d entries", id, state, owed[id], awaited[id])
		}
		delete(owed, id)
		delete(awaited, id)
	}
	if len(owed)+len(awaited) > 0 {
		s.t.Fatalf("entries of streams that are gone: %v %v", owed, awaited)
	}
	for filter, by := range d.exact {
		if s.ended[by] || d.open[by] == nil {
			s.t.Fatalf("%q is bound to stream %d, which is over", filter, by)
		}
	}
	for _, f := range d.wild {
		if s.ended[f.stream] || d.open[f.stream] == nil {
			s.t.Fatalf("%q is bound to stream %d, which is over", f.filter, f.stream)
		}
	}
	if d.now != 0 {
		s.t.Fatalf("stream %d is still being read", d.now)
	}
}
