// Package packet is the wire codec of MQTT-SN 1.2, for both ends.
//
// A datagram holds one message. Parse cuts it into a Frame; the struct for the frame's
// Type then decodes the body in place:
//
//	f, err := packet.Parse(datagram)
//	switch {
//	case err != nil: // drop: errors.As(err, *packet.Error) has the clause and the return code
//	case f.Type == packet.TypePublish:
//		err = publish.Decode(f)
//	}
//
// Messages of nodes behind a forwarder come encapsulated; SplitForwarded takes the
// capsule off, AppendForwarded puts one on.
//
// # Who owns the bytes
//
// A decoded message borrows: every byte slice points into the datagram, and is valid only
// until those bytes change. Append copies into the caller's slice and keeps nothing. No
// value of this package is safe for use by two goroutines at once.
//
// # What is checked
//
// Everything that one message shows by itself: framing, lengths, reserved values, UTF-8,
// the Protocol Id. Flags that a message does not use are passed over, and so is the
// message identifier of a PUBLISH at QoS 0 and −1: the specification gives them no
// meaning. What needs the connection's state, such as whether a topic id is known, or the
// syntax of topics is left to the caller. Each fault is an *Error.
package packet
