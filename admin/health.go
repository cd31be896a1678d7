package admin

import "net/http"

// livez answers that the process does.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"status": "live"})
}

// readiness is the answer of /readyz.
type readiness struct {
	Status string            `json:"status"`           // ready or not_ready
	Faults map[string]string `json:"faults,omitempty"` // by the check's name
}

// readyz answers whether clients should be sent here. Strangers hear no reasons.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	status, answer := http.StatusOK, readiness{Status: "ready"}
	tell := s.opts.Config.OpenMetrics || local(r)
	for _, c := range s.checks() {
		if c.Detail == "" {
			continue
		}
		status, answer.Status = http.StatusServiceUnavailable, "not_ready"
		if !tell {
			continue
		}
		if answer.Faults == nil {
			answer.Faults = map[string]string{}
		}
		answer.Faults[c.Name] = c.Detail
	}
	reply(w, status, answer)
}

func (s *Server) checks() []Check {
	if s.opts.Checks == nil {
		return nil
	}
	return s.opts.Checks()
}
