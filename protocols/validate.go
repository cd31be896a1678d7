package protocols

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Validate reports every setting that is out of its bounds or contradicts
// another. adapters are the names of the protocols that exist.
func (c *Config) Validate(adapters ...string) error {
	var f faults
	f.within("loops", c.Loops, 0, maxLoops)
	f.oneOf("wait", c.Wait, "", "auto", "block", "park")
	f.within("drain_rate", c.DrainRate, 0, 10_000_000)
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		l := faults{prefix: "listeners." + name + "."}
		c.Listeners[name].validate(&l, adapters)
		f.errs = append(f.errs, l.errs...)
	}
	return errors.Join(f.errs...)
}

// validate adds the listener's faults to f.
func (c *ListenerConfig) validate(f *faults, adapters []string) {
	if len(adapters) > 0 {
		f.oneOf("protocol", c.Protocol, adapters...)
	}
	f.oneOf("transport", c.Transport, TCP, TLS, WebSocket, SecureWS, Unix, QUIC, UDP, DTLS)
	c.validateAddress(f)
	c.validateTLS(f)
	c.validateProxy(f)
	c.validateWebSocket(f)
	c.validateQUIC(f)
	c.validateUDP(f)
	c.validateExproto(f)
	c.validateBounds(f)
	if err := core.ValidateMount(c.Mountpoint); err != nil {
		f.add("mountpoint", c.Mountpoint, err.Error())
	}
}

func (c *ListenerConfig) validateAddress(f *faults) {
	if c.Given {
		if c.Transport == Unix || c.Transport == QUIC {
			f.add("transport", c.Transport, "must be tcp, tls, ws, wss, udp or dtls where the program brings the listener, whatever kind of socket it is")
		}
		return
	}
	if c.Transport == Unix {
		// sun_path holds 108 bytes with its terminator on Linux, 104 elsewhere.
		if c.Address == "" || len(c.Address) > 103 {
			f.add("address", c.Address, "must be a path of 1 to 103 bytes for a unix socket")
		}
		if _, err := parseMode(c.Mode); err != nil {
			f.add("mode", c.Mode, "must be permissions in octal, such as 0660")
		}
		return
	}
	if _, _, err := splitAddress(c.Address); err != nil {
		f.add("address", c.Address, "must be host:port ("+err.Error()+")")
	}
	if c.Mode != "" {
		f.add("mode", c.Mode, "only holds for transport unix")
	}
}

func (c *ListenerConfig) validateTLS(f *faults) {
	t := c.TLS
	if !c.HasCertificate() {
		if !t.empty() {
			f.add("tls", "…", "only holds for the transports tls, wss and quic, and for dtls with cert_file")
		}
		return
	}
	if t.CertFile == "" || t.KeyFile == "" {
		f.add("tls", "…", "needs cert_file and key_file")
	}
	f.oneOf("tls.client_auth", t.ClientAuth, "", "none", "request", "require")
	f.oneOf("tls.min_version", t.MinVersion, "", "1.2", "1.3")
	verifies := t.ClientAuth == "request" || t.ClientAuth == "require"
	if verifies && t.ClientCAFile == "" {
		f.add("tls.client_ca_file", "", "is needed where client_auth is "+t.ClientAuth)
	}
	if !verifies && t.ClientCAFile != "" {
		f.add("tls.client_ca_file", t.ClientCAFile, "does nothing unless client_auth is request or require")
	}
	f.oneOf("tls.identity", t.Identity, identityFields()...)
	f.oneOf("tls.client_id", t.ClientID, identityFields()...)
	if !verifies && t.Identity+t.ClientID != "" {
		f.add("tls.identity", t.Identity+t.ClientID, "needs client_auth = request or require: there is no certificate to take a name from")
	}
	if !verifies && len(t.CRLFiles) > 0 {
		f.add("tls.crl_files", "[…]", "does nothing unless client_auth is request or require")
	}
}

// empty tells whether nothing is set.
func (t *TLSConfig) empty() bool {
	return len(t.CRLFiles) == 0 && t.CertFile+t.KeyFile+t.ClientCAFile+t.ClientAuth+t.MinVersion+t.OCSPFile+t.Identity+t.ClientID == ""
}

func (c *ListenerConfig) validateProxy(f *faults) {
	f.oneOf("proxy_protocol", c.ProxyProtocol, "", "off", "on")
	on := c.ProxyProtocol == "on"
	if on && len(c.ProxyTrusted) == 0 && c.Transport != Unix {
		f.add("proxy_trusted", "[]", "must name the proxies' networks where proxy_protocol is on: anyone else could claim any address")
	}
	if !on && len(c.ProxyTrusted) > 0 {
		f.add("proxy_trusted", "[…]", "does nothing while proxy_protocol is off")
	}
	for _, p := range c.ProxyTrusted {
		if !p.IsValid() {
			f.add("proxy_trusted", p.String(), "must be a network such as 10.0.0.0/8")
		}
	}
}

func (c *ListenerConfig) validateQUIC(f *faults) {
	q := &c.QUIC
	if c.Transport != QUIC {
		if *q != (QUICConfig{}) {
			f.add("quic", "…", "only holds for the transport quic")
		}
		return
	}
	f.during("quic.idle_timeout", q.IdleTimeout, 24*time.Hour)
	f.within("quic.window", q.Window, 0, 1<<30)
	f.within("quic.streams", q.Streams, 0, 4096)
	f.oneOf("quic.retry", q.Retry, "", "auto", "always", "never")
	f.within("quic.retry_above", q.RetryAbove, 0, 100_000_000)
	if c.ProxyProtocol == "on" {
		f.add("proxy_protocol", "on", "is for transports over TCP: QUIC has no PROXY header")
	}
	if c.TLS.MinVersion == "1.2" {
		f.add("tls.min_version", "1.2", "must be 1.3 or left out: QUIC has no TLS 1.2")
	}
}

func (c *ListenerConfig) validateWebSocket(f *faults) {
	if c.Transport != WebSocket && c.Transport != SecureWS {
		if c.Path != "" {
			f.add("path", c.Path, "only holds for the transports ws and wss")
		}
		if len(c.Origins) > 0 {
			f.add("origins", "[…]", "only holds for the transports ws and wss")
		}
		return
	}
	if c.Path != "" && !strings.HasPrefix(c.Path, "/") {
		f.add("path", c.Path, "must begin with /")
	}
	for _, o := range c.Origins {
		u, err := url.Parse(o)
		if o != "*" && (err != nil || u.Scheme == "" || u.Host == "") {
			f.add("origins", o, "must be scheme://host[:port] or *")
		}
	}
}

func (c *ListenerConfig) validateBounds(f *faults) {
	f.within("max_connections", c.MaxConnections, 0, 100_000_000)
	f.within("max_connections_per_address", c.MaxConnectionsPerAddress, 0, 100_000_000)
	f.within("max_unauthenticated", c.MaxUnauthenticated, 0, 100_000_000)
	f.within("max_unauthenticated_per_address", c.MaxUnauthenticatedPerAddress, 0, 100_000_000)
	f.within("handshake_workers", c.HandshakeWorkers, 0, 4096)
	f.within("max_packet_size", c.MaxPacketSize, 0, 268_435_460) // the largest MQTT packet there is
	f.within("max_connect_size", c.MaxConnectSize, 0, 268_435_460)
	f.within("send_buffer", c.SendBuffer, 0, 1<<30)
	f.within("recv_buffer", c.RecvBuffer, 0, 1<<30)
	f.within("backlog", c.Backlog, 0, 1<<20)
	f.during("connect_timeout", c.ConnectTimeout, time.Hour)
	f.during("handshake_timeout", c.HandshakeTimeout, time.Hour)
	f.within("client_processor_share", c.ClientProcessorShare, 0, 100)
	f.during("client_processor_burst", c.ClientProcessorBurst, time.Second)
	if c.ClientProcessorBurst > 0 && c.ClientProcessorShare == 0 {
		f.add("client_processor_burst", c.ClientProcessorBurst.String(), "does nothing without client_processor_share")
	}
	for _, r := range []struct {
		rate, burst       string
		perSecond, atOnce int
	}{
		{"accept_rate", "accept_burst", c.AcceptRate, c.AcceptBurst},
		{"message_rate", "message_burst", c.MessageRate, c.MessageBurst},
		{"byte_rate", "byte_burst", c.ByteRate, c.ByteBurst},
		{"client_message_rate", "client_message_burst", c.ClientMessageRate, c.ClientMessageBurst},
		{"client_byte_rate", "client_byte_burst", c.ClientByteRate, c.ClientByteBurst},
	} {
		f.within(r.rate, r.perSecond, 0, 1<<30)
		f.within(r.burst, r.atOnce, 0, 1<<30)
		if r.atOnce > 0 && r.perSecond == 0 {
			f.add(r.burst, strconv.Itoa(r.atOnce), "does nothing without "+r.rate)
		}
	}
}

// faults collects what is wrong with a configuration.
type faults struct {
	prefix string
	errs   []error
}

func (f *faults) add(name, value, want string) {
	f.errs = append(f.errs, fmt.Errorf("%s%s = %q: %s", f.prefix, name, value, want))
}

func (f *faults) within(name string, v, low, high int) {
	if v < low || v > high {
		f.errs = append(f.errs, fmt.Errorf("%s%s = %d: must be between %d and %d", f.prefix, name, v, low, high))
	}
}

func (f *faults) during(name string, v, high time.Duration) {
	if v < 0 || v > high {
		f.errs = append(f.errs, fmt.Errorf("%s%s = %s: must be between 0 and %s", f.prefix, name, v, high))
	}
}

func (f *faults) oneOf(name, v string, allowed ...string) {
	if slices.Contains(allowed, v) {
		return
	}
	names := slices.DeleteFunc(slices.Clone(allowed), func(s string) bool { return s == "" })
	f.add(name, v, "must be one of "+strings.Join(names, ", "))
}

// splitAddress parses host:port; the host may be empty for all interfaces.
func splitAddress(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, errors.New("no port")
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("the port %q is no number from 0 to 65535", text)
	}
	return host, uint16(n), nil
}

func parseMode(mode string) (uint32, error) {
	if mode == "" {
		mode = defaultMode
	}
	n, err := strconv.ParseUint(mode, 8, 32)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("mode %q", mode)
	}
	return uint32(n), nil
}
