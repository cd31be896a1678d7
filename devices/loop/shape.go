package loop

import (
	"math"
	"math/rand/v2"
	"time"
)

// maxLine is how many bytes a line holds before reading stops, so that the server
// feels the network.
const maxLine = 64 << 10

// shaped tells whether n does anything to streams.
func shaped(n *Conditions) bool {
	return n != nil && (n.Latency > 0 || n.Jitter > 0 || n.Bandwidth > 0 || n.CutEvery > 0 || n.Rebind > 0)
}

// shaper is the network condition of one connection.
type shaper struct {
	up, down line
	network  *Conditions
	rng      *rand.Rand
	rebinds  bool // the planned end gives the device another address
}

func newShaper(n *networkSeed) *shaper {
	lane := line{latency: int64(n.Latency), jitter: int64(n.Jitter), bandwidth: n.Bandwidth}
	return &shaper{up: lane, down: lane, network: n.Conditions, rng: rand.New(rand.NewPCG(n.seed, 0x6c6f6f70))}
}

// opening is how much longer the network takes to open a connection: one way there
// and back for TCP, TLS and WebSocket each.
func (s *shaper) opening(e *Endpoint) int64 {
	rounds := int64(1)
	if e.secure != nil {
		rounds++
	}
	if e.websocket() {
		rounds++
	}
	wait := int64(0)
	for range 2 * rounds {
		wait += int64(s.network.Latency) + s.up.wobble(s.rng)
	}
	return wait
}

// plan chooses when the network ends the connection; 0 for never. Without memory,
// as outages are: the time until the next does not depend on the one before.
func (s *shaper) plan(now int64) int64 {
	cut, rebind := s.interval(s.network.CutEvery), s.interval(s.network.Rebind)
	if cut == 0 && rebind == 0 {
		return 0
	}
	s.rebinds = cut == 0 || rebind > 0 && rebind < cut
	if s.rebinds {
		cut = rebind
	}
	return now + cut
}

func (s *shaper) interval(mean time.Duration) int64 {
	if mean <= 0 {
		return 0
	}
	return int64(math.Ceil(min(s.rng.ExpFloat64()*float64(mean), math.MaxInt64/4))) + 1
}

// strike is the end that was planned.
func (l *Loop) strike(c *Conn) {
	if c.state != stateOpen || c.x.shape == nil {
		return
	}
	s := c.x.shape
	switch {
	case s.rebinds:
		l.breakFor(c, ErrRebound)
	case s.rng.Float64() < s.network.HalfOpen:
		l.silence(c)
		if h, ok := c.h.(Silencer); ok {
			h.Silenced(c)
		}
	default:
		l.breakFor(c, ErrCut)
	}
}

// delay puts what came on the line to the device.
func (l *Loop) delay(c *Conn, b []byte) {
	s := c.x.shape
	s.down.push(l.now, b, s.rng)
	if s.down.size() >= maxLine {
		l.stop(c, stopShape, true)
		l.rewatch(c)
	}
	l.deliver(c)
}

// deliver gives the device what has come through, and sets the timer for more.
func (l *Loop) deliver(c *Conn) {
	if c.x == nil || c.x.shape == nil {
		return
	}
	s := c.x.shape
	if c.state == stateOpen && c.stops&stopPaused == 0 {
		if b := s.down.due(l.now); len(b) > 0 {
			if len(c.in) > 0 {
				c.in = append(c.in, b...)
				b = c.in
			}
			l.feed(c, b)
		}
		if c.state == stateOpen && c.x.ended != nil && s.down.size() == 0 {
			l.endAfterLine(c)
		}
	}
	if c.x == nil || c.x.shape != s {
		return
	}
	if s.down.size() < maxLine/2 {
		l.stop(c, stopShape, false)
	}
	l.setPace(c)
}

func (l *Loop) endAfterLine(c *Conn) {
	err := c.x.ended
	how := endOrderly
	if err == errReset() {
		how = endReset
	}
	l.finish(c, how, err)
}

// throughLine takes the output through the line to the server.
func (l *Loop) throughLine(c *Conn) {
	s := c.x.shape
	if len(c.out) > 0 {
		s.up.push(l.now, c.out, s.rng)
		l.buffers.put(c.out)
		c.out = nil
	}
	if b := s.up.due(l.now); len(b) > 0 {
		l.wrap(c, b)
	}
	l.setPace(c)
}

// setPace wakes c when the next bytes come out of a line.
func (l *Loop) setPace(c *Conn) {
	s := c.x.shape
	at, ok := s.up.next()
	if c.stops&stopPaused == 0 {
		if down, any := s.down.next(); any && (!ok || down < at) {
			at, ok = down, true
		}
	}
	if ok {
		l.At(&c.x.pace, at, c.x.onPace)
	}
}
