package protocols

import "github.com/fairlead-iot/fairlead/core"

// Stream names one byte stream of a connection: 0 is the first, which every
// connection has; data streams, that a client may open later on, count from 1 and no
// number comes twice in a connection.
type Stream uint32

// StreamAdapter is an Adapter whose machines can divide a connection over several
// byte streams. Only QUIC has them.
type StreamAdapter interface {
	Adapter
	// NewStreamMachine is NewMachine for a connection that may get data streams.
	NewStreamMachine(info *ConnInfo, conn core.Conn) StreamMachine
}

// StreamMachine is the state of a connection that the client may divide over several
// byte streams. Machine.Input is for the first of them; what Output encodes goes by
// the stream that Out.By named last. The edge opens no data stream before the machine
// has set Actions.Accepted, and of a connection that has one it never calls Output at
// the same time as anything else of the machine.
type StreamMachine interface {
	Machine
	// InputStream is Input for a data stream. Each stream is read for itself, so
	// that the begin of a large packet on one holds up no other; Actions.Pause stops
	// all of them. Actions.EndStream ends this one only.
	InputStream(t *core.Turn, s Stream, b []byte, a *Actions) (used int)
	// StreamEnded says that nothing more comes by s. lost says that what was written
	// to it may not have arrived, and nothing can be written any more; else the
	// stream stays open for what is owed.
	StreamEnded(t *core.Turn, s Stream, lost bool, a *Actions)
	// Owes tells whether something has still to go out by a stream that ended and
	// was not lost.
	Owes(s Stream) bool
}

// mark says that what lies behind it in a batch goes by another stream.
type mark struct {
	at, refs int // lengths of Out.Buf and Out.refs
	stream   Stream
}

// By says that what is put into o from now on goes by s. A batch begins with the
// first stream. It is only for machines that were made by NewStreamMachine.
func (o *Out) By(s Stream) {
	if n := len(o.marks); n > 0 && o.marks[n-1].stream == s || n == 0 && s == 0 {
		return
	}
	o.marks = append(o.marks, mark{at: len(o.Buf), refs: len(o.refs), stream: s})
}
