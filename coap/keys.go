package coap

import (
	"context"

	"github.com/fairlead-iot/fairlead/core"
)

// SharedKeys is the identity source of CoAP clients that proved a shared key in their DTLS
// handshake: the key's identity is their user name. It implements core.Authenticator and
// never blocks.
type SharedKeys struct{}

var _ core.Authenticator = SharedKeys{}

// Name implements core.Authenticator.
func (SharedKeys) Name() string { return "coap.keys" }

// Authenticate implements core.Authenticator. Who shows a password, too, is asked for that.
func (SharedKeys) Authenticate(_ context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	if c.Protocol != "coap" || c.PSKIdentity == "" || c.HasPassword {
		return core.Ignore, nil, nil
	}
	return core.Allow, &core.Grant{Username: c.PSKIdentity}, nil
}
