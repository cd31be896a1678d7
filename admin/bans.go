package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// ban is core.Ban as JSON.
type ban struct {
	Kind    string `json:"kind"`
	Value   string `json:"value"`
	Reason  string `json:"reason,omitempty"`
	By      string `json:"by,omitempty"`
	Created string `json:"created,omitempty"`
	Expires string `json:"expires,omitempty"` // "" never
	Source  string `json:"source"`
}

func banOf(b *core.Ban) ban {
	at := func(ms int64) string {
		if ms == 0 {
			return ""
		}
		return time.UnixMilli(ms).UTC().Format(time.RFC3339)
	}
	return ban{string(b.Kind), b.Value, b.Reason, b.By, at(b.Created), at(b.Expires), b.Source}
}

// bans answers all bans there are.
func (s *Server) bans(w http.ResponseWriter, r *http.Request) {
	if err := known(r.URL.Query(), "kind"); err != nil {
		failBad(w, err)
		return
	}
	out := struct {
		Bans []ban `json:"bans"`
	}{[]ban{}}
	kind := r.URL.Query().Get("kind")
	all := s.opts.Source.Bans()
	for i := range all {
		if kind == "" || kind == string(all[i].Kind) {
			out.Bans = append(out.Bans, banOf(&all[i]))
		}
	}
	reply(w, http.StatusOK, out)
}

// newBan is what POST takes.
type newBan struct {
	Kind    string `json:"kind"`
	Value   string `json:"value"`
	Reason  string `json:"reason"`
	For     string `json:"for"`     // such as 1h30m
	Expires string `json:"expires"` // RFC 3339; neither: never
}

func (n *newBan) ban(now time.Time) (*core.Ban, error) {
	b := &core.Ban{Kind: core.BanKind(n.Kind), Value: n.Value, Reason: n.Reason}
	switch {
	case n.For != "" && n.Expires != "":
		return nil, badRequest("both for and expires are given", "")
	case n.For != "":
		d, err := time.ParseDuration(n.For)
		if err != nil || d <= 0 {
			return nil, badRequest(fmt.Sprintf("for = %q is no duration", n.For), "write 90s, 30m or 24h")
		}
		b.Expires = now.Add(d).UnixMilli()
	case n.Expires != "":
		at, err := time.Parse(time.RFC3339, n.Expires)
		if err != nil || !at.After(now) {
			return nil, badRequest(fmt.Sprintf("expires = %q is no time to come", n.Expires), "write 2030-01-31T12:00:00Z")
		}
		b.Expires = at.UnixMilli()
	}
	return b, nil
}

// addBan bans and disconnects, and answers once the ban is stored.
func (s *Server) addBan(w http.ResponseWriter, r *http.Request) {
	var n newBan
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	if err := in.Decode(&n); err != nil {
		failBad(w, badRequest("the body is not what is expected: "+err.Error(), `send {"kind": "client_id", "value": "rogue", "reason": "…", "for": "24h"}`))
		return
	}
	b, err := n.ban(time.Now())
	if err != nil {
		failBad(w, err)
		return
	}
	b.By, _, _ = r.BasicAuth()
	if err := s.opts.Source.Ban(r.Context(), b); err != nil {
		s.failBan(w, err)
		return
	}
	s.log.Info("ban made by the administrator", "kind", n.Kind, "value", b.Value, "user", b.By, "peer", r.RemoteAddr)
	reply(w, http.StatusCreated, banOf(b))
}

func (s *Server) failBan(w http.ResponseWriter, err error) {
	var e *core.Error
	if errors.As(err, &e) && e.Reason == core.QuotaExceeded {
		fail(w, http.StatusConflict, problem{"conflict", e.Detail, "lift some, or raise core.max_bans"})
		return
	}
	if errors.As(err, &e) {
		failBad(w, badRequest(e.Detail, "kinds are client_id, username, address and client_id_at"))
		return
	}
	fail(w, http.StatusServiceUnavailable, problem{"not_stored", "it holds until the gateway ends, but is not stored: " + err.Error(), "see /readyz"})
}

// removeBan lifts a ban, and answers once that is stored.
func (s *Server) removeBan(w http.ResponseWriter, r *http.Request) {
	kind, value := r.PathValue("kind"), r.PathValue("value")
	found, err := s.opts.Source.Unban(r.Context(), core.BanKind(kind), value)
	switch {
	case err != nil:
		s.failBan(w, err)
	case !found:
		fail(w, http.StatusNotFound, problem{"not_found", fmt.Sprintf("there is no ban of %s %q that can be lifted here", kind, value), "GET /api/v1/bans lists them; those of the configuration are lifted there; '/' is written %2F"})
	default:
		user, _, _ := r.BasicAuth()
		s.log.Info("ban lifted by the administrator", "kind", kind, "value", value, "user", user, "peer", r.RemoteAddr)
		w.WriteHeader(http.StatusNoContent)
	}
}
