package fairlead

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"

	"github.com/fairlead-iot/fairlead/coap"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn"
	"github.com/fairlead-iot/fairlead/protocols"
)

// authenticators is the table of identity sources, in the order of asking: first what
// handshakes and networks prove, then those that passwords and tokens are shown to.
// databases are those of the section [backends].
func (g *Gateway) authenticators(databases []core.Authenticator) []core.Authenticator {
	var out []core.Authenticator // without any, a user name is a claim that nobody checks
	if s := certificates(g.cfg.edge().Listeners); s != nil {
		out = append(out, s)
	}
	if len(g.cfg.MQTTSN.Clients) > 0 || g.cfg.sharesKeys() {
		out = append(out, mqttsn.NewIdentities(g.cfg.MQTTSN))
	}
	for _, l := range g.cfg.edge().Listeners {
		if l.Protocol == "coap" && l.Transport == protocols.DTLS {
			out = append(out, coap.SharedKeys{})
			break
		}
	}
	shown := slices.Clone(databases)
	if g.users != nil {
		shown = append(shown, g.users)
	}
	for _, s := range g.sources {
		shown = append(shown, s)
	}
	return append(out, g.cfg.Auth.inOrder(shown)...)
}

// sharesKeys tells whether MQTT-SN clients may prove who they are by a shared key.
func (c *Config) sharesKeys() bool {
	for _, l := range c.edge().Listeners {
		if l.Protocol == "mqttsn" && l.Transport == protocols.DTLS {
			return true
		}
	}
	return false
}

// exchangers is the table of methods of enhanced authentication.
func (g *Gateway) exchangers() []core.Exchanger {
	if g.users == nil {
		return nil
	}
	var out []core.Exchanger
	for _, name := range g.cfg.Auth.Methods {
		if h, ok := scramHash(name); ok {
			out = append(out, core.NewScram(h, g.users))
		}
	}
	return out
}

// scramHash is the hash of a method's name.
func scramHash(name string) (core.ScramHash, bool) {
	for _, h := range []core.ScramHash{core.ScramSHA256, core.ScramSHA512} {
		if h.Method() == name {
			return h, true
		}
	}
	return 0, false
}

// authorizers is the table of access rules, in the order of asking: what a source has
// granted to those whom it let in goes before the file, which has an answer to everything.
func (g *Gateway) authorizers(databases []core.Authorizer) []core.Authorizer {
	out := slices.Clone(databases)
	for _, s := range g.sources {
		out = append(out, s)
	}
	return append(out, g.rules)
}

// anonymous decides who may connect without credentials.
func anonymous(policy string, listeners map[string]*protocols.ListenerConfig) func(*core.Credentials) bool {
	return func(c *core.Credentials) bool {
		l := listeners[c.Listener]
		switch {
		case l == nil:
			return false
		case l.AllowAnonymous != nil:
			return *l.AllowAnonymous
		case policy == AnonymousAlways:
			return true
		case policy == AnonymousLoopback:
			return l.Loopback() && ofThisMachine(c.Peer, l)
		}
		return false
	}
}

// ofThisMachine: over IP from loopback, over a unix socket without a proxy. The
// peer of a proxied client is the one that the proxy names.
func ofThisMachine(peer netip.AddrPort, l *protocols.ListenerConfig) bool {
	if !peer.IsValid() {
		return l.Transport == protocols.Unix && l.ProxyProtocol != "on"
	}
	return peer.Addr().Unmap().IsLoopback()
}

// checkCertificates reads what the listeners of TLS and DTLS name, so that a fault is told
// before anything is opened. The edge reads them again.
func checkCertificates(edge protocols.Config) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(edge.Listeners)) {
		l := edge.Listeners[name]
		if err := l.DTLS.CheckFiles(); err != nil {
			errs = append(errs, fmt.Errorf("listeners.%s.%w", name, err))
		}
		if !l.HasCertificate() {
			continue
		}
		if err := checkPair(&l.TLS); err != nil {
			errs = append(errs, fmt.Errorf("listeners.%s.tls.%w", name, err))
		} else if err := l.TLS.CheckFiles(); err != nil {
			errs = append(errs, fmt.Errorf("listeners.%s.%w", name, err))
		}
	}
	return errors.Join(errs...)
}

func checkPair(c *protocols.TLSConfig) error {
	if _, err := os.ReadFile(c.KeyFile); err != nil {
		return fmt.Errorf("key_file: %w; it must name the private key in PEM, readable by this user", err)
	}
	if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
		return fmt.Errorf("cert_file: %q does not go with the key %q: %w", c.CertFile, c.KeyFile, err)
	}
	return nil
}

// Warnings are what is doubtful about the configuration without being wrong, one
// line each: weak hashes, files that everyone may read, doors that stand open.
func (g *Gateway) Warnings() []string {
	var out []string
	if g.users != nil {
		out = append(out, g.users.Warnings()...)
	}
	out = append(out, g.rules.Warnings()...)
	out = append(out, g.sourceWarnings()...)
	edge := g.cfg.edge()
	may := anonymous(g.cfg.Auth.AllowAnonymous, edge.Listeners)
	stranger := netip.MustParseAddrPort("192.0.2.1:1")
	named := g.users != nil || len(g.sources) > 0 || g.cfg.Backends.identify()
	for _, name := range slices.Sorted(maps.Keys(edge.Listeners)) {
		l := edge.Listeners[name]
		open := may(&core.Credentials{Listener: name, Peer: stranger})
		plain := l.Transport == protocols.TCP || l.Transport == protocols.WebSocket || l.Transport == protocols.UDP && g.cfg.MQTTSN.TokenSeparator != ""
		switch {
		case l.Loopback():
		case open && g.cfg.Auth.ACLFile != "":
			out = append(out, fmt.Sprintf("listener %q lets anyone connect without credentials to %s", name, l.Address))
		case open:
			out = append(out, fmt.Sprintf("listener %q lets anyone connect, but without auth.acl_file anonymous clients of other machines may neither publish nor subscribe", name))
		case !named && g.cfg.proves(l): // and where nobody has a password, none is read on the way
		case !named:
			out = append(out, fmt.Sprintf("listener %q is open to the network, but there are no users: nobody from another machine can connect; make some with fairlead passwd and name the file in auth.passwd_file", name))
		case plain:
			out = append(out, fmt.Sprintf("listener %q takes passwords over %s without TLS or DTLS; anyone on the way can read them", name, l.Address))
		}
	}
	return out
}

// proves tells whether clients of l can show who they are without a password or a token:
// by a certificate that names them, by a shared key, or by the network they come from.
func (c *Config) proves(l *protocols.ListenerConfig) bool {
	switch {
	case l.TLS.Identity+l.TLS.ClientID != "":
		return true
	case l.Protocol != "mqttsn" && l.Protocol != "coap":
		return false
	case l.Transport == protocols.DTLS && (l.DTLS.PSKFile != "" || l.DTLS.PSK != nil):
		return true
	}
	return l.Protocol == "mqttsn" && len(c.MQTTSN.Clients) > 0
}
