package identity

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// right is one row of access rules that speaks of a client.
type right struct {
	allow              bool
	publish, subscribe bool
	filter             string
	literal            bool // the filter itself, "eq #"
}

// compile reads rows of the access query for c: those that speak of others are left out.
// A row that cannot be understood is an error: nobody may guess what it was to deny.
func compile(rows []map[string]string, c *core.Credentials) (list []right, err error) {
	for _, row := range rows {
		ours, err := speaksOf(row, c)
		if err != nil {
			return nil, err
		}
		if !ours {
			continue
		}
		r := right{allow: truth(row["allow"])}
		switch row["access"] {
		case "1":
			r.subscribe = true
		case "2":
			r.publish = true
		case "3":
			r.publish, r.subscribe = true, true
		default:
			return nil, fmt.Errorf("access %q: must be 1 (subscribe), 2 (publish) or 3 (both)", row["access"])
		}
		speaks, err := r.setTopic(row["topic"], c.ClientID, c.Username)
		if err != nil {
			return nil, err
		}
		if speaks {
			list = append(list, r)
		}
	}
	return list, nil
}

// setTopic sets what r is about: a filter with %c and %u, or "eq FILTER". false says that
// it is about nothing: it would allow to one whose name means more than a name.
func (r *right) setTopic(written, clientID, username string) (bool, error) {
	text, literal := strings.CutPrefix(written, "eq ")
	expanded, fills := topic.Expand(text, clientID, username)
	switch {
	case !fills && r.allow:
		return false, nil
	case !fills:
		return false, fmt.Errorf("topic %q: cannot be denied to client %q, user %q", text, clientID, username)
	}
	if _, err := (topic.Limits{}).ParseFilter(expanded); err != nil {
		return false, fmt.Errorf("topic %q: %w", written, err)
	}
	r.filter, r.literal = expanded, literal
	return true, nil
}

// Rule is one access rule that a source has for a client.
type Rule struct {
	Allow              bool
	Publish, Subscribe bool
	// Topic is a filter in which %c and %u, ${clientid} and ${username} are the client's
	// names; behind "eq " it means that filter alone, not what it covers.
	Topic string
}

// Rights are what one client may do: the first rule that speaks of what is asked counts.
// Immutable.
type Rights struct {
	list   []right
	closed bool
}

// same says that r and o are the same rights.
func (r *Rights) same(o *Rights) bool { return r.closed == o.closed && slices.Equal(r.list, o.list) }

// NewRights makes the rights of the client clientID, whose proven name is username. closed
// says that what no rule speaks of is denied, and not left to the next source. A rule that
// cannot be understood is an error: nobody may guess what it was to deny.
func NewRights(rules []Rule, clientID, username string, closed bool) (Rights, error) {
	out := Rights{closed: closed}
	spelling := strings.NewReplacer("${clientid}", "%c", "${username}", "%u")
	for _, rule := range rules {
		r := right{allow: rule.Allow, publish: rule.Publish, subscribe: rule.Subscribe}
		speaks, err := r.setTopic(spelling.Replace(rule.Topic), clientID, username)
		if err != nil {
			return Rights{}, err
		}
		if speaks {
			out.list = append(out.list, r)
		}
	}
	return out, nil
}

// Decide is the answer about one action; see core.Authorizer.
func (r *Rights) Decide(a core.Action, topic string) core.Verdict {
	return r.otherwise(decide(r.list, a, topic))
}

// Covers is the answer about all that a filter matches; see core.Authorizer.
func (r *Rights) Covers(filter string) core.Verdict {
	v, settled := covers(r.list, filter)
	if settled {
		return v
	}
	return r.otherwise(core.Ignore)
}

func (r *Rights) otherwise(v core.Verdict) core.Verdict {
	if v == core.Ignore && r.closed {
		return core.Deny
	}
	return v
}

// speaksOf says whether all that a row names of address, user name and client id is that
// of c. $all, and nothing at all, is everybody.
func speaksOf(row map[string]string, c *core.Credentials) (bool, error) {
	if user := row["username"]; user != "" && user != "$all" && (!c.HasUsername || user != c.Username) {
		return false, nil
	}
	if id := row["clientid"]; id != "" && id != "$all" && id != c.ClientID {
		return false, nil
	}
	text := row["ipaddr"]
	if text == "" || text == "$all" {
		return true, nil
	}
	peer := c.Peer.Addr().Unmap()
	if network, err := netip.ParsePrefix(text); err == nil {
		return network.Contains(peer), nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return false, fmt.Errorf("ipaddr %q: is no address and no network", text)
	}
	return address.Unmap() == peer, nil
}

// truth reads what databases have for yes; all else is no.
func truth(s string) bool {
	yes, err := strconv.ParseBool(s)
	return err == nil && yes
}

// decide is the answer of the first right that speaks of what is asked.
func decide(list []right, a core.Action, name string) core.Verdict {
	for i := range list {
		r := &list[i]
		if a == core.ActionPublish && !r.publish || a != core.ActionPublish && !r.subscribe {
			continue
		}
		if r.about(a, name) {
			return r.verdict()
		}
	}
	return core.Ignore
}

// about: a filter is meant by a right when every topic that it matches is. Of one that
// is denied in part the messages are asked for one by one. A literal filter is about
// that subscription alone; who may have it may have its messages.
func (r *right) about(a core.Action, name string) bool {
	switch {
	case r.literal && (a != core.ActionDeliver || !r.allow):
		return r.filter == name
	case a == core.ActionSubscribe:
		return topic.MatchFilter(r.filter, name)
	}
	return topic.Match(r.filter, name)
}

func (r *right) verdict() core.Verdict {
	if r.allow {
		return core.Allow
	}
	return core.Deny
}

// covers answers for a whole filter: by the first right that means all of it, unless one
// before means a part. settled is false where none means any of it.
func covers(list []right, filter string) (v core.Verdict, settled bool) {
	for i := range list {
		r := &list[i]
		switch {
		case !r.subscribe, r.literal && !r.allow && strings.ContainsAny(r.filter, "+#"):
			// what is denied literally is the subscription, not its messages
		case topic.MatchFilter(r.filter, filter):
			return r.verdict(), true
		case topic.Overlaps(r.filter, filter):
			return core.Ignore, true
		}
	}
	return core.Ignore, false
}
