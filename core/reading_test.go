package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// reader is a backend that reads for new subscriptions to a.
type reader struct{ backend }

func (r *reader) Reads(e *core.Event) bool { return e.Fresh && e.QoS > 0 && e.Topic == "a" }

func (r *reader) start(t *testing.T, store *coretest.MemStore) *coretest.Client {
	r.g = coretest.Start(t, store, func(o *core.Options) { o.Sinks = []core.Sink{r} })
	return r.g.Connect("s", durable)
}

// acked gives of each acknowledgement of a live message whether something was unread.
func (r *reader) acked(s *coretest.Client, names ...string) string {
	synctest.Wait()
	p := r.g.Connect("p", nil)
	for i, name := range names {
		p.Publish(pub(name, "x", 1, uint16(i+1)))
	}
	synctest.Wait()
	for _, d := range s.Now() {
		s.Ack(core.AckReceived1, d.PacketID)
	}
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for i := range r.events {
		if e := &r.events[i]; e.Kind == core.EventAcked {
			out = append(out, fmt.Sprint(e.Topic, " ", e.Unread))
		}
	}
	r.events = nil
	return strings.Join(out, ", ")
}

// Acknowledgements say after every restart that something was not read to its end, until
// the client has subscribed anew, or all was offered.
func TestUnreadAfterRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &reader{}
		s := r.start(t, nil)
		s.Subscribe(1, "a", "b")
		check := func(when, want string) {
			t.Helper()
			if got := r.acked(s, "a", "b"); got != want {
				t.Errorf("%s: %s", when, got)
			}
		}
		check("at first", "a false, b false") // who reads knows it itself
		for range 2 {
			s = r.start(t, r.g.Store.Kill(0))
			check("killed", "a true, b false")
		}
		s.Subscribe(1, "a")
		check("subscribed as before", "a true, b false")
		s.Unsubscribe("a")
		synctest.Wait()
		s.Subscribe(1, "a")
		check("subscribed anew", "a false, b false")
		s = r.start(t, r.g.Store.Kill(0))
		check("killed again", "a true, b false")
		s.Unsubscribe("a")
		synctest.Wait()
		s.Subscribe(1, "a")
		synctest.Wait()
		r.g.AllOffered(r.g.T, "db", &core.Event{ClientID: "s", Filter: "a"})
		r.g.T.End()
		synctest.Wait()
		s = r.start(t, r.g.Store.Kill(0))
		check("all offered", "a false, b false")
	})
}
