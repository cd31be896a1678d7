package core

import (
	"context"
	"crypto/x509"
	"net/netip"
	"strings"
	"sync/atomic"
)

// This file declares the seams between core and the rest: what core needs
// (Conn, Authenticator, Authorizer, Sink, Peers; Store is in seams_store.go) and the
// values that cross. Adapters call Gateway; nothing else reaches into core.

// Conn is what an adapter's connection gives core. The edge (package protocols)
// implements it around the adapter's machine.
type Conn interface {
	// Wake says that the session has something to Take. Called at the end of a
	// turn with no lock held, by whichever turn touched the session; it encodes
	// and writes without blocking, and returns after at most one batch.
	Wake(t *Turn)
	// Complete hands over the result of an operation that Gateway answered with
	// pending. Any goroutine; never blocks. The edge runs it where the machine
	// takes its input.
	Complete(c Completion)
	// Close asks the connection to end for r, saying so in the protocol's own
	// words where it has some. Any goroutine; never blocks; repeated calls are
	// ignored.
	Close(r Reason)
	// Peer is the client's address, from the PROXY header where the listener
	// trusts one; zero for Unix sockets.
	Peer() netip.AddrPort
}

// CompletionOp says which operation a Completion ends.
type CompletionOp uint8

// The operations that may end later than they were asked for.
const (
	OpConnect      CompletionOp = iota // Connect, see ConnectResult
	OpSubscribe                        // Subscribe: Reasons, one a filter
	OpUnsubscribe                      // Unsubscribe: Reasons, one a filter
	OpReadable                         // after Publish asked to pause: read on
	OpAuthenticate                     // Authenticate on an open connection, see ConnectResult
	OpSleep                            // Sleep: Reasons, one
	OpRegister                         // Register: Reasons, one
	OpWill                             // SetWill: Reasons, one
	OpOutput                           // the adapter's own: its output half hands over to its input half
	OpRead                             // Read and List: Reasons, one, and Messages
	OpOusted                           // no answer: the subscription whose SubID is Token is one too many; the adapter tells the client and unsubscribes
	OpAdapter                          // the adapter's own: something beside its connections wants the machine
)

// Completion is the late result of an operation.
type Completion struct {
	Op      CompletionOp
	Token   uint32 // the caller's, from the request (a packet identifier)
	Connect *ConnectResult
	Reasons []Reason
	Granted []uint8 // QoS granted, beside Reasons, for OpSubscribe
	// Messages are what OpRead found; the slice is the adapter's.
	Messages []*Message
}

// Link is one connection's hold on its session. A link whose session was taken
// over is stale: every call with it answers SessionTakenOver and changes nothing.
type Link struct {
	Session *Session
	Epoch   uint64
}

// ConnectRequest is a client's wish to begin. Core keeps none of its byte slices but those
// of its Will, and has taken those of its Credentials away when Connect returns.
type ConnectRequest struct {
	Conn        Conn
	Protocol    string // "mqtt", "mqttsn", "coap", …
	Version     uint8  // the protocol's own version number
	Listener    string // name in the configuration
	Credentials Credentials
	CleanStart  bool   // [MQTT-3.1.2-4]
	Expiry      uint32 // Session Expiry Interval in seconds; 0xFFFFFFFF never
	// KeepExpiry leaves a session that is resumed its own interval where that is longer:
	// for protocols whose clients do not tell one with each connection.
	KeepExpiry bool
	KeepAlive  uint16 // seconds, 0 off
	// ReceiveMaximum is how many QoS 1 and 2 messages the client takes
	// unacknowledged; 0 means the protocol has none (65,535).
	ReceiveMaximum uint16
	// MaximumPacketSize is the largest packet the client takes, 0 for no limit.
	MaximumPacketSize uint32
	Will              *Will
	// BorrowedWill says that the bytes of Will's Topic and Payload are the adapter's when
	// Connect returns: core copies them.
	BorrowedWill bool
	// WillLasts makes the Will one of the session: a later connection may go on with
	// it. KeepWill does so; Will is nil then.
	WillLasts, KeepWill bool
	// Awakes says that the client does not begin anew but wakes from its sleep, see
	// Gateway.Sleep: refused as SessionEnded where it does not sleep, and unless
	// AnyAddress as NotAuthorized where it fell asleep at another address than Conn's.
	// CleanStart, Expiry and Will have no meaning; Gateway.Awake takes the place of Resume.
	Awakes, AnyAddress bool

	auth      *Authentication // the exchange that let the client in, nil without a method
	sourced   []sourced       // what the sources of subscriptions answered
	abandoned atomic.Bool     // see Abandon
	prepared  bool            // its rights were asked for, see Preparer
}

// Credentials is what a client shows of its identity.
type Credentials struct {
	ClientID    string // may be empty: core assigns one
	Username    string
	HasUsername bool
	Password    []byte
	HasPassword bool
	Peer        netip.AddrPort
	Listener    string
	Protocol    string
	Certificate *x509.Certificate // verified client certificate, or nil
	PSKIdentity string            // that the client proved in its handshake, or ""
	Method      string            // enhanced authentication (MQTT 5 AUTH), or ""
	Data        []byte
}

// ConnectResult answers a ConnectRequest.
type ConnectResult struct {
	Reason         Reason // Success, or why not
	Detail         string // for a Reason String
	Link           Link   // valid when Reason is Success
	SessionPresent bool   // [MQTT-3.2.2-2..3]
	ClientID       string
	Assigned       bool   // core made the ClientID [MQTT-3.2.2-16]
	Vouched        bool   // a source allowed the client: it proved who it is
	Expiry         uint32 // granted Session Expiry Interval, seconds
	KeepAlive      uint16 // the keep-alive to use, seconds [MQTT-3.2.2-21]
	ReceiveMaximum uint16 // how many QoS 1 and 2 PUBLISH core takes unacknowledged

	// Registrations are those of the session that goes on; the adapter's to keep.
	Registrations []Registration

	// Of clients that named an authentication method:
	Authentication *Authentication // for Gateway.Authenticate, with every Success
	Continue       bool            // Reason is Success but nothing is settled: the client is asked for its next step
	Data           []byte          // the method's data for the client; the adapter's to keep
}

// Publish is a client's message on its way in. Topic must be a valid Topic Name;
// core copies Payload, keeps Properties.
type Publish struct {
	Topic string
	// Borrowed says that the bytes of Topic are the adapter's when Publish returns: core
	// copies what it keeps of it.
	Borrowed   bool
	Payload    []byte
	QoS        uint8
	Retain     bool
	Dup        bool
	PacketID   uint16 // QoS 1 and 2, and with Answer
	Answer     bool   // at QoS 0, too: a DeliverAck tells what became of it
	Expiry     uint32 // Message Expiry Interval in seconds, valid when HasExpiry
	HasExpiry  bool
	Properties *Properties
	// Later makes Properties, unless nil, where somebody wants the message. It is called at
	// most once, before Publish returns.
	Later PropertyMaker
	// Search, unless nil, lets Publish leave off where its receivers take long to find:
	// nothing has happened then but that Search is unfinished, and the caller asks again
	// with the same message and the same Search once others were served. nil: they are
	// found at once.
	Search *Search
}

// PropertyMaker makes a message's properties.
type PropertyMaker interface {
	// Size is at most what Size of the Properties would be.
	Size() int
	Properties() *Properties
}

// settle makes Properties, if that was left to be done later.
func (p *Publish) settle() {
	if p.Later != nil {
		p.Properties, p.Later = p.Later.Properties(), nil
	}
}

// own makes Topic core's, who may keep it from here on.
func (p *Publish) own() {
	if p.Borrowed {
		p.Topic, p.Borrowed = strings.Clone(p.Topic), false
	}
}

// told is Topic for a record of explain, which copies the beginning of what it cuts.
func (p *Publish) told() string { return told(p.Topic, p.Borrowed) }

func told(s string, borrowed bool) string {
	if borrowed && len(s) <= maxRecordText {
		return strings.Clone(s)
	}
	return s
}

// SubscribeOptions are one filter's options. [MQTT 3.8.3.1]
type SubscribeOptions struct {
	QoS               uint8
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    uint8 // 0 send, 1 send if new, 2 do not send
}

// SubscribeRequest is one SUBSCRIBE: filters with their options. It is core's while
// Subscribe is pending or has left it, and the adapter's again where that answers at once.
type SubscribeRequest struct {
	Pieces
	Token uint32
	SubID uint32 // Subscription Identifier, 0 for none
	// MaxSubscribers may have the very filter on this node, else SubscriberLimit; 0: any number.
	MaxSubscribers uint32
	// Limited says that LimitSubscribers may end these subscriptions while the client is
	// connected: not one that was restored.
	Limited bool
	Filters []FilterRequest
}

// FilterRequest is one Topic Filter, prefixes included, with its options.
type FilterRequest struct {
	Filter string
	SubscribeOptions
}

// UnsubscribeRequest is one UNSUBSCRIBE: Topic Filters as they were subscribed. It is core's
// while Unsubscribe has left it, otherwise the adapter's again after the call.
type UnsubscribeRequest struct {
	Pieces
	Token   uint32
	Filters []string
}

// AckKind says which acknowledgement of the client arrived.
type AckKind uint8

// The acknowledgements a client sends.
const (
	AckReceived1 AckKind = iota // PUBACK: a QoS 1 delivery is done
	AckReceived2                // PUBREC: a QoS 2 delivery was received
	AckRelease                  // PUBREL: the client releases its own QoS 2 PUBLISH
	AckComplete                 // PUBCOMP: a QoS 2 delivery is done
)

// Identity is who acts: what authentication settled, and where from. Values
// passed to an Authorizer are valid during the call only.
type Identity struct {
	ClientID string
	Username string
	Listener string
	Peer     netip.Addr
	Grant    *Grant // what the Authenticator granted; nil for nothing special
}

// Grant is what an Authenticator knows beyond allow: shared, immutable.
type Grant struct {
	Username  string // replaces the claimed one when not empty (certificate, JWT)
	ClientID  string // the only ClientID this identity may use, "" for any
	Superuser bool   // passes every Authorizer
	Expires   int64  // Unix milliseconds at which the connection must end; 0 never
	ACL       any    // for the Authorizer of the same source (JWT claims, …)
}

// Verdict is a source's answer: allow and deny end the chain, ignore asks on.
type Verdict uint8

// The verdicts.
const (
	Ignore Verdict = iota
	Allow
	Deny
)

// Authenticator is one source of identities. Core asks the sources in order;
// none answered means deny.
type Authenticator interface {
	// Name is the source's name in logs and explain records.
	Name() string
	// Authenticate decides about c. It may block up to ctx; core calls it from a
	// bounded pool. An error means that the source could not decide: the
	// connect is refused (AuthUnavailable), never let through; with Deny it says
	// why, to operators only. It must not keep c's byte slices.
	Authenticate(ctx context.Context, c *Credentials) (Verdict, *Grant, error)
}

// PasswordBound is an Authenticator that bounds passwords. Where all sources do, core copies
// no more of a longer one than shows that it is longer.
type PasswordBound interface {
	// LongestPassword is how many bytes a password has at most that Authenticate may
	// allow, more than 0. It never changes.
	LongestPassword() int
}

// Recaller is an Authenticator that remembers whom it has let in, so that clients
// who come back need not wait behind those who guess. Core asks the first source
// only: others may not answer in its place.
type Recaller interface {
	// Recall gives the Grant of credentials that Authenticate has allowed and would
	// allow again, or nil. It must not block, and takes microseconds at most.
	Recall(c *Credentials) *Grant
}

// Exchanger is one method of enhanced authentication, in which client and server
// speak in turns (MQTT 5 section 4.12). Core drives the exchanges: it bounds their
// steps, time and bytes, and keeps their order.
type Exchanger interface {
	// Name is the source's name in logs and explain records.
	Name() string
	// Method is the method's name as clients spell it, such as SCRAM-SHA-256.
	Method() string
	// Begin makes an exchange with one client. It must not block, must not keep
	// c, and the exchange must need no end: clients leave without a word.
	Begin(c *Credentials) Exchange
}

// Exchange is one client's authentication under way. Core makes one call at a
// time, and none after one that settled it.
type Exchange interface {
	// Step takes what the client said and gives what it is to be told. It may
	// block up to ctx; core calls it from a bounded pool. An error means that the
	// source could not decide: the client is refused (AuthUnavailable). The first
	// data is that of the client's first packet, empty if it had none. It must
	// not keep data.
	Step(ctx context.Context, data []byte) (Step, error)
}

// Step is the answer to one message of an exchange.
type Step struct {
	// Verdict is Ignore while nothing is settled: the client gets Data and is asked
	// for more.
	Verdict Verdict
	Data    []byte // for the client, not with Deny
	Grant   *Grant // with Allow; its Username is required, for it is what was proven
	Reason  Reason // with Deny; Success stands for BadCredentials
	Detail  string // with Deny, one line that the client may read
}

// Action is what an identity wants to do with a topic.
type Action uint8

// The actions. Deliver is asked per message where a subscription's filter is
// only partly allowed.
const (
	ActionPublish Action = iota
	ActionSubscribe
	ActionDeliver
)

// Authorizer is one source of access rules.
type Authorizer interface {
	// Name is the source's name in logs and explain records.
	Name() string
	// Authorize decides whether id may do a with topic: a Topic Name for publish
	// and deliver, a Topic Filter (prefixes stripped) for subscribe. It must not
	// block (a source that asks over the network answers from its own cache,
	// returns an error when it has nothing, and fills it) and must not keep id.
	// An error denies.
	Authorize(id *Identity, a Action, topic string) (Verdict, error)
	// Covers answers for a subscription once: Allow when every topic that
	// filter matches may be delivered to id, Deny when none may, Ignore when it
	// depends on the topic: then ActionDeliver is asked for each message.
	Covers(id *Identity, filter string) Verdict
	// Version changes whenever an answer may have changed: cached decisions of
	// older versions are asked anew.
	Version() uint64
}

// Abstainer is an Authorizer that has no say about clients whom another source let in.
type Abstainer interface {
	// Abstains says that Authorize ignores all that id may ask while its Grant is the
	// same. It must not block and must not keep id.
	Abstains(id *Identity) bool
}

// Preparer is an Authorizer that must ask elsewhere before it can answer. Core has it do
// so, and holds what waits: a message, a SUBSCRIBE, a CONNECT, a Will. Deliveries are not
// held: they follow from what may be subscribed to. Neither method may keep id.
type Preparer interface {
	// Prepared says that Authorize needs to ask nobody for this. It must not block.
	Prepared(id *Identity, a Action, topic string) bool
	// Prepare asks. It may block up to ctx; core calls it from a bounded pool. Authorize
	// is asked next, and denies what is still not known.
	Prepare(ctx context.Context, id *Identity, a Action, topic string)
}

// EventKind is what happened.
type EventKind uint16

// The events that sinks (bridges, data backends, webhooks) may ask for.
const (
	EventPublish EventKind = 1 << iota
	EventDelivered
	EventAcked
	EventDropped
	EventConnected
	EventDisconnected
	EventSubscribed     // one for each filter, once it holds
	EventUnsubscribed   // one for each filter
	EventSessionCreated // a session begins
	EventSessionEnded   // a session is over
	// EventRestored tells of a message with a StoredName that waited for its client when
	// the gateway ended, as the client comes back: in the order of the queue, before any
	// acknowledgement of it. None come of a session from whose queue such a message was
	// dropped for a Reason that does not end its offer.
	EventRestored
)

// Event is one thing that happened. Which fields are set depends on Kind.
type Event struct {
	Kind     EventKind
	Time     int64 // Unix milliseconds
	ClientID string
	Username string
	Protocol string
	Peer     netip.Addr // of EventConnected and EventDisconnected
	Topic    string     // or the Topic Filter, prefixes stripped
	QoS      uint8      // of the message, as it was sent, or granted
	Reason   Reason
	Msg      *Message

	// Of EventSubscribed and EventUnsubscribed:
	Filter string // as the session has it, prefixes included: for Gateway.Offer
	Fresh  bool   // the session had no such subscription before
	Proxy  bool   // the client did not ask for it
	// Retained says that retained messages are asked for: not by shared
	// subscriptions, and as Retain Handling has it. [MQTT-3.3.1-9..11]
	Retained bool
	// Before tells messages that others have kept from those that come by the
	// subscription itself: these have a greater Message.ID.
	Before uint64

	// Answered, of EventRestored: the client has the message and has said so, only PUBREL
	// and PUBCOMP remain. Msg has no payload.
	Answered bool

	// Unread, of EventAcked: a [Reader] had not offered all that it kept for a subscription
	// that covers Topic when the gateway ended, and the client has not subscribed anew.
	Unread bool

	// Done, nil where no publisher waits, is for each sink that is Sync and took the event
	// to call once, from any goroutine: with nil when it is safe, else with why not.
	Done func(error)
	// Patient: the publisher is told of a failure by the end of its connection alone.
	Patient bool
}

// SubscriptionSource knows subscriptions that clients have without asking for them,
// beside those of the configuration: a table of a database.
type SubscriptionSource interface {
	// Name is the source's name in listings, logs and explain records.
	Name() string
	// Subscriptions gives what id, who has been let in, is subscribed to. It may
	// block up to ctx; core calls it from a bounded pool. After an error the client
	// keeps what it had of this source, see Required.
	Subscriptions(ctx context.Context, id *Identity) ([]ProxyRequest, error)
	// Required says that a client is refused (ServerUnavailable) while the source
	// cannot answer.
	Required() bool
}

// ProxyRequest is one subscription that a client is to have without asking.
type ProxyRequest struct {
	// Filter, prefixes included; %c is the client id, %u the user name.
	FilterRequest
	// Permitted says that whoever wrote it had the right to give it: access rules
	// are asked neither for the filter nor for what it delivers.
	Permitted bool
}

// RetainedOwner says which topics have their retained messages elsewhere: core keeps
// none there and sends none; see Event.Retained and Gateway.Offer.
type RetainedOwner interface {
	// OwnsRetained must not block; its answer about a topic never changes.
	OwnsRetained(topic string) bool
	// LooksUp says that a subscription to filter is given retained messages from
	// elsewhere. It must not block.
	LooksUp(filter string) bool
	// ReadRetained gives at most max of them, the caller's, from after on: "" is the
	// beginning, next what the following call takes, "" where none follow. It may block up
	// to ctx, and is called beside the loops. An error: it is not known what there is.
	ReadRetained(ctx context.Context, filter, after string, max int) (found []*Message, next string, err error)
}

// Sink takes events out of Fairlead.
type Sink interface {
	// Name is the sink's name in the configuration.
	Name() string
	// Wants is the set of kinds it takes and, for events with a topic, the
	// Topic Filters that must match (none: all).
	Wants() (kinds EventKind, filters []string)
	// Take hands over events in order. It must not block and must not keep the
	// slice. It returns how many it took: the rest did not fit its bounded queue
	// and core counts and explains them by name.
	Take(events []Event) int
	// Sync says that a publisher's acknowledgement waits for Event.Done.
	Sync() bool
}

// Reader is a Sink that offers to new subscriptions what it has kept, by [Gateway.Offer],
// and tells [Gateway.AllOffered] at the end.
type Reader interface {
	// Reads says that it does so for e, an EventSubscribed that the session's store has
	// not yet. It must not block and must not keep e.
	Reads(e *Event) bool
}

// Peers is what core needs of the cluster. nil means a single node.
type Peers interface {
	// Announce tells the cluster that this node's interest in filter began or
	// ended (its local reference count went 0→1 or 1→0). Never blocks; order per
	// filter is kept. share is the group of a shared subscription, or "".
	Announce(filter, share string, present bool)
	// Forward sends m to the nodes of the mask, never blocking; done is called
	// once those that must hold it do. Order per publisher and topic is kept.
	Forward(m *Message, nodes uint64, done func(error))
	// Own makes this node the owner of clientID, taking its session over from
	// another node if need be; done gets the fencing epoch or the refusal.
	Own(clientID string, durable bool, done func(epoch uint64, err error))
	// Disown gives an ownership back when the session ends.
	Disown(clientID string, epoch uint64)
}
