package admin

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/fairlead-iot/fairlead/core"
)

// subscription is core.SubscriptionInfo as JSON.
type subscription struct {
	Filter            string `json:"filter"` // prefixes and mount point included
	QoS               uint8  `json:"qos"`
	NoLocal           bool   `json:"no_local,omitempty"`
	RetainAsPublished bool   `json:"retain_as_published,omitempty"`
	SubID             uint32 `json:"subscription_identifier,omitempty"`
	Proxy             bool   `json:"proxy"`            // the gateway subscribed it, not the client
	Origin            string `json:"origin,omitempty"` // of Proxy: which source it comes from
}

// subscriptionPage is one page of a client's subscriptions in the order of their filters.
type subscriptionPage struct {
	Subscriptions []subscription `json:"subscriptions"`
	// Next is what after= takes for the next page; "" when this was the last.
	Next string `json:"next,omitempty"`
}

// mostSubscriptions bounds those of one client that are looked at; core's
// max_subscriptions is seldom near it.
const mostSubscriptions = 1 << 20

// subscriptions answers one page of a client's subscriptions.
func (s *Server) subscriptions(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	err := known(q, "after", "limit", "proxy")
	limit, proxy := 0, (*bool)(nil)
	if err == nil {
		limit, err = number(q, "limit", defaultPage, maxPage)
	}
	if err == nil {
		proxy, err = flag(q, "proxy")
	}
	if err != nil {
		failBad(w, err)
		return
	}
	id := r.PathValue("id")
	all, ok := s.opts.Source.Subscriptions(id, mostSubscriptions)
	if !ok {
		fail(w, http.StatusNotFound, noSession(id))
		return
	}
	after := q.Get("after")
	all = slices.DeleteFunc(all, func(c core.SubscriptionInfo) bool {
		return c.Filter <= after || proxy != nil && c.Proxy != *proxy
	})
	reply(w, http.StatusOK, subscriptionPageOf(all, limit))
}

// subscriptionPageOf cuts a page. A filter that a client has by itself and by proxy stands
// twice, and both times on one page: it may be one longer than limit.
func subscriptionPageOf(all []core.SubscriptionInfo, limit int) subscriptionPage {
	slices.SortFunc(all, func(a, b core.SubscriptionInfo) int {
		return cmp.Or(cmp.Compare(a.Filter, b.Filter), map[bool]int{true: 1}[a.Proxy]-map[bool]int{true: 1}[b.Proxy])
	})
	n := min(limit, len(all))
	if n < len(all) && all[n].Filter == all[n-1].Filter {
		n++
	}
	out := subscriptionPage{Subscriptions: []subscription{}}
	for _, c := range all[:n] {
		out.Subscriptions = append(out.Subscriptions, subscription{c.Filter, c.QoS, c.NoLocal, c.RetainAsPublished, c.SubID, c.Proxy, originOf(&c)})
	}
	if n < len(all) {
		out.Next = all[n-1].Filter
	}
	return out
}

// originOf says where a proxy subscription comes from.
func originOf(c *core.SubscriptionInfo) string {
	if !c.Proxy {
		return ""
	}
	return cmp.Or(c.Origin, "core.subscriptions")
}
