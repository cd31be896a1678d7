package protocols

import (
	"net/netip"
	"time"
)

// Transports that a listener can speak.
const (
	TCP       = "tcp"
	TLS       = "tls"
	WebSocket = "ws"
	SecureWS  = "wss"
	Unix      = "unix"
	QUIC      = "quic"
	UDP       = "udp"
	DTLS      = "dtls"
)

// Config is the edge's part of the configuration: the event loops and every
// listener by name.
type Config struct {
	Loops     int    `toml:"loops" doc:"event loops (Linux); 0 means one for each processor, at most 64"`
	Wait      string `toml:"wait" doc:"how an event loop waits: block (cheapest while mostly idle), park (cheapest while saturated), auto (by load)"`
	DrainRate int    `toml:"drain_rate" unit:"connections/s" doc:"connections told to leave a second while draining, so that they do not all reconnect elsewhere at once"`

	Listeners map[string]*ListenerConfig `toml:"-"`
}

// ListenerConfig is one table [listeners.NAME]. A zero field takes the default
// that its doc names.
type ListenerConfig struct {
	Enabled   *bool  `toml:"enabled" doc:"false keeps the table and opens nothing; true when left out"`
	Protocol  string `toml:"protocol" doc:"the protocol that is spoken: mqtt, mqttsn, coap, or exproto: one of a program of your own"`
	Transport string `toml:"transport" doc:"tcp, tls, ws, wss, unix, quic (over UDP), or for protocols of datagrams udp or dtls"`
	Address   string `toml:"address" doc:"host:port, or the socket's path for unix; the host localhost means 127.0.0.1 and ::1, port 0 any free one"`
	Path      string `toml:"path" doc:"path of the WebSocket resource; /mqtt when left out"`

	TLS TLSConfig `toml:"tls" doc:"certificates of tls, wss, quic and dtls"`

	QUIC QUICConfig `toml:"quic" doc:"bounds of quic"`
	UDP  UDPConfig  `toml:"udp" doc:"groups and bounds of udp and dtls"`
	DTLS DTLSConfig `toml:"dtls" doc:"keys of dtls"`

	Exproto ExprotoConfig `toml:"exproto" doc:"the program that speaks the protocol, where protocol is exproto; see docs/adapters.md"`

	ProxyProtocol string         `toml:"proxy_protocol" doc:"on: every connection must begin with a PROXY protocol v1 or v2 header; off (when left out): none is read"`
	ProxyTrusted  []netip.Prefix `toml:"proxy_trusted" doc:"networks of the proxies; a connection from elsewhere is refused"`
	Origins       []string       `toml:"origins" doc:"origins (scheme://host[:port]) whose pages may open a WebSocket; none: only pages of the same host; * for all"`

	Mountpoint string `toml:"mountpoint" doc:"prefix below which everything lies that clients of this listener publish and subscribe; they do not see it. %c is the client id, %u the user name, each as a level of its own; must end with '/'; see docs/topics.md"`

	AddressChange  bool  `toml:"address_change" doc:"mqttsn over udp: whether a sleeping client may wake from another address than the one it fell asleep at, as behind NAT, on the strength of its client id alone; with DTLS or a token it always may"`
	AllowAnonymous *bool `toml:"allow_anonymous" doc:"whether clients without credentials may connect here; left out: only where the address is loopback or a unix socket"`

	MaxConnections           int `toml:"max_connections" doc:"connections open at once; 1,000,000 when 0"`
	MaxConnectionsPerAddress int `toml:"max_connections_per_address" doc:"connections of one address (IPv6: of one /64) open at once; 0 means no limit, as many devices may share one address"`

	MaxUnauthenticated           int           `toml:"max_unauthenticated" doc:"connections that have not yet been accepted by their protocol; 16,384 when 0"`
	MaxUnauthenticatedPerAddress int           `toml:"max_unauthenticated_per_address" doc:"the same for one address (IPv6: one /64), so that one peer cannot take them all; 8,192 when 0"`
	ConnectTimeout               time.Duration `toml:"connect_timeout" doc:"time from the connection's begin until its protocol has accepted it; 5s when 0"`
	HandshakeTimeout             time.Duration `toml:"handshake_timeout" doc:"time for the TLS handshake and the WebSocket upgrade; 10s when 0"`
	HandshakeWorkers             int           `toml:"handshake_workers" doc:"handshakes of tls, wss and dtls (about 0.6 ms of processor time each), upgrades of ws and wss, and first packets of tls, ws and wss that are worked off at once; addresses take turns; half of the processors, at least 1, when 0"`

	AcceptRate  int `toml:"accept_rate" unit:"connections/s" doc:"connections accepted a second; more wait in the backlog; 0 means no limit"`
	AcceptBurst int `toml:"accept_burst" doc:"connections that may come at once above accept_rate; accept_rate when 0"`

	MessageRate        int `toml:"message_rate" unit:"messages/s" doc:"messages taken from all clients together a second; who sends more is not read from meanwhile; 0 means no limit"`
	MessageBurst       int `toml:"message_burst" doc:"messages taken at once above message_rate; message_rate when 0"`
	ByteRate           int `toml:"byte_rate" unit:"bytes" doc:"bytes taken from all clients together a second; 0 means no limit"`
	ByteBurst          int `toml:"byte_burst" unit:"bytes" doc:"bytes taken at once above byte_rate; byte_rate when 0"`
	ClientMessageRate  int `toml:"client_message_rate" unit:"messages/s" doc:"messages taken from one client a second; 0 means no limit"`
	ClientMessageBurst int `toml:"client_message_burst" doc:"messages taken from it at once above that; client_message_rate when 0"`
	ClientByteRate     int `toml:"client_byte_rate" unit:"bytes" doc:"bytes taken from one client a second; 0 means no limit"`
	ClientByteBurst    int `toml:"client_byte_burst" unit:"bytes" doc:"bytes taken from it at once above that; client_byte_rate when 0"`

	ClientProcessorShare int           `toml:"client_processor_share" unit:"percent" doc:"of the time of one processor, how much what one client sends may take, 1 to 100 percent; who takes more rests, that is, is not read from until it is made up for; 0 means no limit; see docs/limits.md"`
	ClientProcessorBurst time.Duration `toml:"client_processor_burst" doc:"processor time that it may take at once above that, with each of its connections anew; what flows in 2ms is the least, and holds when 0"`

	MaxPacketSize  int `toml:"max_packet_size" unit:"bytes" doc:"largest packet taken from a client; 1 MiB when 0, of which udp and dtls take 65,507 bytes"`
	MaxConnectSize int `toml:"max_connect_size" unit:"bytes" doc:"largest packet taken before the client is accepted; 64 KiB when 0"`

	SendBuffer int `toml:"send_buffer" unit:"bytes" doc:"kernel's send buffer; the system's own when 0"`
	RecvBuffer int `toml:"recv_buffer" unit:"bytes" doc:"kernel's receive buffer; the system's own when 0"`
	Backlog    int `toml:"backlog" doc:"connections the kernel keeps until they are accepted; on Linux there are 16 queues of so many, by the address they come from, but for unix; 4,096 when 0"`

	// Given says that the program that embeds the gateway brings the listening socket
	// (Server.Serve). Nothing is bound then; Address is a name for people, or "".
	Given bool `toml:"-"`

	Mode string `toml:"mode" doc:"permissions of a unix socket in octal; 0660 when left out"`
}

// TLSConfig is the certificates and rules of one listener.
type TLSConfig struct {
	CertFile     string `toml:"cert_file" doc:"certificate chain, PEM"`
	KeyFile      string `toml:"key_file" doc:"private key, PEM"`
	ClientCAFile string `toml:"client_ca_file" doc:"authorities whose client certificates are accepted, PEM"`
	ClientAuth   string `toml:"client_auth" doc:"none (when left out), request (verified if shown) or require"`
	MinVersion   string `toml:"min_version" doc:"1.2 (when left out) or 1.3"`

	OCSPFile string   `toml:"ocsp_file" doc:"the OCSP responder's answer about the certificate, DER, which is shown to clients while it is in force; read again on SIGHUP; the issuer's certificate must be in cert_file"`
	Identity string   `toml:"identity" doc:"the client certificate's field that is the user name; the certificate then takes the place of a password: cn, dn, san_dns, san_email, san_uri, san_ip or fingerprint (SHA-256); none when left out"`
	ClientID string   `toml:"client_id" doc:"the client certificate's field to which the client identifier is bound, of the same kinds; without identity it is the user name, too; none when left out"`
	CRLFiles []string `toml:"crl_files" doc:"lists of revoked client certificates, PEM or DER, read again on SIGHUP; every authority below the trusted ones needs one, and a list past its time refuses all"`
}

// QUICConfig is the bounds of one QUIC listener. handshake_timeout bounds the
// handshake and the time until the first stream, max_unauthenticated the handshakes
// at once.
type QUICConfig struct {
	IdleTimeout time.Duration `toml:"idle_timeout" doc:"time without any packet of the client after which it is gone; after half of it the gateway asks, so a client that lives stays whatever its own keep alive; 5m when 0"`
	Window      int           `toml:"window" unit:"bytes" doc:"bytes that a client may send on a stream before they are read, and twice as many on all streams together; bounds the memory of a connection; 256 KiB when 0"`
	Streams     int           `toml:"streams" doc:"streams that a client may have open at once, the first of which carries its CONNECT; 1 turns the multi-stream mode off; 16 when 0"`
	Retry       string        `toml:"retry" doc:"whether a client must first show that its address is its own, which costs it a round trip: always, never, or auto (when left out): while more than retry_above handshakes are under way"`
	RetryAbove  int           `toml:"retry_above" doc:"handshakes under way from which retry = auto asks; 256 when 0"`
}

// UDPConfig is what only listeners of datagrams have. Of the listener's settings,
// max_unauthenticated and connect_timeout bound what peers may hold that nobody knows,
// accept_rate the new ones a second; there is no backlog, so the others are dropped
// and repeat.
type UDPConfig struct {
	AnswerRate int `toml:"answer_rate" unit:"datagrams/s" doc:"answers a second to one address (IPv6: one /64) that has no connection, such as a gateway's name or a challenge; 200 when 0"`

	Groups     []netip.Addr     `toml:"groups" doc:"multicast groups whose datagrams are answered, too, on the port of the address; only questions that need no connection are (Linux)"`
	Interfaces []string         `toml:"interfaces" doc:"interfaces on which groups are joined and announcements sent; none: groups on all that are up, announcements where the system routes them"`
	Announce   []netip.AddrPort `toml:"announce" doc:"groups or broadcast addresses, with port, to which the protocol announces the gateway if it knows announcements (MQTT-SN: ADVERTISE)"`
}

// DTLSConfig is what only listeners of DTLS have; they need psk_file, or tls.cert_file
// and tls.key_file, or both.
type DTLSConfig struct {
	PSKFile        string `toml:"psk_file" doc:"file of lines identity:key, the key in hexadecimal (8 to 64 bytes); read again on SIGHUP"`
	NoConnectionID bool   `toml:"no_connection_id" doc:"true offers no connection id (RFC 9146), by which a client keeps its connection when its address changes"`

	// PSK, if it is set, gives the keys that psk_file does not hold; nil for unknown
	// identities. Any goroutine; it should not block.
	PSK func(identity string) []byte `toml:"-"`
}

// Defaults of the fields of ListenerConfig.
const (
	defaultPath               = "/mqtt"
	defaultMaxConnections     = 1_000_000
	defaultUnauthenticated    = 16_384
	defaultUnauthenticatedPer = 8_192
	defaultConnectTimeout     = 5 * time.Second
	defaultHandshakeTimeout   = 10 * time.Second
	defaultMaxPacketSize      = 1 << 20
	defaultMaxConnectSize     = 64 << 10
	defaultBacklog            = 4096
	defaultMode               = "0660"
	defaultDrainRate          = 5000
	defaultQUICIdle           = 5 * time.Minute
	defaultQUICWindow         = 256 << 10
	defaultRetryAbove         = 256
	defaultQUICStreams        = 16
	defaultAnswerRate         = 200
	defaultHandlerWindow      = 64 << 10
	defaultHandlerQueue       = 8 << 20
	defaultHandlerStall       = 30 * time.Second
	defaultHandlerRetry       = 10 * time.Second
	maxLoops                  = 64
)

// DefaultConfig gives the edge of a fresh start, without listeners.
func DefaultConfig() Config {
	return Config{Wait: "auto", DrainRate: defaultDrainRate, Listeners: map[string]*ListenerConfig{}}
}

// WithDefaults gives a copy of c in which every field says what holds.
func (c *ListenerConfig) WithDefaults() ListenerConfig {
	d := *c
	orInt := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	orText := func(v *string, def string) {
		if *v == "" {
			*v = def
		}
	}
	orTime := func(v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
	}
	orText(&d.Path, defaultPath)
	orText(&d.ProxyProtocol, "off")
	orText(&d.Mode, defaultMode)
	orText(&d.TLS.ClientAuth, "none")
	orText(&d.TLS.MinVersion, "1.2")
	orInt(&d.MaxConnections, defaultMaxConnections)
	orInt(&d.MaxUnauthenticated, defaultUnauthenticated)
	orInt(&d.MaxUnauthenticatedPerAddress, defaultUnauthenticatedPer)
	orTime(&d.ConnectTimeout, defaultConnectTimeout)
	orTime(&d.HandshakeTimeout, defaultHandshakeTimeout)
	orInt(&d.AcceptBurst, d.AcceptRate)
	orInt(&d.MaxPacketSize, defaultMaxPacketSize)
	orInt(&d.MaxConnectSize, defaultMaxConnectSize)
	orInt(&d.Backlog, defaultBacklog)
	orTime(&d.QUIC.IdleTimeout, defaultQUICIdle)
	orInt(&d.QUIC.Window, defaultQUICWindow)
	orText(&d.QUIC.Retry, "auto")
	orInt(&d.QUIC.RetryAbove, defaultRetryAbove)
	orInt(&d.QUIC.Streams, defaultQUICStreams)
	orInt(&d.UDP.AnswerRate, defaultAnswerRate)
	orText(&d.Exproto.TLS, "auto")
	orInt(&d.Exproto.Streams, 1)
	orInt(&d.Exproto.Window, defaultHandlerWindow)
	orInt(&d.Exproto.Queue, defaultHandlerQueue)
	orTime(&d.Exproto.StallTimeout, defaultHandlerStall)
	orTime(&d.Exproto.RetryMax, defaultHandlerRetry)
	return d
}

// Datagrams tells whether the transport carries datagrams.
func (c *ListenerConfig) Datagrams() bool { return c.Transport == UDP || c.Transport == DTLS }

// HasCertificate tells whether the transport needs one: TLS is part of it. DTLS has one
// where its clients need not have shared keys.
func (c *ListenerConfig) HasCertificate() bool {
	return c.Transport == TLS || c.Transport == SecureWS || c.Transport == QUIC || c.Transport == DTLS && c.TLS.CertFile != ""
}

// IsEnabled tells whether the listener is to be opened.
func (c *ListenerConfig) IsEnabled() bool { return c.Enabled == nil || *c.Enabled }

// Loopback tells whether only this machine can reach the listener: a unix
// socket, localhost, or an address of the loopback network. Who reaches a Given
// listener is not known.
func (c *ListenerConfig) Loopback() bool {
	if c.Given {
		return false
	}
	if c.Transport == Unix {
		return true
	}
	host, _, err := splitAddress(c.Address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// ExprotoConfig is what only listeners of the protocol exproto have: where the handler
// is, the program that speaks with their clients, and what may wait for it.
type ExprotoConfig struct {
	Handler string `toml:"handler" doc:"host:port of the program that speaks the protocol, or unix:PATH; it offers the gRPC service of protocols/exproto/pb/handler.proto"`
	Streams int    `toml:"streams" doc:"streams to the handler, over which clients are spread; 1 when 0"`

	TLS        string `toml:"tls" doc:"on, off, or auto (when left out): on unless the handler is on this machine"`
	CAFile     string `toml:"ca_file" doc:"authorities that may sign the handler's certificate, PEM; the system's when left out"`
	CertFile   string `toml:"cert_file" doc:"certificate that Fairlead shows the handler, PEM"`
	KeyFile    string `toml:"key_file" doc:"its private key, PEM"`
	ServerName string `toml:"server_name" doc:"name that the handler's certificate must have; the host of handler when left out"`

	Window int `toml:"window" unit:"bytes" doc:"bytes that may wait of one client, and for one client; 64 KiB when 0"`
	Queue  int `toml:"queue" unit:"bytes" doc:"bytes that may wait for one stream to the handler; beyond it nothing more is read from its clients; 8 MiB when 0"`

	Hold         time.Duration `toml:"hold" doc:"how long clients are kept while the handler is away; those that were not let in yet within connect_timeout; 0: they are disconnected at once"`
	StallTimeout time.Duration `toml:"stall_timeout" doc:"time after which a handler that takes nothing counts as away; 30s when 0"`
	RetryMax     time.Duration `toml:"retry_max" doc:"longest pause between attempts to reach a handler that is away; 10s when 0"`
}
