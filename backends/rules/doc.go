// Package rules is the engine of data rules: what happens in the gateway (a hook), to
// which topics, and what is then done in a database (a function, or statements of the
// user's own). It is one engine for all databases: each of them, in a folder of its own,
// is a [Database].
//
//	hook             functions
//	client.connected, client.disconnected, session.created
//	                 on_client_connected, on_client_disconnected, on_subscribe_lookup
//	session.subscribed
//	                 on_message_fetch, on_retain_lookup
//	session.unsubscribed
//	                 on_acked_delete
//	message.publish  on_message_publish, on_message_store, on_message_retain, on_retain_delete
//	message.delivered, message.acked
//	                 on_message_acked
//
// # What is written
//
// The engine is a [core.Sink]. Events that a rule wants become jobs in a bounded queue,
// which goes to disk while the database is away. Jobs of one key (the topic of a
// message, else the client) are done in order; those of different keys are done side by
// side, in batches. A job that the database refuses for good is dropped by name; one
// that it cannot do at present is tried again, and nothing overtakes it.
//
// With ack = "sync" the publisher's acknowledgement waits until the database has the
// message. With ack = "spool" it waits until the queue has it on disk.
//
// # What is read
//
// Subscriptions of a client (on_subscribe_lookup, a [core.SubscriptionSource]), unread
// messages of a new subscription (on_message_fetch), and retained messages
// (on_retain_lookup); both filters with wildcards and without. Topics with a rule
// on_message_retain have their retained messages in the database alone.
//
// # Messages
//
// A message has the same [MessageID] on every node and after every restart: 20 to 22
// characters, which sort by the time at which the message was published. Unread messages
// come in the order in which the database has them, after a cursor for each client and
// topic that moves forward only.
package rules
