package core

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// A mount point is a prefix below which a client's topics lie, all of them: what it
// publishes and subscribes gets it, what it receives loses it. It is settled when the
// session is made. Sessions hold the number of its template; their own prefix follows
// from it, the ClientID and the Username, none of which changes.
type mount struct {
	template              string // ends with '/'
	fixed, clients, users int    // bytes beside placeholders, and how many of each
}

// mounts are the mount points of listeners and sessions; number 0 is none. Nothing
// changes once Restore is done.
type mounts struct {
	list       []mount
	ofListener map[string]uint16
}

func (ms *mounts) init(ofListener map[string]string) {
	ms.list, ms.ofListener = make([]mount, 1), map[string]uint16{}
	for name, template := range ofListener {
		if template != "" {
			ms.ofListener[name] = ms.number(template)
		}
	}
}

// number gives the number of a template, or makes it. In New and Restore only.
func (ms *mounts) number(template string) uint16 {
	if template == "" {
		return 0
	}
	for i := range ms.list {
		if ms.list[i].template == template {
			return uint16(i)
		}
	}
	m := mount{template: template, clients: strings.Count(template, "%c"), users: strings.Count(template, "%u")}
	m.fixed = len(template) - 2*(m.clients+m.users)
	ms.list = append(ms.list, m)
	return uint16(len(ms.list) - 1)
}

// ValidateMount says what is wrong with a listener's mount point; "" is none.
func ValidateMount(template string) error {
	if template == "" {
		return nil
	}
	if _, err := topic.ParseName(template); err != nil {
		return fmt.Errorf("is no prefix of topics: %w", err)
	}
	switch {
	case !strings.HasSuffix(template, "/"):
		return errors.New("must end with a '/', or tenants reach each other: a below \"x\" would be the same as xa")
	case template[0] == '$':
		return errors.New("must not begin with a '$'")
	}
	for level := range strings.SplitSeq(template, "/") {
		if strings.Contains(level, "%c") && level != "%c" || strings.Contains(level, "%u") && level != "%u" {
			return fmt.Errorf("level %q: %%c and %%u must fill a level of their own, or clients of different names share a prefix", level)
		}
	}
	return nil
}

// prefix is what stands before the topics of who.
func (ms *mounts) prefix(who *placer) string {
	if who.mount == 0 {
		return ""
	}
	p, _ := topic.Expand(ms.list[who.mount].template, who.id, who.user) // check saw to it
	return p
}

// length is how long the prefix of s is, in bytes.
func (ms *mounts) length(s *Session) int {
	if s.mount == 0 {
		return 0
	}
	m := &ms.list[s.mount]
	return m.fixed + m.clients*len(s.id) + m.users*len(s.user)
}

// check gives the mount point of a listener's clients, if it can be who's.
func (ms *mounts) check(listener string, who *placer) *Error {
	who.mount = ms.ofListener[listener]
	if who.mount == 0 {
		return nil
	}
	template := ms.list[who.mount].template
	if _, ok := topic.Expand(template, who.id, who.user); ok {
		return nil
	}
	if _, ok := topic.Expand(template, "id", who.user); ok {
		return Errorf(ClientIDNotValid, "topics are mounted at %s here: the client id must hold no / + # and not begin with $", template)
	}
	return Errorf(NotAuthorized, "topics are mounted at %s here: log in with a user name that holds no / + # and does not begin with $", template)
}

// mayResume says why a client that comes by a listener with another mount point than
// its session's may not have it: what is queued there is not for these eyes, and is not
// thrown away unasked either.
func (g *Gateway) mayResume(old *Session, mount uint16) *Error {
	if old.mount == mount || !old.isDurable() {
		return nil
	}
	return Errorf(ClientIDNotValid, "the session of this client id has the mount point %q, this listener has %q: connect where it was made, or with a clean session to begin anew",
		g.mounts.list[old.mount].template, g.mounts.list[mount].template)
}

// below says whether m lies below the mount point of tg's session, as tg's filter sees
// it.
func (g *Gateway) below(tg *target, m *Message) bool {
	n := g.mounts.length(tg.session)
	if len(m.Topic) <= n {
		return false // a filter that ends with /# matches what stands above it as well
	}
	return m.Topic[n] != '$' || tg.flags&subShy == 0 // [MQTT-4.7.2-1]
}

// mountFlags are the flags of a subscription of s to filter, mount point included.
func (g *Gateway) mountFlags(s *Session, filter string) (f subFlags) {
	if s.mount == 0 {
		return 0
	}
	if n := g.mounts.length(s); n < len(filter) && (filter[n] == '+' || filter[n] == '#') {
		f = subShy
	}
	return f | subMounted
}

// Topic is the Topic Name as its receiver shall see it.
func (d *Delivery) Topic() string { return d.Msg.Topic[d.Skip:] }
