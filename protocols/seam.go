package protocols

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Adapter makes the machines of one protocol. Adding a protocol is writing an
// Adapter and a line in the gateway's wiring; the edge knows none of them.
type Adapter interface {
	// Name is the protocol as listeners name it: "mqtt", "mqttsn", "coap".
	Name() string
	// NewMachine returns the machine of one new connection. conn is what the
	// machine hands to core in its ConnectRequest.
	NewMachine(info *ConnInfo, conn core.Conn) Machine
}

// ConnInfo is what the edge knows of a connection when its machine is made:
// after the TLS handshake, the WebSocket upgrade and the PROXY header.
type ConnInfo struct {
	Listener *Listener // configuration and counters of where it came in
	Peer     netip.AddrPort
	Local    netip.AddrPort
	TLS      *tls.ConnectionState // nil for plain connections
	// ServerName is the TLS SNI or PROXY v2 authority, "" if unknown.
	ServerName string

	// Of datagram listeners:
	Node        string // the wireless node behind Peer, see DatagramAdapter.Split
	PSKIdentity string // that the peer proved in its DTLS handshake, or ""
	Secure      bool   // whether DTLS protects the datagrams
}

// Machine is the pure state of one connection of one protocol: bytes and time
// in, actions out. It has no goroutine, lock, socket or clock of its own, and
// calls nothing but core.Gateway.
//
// The edge calls Input, Complete, Tick, Stop and Closed one at a time. Output may
// run at the same time as those, on any goroutine, under the connection's
// outgoing lock; it shares with them only what was settled before
// Gateway.Resume, which comes before the first Output.
type Machine interface {
	// Input consumes whole packets from b and returns how many bytes it used;
	// the edge offers the rest again with more behind it. b is the loop's buffer:
	// nothing of it may be kept. After a.Pause, a.Again or a.Close it stops consuming.
	Input(t *core.Turn, b []byte, a *Actions) (used int)
	// Complete takes the late result of an operation that core answered with
	// pending. Input goes on afterwards unless a.Pause is set again.
	Complete(t *core.Turn, c core.Completion, a *Actions)
	// Tick says that the time asked for by a.Timer passed without input
	// (a lazy timer: activity moves it).
	Tick(t *core.Turn, a *Actions)
	// Output takes what core has for the client and encodes it into o until o is
	// full or nothing is left; more says that something is left.
	Output(t *core.Turn, o *Out) (more bool)
	// Stop begins an end that the gateway wants (takeover, shutdown, limits): it
	// appends the protocol's own goodbye to a.Out, if any, and sets a.Close.
	Stop(t *core.Turn, r core.Reason, a *Actions)
	// Closed says that the transport is gone, and why; the machine tells core.
	// It is made exactly once, and only a Complete of OpConnect may come after it:
	// the machine then gives back what core granted.
	Closed(t *core.Turn, r core.Reason)
}

// Actions are what a machine wants done after a call. The edge resets and
// reuses them; the zero value wants nothing.
type Actions struct {
	// Out are wire bytes that go out in front of what Output encodes later.
	Out []byte
	// Pause stops reading until Complete was called.
	Pause bool
	// Again says that Input left whole packets because the connection has had its
	// share of the turn (core.Turn.Spent), or core has left its message
	// (core.Publish.Search): the same bytes come again after others were served,
	// without further ones. It may have used none of them.
	Again bool
	// Close ends the connection once Out is written (best effort, bounded time).
	Close bool
	// Reason is why, when Close is set: counted and explained.
	Reason core.Reason
	// Timer, when SetTimer, is how long the connection may be without input
	// before Tick; 0 means for ever.
	Timer    time.Duration
	SetTimer bool
	// Accepted says that the client authenticated: limits before authentication
	// end here.
	Accepted bool

	// Of datagram listeners:

	// Alarm, when SetAlarm, is the time until Tick whatever comes in meanwhile; 0
	// means never. Timer and Alarm may both run.
	Alarm    time.Duration
	SetAlarm bool
	// Proven says that the peer answered to something that only the holder of its
	// address could know: the limit of amplification ends here.
	Proven bool

	// Of machines with data streams:

	// Stream is the one that Out goes by; one that is gone means the first.
	Stream Stream
	// EndStream ends the data stream that the input came by, once what is on its way
	// out there is written: the client is told that nothing more is taken. The
	// connection goes on.
	EndStream bool

	// Messages, while Limited, is how many messages Input may take: the machine counts
	// them down and stops consuming when none is left. The edge sets both. A machine of
	// datagrams consumes what it gets, and refuses messages beyond their number by its
	// protocol's word for that.
	Messages int
	Limited  bool

	ends []int // of datagrams in Out
}

// Reset clears a for the next call and keeps the capacity of Out.
func (a *Actions) Reset() { *a = Actions{Out: a.Out[:0], ends: a.ends[:0]} }

// Out collects what goes out in one write: small frames are copied into one
// buffer, large payloads are referenced.
type Out struct {
	// Buf is appended to. Reslicing or shortening it is not allowed.
	Buf []byte
	// Limit is how many bytes one batch should hold; a machine stops taking
	// deliveries once Len reaches it.
	Limit int

	refs  []ref
	size  int   // bytes referenced
	ends  []cut // of datagrams
	marks []mark
}

// cut is where a datagram ends: behind so much of Buf and so many references.
type cut struct{ buf, refs int }

// ref is a referenced slice that goes out after Buf[:at].
type ref struct {
	at int
	b  []byte
}

// ReferenceAbove is the size in bytes from which Ref pays: below it a copy is
// cheaper than another element of the vectored write.
const ReferenceAbove = 2048

// Ref puts b behind what Buf holds so far without copying it. b must be immutable.
func (o *Out) Ref(b []byte) {
	o.refs = append(o.refs, ref{at: len(o.Buf), b: b})
	o.size += len(b)
}

// Len is how many bytes would be written.
func (o *Out) Len() int { return len(o.Buf) + o.size }
