package core

import (
	"math/bits"
	"sync/atomic"
)

// Counter names one figure of the gateway. Metrics, $SYS and the ledger all
// read the same table.
type Counter uint8

// The counters. All only grow; gauges are derived (see Gateway.Stats).
const (
	BytesReceived Counter = iota
	BytesSent
	PacketsReceived
	PacketsSent
	ReadCalls  // system calls that read
	WriteCalls // system calls that wrote
	ConnectionsAccepted
	ConnectionsClosed
	Connects // CONNECTs accepted
	ConnectsRefused
	Takeovers
	Reauthentications // authentications renewed on open connections
	ReauthenticationsRefused
	SessionsCreated
	SessionsEnded
	SessionsRestored
	MessagesReceived // PUBLISH taken from clients, Wills and the gateway itself
	MessagesQoS0
	MessagesQoS1
	MessagesQoS2
	MessagesDuplicate // QoS 2 resends recognised
	MessagesRefused   // PUBLISH not taken: not authorised, quota, store
	MessagesUnmatched // no subscription
	MessagesRetained  // retained set
	MessagesDelayed   // taken to be published later
	DelayedPublished  // of them, published when their time came
	Matched           // receivers found: the left side of the ledger
	Restored          // queue entries found in the store at start: left side too
	RetainedMatched   // retained messages given to subscriptions: left side too
	Delivered         // written (QoS 0) or acknowledged (QoS 1, 2)
	Expired           // lapsed before they were sent
	Dropped           // dropped with a reason
	DeliveriesSent    // PUBLISH encoded towards clients, redeliveries included
	FastlaneDelivered // of Delivered, by fastlane
	Subscribes
	SubscribesRefused
	Unsubscribes
	WillsPublished
	StoreBatches
	StoreFailures
	ExplainLost // records overwritten before anyone could have read them

	counterCount
)

// CounterCount is the number of counters, for arrays indexed by Counter.
const CounterCount = int(counterCount)

var counterNames = [counterCount]string{
	"bytes_received", "bytes_sent", "packets_received", "packets_sent",
	"read_calls", "write_calls", "connections_accepted", "connections_closed",
	"connects", "connects_refused", "takeovers", "reauthentications",
	"reauthentications_refused", "sessions_created",
	"sessions_ended", "sessions_restored", "messages_received",
	"messages_qos0", "messages_qos1", "messages_qos2", "messages_duplicate",
	"messages_refused", "messages_unmatched", "messages_retained", "messages_delayed", "delayed_published", "matched",
	"restored", "retained_matched", "delivered", "expired", "dropped",
	"deliveries_sent", "fastlane_delivered", "subscribes",
	"subscribes_refused", "unsubscribes", "wills_published", "store_batches",
	"store_failures", "explain_lost",
}

// String gives the counter's stable name in snake_case.
func (c Counter) String() string { return counterNames[c] }

// counters is one turn's share: counted by its turn alone in plain memory, and
// published for everyone at the end of each Flush, so that the hot path pays no
// locked instruction a count.
type counters struct {
	plain   [counterCount]uint64
	changed uint64 // bit i: plain[i] is not published

	values  [counterCount]atomic.Uint64
	reasons reasonCounters // drops, refusals and ends, by reason
}

// There may be no more counters than changed has bits.
var _ [64 - counterCount]struct{}

func (c *counters) add(i Counter, n uint64) {
	c.plain[i] += n
	c.changed |= 1 << i
}

// sub takes n back: only to put right what was counted a moment ago.
func (c *counters) sub(i Counter, n uint64) {
	c.plain[i] -= n
	c.changed |= 1 << i
}

// publish shows everyone what was counted.
func (c *counters) publish() {
	for m := c.changed; m != 0; m &= m - 1 {
		i := bits.TrailingZeros64(m)
		c.values[i].Store(c.plain[i])
	}
	c.changed = 0
}

func (c *counters) reason(r Reason) { c.reasons.add(int(r), 1) }

// reasonCounters count by Reason. Their events are rare or faults: published at once.
type reasonCounters [reasonCount]atomic.Uint64

func (c *reasonCounters) add(i int, n uint64) { c[i].Store(c[i].Load() + n) }
