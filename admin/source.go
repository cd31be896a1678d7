package admin

import (
	"context"
	"log/slog"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Source is what the pages are made of. Safe for concurrent use.
type Source interface {
	// Stats are the gateway's figures now.
	Stats() core.Stats
	// Explain gives at most max records that keep accepts, newest first.
	Explain(max int, keep func(*core.Record) bool) []core.Record
	// Client describes one session; ok is false when there is none.
	Client(id string) (info core.ClientInfo, ok bool)
	// Clients calls fn for every session until it says false, in no order.
	Clients(fn func(core.ClientInfo) bool)
	// Kick closes the connection of a client; it says whether there was one.
	Kick(id string) bool
	// Redirect is Kick that sends the client to another server.
	Redirect(id string) bool
	// Subscriptions gives at most max subscriptions of a session, those of the
	// configuration included; ok is false when there is no session.
	Subscriptions(clientID string, max int) (list []core.SubscriptionInfo, ok bool)
	// Delayed calls fn for every message that waits for its time until it says false, in
	// no order.
	Delayed(fn func(core.DelayedInfo) bool)
	// DelayedMessage describes one of them; ok is false when there is none.
	DelayedMessage(id uint64) (info core.DelayedInfo, ok bool)
	// CancelDelayed takes one back; it says whether there was one.
	CancelDelayed(id uint64) bool
	// Retained, RetainedMessage: as core.Gateway has them.
	Retained(ctx context.Context, filter, after string, max int) (core.RetainedPage, error)
	RetainedMessage(ctx context.Context, name string) (m core.RetainedMessage, ok bool, err error)
	// DeleteRetained deletes the retained messages of topics, explained as of about, and
	// returns once that is stored.
	DeleteRetained(ctx context.Context, topics []string, about string) error
	// Bans lists who is kept out, in order.
	Bans() []core.Ban
	// Ban keeps clients out and returns once that is stored. An error of type
	// *core.Error says that nothing was banned, another that it is not stored.
	Ban(ctx context.Context, b *core.Ban) error
	// Unban lifts a ban; found is false when there is none that can be lifted.
	Unban(ctx context.Context, kind core.BanKind, value string) (found bool, err error)
}

// Check is one condition of readiness.
type Check struct {
	Name   string // "store", "restored", "listeners"
	Detail string // what is wrong, one line; "" when nothing is
}

// ListenerFigures are the counters of one listener.
type ListenerFigures struct {
	Name            string
	Open            int64         // connections now
	Unauthenticated int64         // of them, not yet accepted by their protocol
	Accepted        uint64        // connections taken from the kernel
	Delayed         uint64        // times that accepting paused
	Throttled       int64         // connections that are not read from now, as they send too fast
	Throttles       uint64        // times that reading from one stopped for that
	Rests           uint64        // of them, those for processor time
	Rested          time.Duration // what those came to
	Queues          int64         // in which the kernel keeps connections until they are accepted
	Refused         [core.ReasonCount]uint64
}

// HandlerFigures are those of the streams to the handler of one listener's private
// protocol.
type HandlerFigures struct {
	Listener     string
	Streams, Up  int // configured, and with a handler behind
	Clients      int
	Waiting      int // bytes of events that wait for the handler
	Blocked      int // clients that are not read from, as the handler takes too little
	Faults, Lost uint64
	Ends         uint64
}

// HashFigures are those of the processes that make the hashes of passwords.
type HashFigures struct {
	Apart  uint64 // hashes made by them
	Here   uint64 // hashes made in the gateway itself
	Failed uint64 // processes that failed or could not be begun
}

// RuleFigures are the counters of one data rule.
type RuleFigures struct {
	Backend, Pool, Hook, Topic, Function string
	Done, Dropped, Kept                  uint64
	Failed, Retried, Read                uint64
	Waiting                              uint64
	AwaySeconds                          float64
}

// Options is what a Server is made of. Source and Authenticate are required.
type Options struct {
	Config Config
	Source Source
	// Authenticate tells whether user and password are the administrator's. It
	// may block up to ctx, and bounds its own work.
	Authenticate func(ctx context.Context, user, password string) bool
	// Checks are the conditions of readiness; nil means none.
	Checks func() []Check
	// Listeners are the listeners' counters; nil means none.
	Listeners func() []ListenerFigures
	// Rules are the data rules' counters; nil means none.
	Rules func() []RuleFigures
	// Handlers are the figures of private protocols' handlers; nil means none.
	Handlers func() []HandlerFigures
	// Hashes are the figures of processes that make hashes of passwords; nil means none.
	Hashes  func() HashFigures
	Version string
	Commit  string
	Log     *slog.Logger // may be nil
}
