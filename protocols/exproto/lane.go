package exproto

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

// numberBits is how many bits of a connection's number count the connections of its
// lane; those above are the lane's. All of it fits into the whole numbers of JavaScript.
const numberBits = 40

// batchBytes is about what one message to the handler carries: beyond it batching gains
// nothing, and others wait.
const batchBytes = 64 << 10

// queueKept is how many events' room an empty queue keeps.
const queueKept = 4096

// lane is what Fairlead and a handler have between them: see the package comment. A
// machine's share of it is its desk.
type lane struct {
	index  uint64
	cfg    *protocols.ExprotoConfig
	signal chan struct{} // capacity 1: events wait

	mu      sync.Mutex
	clients map[uint64]*Machine
	last    uint64 // number of the latest connection, without the lane's bits
	up      bool
	waiting bool   // down, but within hold
	gen     uint32 // of the stream: machines follow
	why     string // it is down
	window  int    // bytes of events that a client may have outstanding
	counted bool   // the handler gives them back; else their sending does
	queue   []item
	head    int // of queue
	bytes   int // in queue and on their way out
	waiters []*Machine
	blocked int

	faults, lost, ends uint64
}

// desk is a machine's part of the lane, behind its mutex.
type desk struct {
	inbox   []*pb.Command
	owed    int  // bytes of commands that the handler was not given back
	out     int  // bytes of events outstanding
	called  bool // Complete is on its way
	waits   bool // it had no room
	overrun bool // the handler sent more than it may
}

// item is one event that waits.
type item struct {
	m    *Machine // nil: of no client
	ev   *pb.Event
	size int
}

func newLane(index uint64, cfg *protocols.ExprotoConfig) *lane {
	return &lane{index: index, cfg: cfg, signal: make(chan struct{}, 1), clients: map[uint64]*Machine{}, why: "it was not reached yet", waiting: cfg.Hold > 0}
}

// join takes a new client in, or says why not.
func (l *lane) join(m *Machine) core.Reason {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.up && !l.waiting:
		m.why = "the handler is away: " + l.why
		return core.ServerUnavailable
	case l.bytes >= l.cfg.Queue:
		m.why = fmt.Sprintf("the handler does not keep up: %d bytes wait for it", l.bytes)
		return core.ServerBusy
	}
	l.last++
	m.id = l.index<<numberBits | l.last
	l.clients[m.id] = m
	return core.Success
}

// leave takes a client out, with its last event. Events that wait go out all the same.
func (l *lane) leave(m *Machine, ev *pb.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[m.id] != m {
		return
	}
	if l.up && m.gen == l.gen {
		l.push(m, ev, proto.Size(ev))
	}
	delete(l.clients, m.id)
	l.forget(m)
}

// forget ends the client's waiting. With mu held.
func (l *lane) forget(m *Machine) {
	if m.desk.waits {
		m.desk.waits = false
		l.blocked--
	}
	m.desk.inbox = nil
}

// generation is that of the stream that m shall follow; ok is false where there is none.
func (l *lane) generation(m *Machine) (gen uint32, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gen, l.up && l.clients[m.id] == m
}

// post leaves an event for the handler. Where there is no room it is not taken, and m
// is called once there is; what must go (answers) has room always, for commands are not
// done while too much waits.
func (l *lane) post(m *Machine, ev *pb.Event, must bool) bool {
	ev.Conn = m.id
	size := proto.Size(ev)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.up || m.gen != l.gen:
		return must
	case !must && !l.room(m):
		return false
	}
	l.push(m, ev, size)
	return true
}

// roomFor tells whether the next event of m will be taken; if not, m is called later.
func (l *lane) roomFor(m *Machine) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up && m.gen == l.gen && l.room(m)
}

// room is roomFor with mu held.
func (l *lane) room(m *Machine) bool {
	full := l.bytes >= l.cfg.Queue
	if !full && m.desk.out < l.window {
		return true
	}
	l.await(m, full || !l.counted)
	return false
}

// await notes that m waits for room; unless listed, until the handler gives back. With mu
// held.
func (l *lane) await(m *Machine, listed bool) {
	if m.desk.waits {
		return
	}
	m.desk.waits = true
	l.blocked++
	if listed {
		l.waiters = append(l.waiters, m)
	}
}

// push is post with mu held.
func (l *lane) push(m *Machine, ev *pb.Event, size int) {
	l.queue = append(l.queue, item{m, ev, size})
	l.bytes += size
	if m != nil {
		m.desk.out += size
	}
	select {
	case l.signal <- struct{}{}:
	default:
	}
}

// open tells whether commands may be done; if not, m is called later.
func (l *lane) open(m *Machine) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes < l.cfg.Queue {
		return true
	}
	l.await(m, true)
	return false
}

// commands takes what came for m. overrun says that it was more than the handler may send.
func (l *lane) commands(m *Machine) (cmds []*pb.Command, overrun bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cmds, m.desk.inbox = m.desk.inbox, nil
	return cmds, m.desk.overrun
}

// answered says that m has taken its call: the next one is another.
func (l *lane) answered(m *Machine) {
	l.mu.Lock()
	m.desk.called = false
	l.mu.Unlock()
}

// repay gives n bytes of commands back to the handler.
func (l *lane) repay(m *Machine, n int) {
	l.mu.Lock()
	m.desk.owed -= n
	l.mu.Unlock()
	l.post(m, &pb.Event{What: &pb.Event_Credit{Credit: uint32(n)}}, true)
}

// taken takes n bytes of events back from the handler; false: it has not got as many.
func (l *lane) taken(m *Machine, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.counted {
		return true
	}
	if n > m.desk.out {
		return false
	}
	m.desk.out -= n
	if m.desk.waits && l.bytes < l.cfg.Queue { // it looks again itself
		m.desk.waits = false
		l.blocked--
	}
	return true
}

// receive lays commands on the desks of their clients and calls them. strangers are
// those of no client.
func (l *lane) receive(cmds []*pb.Command) (strangers []*pb.Command) {
	var calls []*Machine
	l.mu.Lock()
	for _, c := range cmds {
		m := l.clients[c.GetConn()]
		if m == nil {
			strangers = append(strangers, c)
			continue
		}
		if m.desk.owed >= l.cfg.Window {
			m.desk.overrun = true
		} else {
			m.desk.owed += proto.Size(c)
			m.desk.inbox = append(m.desk.inbox, c)
		}
		calls = called(calls, m)
	}
	l.mu.Unlock()
	call(calls)
	return strangers
}

// called adds m to those that are to be called, unless it is already. With mu held.
func called(calls []*Machine, m *Machine) []*Machine {
	if m.desk.called {
		return calls
	}
	m.desk.called = true
	return append(calls, m)
}

// call calls machines. With nothing held.
func call(ms []*Machine) {
	for _, m := range ms {
		m.conn.Complete(core.Completion{Op: core.OpAdapter})
	}
}

// summon has m called once its connection was served.
func (l *lane) summon(m *Machine) {
	l.mu.Lock()
	calls := called(nil, m)
	l.mu.Unlock()
	call(calls)
}

// issued says that the stream was given such a number once.
func (l *lane) issued(number uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return number>>numberBits == l.index && number&(1<<numberBits-1) <= l.last
}

// answer leaves an event of no client that Fairlead knows, unless too much waits.
func (l *lane) answer(ev *pb.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.up && l.bytes < l.cfg.Queue {
		l.push(nil, ev, proto.Size(ev))
	}
}

// fault counts a command that was wrong.
func (l *lane) fault() {
	l.mu.Lock()
	l.faults++
	l.mu.Unlock()
}

// next takes a batch of events off the queue; they count until sent.
func (l *lane) next(batch []item) []item {
	l.mu.Lock()
	defer l.mu.Unlock()
	waits := l.queue[l.head:]
	n, size := 0, 0
	for n < len(waits) && (n == 0 || size+waits[n].size <= batchBytes) {
		size += waits[n].size
		n++
	}
	batch = append(batch, waits[:n]...)
	clear(waits[:n])
	if l.head += n; l.head == len(l.queue) {
		l.queue, l.head = l.queue[:0], 0
		if cap(l.queue) > queueKept {
			l.queue = nil
		}
	}
	return batch
}

// sent says that a batch went out, and calls those that waited for room.
func (l *lane) sent(batch []item) {
	var calls []*Machine
	l.mu.Lock()
	for _, it := range batch {
		l.bytes -= it.size
		if it.m != nil && !l.counted {
			it.m.desk.out -= it.size
		}
	}
	if len(l.waiters) > 0 && l.bytes <= l.cfg.Queue/2 {
		calls = l.release()
	}
	l.mu.Unlock()
	call(calls)
}

// release takes off the list those that waited and may have room now. With mu held.
func (l *lane) release() (calls []*Machine) {
	kept := l.waiters[:0]
	for _, m := range l.waiters {
		switch {
		case !m.desk.waits:
		case m.desk.out >= l.window && !l.counted:
			kept = append(kept, m)
		default:
			m.desk.waits = false
			l.blocked--
			calls = called(calls, m)
		}
	}
	clear(l.waiters[len(kept):])
	l.waiters = kept
	return calls
}

// rise begins a stream: those who were held follow.
func (l *lane) rise(window uint32) {
	var calls []*Machine
	l.mu.Lock()
	l.up, l.waiting, l.why = true, false, ""
	l.gen++
	l.counted = window > 0
	l.window = l.cfg.Window
	if l.counted {
		l.window = min(l.window, int(window))
	}
	for _, m := range l.clients {
		l.forget(m)
		m.desk.owed, m.desk.out, m.desk.overrun = 0, 0, false
		calls = called(calls, m)
	}
	l.mu.Unlock()
	call(calls)
}

// fall ends a stream. Its clients are closed, or stay while the lane waits.
func (l *lane) fall(why string) {
	l.mu.Lock()
	if l.up {
		l.ends++
		l.waiting = l.cfg.Hold > 0
	}
	l.up, l.why = false, why
	l.lost += uint64(len(l.queue) - l.head)
	l.queue, l.head, l.bytes, l.waiters = nil, 0, 0, nil
	waiting := l.waiting
	l.mu.Unlock()
	if !waiting {
		l.expel()
	}
}

// expel closes all clients unless the lane is up.
func (l *lane) expel() {
	l.mu.Lock()
	if l.up {
		l.mu.Unlock()
		return
	}
	l.waiting = false
	all := l.clients
	l.clients = map[uint64]*Machine{}
	for _, m := range all {
		l.forget(m)
	}
	l.mu.Unlock()
	for _, m := range all {
		m.conn.Close(core.ServerUnavailable)
	}
}

// reason is why the handler is away.
func (l *lane) reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

// addTo adds the lane's figures.
func (l *lane) addTo(s *HandlerStats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.up {
		s.Up++
	}
	s.Clients += len(l.clients)
	s.Waiting += l.bytes
	s.Blocked += l.blocked
	s.Faults += l.faults
	s.Lost += l.lost
	s.Ends += l.ends
}

// held is how many clients there are.
func (l *lane) held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.clients)
}
