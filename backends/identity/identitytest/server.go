package identitytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server answers over HTTP as a test says, and remembers what it was asked.
type Server struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	asked  []string
}

// NewServer starts one that ends with t. Until the first Answers or Says it says 200.
func NewServer(t testing.TB) *Server {
	s := &Server{answer: func(http.ResponseWriter, *http.Request) {}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// Answers has the server answer so from now on.
func (s *Server) Answers(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Says has the server say the same to everything; a kind of "" is none.
func (s *Server) Says(code int, kind, body string) {
	s.Answers(func(w http.ResponseWriter, _ *http.Request) {
		if kind != "" {
			w.Header().Set("Content-Type", kind)
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	})
}

// Questions takes what was asked since the last call: METHOD PATH?QUERY BODY of each.
func (s *Server) Questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.asked
	s.asked = nil
	return q
}

// Noon is when a Clock begins.
func Noon() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }

// Clock is one that a test moves.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock gives one that stands at Noon.
func NewClock() *Clock { return &Clock{at: Noon()} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Pass lets time pass.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
