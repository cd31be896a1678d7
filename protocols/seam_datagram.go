package protocols

import (
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// DatagramAdapter is an Adapter of a protocol that travels in datagrams. A peer's
// first datagram makes no state by itself: Meet decides about it.
//
// The machines are the same [Machine] with these differences: Input gets one whole
// datagram and uses all of it; what it answers and what Output encodes are marked
// datagram by datagram with EndDatagram, and the edge sends each as one; timers
// that input must not move are Actions.Alarm. While a machine pauses, the edge
// keeps a few datagrams for it and drops the rest as input_overflow: who sent them
// repeats them.
type DatagramAdapter interface {
	Adapter
	// Split gives the node that b comes from behind its peer's address, and the
	// message itself: an MQTT-SN forwarder encapsulates messages of many wireless
	// nodes, each of which is a connection of its own. Others return nil and b.
	// Both are parts of b. It is pure and must not fail: what cannot be understood
	// is b's.
	Split(b []byte) (node, message []byte)
	// Meet takes the first datagram of a peer without a connection. open says that
	// a machine shall be made, which then gets the datagram as its first Input.
	// Otherwise nothing is remembered, and what Meet left in a.Out (discovery,
	// challenges, refusals) is sent if it keeps the limit of amplification. What was
	// sent to a group or to all, as info.Local says, always comes here and never makes
	// a connection.
	Meet(t *core.Turn, info *ConnInfo, message []byte, a *Actions) (open bool)
}

// Beacon is a DatagramAdapter that also speaks unasked, so that devices find the
// gateway: to the addresses of the listener's udp.announce.
type Beacon interface {
	DatagramAdapter
	// Beacon leaves in a.Out what is to be said now, and tells when it wants to be
	// asked again; 0 is never. It is asked first when the listener begins to serve,
	// and no more once the gateway drains.
	Beacon(t *core.Turn, ln *Listener, a *Actions) (next time.Duration)
}

// AmplificationFactor is how many times the bytes that came from an address may be
// sent to it before it has proven that it is the sender's (Actions.Proven).
// RFC 9000 section 8.1 has the number, RFC 9175 section 2.4 asks for one.
const AmplificationFactor = 3

// EndDatagram says that the bytes of a.Out since the last call are one datagram.
// What follows the last call is one, too.
func (a *Actions) EndDatagram() { a.ends = append(a.ends, len(a.Out)) }

// EndDatagram says that what was put into o since the last call is one datagram.
// A machine looks at Len and Limit after each.
func (o *Out) EndDatagram() { o.ends = append(o.ends, cut{len(o.Buf), len(o.refs)}) }
