package machine

import "github.com/fairlead-iot/fairlead/mqtt/packet"

// Turn is what the machines of one goroutine share. The zero value is ready. It must
// outlive none of its machines' calls, and no two goroutines may use it at once. A
// machine may be given another Turn with every call.
type Turn struct {
	// Now is the time in nanoseconds of any clock that does not go back.
	Now int64
	// Out is where machines append the bytes for their server. The caller takes them.
	Out []byte
	// Handler hears of the events of the machine that is called; never nil.
	Handler Handler

	connect   packet.Connect
	connack   packet.Connack
	publish   packet.Publish
	ack       packet.Ack
	suback    packet.Suback
	unsuback  packet.Unsuback
	leave     packet.Disconnect
	auth      packet.Auth
	prepared  bool
	spare     []*session // empty ones
	spareSize int        // bytes that spare holds
}

// Handler hears of what happens. All it is given is borrowed: valid until it returns.
// It may call Publish, Subscribe, Unsubscribe, Ack, Withdraw and Disconnect of the machine
// that called it, with the same Turn; but out of Sent nothing.
type Handler interface {
	// Connected: the CONNACK came. ack.Reason.Failed() means a refusal: then nothing
	// else comes and Input returns ErrRefused. Otherwise Dropped and Sent follow for what
	// the session held.
	Connected(ack *packet.Connack)
	// Message: a PUBLISH came, a QoS 2 message only once. topic is the Topic Name also
	// where p has an alias. Without Config.ManualAck its return is the acknowledgement.
	Message(p *packet.Publish, topic []byte)
	// Sent: the message of this token was appended to Out for the first time.
	Sent(token uint64)
	// Acked: PUBACK, PUBCOMP, or a PUBREC with a failure came for a QoS 1 or 2
	// message. code and text (Reason String, or empty) are those of PUBACK or PUBREC; for
	// QoS 2 text is PUBCOMP's. Before MQTT 5 the code is always success.
	Acked(token uint64, code packet.ReasonCode, text []byte)
	// Dropped: a QoS 1 or 2 message will never be acknowledged: ErrSessionLost, or a
	// RefusalError where a server takes less than the one it was queued for.
	Dropped(token uint64, why error)
	// Subscribed: the SUBACK came. There should be a code for each filter; whether there
	// is, is left to the handler.
	Subscribed(token uint64, codes []packet.ReasonCode, text []byte)
	// Unsubscribed: the UNSUBACK came. Before MQTT 5 there are no codes.
	Unsubscribed(token uint64, codes []packet.ReasonCode, text []byte)
	// Disconnected: the server's DISCONNECT came (MQTT 5). Input then returns
	// ErrDisconnected.
	Disconnected(p *packet.Disconnect)
}

// maxSpare bounds the memory that a Turn keeps for machines to come, in bytes.
const maxSpare = 4 << 20

// prepare sets up the memory to decode into. The server is this side's own choice, so
// only its packets' size is bounded.
func (t *Turn) prepare() {
	if t.prepared {
		return
	}
	t.prepared = true
	open := &packet.Limits{PropertyBytes: packet.MaxRemaining, UserProperties: packet.MaxRemaining, Filters: packet.MaxRemaining}
	t.connack.Limits, t.publish.Limits, t.ack.Limits, t.suback.Limits, t.unsuback.Limits, t.leave.Limits, t.auth.Limits = open, open, open, open, open, open, open
}

// take gives an empty session.
func (t *Turn) take() *session {
	n := len(t.spare)
	if n == 0 {
		return newSession()
	}
	s := t.spare[n-1]
	t.spare[n-1] = nil
	t.spare = t.spare[:n-1]
	t.spareSize -= s.size
	return s
}

// give keeps an empty session for the next machine that needs one.
func (t *Turn) give(s *session) {
	if t.spareSize+s.size <= maxSpare {
		t.spare = append(t.spare, s)
		t.spareSize += s.size
	}
}
