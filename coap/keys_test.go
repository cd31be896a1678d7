package coap

import (
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
)

// TestSharedKeys: the identity of a key is user and client, unless the client names itself.
func TestSharedKeys(t *testing.T) {
	for _, c := range []struct{ line, identity, client, user string }{
		{"CON PUT 1 /ps/t 'x'", "meter", "meter", "meter"},
		{"CON PUT 1 /ps/t?c=other 'x'", "meter", "other", "meter"},
		{"CON PUT 1 /ps/t?c=other 'x'", "", "", ""},
		{"CON PUT 1 /ps/t?c=other&u=ann&p=wrong 'x'", "meter", "", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			gw := coretest.Start(t, nil, func(o *core.Options) {
				o.Authenticators, o.Anonymous = []core.Authenticator{SharedKeys{}, people{}}, nil
			})
			e := &end{t: t, gw: gw, adapter: New(DefaultConfig(), gw.Gateway), turn: gw.NewTurn(),
				info: &protocols.ConnInfo{Peer: port(1), Secure: true, PSKIdentity: c.identity}}
			e.send(build(t, c.line))
			synctest.Wait()
			answer := e.take()
			info, ok := gw.Client(c.client)
			if ok != (c.client != "") || info.Username != c.user {
				t.Errorf("%s by %q: %v, user %q; answered %s", c.line, c.identity, ok, info.Username, show(answer))
			}
			e.lose()
		})
	}
}
