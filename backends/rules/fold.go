package rules

import (
	"cmp"
	"slices"
	"strings"
)

// Fold is jobs of functions whose effect together is the same in any order of functions:
// of several about one row the last one is left. A database with large statements does
// them function by function.
type Fold struct {
	// Published are the messages to store, each MsgID once.
	Published []*Message
	// Acked are all acknowledgements; several may be of one client and topic.
	Acked []*Job

	msgids   map[string]bool
	retained map[string]*Job
	clients  map[string]*presence
}

// presence is what is left of a client's jobs: that it came, that it went after that.
type presence struct{ came, went *Job }

// Add takes one more job, and keeps it. It says whether it has a place for the function:
// on_client_connected, on_client_disconnected, on_message_publish, on_message_store,
// on_message_retain, on_retain_delete and on_message_acked.
func (f *Fold) Add(j *Job) bool {
	switch j.Rule.Function {
	case OnMessagePublish, OnMessageStore:
		if f.msgids == nil {
			f.msgids = map[string]bool{}
		}
		if !f.msgids[j.Message.MsgID] {
			f.msgids[j.Message.MsgID] = true
			f.Published = append(f.Published, j.Message)
		}
	case OnMessageRetain, OnRetainDelete:
		if f.retained == nil {
			f.retained = map[string]*Job{}
		}
		f.retained[j.Topic] = j
	case OnMessageAcked:
		f.Acked = append(f.Acked, j)
	case OnClientConnected:
		*f.client(j.ClientID) = presence{came: j}
	case OnClientDisconnected:
		f.client(j.ClientID).went = j
	default:
		return false
	}
	return true
}

func (f *Fold) client(id string) *presence {
	if f.clients == nil {
		f.clients = map[string]*presence{}
	}
	p := f.clients[id]
	if p == nil {
		p = &presence{}
		f.clients[id] = p
	}
	return p
}

// Retained gives the messages to retain, and those of topics whose retained message is
// to go, each in the order of topics: two transactions that wait for each other's rows
// wait in one order.
func (f *Fold) Retained() (kept, deleted []*Message) {
	for _, j := range f.retained {
		if j.Rule.Function == OnRetainDelete {
			deleted = append(deleted, j.Message)
		} else {
			kept = append(kept, j.Message)
		}
	}
	byTopic := func(a, b *Message) int { return strings.Compare(a.Topic, b.Topic) }
	slices.SortFunc(kept, byTopic)
	slices.SortFunc(deleted, byTopic)
	return kept, deleted
}

// Presence gives the clients to note as online, and those to note as gone after that, in
// the order of their ids.
func (f *Fold) Presence() (came, went []*Job) {
	for _, p := range f.clients {
		if p.came != nil {
			came = append(came, p.came)
		}
		if p.went != nil {
			went = append(went, p.went)
		}
	}
	byID := func(a, b *Job) int { return cmp.Compare(a.ClientID, b.ClientID) }
	slices.SortFunc(came, byID)
	slices.SortFunc(went, byID)
	return came, went
}
