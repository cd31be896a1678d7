// Package simnet is a network in memory: streams that behave like TCP and datagrams
// that behave like UDP, between addresses of its own, under conditions that a test
// chooses (latency, loss, cuts, address translation that changes its mind). It is
// for tests and for simulated fleets, and imports nothing of ours.
//
//	n := simnet.New(1)
//	ln, err := n.Listen("gateway:1883")
//	c, err := n.Dial(ctx, "10.1.0.7:0", "gateway:1883")
//
// # Terms
//
// A [Network] is everything that can reach each other. A [Conn] is one end of a
// stream; its Read and Write block as those of any net.Conn. For loops that carry
// hundreds of thousands of streams there is a second way to use the same Conn:
// [Conn.Notify], [Conn.TryRead] and [Conn.TryWrite], without a goroutine each. A
// [PacketConn] is a socket for datagrams. [Conditions] hold for the whole network or
// for one stream or socket.
//
// # Addresses
//
// Addresses are IP addresses with ports, as real sockets give them. A host that is
// no address ("gateway") is a name: listening gives it an address, dialling finds
// it. An empty host listens on every address. What dials without naming its source
// gets one from 10.64.0.0/10.
//
// # Time and chance
//
// There is no goroutine and no timer while nothing is on its way; one timer of the
// network delivers what is. In a testing/synctest bubble all of it follows the
// bubble's clock; the Network must be made inside. Chance comes from the seed: each
// stream and socket draws its own sequence, from the seed, its addresses and the
// time it was made, so that a run can be repeated whatever the order in which
// goroutines ran.
//
// # Bounds
//
// A stream holds at most the network's window in each direction (SetWindow); a
// writer waits then. A listener's backlog and a socket's queue are bounded; what
// does not fit is counted in [Stats]. An idle stream holds no buffer: both ends
// together take less than 600 bytes.
package simnet
