// Package admin is the gateway's HTTP side: health (/livez, /readyz), metrics
// (/metrics, Prometheus text), and the REST API below /api/v1.
//
// # Who may ask what
//
// /livez and /readyz answer anyone, in one word each; what is wrong is told to
// this machine only, or to everyone with open_metrics. /metrics is open to this
// machine and needs the administrator's password from elsewhere, unless
// open_metrics is set. The API
// always needs the password (HTTP Basic). A request counts as coming from this
// machine when its address is loopback, it names a local host, and no proxy
// says that it speaks for somebody else.
//
// # Who owns what
//
// The package holds no state of the gateway: it asks its [Source] for each
// request. A [Server] owns its listening socket and the HTTP connections, which
// are bounded in number, size and time.
package admin
