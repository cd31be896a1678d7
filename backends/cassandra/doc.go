// Package cassandra is data rules on Apache Cassandra (or what speaks its protocol).
//
// Tables of the keyspace mqtt, as documented for EMQ X 2.4, with what is ours in
// brackets; schema.cql makes them:
//
//	client  client_id → node, state (1, 0), connected, disconnected
//	sub     client_id, topic → qos: the user's programs write it
//	msg     topic, msgid (newest first) → sender, qos, retain, payload, arrived
//	retain  topic → msgid [, sender, qos, payload, arrived]
//	acked   client_id, topic → msgid of the last one acknowledged
//	[topic  kind, topic: topics that have messages (msg) or a retained one (retain)]
//
// The body of a retained message stands in retain itself: in msg it might have expired,
// or never have been.
//
// Nothing is read before it is written but cursors, nothing is written by lightweight
// transactions, and nothing is deleted that is scanned afterwards: a cursor is compared
// with the one before in memory, messages end by their time to live (the rule's expiry),
// and topics stay in the table topic. So reading meets no tombstones.
package cassandra
