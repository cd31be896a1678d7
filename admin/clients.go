package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// client is core.ClientInfo as JSON.
type client struct {
	ClientID      string `json:"client_id"`
	Username      string `json:"username,omitempty"`
	Protocol      string `json:"protocol,omitempty"`
	Version       uint8  `json:"protocol_version,omitempty"`
	Listener      string `json:"listener,omitempty"`
	Peer          string `json:"peer,omitempty"`
	Connected     bool   `json:"connected"`
	Asleep        bool   `json:"asleep,omitempty"`
	ConnectedAt   string `json:"connected_at,omitempty"`
	Expiry        uint32 `json:"session_expiry_seconds"`
	Durable       bool   `json:"durable"`
	Subscriptions int    `json:"subscriptions"`
	Queued        int    `json:"queued"`
	Inflight      int    `json:"inflight"`
}

func clientOf(c *core.ClientInfo) client {
	out := client{
		ClientID: c.ClientID, Username: c.Username, Protocol: c.Protocol, Version: c.Version,
		Listener: c.Listener, Peer: c.Peer, Connected: c.Connected, Asleep: c.Asleep, Expiry: c.Expiry, Durable: c.Durable,
		Subscriptions: c.Subscriptions, Queued: c.Queued, Inflight: c.Inflight,
	}
	if c.Connected && c.ConnectedAt > 0 {
		out.ConnectedAt = time.Unix(c.ConnectedAt, 0).UTC().Format(time.RFC3339)
	}
	return out
}

// clientPage is one page of sessions in the order of their ClientIDs.
type clientPage struct {
	Clients []client `json:"clients"`
	// Next is what after= takes for the next page; "" when this was the last.
	Next string `json:"next,omitempty"`
}

// clientQuery is which sessions a page holds.
type clientQuery struct {
	after, username string
	connected       *bool
	limit           int
}

func parseClientQuery(q url.Values) (c clientQuery, err error) {
	if err = known(q, "after", "limit", "connected", "username"); err != nil {
		return c, err
	}
	if c.limit, err = number(q, "limit", defaultPage, maxPage); err != nil {
		return c, err
	}
	c.connected, err = flag(q, "connected")
	c.after, c.username = q.Get("after"), q.Get("username")
	return c, err
}

func (q *clientQuery) keeps(c *core.ClientInfo) bool {
	return c.ClientID > q.after &&
		(q.username == "" || c.Username == q.username) &&
		(q.connected == nil || c.Connected == *q.connected)
}

// clients answers one page of sessions.
func (s *Server) clients(w http.ResponseWriter, r *http.Request) {
	q, err := parseClientQuery(r.URL.Query())
	if err != nil {
		failBad(w, err)
		return
	}
	reply(w, http.StatusOK, s.page(&q))
}

// page looks at every session and keeps the first ones behind after: memory is
// bounded by the page, not by the sessions.
func (s *Server) page(q *clientQuery) clientPage {
	var kept []core.ClientInfo
	byID := func(a, b core.ClientInfo) int { return cmp.Compare(a.ClientID, b.ClientID) }
	shrink := func() {
		slices.SortFunc(kept, byID)
		kept = kept[:min(len(kept), q.limit+1)] // one more tells that there is a next page
	}
	s.opts.Source.Clients(func(c core.ClientInfo) bool {
		if q.keeps(&c) {
			kept = append(kept, c)
		}
		if len(kept) >= 4*maxPage {
			shrink()
		}
		return true
	})
	shrink()
	out := clientPage{Clients: []client{}}
	for i := range kept[:min(len(kept), q.limit)] {
		out.Clients = append(out.Clients, clientOf(&kept[i]))
	}
	if len(kept) > q.limit {
		out.Next = kept[q.limit-1].ClientID
	}
	return out
}

// client answers one session.
func (s *Server) client(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	c, ok := s.opts.Source.Client(id)
	if !ok {
		fail(w, http.StatusNotFound, noSession(id))
		return
	}
	reply(w, http.StatusOK, clientOf(&c))
}

func noSession(id string) problem {
	return problem{"not_found", fmt.Sprintf("there is no session %q", id), "GET /api/v1/clients lists them; '/' in a ClientID is written %2F"}
}

// kick closes a connection. The session stays as its expiry says.
func (s *Server) kick(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	err := known(r.URL.Query(), "redirect")
	var elsewhere *bool
	if err == nil {
		elsewhere, err = flag(r.URL.Query(), "redirect")
	}
	if err != nil {
		failBad(w, err)
		return
	}
	closes := s.opts.Source.Kick
	if elsewhere != nil && *elsewhere {
		closes = s.opts.Source.Redirect
	}
	if !closes(id) {
		p := noSession(id)
		if _, ok := s.opts.Source.Client(id); ok {
			p = problem{"not_connected", fmt.Sprintf("session %q has no connection", id), ""}
		}
		fail(w, http.StatusNotFound, p)
		return
	}
	s.log.Info("connection closed by the administrator", "client_id", id, "peer", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
}
