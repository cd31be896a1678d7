package fairlead

import (
	"cmp"
	"context"
	"crypto/x509"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// certificateSource takes the names of clients from their certificates, which the
// edge has verified. It knows nothing of clients that showed none.
type certificateSource struct {
	listeners map[string]*protocols.ListenerConfig
}

var _ core.Authenticator = (*certificateSource)(nil)

// certificates gives the source, or nil where no listener names clients so.
func certificates(listeners map[string]*protocols.ListenerConfig) *certificateSource {
	for _, l := range listeners {
		if l.TLS.Identity+l.TLS.ClientID != "" {
			return &certificateSource{listeners}
		}
	}
	return nil
}

// Name implements core.Authenticator.
func (s *certificateSource) Name() string { return "certificates" }

// Authenticate implements core.Authenticator.
func (s *certificateSource) Authenticate(_ context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	l := s.listeners[c.Listener]
	if l == nil || c.Certificate == nil || l.TLS.Identity+l.TLS.ClientID == "" {
		return core.Ignore, nil, nil
	}
	user, ok := nameIn(c.Certificate, l.TLS.Identity)
	id, bound := nameIn(c.Certificate, l.TLS.ClientID)
	if !ok || !bound {
		return core.Deny, nil, nil // the edge has refused such a certificate and said why
	}
	// Never what the client says it is called.
	return core.Allow, &core.Grant{Username: cmp.Or(user, id), ClientID: id}, nil
}

// nameIn is the certificate's field, "" for none; false if it should be there and
// is not.
func nameIn(c *x509.Certificate, field string) (string, bool) {
	if field == "" {
		return "", true
	}
	name, err := protocols.CertificateName(c, field)
	return name, err == nil
}
