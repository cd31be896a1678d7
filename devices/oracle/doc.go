// Package oracle judges a broker by what a fleet of devices saw: it takes the fleet's
// events and knows from them what had to arrive, so that loss, duplicates, reorder,
// wrong retained messages and wrong Wills are found. It runs beside the fleet, or
// afterwards, and knows nothing of how the devices speak.
//
// An [Oracle] has a [Source] for each event loop or child process of the fleet. It
// merges them by time and judges in one goroutine; [Encoder] and [Decoder] carry
// batches of events between processes. The judge itself is pure: the same events give
// the same [Verdict].
//
// # What can be known
//
// A device knows when it handed a packet over and when it read one; what the server did
// happened in between. So each rule has three answers: must, may and must not. What
// lies at an edge may; only what is sure in every order that the events allow is a
// fault. The edges are as wide as [Config] says: Flight for packets under way,
// WillWithin for the server's knowledge of a connection's end, Slack for the moment by
// which it may know earlier than the device.
//
// # Deliveries
//
// A message is one of (publisher, topic, number), however often it is sent again. When
// it is first sent, it must reach each session with a matching subscription that is
// active (from SUBACK to UNSUBSCRIBE), if the session is connected or, at QoS 1 and 2,
// durable and not expired. [MQTT-4.5.0-1] [MQTT-3.10.4-2] It may reach one whose
// SUBSCRIBE or UNSUBSCRIBE is under way, and at QoS 0 a durable one that is away. A
// subscription that replaces another loses nothing. [MQTT-3.8.4-4]
//
// QoS is the lower of that of publishing and the highest that was granted to matching
// subscriptions. [MQTT-3.3.4-2] Published at QoS 1 and 2, a message is demanded only if
// it was acknowledged with success; at QoS 0 unless its publisher's connection was lost
// within Flight and nothing that it sent later was answered. An expired message is not
// demanded. [MQTT-3.3.2-5] Missing QoS 0 deliveries are counted, and faults only if
// their share is above LossQoS0.
//
// What has not come when a subscription or clean session ends is lost if a later
// message of its publisher, topic and QoS came, or if it was older than Flight by then;
// else it may have been under way. What has not come when the run ends is lost. Of
// devices that are Slow only what was overtaken is.
//
// # Sessions
//
// A session outlives its connection with an expiry above 0 (MQTT 5) or with clean
// session 0 (MQTT 3). Session Present must be 0 after a clean start [MQTT-3.2.2-2], 1
// while the session surely stands [MQTT-3.2.2-3], 0 once it surely ended
// [MQTT-4.1.0-2]; within the edges it may be either, and the server's word decides what
// is expected from there. Devices with one client identifier share a session of which
// nothing is demanded, as nobody knows which connection came last.
//
// # Copies, order
//
// A message comes once, and once more for each further subscription that matches. More
// is a Duplicate: at QoS 0 and 2 always, at QoS 1 without DUP on one connection. If the
// publisher had to send again because its connection ended before the answer, QoS 1
// may come again; QoS 2 only if its session did not stand any more. The last 256
// numbers of each (receiver, publisher, topic) are known; what comes later than that is
// counted in Skipped. First arrivals are in order within publisher, topic, QoS of
// publishing and QoS of arrival. [MQTT-4.6.0-5] [MQTT-4.6.0-6]
//
// One member of a shared subscription gets a message, if all members are connected and
// none has another subscription that matches (else it cannot be told what was for
// whom). When a member goes or changes its subscriptions, what is under way may be lost
// with it, and may move to another at QoS 1. [MQTT-4.8.2-5] Shared messages have no
// order. No Local keeps a client's own messages away. [MQTT-3.8.3-3]
//
// # Retained messages
//
// The server takes a retained message between its sending and its acknowledgement (at
// QoS 0: a later answer to its publisher, or Slack after its first arrival). A
// subscription that wants them must bring for each topic one that may stand from
// SUBSCRIBE on, if one surely stands then; never one that another surely replaced or
// cleared. [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-9] RETAIN is set on these, and on
// others as Retain As Published says. [MQTT-3.3.1-12] [MQTT-3.3.1-13] Messages with an
// expiry are not demanded. What stood before the run is not judged.
//
// # Wills
//
// A Will must reach sessions that are connected and subscribed all the time (durable
// ones when they are back), not before its delay after the connection's end and not
// later than delay and WillWithin. [MQTT-3.1.2-8] The delay is no longer than the
// session's expiry. The connection ends for the server when the device says, after a
// Silent loss up to one and a half keep-alives later [MQTT-3.1.2-22] or with the next
// connection. A new connection within the delay revokes it [MQTT-3.1.3-9], a clean
// start may send it instead; DISCONNECT revokes it unless its code is 0x04.
// [MQTT-3.14.4-3] A DISCONNECT that is followed by a new CONNECT within WillWithin may
// be overtaken by it, and a connection of which the CONNECT got no answer may have had
// a Will: there the Will may come.
//
// # Messages without a mark
//
// They are known by topic and hash. Of several with one content the oldest that has to
// come is taken, and where it cannot be told which came, order and repetition are not
// judged. Wills of one topic and content are judged together. What nobody of the fleet
// sent on a topic that the fleet uses is Corrupt; on other topics it is Skipped.
//
// # Memory
//
// About 120 bytes for each pair of receiver and (publisher, topic), 64 for each message
// until Keep after all of it came, 20 for each outstanding delivery, each bounded by
// Config. At a bound the oracle goes on without noting more, counts that in Skipped, and
// finds fewer faults, not more.
package oracle
