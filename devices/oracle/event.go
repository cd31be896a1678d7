package oracle

// Kind says what an Event tells.
type Kind uint8

// The kinds of events. "Sent" means handed to the transport, "received" means read
// from it by the fleet: the truth of both lies between them and the server, so that
// what was under way at either moment may have had its effect or not.
const (
	// Connecting: CONNECT was sent. Clean, Expiry (session expiry, seconds), KeepAlive
	// and Code (protocol version: 3, 4 or 5) are set; what the server held of the session before is void
	// from here on if Clean.
	Connecting Kind = iota
	// WillSet follows Connecting for a device with a Will: Topic, Hash, Seq, QoS,
	// Retain, Delay (seconds). Seq counts in the same row as the messages that the
	// device publishes on Topic.
	WillSet
	// Connected: an accepting CONNACK was received. Present says Session Present.
	Connected
	// Refused: CONNACK with a failure Code, or no connection at all (Code 0). Silent says
	// that nothing came back however often it was asked, as when datagrams get lost.
	Refused
	// Leaving: DISCONNECT was sent. Code 0x04 asks for the Will.
	Leaving
	// Lost: the connection ended without the device's DISCONNECT: by the server
	// (Code as it said, or 0), by the network, or by a fault that the scenario wanted.
	// Silent says that the server may not have been told: it learns of it by the
	// keep-alive only. At is then the time of the cut, if the fleet knows it.
	Lost
	// Subscribing and Unsubscribing: the packet was sent. Topic is the filter as it
	// was written, with its $share/ prefix; QoS, and Present for "retained messages
	// are wanted for this one" (Retain Handling), Retain for Retain As Published,
	// Clean for No Local.
	Subscribing
	// Subscribed: SUBACK was received for Topic; Code is its reason code.
	Subscribed
	Unsubscribing
	// Unsubscribed: UNSUBACK was received for Topic.
	Unsubscribed
	// Publishing: a PUBLISH was sent for the first time (a resend is none). Seq,
	// Topic, Hash, QoS, Retain, Size (payload bytes; 0 with Retain clears), Expiry
	// (seconds, 0 for none).
	Publishing
	// Published: PUBACK, or PUBREC with a failure, or PUBCOMP was received; Code is the
	// reason code of the first answer. Topic and Seq name the message.
	Published
	// Received: a PUBLISH was received. Publisher and Seq are what its mark says
	// (Marked), or Hash must do. Sent is the mark's time, or 0. What the device knows at
	// QoS 2 by its Packet Identifier to be a resend is no such event.
	Received
	// Ends is the last event of its source: nothing is sent after it, and what has
	// not come by its time did not arrive.
	Ends
)

// Event is one thing that happened to one device, as the device saw it. Events of a
// source come in the order of their times; sources are merged by time. What was sent
// is stamped before the write, what was received after the read, so that a message's
// Publishing is never later than its Received. Two events of one time are taken in an
// order in which what was sent comes first.
type Event struct {
	At        int64  // nanoseconds on a clock that all sources of the run share
	Kind      Kind   //
	Device    uint32 // its number within the whole fleet, from 0
	Topic     string // Topic Name or filter
	Publisher uint32 // Received: who sent it, if Marked
	Seq       uint64 // number of the message within (publisher, topic), from 0
	Sent      int64  // Received: when it was sent, by its mark
	Hash      uint32 // of the whole payload; see Hash32
	Size      uint32 // payload bytes
	Expiry    uint32 // seconds
	Delay     uint32 // seconds
	KeepAlive uint16 // Connecting: seconds, 0 for none
	QoS       uint8  //
	Code      uint8  // reason code
	Marked    bool   // Received: the payload had a mark
	Retain    bool   //
	Dup       bool   // Received
	Present   bool   //
	Clean     bool   //
	Silent    bool   // Lost, Refused
}

// Device is what the oracle has to know of a device before the run.
type Device struct {
	Name  string // its client identifier
	Group string // of the scenario
	// Slow: it reads slowly by intent, so that what the server still holds for it at
	// the end of a subscription or connection is not missed.
	Slow bool
}
