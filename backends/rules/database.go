package rules

import (
	"context"
	"errors"
)

// Database is one pool of one database, as the engine uses it. All calls may block up to
// ctx, and come from several goroutines at once; the caller keeps no lock. Nothing of a
// Job but what is bound as a parameter may ever become part of a statement.
type Database interface {
	// Do does jobs in order, in as few round trips as the database allows. It returns
	// how many, from the front, are done for sure: all of them unless err says why the
	// next one is not. An error made by Permanent means that this job cannot be done
	// however often it is tried. A job may come again after an error or a crash, and
	// must leave the same behind then.
	Do(ctx context.Context, jobs []Job) (done int, err error)
	// Subscriptions reads what clientID is subscribed to. (on_subscribe_lookup)
	Subscriptions(ctx context.Context, rule *Rule, clientID string) ([]Subscription, error)
	// Unread reads what the client of q has not read, the oldest first. (on_message_fetch)
	// Where the client has no cursor for the filter yet it makes one, and returns
	// nothing: at q.Before, so that what came by the subscription itself and was not
	// acknowledged is unread the next time; behind the newest message without it.
	Unread(ctx context.Context, rule *Rule, q *Query) ([]Message, error)
	// Retained reads retained messages that q.Filter matches, in an order of its own,
	// beginning after q.After. (on_retain_lookup)
	Retained(ctx context.Context, rule *Rule, q *Query) ([]Message, error)
	// Ping is nil when the database answers.
	Ping(ctx context.Context) error
	// Init says what of the documented tables, keys and indexes is missing or differs,
	// a line each, and with create makes what is missing, and says so: its line ends in
	// ": made". It never alters what is there.
	Init(ctx context.Context, create bool) (report []string, err error)
	// Close ends all connections. No call comes afterwards.
	Close() error
}

// Job is one thing to do in a database: Rule's function or statements, for an event.
type Job struct {
	Rule     *Rule
	Hook     Hook
	Time     int64 // of the event, Unix milliseconds
	Node     string
	ClientID string // who connected, subscribed, received or, for message.publish, published
	Username string
	Protocol string
	Peer     string // address without port, of client.* hooks
	Topic    string // of the message, or the Topic Filter without prefixes
	QoS      uint8  // of the message, or granted
	Message  *Message
}

// Message is one stored message.
type Message struct {
	MsgID   string
	Topic   string
	Payload []byte
	QoS     uint8
	Retain  bool
	Sender  string // ClientID of the publisher, "" for none
	Node    string
	Arrived int64 // Unix milliseconds
	Expires int64 // Unix milliseconds, 0 for never
	// Cursor is the place after the message, for Query.After: the database's own text.
	Cursor string
}

// Subscription is one row of a client's subscriptions.
type Subscription struct {
	Filter string // prefixes included, %c and %u not expanded
	QoS    uint8
}

// Query says what is read.
type Query struct {
	ClientID string
	Filter   string // Topic Filter without prefixes
	QoS      uint8  // granted
	After    string // a Message.Cursor of the answer before, "" for the beginning
	Max      int    // most messages of one answer, at least 1
	// Newest, if not 0, has the newest messages only, of all pages together, and Since
	// those that arrived not before it, Unix milliseconds: the limits of the rule.
	Newest int
	Since  int64
	// Before, if not "", leaves out messages with this MsgID or a greater one: these
	// come by the subscription itself.
	Before string
}

// permanent is a fault that no retry mends.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks err as one that trying again cannot mend: a statement that the
// database refuses, a value that fits no column. nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent says whether err was marked by Permanent.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}
