package mqttsn

import (
	"context"
	"net/netip"

	"github.com/fairlead-iot/fairlead/core"
)

// known is a client that has a clean session, kept one whose session lasts.
const (
	clean = `
		a > 04 04 01 003c "c1"
		a < 05 00`
	kept = `
		a > 04 00 01 003c "c1"
		a < 05 00`
)

// deny lets nobody have to do with the topic "no".
func deny(u *setup) { u.core.Authorizers = []core.Authorizer{notNo{}} }

type notNo struct{}

func (notNo) Name() string { return "not no" }
func (notNo) Authorize(_ *core.Identity, _ core.Action, topic string) (core.Verdict, error) {
	if topic == "no" {
		return core.Deny, nil
	}
	return core.Allow, nil
}
func (notNo) Covers(*core.Identity, string) core.Verdict { return core.Ignore }
func (notNo) Version() uint64                            { return 1 }

func discoveryScenes() []scene {
	return []scene{
		{name: "SN-6.1-2 SN-5.4.3-1 a search is answered at once and leaves nothing behind", script: `
			a > 01 00
			a < 02 01
			a unknown`},
		{name: "SN-6.1-2 a client may search while it is connected", script: clean + `
			a > 01 03
			a < 02 01`},
		{name: "SN-6.1-3 what gateways tell each other is nobody's business", script: `
			a > 00 01 0384
			a > 02 07
			a <
			a unknown`},
		{name: "SN-5.2.2-1 SN-5.2.1-2 nonsense is not answered", script: `
			a raw ff
			a raw 00 00
			a > 03
			a > 11 00
			a raw 07 0c 00 0007
			a <
			a unknown`},
	}
}

func connectScenes() []scene {
	return []scene{
		{name: "SN-5.4.4-1 SN-5.4.5-1 SN-6.2-4 CONNECT", script: clean + `
			a known`},
		{name: "SN-5.3.8-1 SN-5.4.5-2 another protocol id is not supported", script: `
			a > 04 04 02 003c "c1"
			a < 05 03
			a unknown`},
		{name: "SN-5.3.1-1 a client id has 1 to 23 characters", script: `
			a > 04 04 01 003c "12345678901234567890123"
			a < 05 00
			b > 04 04 01 003c "123456789012345678901234"
			b < 05 03
			b unknown
			c > 04 04 01 003c
			c < 05 03
			c unknown`},
		{name: "SN-5.3.1-2 longer client ids where the configuration allows them", set: func(u *setup) { u.cfg.MaxClientIDLength = 64 }, script: `
			a > 04 04 01 003c "123456789012345678901234"
			a < 05 00`},
		{name: "SN-5.3.10-2 a full gateway answers congestion", set: func(u *setup) { u.core.Config.MaxSessions = 1 }, script: `
			a > 04 04 01 003c "c1"
			a < 05 01
			a unknown`},
		{name: "SN-5.4.5-2 who may not connect is told so", set: func(u *setup) { strangersOut(u) }, script: `
			a > 04 04 01 003c "c1"
			a < 05 03
			a unknown`},
		{name: "SN-6.2-4 a CONNECT that was sent again is answered again", script: clean + `
			a > 04 04 01 003c "c1"
			a < 05 00`},
		{name: "SN-6.3-1 SN-6.3-2 a clean session forgets its subscriptions", script: kept + `
			a > 12 20 0001 "aaa"
			a < 13 20 0001 0001 00
			a > 18
			a < 18
			a > 04 04 01 003c "c1"
			a < 05 00
			send aaa 1 lost
			a <`},
		{name: "SN-6.3-3 SN-6.10-2 a session goes on, and its topics are told anew", script: kept + `
			a > 12 20 0001 "aaa"
			a < 13 20 0001 0001 00
			a > 18
			a < 18
			send aaa 1 kept
			a > 04 00 01 003c "c1"
			a < 05 00 ; 0a 0001 $r "aaa"
			a > 0b 0001 $r 00
			a < 0c 20 0001 $m "kept"
			a > 0d 0001 $m 00`},
		{name: "SN-6.14-7 SN-6.2-4 a client that was started anew is connected anew, without its Will", script: `
			a > 04 08 01 003c "c1"
			a < 06
			a > 07 00 "will"
			a < 08
			a > 09 "x"
			a < 05 00
			a > 16
			a < 17
			a > 04 00 01 003c "c1"
			a < 05 00
			a > 16
			a < 17
			seen`},
		{name: "SN-6.2-4 another client at the same address: the first is lost", script: `
			a > 04 08 01 003c "c1"
			a < 06
			a > 07 00 "will"
			a < 08
			a > 09 "x"
			a < 05 00
			a > 04 04 01 003c "c2"
			a < 05 00
			seen will=x`},
		{name: "SN-0-3 a takeover by the same client id ends the connection of another address", script: clean + `
			b > 04 04 01 003c "c1"
			b < 05 00
			a < 18
			a unknown`},
		{name: "SN-0-4 a token in the client id is user name and password", set: func(u *setup) {
			u.cfg.TokenSeparator = ":"
			u.core.Authenticators = []core.Authenticator{oneUser{}}
			strangersOut(u)
		}, script: `
			a > 04 04 01 003c "pump:secret"
			a < 05 00
			b > 04 04 01 003c "pump:guess"
			b < 05 03
			c > 04 04 01 003c "pump"
			c < 05 03`},
		{name: "SN-0-5 a rule of client id and network lets clients in", set: func(u *setup) {
			u.cfg.Clients = []ClientRule{
				{ClientID: "s-*", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
				{ClientID: "t-*", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
			}
			u.core.Authenticators = []core.Authenticator{NewIdentities(*u.cfg)}
			strangersOut(u)
		}, script: `
			a > 04 04 01 003c "s-1"
			a < 05 00
			b > 04 04 01 003c "t-1"
			b < 05 03
			c > 04 04 01 003c "u-1"
			c < 05 03`},
	}
}

const (
	willAsked = `
			a > 04 08 01 003c "c1"
			a < 06
			a > 07 10 "will"
			a < 08
			a > 09 "gone"
			a < 05 00`
	willLost = `
			wait 91s
			a unknown`
)

func willScenes() []scene {
	return []scene{
		{name: "SN-6.2-1 SN-6.2-2 SN-6.2-3 SN-6.11-4 prompted for its Will, which goes out when the client is lost", script: willAsked + willLost + `
			seen will=gone`},
		{name: "SN-6.12-3 a client that leaves has no Will", script: willAsked + `
			a > 18
			a < 18
			a unknown
			wait 120s
			seen`},
		{name: "SN-6.2-5 an empty WILLTOPIC is no Will", script: `
			a > 04 0c 01 003c "c1"
			a < 06
			a > 07
			a < 05 00` + willLost + `
			seen`},
		{name: "SN-6.3-4 without the Will flag the stored Will holds on", script: willAsked + `
			a > 18
			a < 18
			a > 04 00 01 003c "c1"
			a < 05 00` + willLost + `
			seen will=gone
			a > 04 00 01 003c "c1"
			a < 05 00` + willLost + `
			seen will=gone`},
		{name: "SN-6.3-4 after a restart, too", script: willAsked + `
			a > 18
			a < 18
			restart
			a > 04 00 01 003c "c1"
			a < 05 00` + willLost + `
			seen will=gone`},
		{name: "SN-6.3-5 with the Will flag the new one takes its place", script: willAsked + `
			a > 18
			a < 18
			a > 04 08 01 003c "c1"
			a < 06
			a > 07 00 "other"
			a < 08
			a > 09 "x"
			a < 05 00` + willLost + `
			seen other=x`},
		{name: "SN-6.3-1 a clean session drops the stored Will", script: willAsked + `
			a > 18
			a < 18
			a > 04 04 01 003c "c1"
			a < 05 00
			a > 18
			a < 18
			a > 04 00 01 003c "c1"
			a < 05 00` + willLost + `
			seen`},
		{name: "SN-6.3-2 a clean session with a Will has that one", script: willAsked + `
			a > 18
			a < 18
			a > 04 0c 01 003c "c1"
			a < 06
			a > 07 00 "new"
			a < 08
			a > 09 "x"
			a < 05 00` + willLost + `
			seen new=x`},
		{name: "SN-6.4-1 SN-6.4-2 SN-6.4-4 topic and message are updated apart", script: willAsked + `
			a > 1a 00 "other"
			a < 1b 00
			a > 1c "words"
			a < 1d 00` + willLost + `
			seen other=words`},
		{name: "SN-6.4-2 the topic alone", script: willAsked + `
			a > 1a 00 "other"
			a < 1b 00` + willLost + `
			seen other=gone`},
		{name: "SN-6.4-2 the message alone", script: willAsked + `
			a > 1c "words"
			a < 1d 00` + willLost + `
			seen will=words`},
		{name: "SN-6.4-3 an empty WILLTOPICUPD deletes topic and message", script: willAsked + `
			a > 1a
			a < 1b 00
			a > 1c "words"
			a < 1d 03` + willLost + `
			seen`},
		{name: "SN-6.4-4 a Will that is not allowed is refused", set: deny, script: willAsked + `
			a > 1a 00 "no"
			a < 1b 03
			a > 1a 00 "a/#"
			a < 1b 03` + willLost + `
			seen will=gone`},
		{name: "SN-6.2-1 a Will that is not allowed refuses the connection", set: deny, script: `
			a > 04 0c 01 003c "c1"
			a < 06
			a > 07 00 "no"
			a < 08
			a > 09 "x"
			a < 05 03
			a unknown
			b > 04 0c 01 003c "c2"
			b < 06
			b > 07 00 "a/+"
			b < 05 03
			b unknown`},
		{name: "SN-6.13-1 prompts are sent again, then the client is given up", script: `
			a > 04 0c 01 003c "c1"
			a < 06
			wait 10s
			a < 06
			a > 07 00 "w"
			a < 08
			a > 07 00 "w"
			a < 08
			wait 35s
			a < 08 ; 08 ; 08
			wait 10s
			a unknown`},
	}
}

// oneUser knows pump with its secret.
type oneUser struct{}

func presenceScenes() []scene {
	return []scene{
		{name: "SN-6.11-2 SN-5.4.20-1 PINGREQ of an active client", script: clean + `
			a > 16
			a < 17
			a > 16 "c1"
			a < 17`},
		{name: "SN-6.11-1 SN-6.11-4 SN-7.2-2 a minute has half a minute's grace, and any message counts", script: clean + `
			wait 89s
			a known
			a > 16
			a < 17
			wait 89s
			a known
			wait 2s
			a unknown`},
		{name: "SN-7.2-2 above a minute a tenth", script: `
			a > 04 04 01 0064 "c1"
			a < 05 00
			wait 109s
			a known
			wait 2s
			a unknown`},
		{name: "SN-6.11-1 without a keep alive nobody is watched", script: `
			a > 04 04 01 0000 "c1"
			a < 05 00
			wait 24h
			a known`},
		{name: "SN-6.11-3 PINGRESP of a client keeps it", script: clean + `
			wait 80s
			a > 17
			wait 80s
			a known`},
		{name: "SN-6.12-1 SN-6.12-2 DISCONNECT is answered", script: clean + `
			a > 18
			a < 18
			a unknown`},
		{name: "SN-6.12-4 who is not connected is told to connect", script: `
			a > 0c 00 0007 0000 "x"
			a < 18
			a > 12 00 0001 "a"
			a < 18
			a > 0a 0000 0001 "a"
			a < 18
			a > 16
			a < 18
			a unknown`},
		{name: "SN-6.12-5 SN-0-6 answers and goodbyes of strangers are not answered", script: `
			a > 18
			a > 0d 0001 0001 00
			a > 0b 0001 0001 00
			a > 0f 0001
			a > 0e 0001
			a > 05 00
			a > 13 00 0001 0001 00
			a > 17
			a <
			a unknown`},
		{name: "SN-0-3 spoofed from another address: no DISCONNECT, no PUBLISH", script: clean + `
			a > 0a 0000 0001 "aaa"
			a < 0b 0001 0001 00
			x > 18
			x > 0c 00 0001 0000 "evil"
			x < 18
			seen
			a > 16
			a < 17`},
		{name: "SN-6.12-4 the gateway ends: clients are told", script: clean + `
			stop
			a < 18
			a unknown`},
	}
}

func (oneUser) Name() string { return "one user" }

func (oneUser) Authenticate(_ context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	if !c.HasPassword {
		return core.Ignore, nil, nil
	}
	if c.Username == "pump" && string(c.Password) == "secret" {
		return core.Allow, &core.Grant{Username: "pump"}, nil
	}
	return core.Deny, nil, nil
}

// strangersOut lets nobody connect without credentials but the scene's own watcher.
func strangersOut(u *setup) {
	u.core.Anonymous = func(c *core.Credentials) bool { return c.Protocol != "mqttsn" }
}
