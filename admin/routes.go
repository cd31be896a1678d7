package admin

import (
	"fmt"
	"net/http"
	"strings"
)

// page is one row of the table of what the server answers.
type page struct {
	pattern string
	handler http.Handler
	about   string
}

// pages is the table. The index at / is made of it too.
func (s *Server) pages() []page {
	return []page{
		{"GET /livez", http.HandlerFunc(s.livez), "200 while the process answers"},
		{"GET /readyz", http.HandlerFunc(s.readyz), "200 when clients are served and the store takes writes"},
		{"GET /metrics", s.protectMetrics(s.metrics()), "Prometheus metrics"},
		{"GET /api/v1/stats", s.protect(s.stats), "counters and gauges as JSON"},
		{"GET /api/v1/clients", s.protect(s.clients), "sessions; after=, limit=, connected=, username="},
		{"GET /api/v1/clients/{id}", s.protect(s.client), "one session"},
		{"DELETE /api/v1/clients/{id}", s.protect(s.kick), "close the client's connection; redirect=true sends it to mqtt.drain_redirect"},
		{"GET /api/v1/clients/{id}/subscriptions", s.protect(s.subscriptions), "its subscriptions; after=, limit=, proxy="},
		{"GET /api/v1/delayed", s.protect(s.delayed), "messages that wait for their time; after=, limit=, topic=, publisher="},
		{"GET /api/v1/delayed/{number}", s.protect(s.delayedOne), "one of them"},
		{"DELETE /api/v1/delayed/{number}", s.protect(s.cancelDelayed), "take it back: it is not sent"},
		{"GET /api/v1/retained", s.protect(s.retained), "retained messages; topic= (a filter), after=, limit="},
		{"DELETE /api/v1/retained", s.protect(s.deleteRetained), "delete those of a filter; topic=, after=, limit="},
		{"GET /api/v1/retained/{topic}", s.protect(s.retainedOne), "one of them, with its payload"},
		{"DELETE /api/v1/retained/{topic}", s.protect(s.deleteRetainedOne), "delete it"},
		{"GET /api/v1/bans", s.protect(s.bans), "who is kept out; kind="},
		{"POST /api/v1/bans", s.protect(s.addBan), "keep clients out: kind, value, reason, for or expires"},
		{"DELETE /api/v1/bans/{kind}/{value}", s.protect(s.removeBan), "lift a ban"},
		{"GET /api/v1/explain", s.protect(s.explain), "why something was dropped, refused or ended; client=, topic=, reason=, since=, limit="},
	}
}

// handler wires the pages and what holds for all of them.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{} // by path
	for _, p := range s.pages() {
		mux.Handle(p.pattern, p.handler)
		method, path, _ := strings.Cut(p.pattern, " ")
		methods[path] = append(methods[path], method)
	}
	for path, allowed := range methods {
		mux.HandleFunc(path, wrongMethod(strings.Join(allowed, ", ")))
	}
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("/", notFound)
	// Pages of other origins may not make a browser act here with the password
	// that it remembers.
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.MaxBytesHandler(withHeaders(guarded), maxBody)
}

func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

func wrongMethod(allowed string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allowed)
		fail(w, http.StatusMethodNotAllowed, problem{"method_not_allowed", r.Method + " is not offered here", "use " + allowed})
	}
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	fail(w, http.StatusNotFound, problem{"not_found", "there is no such page", "GET / lists what there is"})
}

// index lists the pages as text.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "Fairlead %s\n\n", s.opts.Version)
	for _, p := range s.pages() {
		fmt.Fprintf(w, "%-30s %s\n", p.pattern, p.about)
	}
}
