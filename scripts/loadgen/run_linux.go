package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// run is one measurement from connect to report.
type run struct {
	options *options
	plan    *plan
	loop    *loop
	dialer  *dialer
	traffic *traffic
	began   moment // of the measured time
	ended   moment
	tick    int64 // when the next housekeeping is due
	phase   string
}

// moment is what is read at both ends of the measured time.
type moment struct {
	at     int64
	own    usage
	broker usage
}

// housekeeping is how often pings and stalls are looked at.
const housekeeping = int64(100 * time.Millisecond)

func newRun(o *options) (*run, error) {
	if err := roomFor(o.pubs + o.subs); err != nil {
		return nil, err
	}
	id := rand.Uint32()
	r := &run{options: o, plan: newPlan(o, id)}
	var err error
	if r.loop, err = newLoop(o.pubs+o.subs, r.handle); err != nil {
		return nil, err
	}
	for i := range r.loop.clients {
		c := &r.loop.clients[i]
		c.number, c.index = int32(i), int32(i)
		if i >= o.subs {
			c.role, c.index = publisherRole, int32(i-o.subs)
		}
	}
	if r.dialer, err = newDialer(o, r.plan, id); err != nil {
		r.loop.close()
		return nil, err
	}
	r.dialer.loop = r.loop
	r.traffic = newTraffic(o, r.plan, r.loop, id)
	return r, nil
}

// roomFor checks the limit of descriptors, which Go has raised as far as it goes.
func roomFor(connections int) error {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return nil
	}
	if need := uint64(connections) + 16; need > limit.Cur {
		return fmt.Errorf("%d connections need %d open files, this process may have %d", connections, need, limit.Cur)
	}
	return nil
}

func (r *run) handle(c *client, f packet.Frame) error {
	if c.state != ready {
		return r.dialer.answered(c, f)
	}
	return r.traffic.take(c, f)
}

// measure runs a traffic mode.
func (r *run) measure() (*report, error) {
	runtime.LockOSThread() // the thread keeps its core and its timer slack
	defer runtime.UnlockOSThread()
	defer r.loop.close()
	fineTimers()
	if err := r.dialer.dial(0, len(r.loop.clients)); err != nil {
		return nil, err
	}
	t := r.traffic
	t.start()
	err := r.during("the warm-up", r.options.warmup)
	if err == nil {
		r.began, err = r.moment()
	}
	if err == nil {
		t.measure()
		err = r.during("the measured time", r.options.duration)
	}
	if err == nil {
		r.ended, err = r.moment()
	}
	if err == nil {
		t.counting, t.open = false, false
		err = r.drain()
	}
	if err != nil {
		return nil, err
	}
	return r.report()
}

// during keeps the traffic going.
func (r *run) during(phase string, d time.Duration) error {
	r.phase = phase
	for end := r.loop.now() + int64(d); r.loop.at < end; {
		if err := r.turn(end); err != nil {
			return fmt.Errorf("during %s, after %d deliveries: %w", phase, r.traffic.ledger.firsts, err)
		}
	}
	return nil
}

// turn publishes, writes, and waits until something comes or is due, at the latest until end.
func (r *run) turn(end int64) error {
	t := r.traffic
	t.pump()
	if err := r.loop.flush(); err != nil {
		return err
	}
	until := min(end, r.tick)
	if t.pace.rate > 0 && t.open {
		until = min(until, t.pace.next())
	}
	if err := r.loop.turn(until - r.loop.now()); err != nil {
		return err
	}
	if r.loop.at >= r.tick {
		r.tick = r.loop.at + housekeeping
		t.unstick()
		r.ping()
	}
	return nil
}

// drain waits for what is under way, until all has come or nothing comes any more.
func (r *run) drain() error {
	r.phase = "the drain"
	t := r.traffic
	seen, quiet := t.ledger.firsts, r.loop.now()
	for r.loop.at-quiet < int64(r.options.drain) {
		if t.ledger.firsts == t.ledger.due() && r.acknowledged() {
			return nil
		}
		if err := r.turn(r.loop.at + housekeeping); err != nil {
			return fmt.Errorf("during the drain, %d of %d deliveries having come: %w", t.ledger.firsts, t.ledger.due(), err)
		}
		if t.ledger.firsts != seen {
			seen, quiet = t.ledger.firsts, r.loop.at
		}
	}
	return nil
}

// acknowledged tells whether the broker is through with all that was published.
func (r *run) acknowledged() bool {
	for i := range r.traffic.publishers {
		if r.traffic.publishers[i].client.unacked > 0 {
			return false
		}
	}
	return true
}

// ping keeps connections alive on which nothing was sent for half a Keep Alive.
func (r *run) ping() {
	var ping packet.Pingreq
	for i := range r.loop.clients {
		c := &r.loop.clients[i]
		if r.loop.at-c.wrote > int64(r.options.keepAlive)/2 && len(c.out) == 0 {
			c.out = ping.Append(c.out, r.options.version())
			r.loop.send(c)
		}
	}
}

func (r *run) moment() (moment, error) {
	m := moment{own: ownUsage()}
	var err error
	if r.options.pid != 0 {
		m.broker, err = usageOf(r.options.pid)
	}
	m.at = r.loop.now()
	return m, err
}

// fineTimers makes the kernel wake this thread when asked, not up to 50 µs later. [prctl(2) PR_SET_TIMERSLACK]
func fineTimers() {
	const setTimerSlack = 29
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0)
}

// errFaulty is the error of a run whose messages did not all arrive as they should.
var errFaulty = errors.New("messages were lost, doubled, out of order or misled")
