package scenario

import (
	"math"
	"time"
)

// State is what a device has done so far. It lives as long as the run, over all the
// device's connections, and belongs to one goroutine.
type State struct {
	Device
	// Unanswered counts requests that were answered by nothing: they named no valid
	// Response Topic, or the device knows maxAsked of them already.
	Unanswered uint32

	rows     []uint32 // next Seq by slot
	streams  []streamState
	asked    map[string]uint32 // slots of topics that were not known from the beginning
	stays    uint32            // connections begun
	waits    uint32            // waits drawn by Backoff
	answered uint32
	spark    uint8 // next sequence number of Sparkplug's
	online   bool
}

// streamState is how far a stream of a device has come.
type streamState struct {
	random chance  // of the schedule
	due    int64   // when the next message is to be made
	made   uint64  // messages made so far
	walk   float64 // value of the walk
	left   uint32  // messages of the burst that are still to be made
	begun  bool
	held   bool
}

// never is when a stream is due that has nothing more to say.
const never = math.MaxInt64

// Stay says how long a device remains connected of its own will.
type Stay struct {
	Leave  int64 // when it goes; 0: not before the end
	Abrupt bool  // it cuts the connection instead of DISCONNECT
	Back   int64 // when it connects again
}

// Begin says that a connection stands since t, nanoseconds from the begin of the run:
// the streams begin or go on. It says how long the device means to stay.
func (st *State) Begin(t int64) Stay {
	st.online = true
	for i := range st.streams {
		s := &st.streams[i]
		s.held = false
		if s.begun {
			st.resume(i, s, t)
		} else {
			st.start(i, s, t)
		}
	}
	st.stays++
	return st.stay(t)
}

// End says that the connection is over.
func (st *State) End() { st.online = false }

// Next tells which stream has the next message and when it is due, which may be
// past; false: there is none (not connected, all limits reached, or all held).
// Asking changes nothing. A stream with schedule max is due when its last message was
// made, so it lets the others through; hold it while it must not go on.
func (st *State) Next() (at int64, stream int, ok bool) {
	at = never
	if !st.online {
		return 0, 0, false
	}
	for i := range st.streams {
		if s := &st.streams[i]; s.due < at && !s.held {
			at, stream = s.due, i
		}
	}
	return at, stream, at != never
}

// Hold leaves a stream out of Next until Release or the next Begin, for instance while
// too many of its messages are unacknowledged.
func (st *State) Hold(stream int) { st.streams[stream].held = true }

// Release takes Hold back.
func (st *State) Release(stream int) { st.streams[stream].held = false }

// start begins a stream with the first connection.
func (st *State) start(i int, s *streamState, t int64) {
	p := st.Group.Streams[i].Publish
	pay := &st.Group.Streams[i].payload
	s.begun, s.random = true, st.chance(drawSchedule, uint64(i), 0)
	if pay.walks {
		s.walk = pay.config.Low + s.random.share()*(pay.config.High-pay.config.Low)
	}
	s.left = uint32(max(1, p.Count))
	s.due = after(t, st.first(p, s, t))
}

// first is how long after t the first message of a stream is made.
func (st *State) first(p *Publish, s *streamState, t int64) float64 {
	switch {
	case p.After != nil:
		return float64(*p.After)
	case p.Schedule == "once" || p.Schedule == "max":
		return 0
	case p.Schedule == "poisson":
		return s.random.wait(float64(p.Every))
	case p.Schedule == "diurnal":
		return float64(diurnal(p, s, t) - t)
	}
	return s.random.share() * float64(p.Every)
}

// resume lets a stream go on after an absence.
func (st *State) resume(i int, s *streamState, t int64) {
	p := st.Group.Streams[i].Publish
	if p.Limit > 0 && s.made >= uint64(p.Limit) {
		return
	}
	switch {
	case p.Schedule == "once":
		s.left = uint32(max(1, p.Count))
		s.due = after(t, st.first(p, s, t))
	case p.Schedule == "max":
		s.due = t
	case p.Away || s.due >= t:
	case p.Schedule == "poisson":
		s.due = after(t, s.random.wait(float64(p.Every)))
	case p.Schedule == "diurnal":
		s.due = diurnal(p, s, t)
	default: // in step, as if it had gone on
		s.left = uint32(max(1, p.Count))
		missed := (t - s.due + int64(p.Every) - 1) / int64(p.Every)
		s.due += missed * int64(p.Every)
	}
}

// advance says that the message that was due has been made.
func (st *State) advance(i int, s *streamState, now int64) {
	p := st.Group.Streams[i].Publish
	s.made++
	switch {
	case p.Limit > 0 && s.made >= uint64(p.Limit):
		s.due = never
	case p.Schedule == "max":
		s.due = now
	case p.Schedule == "poisson":
		s.due = after(s.due, s.random.wait(float64(p.Every)))
	case p.Schedule == "diurnal":
		s.due = diurnal(p, s, s.due)
	case p.Schedule == "fixed":
		s.due = after(s.due, float64(p.Every))
	default:
		s.left--
		st.nextOfMany(p, s)
	}
}

// nextOfMany moves on a stream of schedule burst or once.
func (st *State) nextOfMany(p *Publish, s *streamState) {
	switch {
	case p.Schedule == "once" && s.left == 0:
		s.due = never
	case p.Schedule == "once":
		s.due = after(s.due, float64(p.Every))
	case s.left == 0:
		s.left = uint32(max(1, p.Count))
		s.due = after(s.due, float64(p.Every))
	}
}

// after adds a wait to a time.
func after(t int64, wait float64) int64 {
	if wait >= float64(never-t) {
		return never - 1
	}
	return t + int64(wait)
}

// diurnal is when the next message after t is due if the rate follows a day: low at its
// begin, highest at noon, with every as the mean time over the whole day. Times are
// drawn at the rate of noon, and kept with the share that the rate then is of it.
func diurnal(p *Publish, s *streamState, t int64) int64 {
	noon := float64(p.Every) * (1 + p.Low) / 2
	for range 10_000 {
		t = after(t, s.random.wait(noon))
		day := 2 * math.Pi * float64(t%int64(p.Period)) / float64(p.Period)
		if s.random.share() < p.Low+(1-p.Low)*(1-math.Cos(day))/2 {
			break
		}
	}
	return t
}

// stay draws how long the connection that began at t is meant to last.
func (st *State) stay(t int64) (out Stay) {
	g := st.Group.Group
	c := st.chance(drawStay, uint64(st.stays), 0)
	if s := g.Sleep; s != nil {
		out.Leave = after(t, max(c.around(float64(s.Awake), s.Jitter), 1e6))
		out.Back = after(out.Leave, max(c.around(float64(s.Asleep), s.Jitter), 1e6))
		out.Abrupt = c.share() < s.Abrupt
	}
	if m := g.Misbehave; m != nil && m.FlapEvery > 0 && st.Misbehaves() {
		leave := after(t, max(c.wait(float64(m.FlapEvery)), 1e6))
		if out.Leave == 0 || leave < out.Leave {
			out = Stay{Leave: leave, Abrupt: true, Back: leave}
		}
	}
	return out
}

// Backoff is how long to wait before the next try to connect, after tries (from 1) in
// a row that failed; false: the device gives up.
func (st *State) Backoff(tries int) (time.Duration, bool) {
	r := &st.Group.Group.Reconnect
	if r.Limit > 0 && tries > r.Limit {
		return 0, false
	}
	wait := min(r.Min, r.Max)
	for i := 1; i < tries && wait > 0 && wait < r.Max; i++ {
		wait = min(2*wait, r.Max)
	}
	c := st.chance(drawBackoff, uint64(st.waits), 0)
	st.waits++
	return time.Duration(float64(wait) * (1 - r.Jitter*c.share())), true
}
