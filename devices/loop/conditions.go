package loop

import "time"

// Conditions are what a network does to a connection. The fields are those of
// scenario.Network, so that one converts to the other. They act on the bytes of
// the device; the zero value, like nil, costs nothing.
type Conditions struct {
	Latency   time.Duration // added to each direction
	Jitter    time.Duration // added at random up to this; order is kept
	Loss      float64       // share of datagrams that vanish, of each direction; streams ignore it
	Duplicate float64       // share of datagrams that come twice; streams ignore it
	Reorder   float64       // share of datagrams that are held back behind the next; streams ignore it
	Bandwidth int           // bytes a second in each direction; 0: not limited
	CutEvery  time.Duration // mean time until the connection is reset; 0: never
	HalfOpen  float64       // share of cuts that are silent, see Conn.Silence
	Rebind    time.Duration // mean time until the device comes from another address: of streams a reset, with ErrRebound
}

// TLS says how to check the server, and what to show it. The fields are those of
// scenario.TLS, so that one converts to the other.
type TLS struct {
	CAFile     string // authorities to trust, PEM; "": the system's
	CertFile   string // client certificate, PEM; "": none
	KeyFile    string // its private key, PEM
	ServerName string // to expect in the certificate; "": the URL's host
	Insecure   bool   // do not check
}
