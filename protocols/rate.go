package protocols

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Rates are kept by not reading: who sends too fast fills the kernel's buffers and is
// slowed down by TCP, and nothing is refused or lost. There is no timer a client: who
// may not be read from stands in a list that is looked at every tick, or when the first
// of those is due that rest.

// limit is the rates of one client, or of all of a listener together.
type limit struct {
	messages, messageBurst float64 // a second, at once; 0: no limit
	bytes, byteBurst       float64
	time, timeBurst        float64 // nanoseconds of a processor; not of all together
}

func newLimit(messages, messageBurst, bytes, byteBurst int) limit {
	return limit{
		messages: float64(messages), messageBurst: burstOf(messages, messageBurst),
		bytes: float64(bytes), byteBurst: burstOf(bytes, byteBurst),
	}
}

// ofTime adds a share of a processor, in percent. The shortest rest may last twice as
// long as it should, and what flows in meanwhile must not be lost.
func (l limit) ofTime(share int, burst time.Duration) limit {
	l.time = float64(share) / 100 * float64(time.Second)
	l.timeBurst = max(float64(burst), l.time*2*leastRest.Seconds())
	return l
}

// burstOf is what may come at once. Buckets are looked at every tick, so that less
// than what flows in between would be lost.
func burstOf(rate, burst int) float64 {
	if burst == 0 {
		burst = rate
	}
	return max(1, float64(burst), float64(rate)*2*tickLength.Seconds())
}

func (l *limit) none() bool { return l.messages == 0 && l.bytes == 0 && l.time == 0 }

// least is how many bytes are worth a read.
func (l *limit) least() float64 { return min(l.byteBurst, max(1, l.bytes*tickLength.Seconds()), 4<<10) }

// meter is the buckets of one client or listener. It holds no pointers; what was
// taken beyond a bucket is owed.
type meter struct {
	at       int64 // when it was filled last, nanoseconds; 0: never, it is full
	messages float64
	bytes    float64
	time     float64
	due      int64 // when a client that stands in the list is asked for again

	// What a client that stood in the list may take though others stand there; of all:
	// what each of those gets in this tick.
	creditMessages float64
	creditBytes    float64
	noted          int64 // when it was explained last; of all: when the credit was settled
}

func (m *meter) fill(l *limit, now int64) {
	passed := float64(now-m.at) / float64(time.Second)
	switch {
	case m.at == 0:
		m.messages, m.bytes, m.time = l.messageBurst, l.byteBurst, l.timeBurst
	case passed <= 0:
		return
	default:
		m.messages = min(l.messageBurst, m.messages+passed*l.messages)
		m.bytes = min(l.byteBurst, m.bytes+passed*l.bytes)
		m.time = min(l.timeBurst, m.time+passed*l.time)
	}
	m.at = now
}

// ready says whether something may be taken.
func (m *meter) ready(l *limit) bool {
	return (l.messages == 0 || m.messages >= 1) && (l.bytes == 0 || m.bytes >= l.least())
}

func (m *meter) take(messages, bytes int) {
	m.messages -= float64(messages)
	m.bytes -= float64(bytes)
}

// rates are the limits of one listener; nil where there are none.
type rates struct {
	client, all limit

	mu     sync.Mutex
	shared meter // of all

	queued    atomic.Int64 // clients that wait for shared
	throttled atomic.Int64 // clients that are not read from, for either reason
	times     atomic.Uint64
	rests     atomic.Uint64 // of them, those for processor time
	rested    atomic.Int64  // nanoseconds that they were to last
}

func newRates(c *ListenerConfig) *rates {
	r := &rates{
		client: newLimit(c.ClientMessageRate, c.ClientMessageBurst, c.ClientByteRate, c.ClientByteBurst).ofTime(c.ClientProcessorShare, c.ClientProcessorBurst),
		all:    newLimit(c.MessageRate, c.MessageBurst, c.ByteRate, c.ByteBurst),
	}
	if r.client.none() && r.all.none() {
		return nil
	}
	return r
}

// verdict says whether a client may be read from.
type verdict uint8

const (
	mayRead      verdict = iota
	overOwn              // its own buckets are empty
	waitsForTurn         // those of all are, or others wait for them
	rests                // it has taken more than its share of a processor
)

// own fills the buckets of a client and says what they say.
func (r *rates) own(m *meter, now int64) verdict {
	m.fill(&r.client, now)
	switch {
	case r.client.time > 0 && m.time < 0:
		return rests
	case !m.ready(&r.client):
		return overOwn
	}
	return mayRead
}

// A rest is as long as makes up for what was taken, within bounds: the kernel's clock
// does not tell less, and whoever waits for longer is taken for dead.
const (
	leastRest = time.Millisecond
	longRest  = time.Second
)

// due is when a client that may not be read from is asked for again: with the next tick,
// or when it has rested.
func (r *rates) due(m *meter, v verdict, now, tick int64) int64 {
	if v != rests {
		return tick
	}
	m.time = max(m.time, -r.client.time*longRest.Seconds())
	rest := max(time.Duration(-m.time/r.client.time*float64(time.Second))+time.Microsecond, leastRest)
	r.rested.Add(int64(rest))
	return now + int64(rest)
}

// judge fills the buckets of a client and says whether it may be read from.
func (r *rates) judge(m *meter, now int64) verdict {
	if v := r.own(m, now); v != mayRead || r.all.none() {
		return v
	}
	r.mu.Lock()
	r.shared.fill(&r.all, now)
	ready := r.shared.ready(&r.all)
	r.mu.Unlock()
	if !ready || r.queued.Load() > 0 && !m.hasCredit(&r.all) {
		return waitsForTurn
	}
	return mayRead
}

func (m *meter) hasCredit(l *limit) bool {
	return (l.messages == 0 || m.creditMessages >= 1) && (l.bytes == 0 || m.creditBytes >= 1)
}

// turn asks for a client that stood in the list, among so many that wait for the
// same: what all may take is divided among them.
func (r *rates) turn(m *meter, now int64) verdict {
	if v := r.own(m, now); v != mayRead || r.all.none() {
		return v
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shared.fill(&r.all, now)
	if !r.shared.ready(&r.all) {
		return waitsForTurn
	}
	if now-r.shared.noted >= int64(tickLength)/2 { // once a tick, or who comes first has most
		r.shared.noted = now
		among := float64(max(1, r.queued.Load()))
		r.shared.creditMessages = max(1, math.Floor(r.shared.messages/among))
		r.shared.creditBytes = max(r.all.least(), r.shared.bytes/among)
	}
	m.creditMessages, m.creditBytes = r.shared.creditMessages, r.shared.creditBytes
	return mayRead
}

// unlimited stands for no bound of a count.
const unlimited = math.MaxInt32

// slowRead is how much is read at once of a client whose messages are counted: what it
// sent beyond its rate is held in memory.
const slowRead = 4 << 10

// room is how many bytes may be read of a client that may be read from, and messages
// how many messages it may bring.
func (r *rates) room(m *meter) int {
	n := float64(readSize)
	if r.client.messages > 0 || r.all.messages > 0 {
		n = slowRead
	}
	if r.client.bytes > 0 {
		n = min(n, m.bytes)
	}
	if r.all.bytes > 0 {
		n = min(n, r.sharedNow().bytes)
		if r.queued.Load() > 0 {
			n = min(n, m.creditBytes)
		}
	}
	return max(1, int(n))
}

func (r *rates) messages(m *meter, accepted bool) int {
	n := float64(unlimited)
	if r.client.messages > 0 {
		n = m.messages
	}
	if r.all.messages > 0 {
		n = min(n, r.sharedNow().messages)
		if r.queued.Load() > 0 {
			n = min(n, m.creditMessages)
		}
	}
	if !accepted {
		n = max(n, 1) // what comes first is no message, and must be taken
	}
	return max(0, int(n))
}

func (r *rates) sharedNow() meter {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shared
}

// take charges what a client brought.
func (r *rates) take(m *meter, messages, bytes int) {
	m.take(messages, bytes)
	m.creditMessages -= float64(messages)
	m.creditBytes -= float64(bytes)
	if r.all.none() {
		return
	}
	r.mu.Lock()
	r.shared.take(messages, bytes)
	r.mu.Unlock()
}

// readTime is what a read costs beside what the machine does.
const readTime = 2 * time.Microsecond

// takeTime charges what a client's input took of a processor.
func (r *rates) takeTime(m *meter, took time.Duration, fresh int) {
	if r.client.time == 0 {
		return
	}
	if fresh > 0 {
		took += readTime
	}
	m.time -= float64(took)
}

// enter counts a client that is not read from any more, and leave one that is, or is
// gone.
func (r *rates) enter(v verdict) {
	r.throttled.Add(1)
	r.times.Add(1)
	if v == rests {
		r.rests.Add(1)
	}
	if v == waitsForTurn {
		r.queued.Add(1)
	}
}

func (r *rates) leave(v verdict) {
	r.throttled.Add(-1)
	if v == waitsForTurn {
		r.queued.Add(-1)
	}
}

// noteEvery is how often it is explained that one client is not read from.
const noteEvery = 10 * time.Second

// note explains that a client is not read from, now and then.
func (l *Listener) note(g gateway, t *core.Turn, m *meter, v verdict, peer string, client string) {
	if m.noted != 0 && m.at-m.noted < int64(noteEvery) {
		return
	}
	m.noted = m.at
	what := "sends faster than client_message_rate or client_byte_rate of the listener"
	switch v {
	case waitsForTurn:
		what = "the clients of this listener send faster than its message_rate or byte_rate"
	case rests:
		what = "what it sends takes more of a processor than client_processor_share of the listener"
	}
	g.Refuse(t, core.Refusal{Reason: core.MessageRateTooHigh, Listener: l.name, Peer: peer, ClientID: client, Detail: "not read from for a while: " + what})
}

// clientOf is the ClientID of a machine that tells it.
func clientOf(m Machine) string {
	if n, ok := m.(interface{ ClientID() string }); ok {
		return n.ClientID()
	}
	return ""
}
