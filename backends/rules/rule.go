package rules

import "time"

// Hook names what happened.
type Hook string

// The hooks. message.deliver and client.* spellings of later releases are accepted in
// configurations and mean these.
const (
	ClientConnected     Hook = "client.connected"
	ClientDisconnected  Hook = "client.disconnected"
	SessionCreated      Hook = "session.created"
	SessionTerminated   Hook = "session.terminated"
	SessionSubscribed   Hook = "session.subscribed"
	SessionUnsubscribed Hook = "session.unsubscribed"
	MessagePublish      Hook = "message.publish"
	MessageDelivered    Hook = "message.delivered"
	MessageAcked        Hook = "message.acked"
)

// Function names what is done.
type Function string

// The functions. Those that end in a pattern's name exist in Redis only.
const (
	OnClientConnected    Function = "on_client_connected"
	OnClientDisconnected Function = "on_client_disconnected"
	OnSubscribeLookup    Function = "on_subscribe_lookup"

	OnMessageFetch           Function = "on_message_fetch"
	OnMessageFetchQueue      Function = "on_message_fetch_for_queue"
	OnMessageFetchPubsub     Function = "on_message_fetch_for_pubsub"
	OnMessageFetchKeepLatest Function = "on_message_fetch_for_keep_latest"
	OnRetainLookup           Function = "on_retain_lookup"

	OnMessagePublish         Function = "on_message_publish" // QoS 1 and 2
	OnMessageStore           Function = "on_message_store"   // every QoS
	OnMessageStoreKeepLatest Function = "on_message_store_keep_latest"
	OnMessageRetain          Function = "on_message_retain"
	OnRetainDelete           Function = "on_retain_delete"

	OnMessageAcked           Function = "on_message_acked"
	OnMessageAckedQueue      Function = "on_message_acked_for_queue"
	OnMessageAckedPubsub     Function = "on_message_acked_for_pubsub"
	OnMessageAckedKeepLatest Function = "on_message_acked_for_keep_latest"
	OnAckedDelete            Function = "on_acked_delete" // the cursors of an ended subscription
)

// Rule is one table [[backends.NAME.rules]].
type Rule struct {
	Hook       Hook     `toml:"hook" doc:"what happens: client.connected, client.disconnected, session.created, session.terminated, session.subscribed, session.unsubscribed, message.publish, message.delivered or message.acked"`
	Topic      string   `toml:"topic" doc:"Topic Filter that the message's topic, or the subscription's filter, must match; empty: all"`
	Function   Function `toml:"function" doc:"what is done, such as on_message_publish; see docs/backends.md"`
	Statements []string `toml:"statements" doc:"instead of a function: statements of the database with ${clientid}, ${username}, ${topic}, ${payload}, ${qos}, ${retain}, ${msgid}, ${timestamp}, ${node}, ${peerhost} and ${protocol}, each of which is bound as a parameter"`
	Pool       string   `toml:"pool" doc:"the pool that does it; empty: the first by name"`

	Ack         string        `toml:"ack" oneof:"none,spool,sync" doc:"what a publisher's acknowledgement waits for, of message.publish: none; spool, until the queue of the rule has the message on disk; sync, until the database has it"`
	OnRefused   string        `toml:"on_refused" oneof:"drop,keep" doc:"what becomes of what the database refuses for good: drop, and a publisher that waits is told so (clients before MQTT 5 are disconnected, and may send it for ever); keep: it counts as done once it stands in refused/BACKEND.POOL.jsonl below node.data_dir"`
	Expiry      time.Duration `toml:"expiry" doc:"how long the database keeps what the rule writes, where it can forget by itself (Redis, Cassandra, MongoDB); 0s: for ever"`
	MaxReturned int           `toml:"max_returned" doc:"most unread messages of a new subscription: the newest; 0: all"`
	TimeRange   time.Duration `toml:"time_range" doc:"how old unread messages may be; 0s: any age"`
	EnforceACL  bool          `toml:"enforce_acl" doc:"of on_subscribe_lookup: access rules are asked about the subscriptions, too; else a row is the permission"`
	Required    bool          `toml:"required" doc:"of on_subscribe_lookup: clients are refused while the database cannot answer; else they keep what they had"`
	Format      string        `toml:"payload_format" oneof:"bytes,text,json" doc:"of MongoDB: bytes, text where the payload is UTF-8, or json, a document where the payload is one and text else"`
}
