package rules

import (
	"slices"
	"time"
)

// OnSubscriptionEvent tells others of a subscription: Redis, on its event channel.
const OnSubscriptionEvent Function = "on_subscription_event"

// kind is how the engine does a function.
type kind uint8

const (
	writes  kind = iota // Database.Do
	looksUp             // Database.Subscriptions
	fetches             // Database.Unread
	retains             // Database.Retained
)

// work is what the engine knows of a function.
type work struct {
	function Function
	kind     kind
	hooks    []Hook
	// needsQoS leaves out messages of QoS 0. [D24: on_message_publish]
	needsQoS bool
	// needsRetain leaves out messages without the RETAIN flag, and those with or
	// without a payload.
	needsRetain, needsPayload, needsEmpty bool
}

// works lists every function.
func works() []work {
	connected := []Hook{ClientConnected, SessionCreated}
	subscribed, published := []Hook{SessionSubscribed}, []Hook{MessagePublish}
	acked := []Hook{MessageAcked, MessageDelivered}
	return []work{
		{function: OnClientConnected, hooks: connected},
		{function: OnClientDisconnected, hooks: []Hook{ClientDisconnected, SessionTerminated}},
		{function: OnSubscribeLookup, kind: looksUp, hooks: connected},
		{function: OnMessageFetch, kind: fetches, hooks: subscribed},
		{function: OnMessageFetchQueue, kind: fetches, hooks: subscribed},
		{function: OnMessageFetchPubsub, kind: fetches, hooks: subscribed},
		{function: OnMessageFetchKeepLatest, kind: fetches, hooks: subscribed},
		{function: OnRetainLookup, kind: retains, hooks: subscribed},
		{function: OnMessagePublish, hooks: published, needsQoS: true},
		{function: OnMessageStore, hooks: published},
		{function: OnMessageStoreKeepLatest, hooks: published},
		{function: OnMessageRetain, hooks: published, needsRetain: true, needsPayload: true},
		{function: OnRetainDelete, hooks: published, needsRetain: true, needsEmpty: true},
		{function: OnMessageAcked, hooks: acked},
		{function: OnMessageAckedQueue, hooks: acked},
		{function: OnMessageAckedPubsub, hooks: acked},
		{function: OnMessageAckedKeepLatest, hooks: acked},
		{function: OnAckedDelete, hooks: []Hook{SessionUnsubscribed}},
		{function: OnSubscriptionEvent, hooks: []Hook{SessionSubscribed, SessionUnsubscribed}},
	}
}

// workOf finds a function; statements are one that writes.
func workOf(f Function) (w work, known bool) {
	all := works()
	i := slices.IndexFunc(all, func(w work) bool { return w.function == f })
	if i < 0 {
		return work{}, f == ""
	}
	return all[i], true
}

func hooks() []Hook {
	return []Hook{ClientConnected, ClientDisconnected, SessionCreated, SessionTerminated, SessionSubscribed,
		SessionUnsubscribed, MessagePublish, MessageDelivered, MessageAcked}
}

// hookOf is the hook that a spelling means: those of later releases, too.
func hookOf(text Hook) Hook {
	switch text {
	case "message.deliver":
		return MessageDelivered
	case "client.subscribe", "client.subscribed":
		return SessionSubscribed
	case "client.unsubscribe", "client.unsubscribed":
		return SessionUnsubscribed
	case "client.connack":
		return ClientConnected
	}
	return text
}

// functionOf is the function that a spelling means. Cassandra's samples have
// on_subscription_lookup.
func functionOf(text Function) Function {
	if text == "on_subscription_lookup" {
		return OnSubscribeLookup
	}
	return text
}

// variablesOf are those that a statement of a hook may have.
func variablesOf(h Hook) []Variable {
	always := []Variable{VarClientID, VarUsername, VarTimestamp, VarNode}
	switch h {
	case ClientConnected, ClientDisconnected, SessionCreated, SessionTerminated:
		return append(always, VarPeerHost, VarProtocol)
	case SessionSubscribed, SessionUnsubscribed:
		return append(always, VarTopic, VarQoS, VarProtocol)
	}
	return append(always, VarTopic, VarQoS, VarProtocol, VarMsgID, VarPayload, VarRetain, VarMessage)
}

// Driver is what a database says about itself.
type Driver struct {
	Name      string     // as in [backends.NAME]
	Functions []Function // that it has
	// Statement says what is wrong with a statement of a rule; nil: nothing.
	Statement func(text string) error
	// Defaults are the rules of a backend that has pools and no rules; valid ones.
	Defaults []Rule
	// Identities is how users and access rules are asked for.
	Identities Identities
}

// SQLFunctions are those of databases that keep a cursor for each client and topic:
// PostgreSQL, MySQL, MongoDB and Cassandra.
func SQLFunctions() []Function {
	return []Function{OnClientConnected, OnClientDisconnected, OnSubscribeLookup, OnMessageFetch, OnRetainLookup,
		OnMessagePublish, OnMessageStore, OnMessageRetain, OnRetainDelete, OnMessageAcked, OnAckedDelete}
}

// RedisFunctions are those of Redis.
func RedisFunctions() []Function {
	return append(SQLFunctions(), OnMessageFetchQueue, OnMessageFetchPubsub, OnMessageFetchKeepLatest,
		OnMessageStoreKeepLatest, OnMessageAckedQueue, OnMessageAckedPubsub, OnMessageAckedKeepLatest, OnSubscriptionEvent)
}

// SQLDefaults are the rules of EMQ X 2.4 for databases with a cursor.
func SQLDefaults() []Rule {
	return []Rule{
		{Hook: ClientConnected, Function: OnClientConnected},
		{Hook: ClientConnected, Function: OnSubscribeLookup},
		{Hook: ClientDisconnected, Function: OnClientDisconnected},
		{Hook: SessionSubscribed, Topic: "#", Function: OnMessageFetch},
		{Hook: SessionSubscribed, Topic: "#", Function: OnRetainLookup},
		{Hook: SessionUnsubscribed, Topic: "#", Function: OnAckedDelete},
		{Hook: MessagePublish, Topic: "#", Function: OnMessagePublish},
		{Hook: MessagePublish, Topic: "#", Function: OnMessageRetain},
		{Hook: MessagePublish, Topic: "#", Function: OnRetainDelete},
		{Hook: MessageAcked, Topic: "#", Function: OnMessageAcked},
	}
}

// RedisDefaults are the rules of EMQ X 2.4 for Redis: what is stored is fetched by queues
// below queue/ and by readers with a cursor of their own below pubsub/.
func RedisDefaults() []Rule {
	return []Rule{
		{Hook: ClientConnected, Function: OnClientConnected},
		{Hook: ClientConnected, Function: OnSubscribeLookup},
		{Hook: ClientDisconnected, Function: OnClientDisconnected},
		{Hook: SessionSubscribed, Topic: "queue/#", Function: OnMessageFetchQueue},
		{Hook: SessionSubscribed, Topic: "pubsub/#", Function: OnMessageFetchPubsub},
		{Hook: SessionSubscribed, Function: OnRetainLookup},
		{Hook: SessionUnsubscribed, Topic: "#", Function: OnAckedDelete},
		{Hook: MessagePublish, Topic: "#", Function: OnMessagePublish, Expiry: redisExpiry},
		{Hook: MessagePublish, Topic: "#", Function: OnMessageRetain, Expiry: redisExpiry},
		{Hook: MessagePublish, Topic: "#", Function: OnRetainDelete},
		{Hook: MessageAcked, Topic: "queue/#", Function: OnMessageAckedQueue},
		{Hook: MessageAcked, Topic: "pubsub/#", Function: OnMessageAckedPubsub},
	}
}

// redisExpiry is backend.redis.msg.expired_after of the samples.
const redisExpiry = time.Hour
