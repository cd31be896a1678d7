// Package protocols is the edge: listeners, event loops, TLS, WebSocket, QUIC, PROXY
// protocol, and the limits that hold before a client is known. It carries bytes
// between sockets and the machines of the adapters and knows no protocol.
//
// # Terms
//
// A machine is the pure state of one connection of one protocol (see Machine); an
// adapter makes them. A turn is one batch of work: a goroutine reads what came,
// hands it to machines, and writes what the batch touched, each connection once
// and with one system call. Input is what a client sends, Output what the machine
// takes from core for it; replies (Actions.Out) go in front of the output.
//
// # Who owns what
//
// A Server owns its listeners and two engines. The loops (Linux) carry plain TCP
// and Unix sockets: a loop is one goroutine with an epoll set, and everything of
// its connections belongs to it but for their outgoing side, which has a mutex:
// whoever published writes, and only when the kernel's buffer is full the owner
// goes on at EPOLLOUT. An idle connection is a struct of 128 bytes, 16 bytes of
// timer wheel and a slot; it has no goroutine, timer or buffer. The pump carries
// all else with a goroutine a connection that parks without a buffer; its socket
// never blocks a writer: what the kernel does not take is finished by a goroutine
// that exists only meanwhile. Turns of the pump are few and borrowed for a batch. It
// also carries the listeners that a program brings itself (Server.Serve); of those,
// connections that can be polled (PollConn) have no goroutine either while idle. QUIC
// is the pump's, too: quic-go reads the UDP socket, and the first stream of each
// connection is a net.Conn to the pump. Its socket stays open until the last of its
// connections is gone, whatever has become of the listener. WebSocket is upgraded by
// gorilla; its frames are taken apart in place (wsFrames), so that no connection holds a
// buffer for them and what holds nothing makes no garbage. Of a StreamMachine the
// client may open further streams, each with a reader of its own (dataStream); the
// calls of such a machine, Output included, come one at a time.
//
// # Datagrams
//
// A port is one UDP socket with its goroutine, and owns the connections of the peers
// that the kernel steers to it; a listener has as many ports as there are loops. A turn
// takes a batch of datagrams, hands each to its connection's machine or, for strangers,
// to the adapter's Meet, and sends what it touched in batches: an outbox, of which each
// core.Turn has one, so that whoever publishes sends for the clients of all ports. A
// connection is a struct of about 170 bytes, 32 bytes of timers and a slot in the
// port's table; it has no goroutine, timer or channel. Over DTLS a guard stands in
// front: it answers hellos with cookies without remembering them; who brings one back
// gets a session, which is pion's state and some goroutines.
//
// # Back pressure
//
// A machine that pauses is not read from; the kernel's buffers fill and the client
// waits; a few datagrams are kept for it and the others dropped by name. A client that does not read its replies is not read from either. Accepting
// beyond accept_rate, or without descriptors, leaves connections in the backlog: on Linux,
// 16 queues of the kernel by where they come from. On the loops strangers wait in lines of the
// same kind, and come after everyone who was let in (last_linux.go). On the pump what they
// ask for is computed in turns by address, a few at once (handshakes.go); on Linux their
// goroutines do not even run but in a turn (guest.go).
//
// # Ends
//
// A machine's last call is Closed. What was said before still goes out for a
// bounded time (lingerTime); after a goodbye the edge waits for the client's own
// end, because closing with input unread would take the goodbye away from it. What
// the edge itself ends (limits, timeouts, broken TLS, WebSocket or PROXY headers)
// it counts and explains through Gateway.Refuse; what a machine ends, the machine.
package protocols
