package identity

import (
	"fmt"
	"net/netip"
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
		text, literal := strings.CutPrefix(row["topic"], "eq ")
		expanded, fills := topic.Expand(text, c.ClientID, c.Username)
		if !fills {
			if r.allow {
				continue // it allows nothing to whose name means more than a name
			}
			return nil, fmt.Errorf("topic %q: cannot be denied to client %q, user %q", text, c.ClientID, c.Username)
		}
		if _, err := (topic.Limits{}).ParseFilter(expanded); err != nil {
			return nil, fmt.Errorf("topic %q: %w", row["topic"], err)
		}
		r.filter, r.literal = expanded, literal
		list = append(list, r)
	}
	return list, nil
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

func truth(s string) bool { return s == "1" || s == "t" || s == "true" || s == "TRUE" }

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
// before means a part.
func covers(list []right, filter string) core.Verdict {
	for i := range list {
		r := &list[i]
		switch {
		case !r.subscribe, r.literal && !r.allow && strings.ContainsAny(r.filter, "+#"):
			// what is denied literally is the subscription, not its messages
		case topic.MatchFilter(r.filter, filter):
			return r.verdict()
		case topic.Overlaps(r.filter, filter):
			return core.Ignore
		}
	}
	return core.Ignore
}
