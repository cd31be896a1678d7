package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// protect lets only the administrator through.
func (s *Server) protect(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.administrator(w, r) {
			next(w, r)
		}
	}
}

// protectMetrics lets this machine through as well, or everyone if so configured.
func (s *Server) protectMetrics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.opts.Config.OpenMetrics || local(r) || s.administrator(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// administrator checks the credentials, and answers where they are not right.
func (s *Server) administrator(w http.ResponseWriter, r *http.Request) bool {
	user, password, given := r.BasicAuth()
	if given && s.opts.Authenticate(r.Context(), user, password) {
		return true
	}
	p := problem{"unauthorized", "this needs the administrator's password",
		"send it with HTTP Basic, e.g. curl -u admin:PASSWORD; it was shown at the first start, and fairlead passwd sets a new one in admin.passwd of the data directory"}
	if given {
		s.log.Warn("wrong administrator password", "peer", r.RemoteAddr, "user", user)
		p.Message = "user or password are wrong"
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="fairlead", charset="UTF-8"`)
	fail(w, http.StatusUnauthorized, p)
	return false
}

// local tells whether somebody on this machine asks: not a browser that was led
// here under a foreign name, and not a proxy for somebody else.
func local(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, h := range [...]string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	return localHost(r.Host)
}

// localHost: an address, or localhost. A name that somebody else's DNS points
// here is neither.
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}
