// Package packet is the wire codec of MQTT 3.1, 3.1.1 and 5.0, for both ends of a connection.
//
// Bytes come in any split. Next cuts one whole Frame from the front of a buffer, or says that more is needed; the
// packet struct for the frame's Type then decodes the body in place:
//
//	f, n, err := packet.Next(buf, maximumPacketSize)
//	switch {
//	case err != nil: // refuse: errors.As(err, *packet.Error) has the reason code to answer
//	case n == 0: // read more into buf
//	case f.Type == packet.TypePublish:
//		err = publish.Decode(version, f.Header, f.Body)
//	}
//	buf = buf[n:]
//
// # Who owns the bytes
//
// A decoded packet borrows: Topic, Payload and every other byte slice point into the body given to Decode, and are
// valid only until the caller changes those bytes or decodes into the same struct again. Structs are meant to be reused;
// they keep the memory of their lists, so that PUBLISH, the acknowledgements and pings are decoded without allocation.
// Append copies into the caller's slice and keeps nothing. No value of this package is safe for use by two
// goroutines at once, and none has state that outlives the call but the structs the caller holds.
//
// # What is checked
//
// Everything that one packet shows by itself: framing, reserved bits, lengths, UTF-8, flags against fields, which
// properties and reason codes may stand where and how often, value ranges, wildcards in Topic Names. What needs the
// connection's or session's state, the direction, or the syntax of topic filters is left to the caller, and the Decode
// method concerned says so. Each fault is an *Error with the reason code MQTT 5 answers by and the clause that was broken.
// What MQTT 3.1 leaves open is accepted in that version only.
//
// # Writing
//
// Append writes the shortest form of a packet. Size tells its length beforehand, to hold it against the receiver's
// Maximum Packet Size; Properties.Remove(Diagnostics) makes a packet smaller as the specification wants. A gateway that
// sends one message to many receivers uses Outgoing, which takes the parts that all of them share as finished bytes.
package packet
