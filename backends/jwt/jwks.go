package jwt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/backends/identity"
)

const (
	again  = 10 * time.Second // between two fetches, whatever happens: also of those who make up kids
	maxSet = 1 << 20          // bytes of a set
)

// remote is a set of keys that a URL gives. Safe for concurrent use.
type remote struct {
	url     string
	client  *http.Client
	refresh time.Duration
	keep    time.Duration
	now     func() time.Time
	ctx     context.Context // ends with the source
	end     context.CancelFunc

	mu     sync.Mutex
	keys   []key
	etag   string
	at     time.Time     // when the server last said that keys are its keys
	due    time.Time     // when they are to be fetched again
	tried  time.Time     // when they were fetched last, or should have been
	err    error         // why the last fetch failed, nil if it did not
	flight chan struct{} // closed when the fetch under way ends; nil: none is
}

func newRemote(c *Config, now func() time.Time) (*remote, error) {
	client, err := identity.HTTP{Timeout: c.JWKSTimeout, Pool: 1, CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile}.Client()
	if err != nil {
		return nil, err
	}
	r := &remote{url: c.JWKSURL, client: client, refresh: c.JWKSRefresh, keep: c.JWKSKeep, now: now}
	r.ctx, r.end = context.WithCancel(context.Background())
	return r, nil
}

// find gives the keys for an algorithm and a kid. It blocks up to ctx while there are none
// and they are fetched. An error says that the keys cannot be had.
func (r *remote) find(ctx context.Context, algorithm, kid string) ([]key, error) {
	found, flight, err := r.look(algorithm, kid)
	if len(found) > 0 || flight == nil {
		return found, err
	}
	select {
	case <-flight:
	case <-ctx.Done():
		return nil, fmt.Errorf("the keys of jwks_url are being fetched: %w", ctx.Err())
	}
	found, _, err = r.look(algorithm, kid)
	return found, err
}

// look finds keys among those there are, and begins a fetch where one is due. flight is
// the fetch under way.
func (r *remote) look(algorithm, kid string) (found []key, flight chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	usable := r.keys != nil && now.Sub(r.at) <= r.keep
	if usable {
		found = choose(r.keys, algorithm, kid)
	}
	wanted := !now.Before(r.due) || len(found) == 0
	if wanted && r.flight == nil && (r.tried.IsZero() || now.Sub(r.tried) >= again) {
		r.tried, r.flight = now, make(chan struct{})
		go r.fetch(r.flight)
	}
	if !usable && r.flight == nil {
		err = errors.New("jwks_url has given no keys")
		if r.err != nil {
			err = fmt.Errorf("the keys of jwks_url cannot be had: %w", r.err)
		}
	}
	return found, r.flight, err
}

// fetch asks the server.
func (r *remote) fetch(flight chan struct{}) {
	r.mu.Lock()
	etag := r.etag
	r.mu.Unlock()
	keys, answer, err := r.ask(etag)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(flight)
	r.flight, r.err = nil, err
	if err != nil {
		r.due = r.now() // as soon as it may be
		return
	}
	r.at = r.now()
	r.due = r.at.Add(r.lasts(answer.Header))
	if keys != nil {
		r.keys, r.etag = keys, answer.Header.Get("ETag")
	}
}

// ask gives the keys, nil where they are those that the etag is of.
func (r *remote) ask(etag string) ([]key, *http.Response, error) {
	q, err := http.NewRequest(http.MethodGet, r.url, nil)
	if err != nil {
		return nil, nil, err
	}
	q.Header.Set("Accept", "application/jwk-set+json, application/json")
	if etag != "" {
		q.Header.Set("If-None-Match", etag)
	}
	answer, body, err := identity.Ask(r.ctx, r.client, q, maxSet)
	switch {
	case err != nil:
		return nil, nil, err
	case answer.StatusCode == http.StatusNotModified && etag != "":
		return nil, answer, nil
	case answer.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("the server answers %d", answer.StatusCode)
	}
	keys, err := parseSet(body, false)
	return keys, answer, err
}

// lasts is how long the answer is good for: what the server says, within bounds.
func (r *remote) lasts(h http.Header) time.Duration {
	for _, word := range strings.Split(h.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(word)), "=")
		switch name {
		case "no-cache", "no-store":
			return again
		case "max-age":
			if n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				return min(max(time.Duration(n)*time.Second, again), r.refresh)
			}
		}
	}
	return r.refresh
}

func (r *remote) close() { r.end() }
