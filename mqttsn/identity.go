package mqttsn

import (
	"context"
	"net/netip"
	"path"
	"strings"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// MQTT-SN 1.2 has neither user name nor password. A client is known by what DTLS proved
// (a certificate, a PSK identity), by a token in its client id, or by a rule for its client
// id and network.

// credentials are what a client shows that calls itself id. Nothing of id is kept.
func (a *Adapter) credentials(info *protocols.ConnInfo, id []byte) core.Credentials {
	c := core.Credentials{ClientID: string(id), Listener: listenerName(info), Protocol: "mqttsn", Peer: info.Peer, PSKIdentity: info.PSKIdentity}
	if sep := a.cfg.TokenSeparator; sep != "" {
		if name, token, ok := strings.Cut(c.ClientID, sep); ok {
			c.ClientID, c.Username, c.HasUsername = name, name, true
			c.Password, c.HasPassword = []byte(token), true
		}
	}
	if t := info.TLS; t != nil && len(t.VerifiedChains) > 0 && len(t.PeerCertificates) > 0 {
		c.Certificate = t.PeerCertificates[0]
	}
	return c
}

// proven says whether something else than its address tells who a client is, so that it
// may come from any. [SN-6.14-9]
func (a *Adapter) proven(info *protocols.ConnInfo, c *core.Credentials) bool {
	return info.Secure || c.HasPassword || info.Listener != nil && info.Listener.Config().AddressChange
}

func listenerName(info *protocols.ConnInfo) string {
	if info.Listener == nil {
		return ""
	}
	return info.Listener.Name()
}

// Identities is the identity source of clients of MQTT-SN: rules of client id and network,
// and what DTLS proved. It implements core.Authenticator and never blocks.
type Identities struct{ rules []ClientRule }

var _ core.Authenticator = (*Identities)(nil)

// NewIdentities makes the source of cfg's rules.
func NewIdentities(cfg Config) *Identities { return &Identities{rules: cfg.Clients} }

// Name implements core.Authenticator.
func (s *Identities) Name() string { return "mqttsn.clients" }

// Authenticate implements core.Authenticator. A PSK identity that was proven is the user
// name. A client id that a rule names is denied elsewhere than in the rule's networks.
func (s *Identities) Authenticate(_ context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	if c.Protocol != "mqttsn" || c.HasPassword || c.Certificate != nil {
		return core.Ignore, nil, nil
	}
	if c.PSKIdentity != "" {
		return core.Allow, &core.Grant{Username: c.PSKIdentity}, nil
	}
	for i := range s.rules {
		r := &s.rules[i]
		if ok, _ := path.Match(r.ClientID, c.ClientID); !ok {
			continue
		}
		if !within(r.Networks, c.Peer.Addr()) {
			return core.Deny, nil, nil
		}
		user := r.Username
		if user == "" {
			user = c.ClientID
		}
		return core.Allow, &core.Grant{Username: user, ClientID: c.ClientID}, nil
	}
	return core.Ignore, nil, nil
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap()
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
