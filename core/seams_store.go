package core

import (
	"context"
	"net/netip"
)

// Store keeps what must survive the process. One contract for every engine;
// core/coretest holds the suite that each must pass.
//
// Sessions are known by ClientID and fenced by an epoch: a put with Expect other
// than the stored epoch fails the whole batch with ErrConflict.
type Store interface {
	// Load gives everything that core must know before a listener opens:
	// sessions with their subscriptions and counters, retained messages. It
	// blocks; core calls it once, first. The first error of to ends it.
	Load(ctx context.Context, to Loader) error
	// Commit applies b's operations atomically, after all batches committed
	// before it. done is called exactly once, in commit order, from one
	// goroutine at a time, after the batch reached the durability that the
	// engine promises (or failed: then nothing of it was applied); it may be nil
	// and must not block. Commit itself never blocks: when the engine's bounded
	// queue is full it returns ErrStoreBusy and takes nothing. The store owns b
	// and its slices from here to done; messages are shared and immutable.
	Commit(b *Batch, done func(error)) error
	// Fetch reads the queue of a session in order, from Seq from on, at most max
	// entries or maxBytes of payload (at least one entry), into dst. It may
	// block; core calls it from a bounded pool. It sees every batch whose done
	// was called.
	Fetch(ctx context.Context, clientID string, from uint64, max, maxBytes int, dst []QueuedMessage) ([]QueuedMessage, error)
	// Health is nil, or why writes fail at present (disk full, I/O error).
	Health() error
	// Stats are figures for metrics.
	Stats() StoreStats
	// Close waits for batches under way, then closes. Commit after Close fails.
	Close() error
}

// Loader receives what a store holds, in this order for each session: Session,
// its Subscription calls. Retained and delayed messages may come at any time.
type Loader interface {
	Session(r SessionRecord) error
	Subscription(clientID string, r SubscriptionRecord) error
	Retained(m *Message) error
	// Delayed is called for each message that waits for its time, in any order and
	// at any time.
	Delayed(r DelayedRecord) error
}

// SessionRecord is the durable part of a session.
type SessionRecord struct {
	ClientID string
	Username string // the identity that owns the ClientID
	Epoch    uint64
	Expiry   uint32 // Session Expiry Interval in seconds
	// Where the last connection came from and what it was granted: rules ask for
	// it while nobody is connected. The next connection renews it.
	Protocol  string
	Version   uint8
	Listener  string
	Peer      netip.Addr
	Superuser bool
	// Mount is the mount point that the session was made under, its placeholders
	// unfilled; "" for none.
	Mount string
	// Disconnected is when the last connection ended, Unix milliseconds; 0 while
	// connected (after a crash: the load time counts).
	Disconnected int64
	Created      int64
	Will         *Will // pending, nil for none
	WillAt       int64 // when a delayed Will is due, Unix milliseconds; 0: at the disconnect
	KeptWill     *Will // that a connection to come may go on with, nil for none
	// Asleep is how many seconds the client may sleep at a time, 0 for one that does
	// not; Port is that of its address beside Peer.
	Asleep uint32
	Port   uint16

	// Filled by Load, ignored by Commit:
	QueueHead uint64   // Seq of the first entry kept; == QueueEnd when empty
	QueueEnd  uint64   // the next Seq to assign: above every Seq ever enqueued and not yet reused
	Queued    int      // entries kept
	Received  []uint16 // inbound QoS 2 packet identifiers not yet released

	Registrations []Registration // in no order
	Attachments   []Attachment   // in no order; filled by Load, too
}

// SubscriptionRecord is one durable subscription. A session may have two with one
// Filter: its own, and a proxy one.
type SubscriptionRecord struct {
	Filter string // prefixes included, mount point and rewrites applied
	SubscribeOptions
	SubID uint32
	Proxy bool // the client did not ask for it
	// Of proxy subscriptions: the SubscriptionSource, "" for the configuration, and
	// its word that access rules need not be asked.
	Origin    string
	Permitted bool
}

// DelayedRecord is a message that waits for its time, and the rights with which it
// is published then. Msg.ID tells it from all others.
type DelayedRecord struct {
	Msg *Message
	Due int64 // Unix milliseconds
	// Where the publisher came from: rules may ask for it.
	Listener  string
	Peer      netip.Addr
	Superuser bool
}

// QueuedMessage is one entry of a session's queue.
type QueuedMessage struct {
	Seq      uint64
	Msg      *Message
	QoS      uint8 // granted to this receiver
	Retain   bool  // as this receiver shall see it
	Released bool  // QoS 2: PUBREC was received, only PUBREL remains; Msg is nil but for one with a StoredName
	SubIDs   []uint32
}

// OpKind is what an Op does.
type OpKind uint8

// The operations of a Batch.
const (
	OpPutSession         OpKind = iota // Session := Record, if the stored epoch is Expect (0: must not exist)
	OpDeleteSession                    // Session with queue, subscriptions, QoS 2 set
	OpPutSubscription                  // Subscription into Session
	OpDeleteSubscription               // Filter from Session; its proxy subscription if Proxy is set
	OpEnqueue                          // Entry (Msg of this batch) onto Session's queue at Entry.Seq
	OpAck                              // remove the entry Seq of Session's queue; unknown is no fault
	OpReleased                         // mark the entry Seq of Session's queue as Released; Entry.Msg, mostly nil, is all that stays of its message
	OpPutReceived                      // PacketID into Session's inbound QoS 2 set
	OpDeleteReceived                   // PacketID out of it
	OpPutRetained                      // Msg as the retained message of Msg.Topic
	OpDeleteRetained                   // the retained message of Filter (a topic)
	OpPutDelayed                       // Delayed, in place of one with its Msg.ID
	OpDeleteDelayed                    // the delayed message MessageID; unknown is no fault
	OpPutRegistration                  // the number PacketID stands for the topic Filter, as core marks it, in Session
	OpPutAttachment                    // Value under the key Filter of Session
	OpDeleteAttachment                 // the key Filter of Session
)

// Op is one operation of a Batch; which fields count depends on Kind.
type Op struct {
	Kind         OpKind
	Session      string // ClientID
	Expect       uint64
	Record       *SessionRecord
	Subscription *SubscriptionRecord
	Filter       string
	Entry        QueuedMessage // Entry.Seq for OpAck and OpReleased
	PacketID     uint16
	Proxy        bool
	Msg          *Message
	Delayed      *DelayedRecord
	MessageID    uint64
	Value        []byte

	of     *Session // whose record it is about, of all that the ClientID had
	ticket *ticket  // its place in the order, nil for none
}

// Batch is a list of operations that are applied together or not at all.
type Batch struct{ Ops []Op }

// StoreStats are figures of a store.
type StoreStats struct {
	Engine   string
	Bytes    int64 // on disk or at the service, if known
	Sessions int64
	Queued   int64
	Retained int64
	Delayed  int64
	Commits  uint64 // group commits done
	Batches  uint64 // batches in them
	Failed   uint64 // batches failed
	Damaged  uint64 // records found damaged, and not served, since the start
}
