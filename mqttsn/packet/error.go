package packet

// Error is a fault found in a datagram. The values this package returns are shared and
// must not be changed.
type Error struct {
	Code   ReturnCode // for the answer, where the message has one
	Clause string     // of the obligation that was broken, "SN-5.2.1-2"
	Msg    string     // what is wrong, fit for a log
}

// Error gives the message with the clause.
func (e *Error) Error() string { return "mqttsn: " + e.Msg + " [" + e.Clause + "]" }

func fault(clause, msg string) *Error { return &Error{NotSupported, clause, msg} }

// The faults.
var (
	errEmpty       = fault("SN-5.2.1-1", "datagram too short for a message")
	errLength      = fault("SN-5.2.1-2", "the Length is not the datagram's")
	errType        = fault("SN-5.2.2-1", "reserved message type")
	errWrongType   = fault("SN-5.2.2-1", "another message type than expected here")
	errShort       = fault("SN-5.1-1", "message ends inside a field")
	errTrailing    = fault("SN-5.1-1", "bytes left after the last field")
	errProtocolID  = fault("SN-5.3.8-1", "unknown Protocol Id")
	errClientID    = fault("SN-5.3.1-1", "empty client id")
	errText        = fault("SN-5.3.12-1", "text is not well-formed UTF-8 without null characters")
	errIDType      = fault("SN-5.3.4-5", "reserved kind of topic id")
	errQoS         = fault("SN-5.3.4-2", "QoS −1 is for PUBLISH only")
	errQoSNormal   = fault("SN-6.8-2", "QoS −1 with a topic id that needs a registration")
	errMessageID   = fault("SN-5.3.7-1", "message identifier 0 at QoS 1 or 2")
	errReturnCode  = fault("SN-5.3.10-1", "reserved return code")
	errTopicEmpty  = fault("SN-5.3.12-2", "empty topic name")
	errTopicLength = fault("SN-5.4.15-2", "a topic id or short name has two octets")
	errNode        = fault("SN-5.5-1", "encapsulation without a wireless node id")
)

// asError turns a typed nil into a plain one.
func asError(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}
