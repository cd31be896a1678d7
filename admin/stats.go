package admin

import (
	"net/http"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// figures is core.Stats as JSON.
type figures struct {
	Version       string            `json:"version"`
	Started       string            `json:"started"`
	Uptime        int64             `json:"uptime_seconds"`
	Sessions      int64             `json:"sessions"`
	Connections   int64             `json:"connections"`
	Subscriptions int64             `json:"subscriptions"`
	Routes        int64             `json:"routes"`
	RouteBytes    int64             `json:"route_bytes"`
	Retained      int64             `json:"retained"`
	Delayed       int64             `json:"delayed"`
	Pending       int64             `json:"pending"`
	Store         storeFigures      `json:"store"`
	Counters      map[string]uint64 `json:"counters"`
	Reasons       map[string]uint64 `json:"reasons"` // those that occurred
}

type storeFigures struct {
	Engine   string `json:"engine"`
	Fault    string `json:"fault,omitempty"` // why writes fail at present
	Bytes    int64  `json:"bytes"`
	Sessions int64  `json:"sessions"`
	Queued   int64  `json:"queued"`
	Retained int64  `json:"retained"`
	Commits  uint64 `json:"commits"`
	Batches  uint64 `json:"batches"`
	Failed   uint64 `json:"failed"`
}

func storeOf(s *core.Stats) storeFigures {
	t := s.Store
	out := storeFigures{
		Engine: t.Engine, Bytes: t.Bytes, Sessions: t.Sessions, Queued: t.Queued,
		Retained: t.Retained, Commits: t.Commits, Batches: t.Batches, Failed: t.Failed,
	}
	if s.StoreHealth != nil {
		out.Fault = s.StoreHealth.Error()
	}
	return out
}

// stats answers every figure there is.
func (s *Server) stats(w http.ResponseWriter, r *http.Request) {
	if err := known(r.URL.Query()); err != nil {
		failBad(w, err)
		return
	}
	st := s.opts.Source.Stats()
	out := figures{
		Version: s.opts.Version, Started: st.Started.UTC().Format(time.RFC3339),
		Uptime: int64(time.Since(st.Started) / time.Second), Sessions: st.Sessions,
		Connections: st.Connections, Subscriptions: st.Subscriptions, Routes: st.Routes,
		RouteBytes: st.RouteBytes, Retained: st.Retained, Delayed: st.Delayed, Pending: st.Pending(), Store: storeOf(&st),
		Counters: map[string]uint64{}, Reasons: map[string]uint64{},
	}
	for i, n := range st.Counters {
		out.Counters[core.Counter(i).String()] = n
	}
	for i, n := range st.Reasons {
		if n > 0 {
			out.Reasons[core.Reason(i).String()] = n
		}
	}
	reply(w, http.StatusOK, out)
}
