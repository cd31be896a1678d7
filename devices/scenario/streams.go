package scenario

// streamState is how far a stream of a device has come.
type streamState struct {
	random chance  // of the schedule
	due    int64   // when the next message is to be made
	made   uint64  // messages made or passed over so far
	walk   float64 // value of the walk
	left   uint32  // messages of the burst that are still to be made
	begun  bool
	held   bool
	over   bool
}

// Begin says that a connection stands since t, nanoseconds from the begin of the run:
// the streams begin or go on. It says how long the device means to stay.
func (st *State) Begin(t int64) Stay {
	panic("scenario: work follows")
}

// End says that the connection is over since t.
func (st *State) End(t int64) { st.online = false }

// Next tells which stream has the next message and when it is due, which may be
// past; false: there is none (not connected, all limits reached, or all held).
// Asking changes nothing. A stream with schedule max is due at once, always; hold
// it while it must not go on.
func (st *State) Next() (at int64, stream int, ok bool) {
	panic("scenario: work follows")
}

// Hold leaves a stream out of Next until Release or the next Begin, for instance while
// too many of its messages are unacknowledged.
func (st *State) Hold(stream int) { st.streams[stream].held = true }

// Release takes Hold back.
func (st *State) Release(stream int) { st.streams[stream].held = false }

// Message makes the message of the stream that Next told of, at the time now, and moves
// the stream on.
func (st *State) Message(stream int, now int64, m *Message) {
	panic("scenario: work follows")
}

// Will makes the Will of the connection that is about to be made; false: the device
// has none.
func (st *State) Will(now int64, m *Message) bool {
	panic("scenario: work follows")
}

// Answers tells whether response i of the group is for a message that came on this
// topic. m lends its buffers.
func (st *State) Answers(i int, topic []byte, m *Message) bool {
	panic("scenario: work follows")
}

// Answer makes the answer of response i to a request, to be sent after its Delay;
// false: there is no topic to answer on (no Response Topic, or not a valid one).
// Answers on a Response Topic have Slot NoSlot and count in the row of their topic all
// the same.
func (st *State) Answer(i int, r *Request, now int64, m *Message) bool {
	panic("scenario: work follows")
}
