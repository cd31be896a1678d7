package aclfile

import (
	"net/netip"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

const example = `
allow user sensor-7                       publish   sensors/%u/#
allow all                                 subscribe announcements/+
deny  client test-*                       pubsub    live/#
allow address 10.0.0.0/8 and user *       pubsub    live/#
allow address fd00::/8                    publish   six
allow address none and listener unix      pubsub    local/#
allow anonymous                           publish   inbox/%c
allow user admin                          subscribe $SYS/#
deny  user eve                            subscribe news/secret/#
deny  all                                 subscribe eq # eq +/#
allow user eve                            subscribe news/#
allow user admin                          pubsub    #
`

// who makes an identity.
func who(user, client, peer string) *core.Identity {
	id := &core.Identity{Username: user, ClientID: client, Listener: "mqtt"}
	if peer != "" {
		id.Peer = netip.MustParseAddr(peer)
	}
	return id
}

func TestDecide(t *testing.T) {
	r := mustParse(t, example)
	const pub, sub, dlv = core.ActionPublish, core.ActionSubscribe, core.ActionDeliver
	local := who("", "x", "")
	local.Listener = "unix"
	tests := []struct {
		name   string
		id     *core.Identity
		action core.Action
		topic  string
		want   core.Verdict
	}{
		{"own topic", who("sensor-7", "c", ""), pub, "sensors/sensor-7/t", core.Allow},
		{"own topic without a level below", who("sensor-7", "c", ""), pub, "sensors/sensor-7", core.Allow},
		{"another's topic", who("sensor-7", "c", ""), pub, "sensors/sensor-8/t", core.Ignore},
		{"another user", who("sensor-8", "c", ""), pub, "sensors/sensor-8/t", core.Ignore},
		{"publish right does not subscribe", who("sensor-7", "c", ""), sub, "sensors/sensor-7/t", core.Ignore},
		{"subscribe the rule's filter", who("", "c", ""), sub, "announcements/+", core.Allow},
		{"subscribe inside it", who("", "c", ""), sub, "announcements/a", core.Allow},
		{"subscribe beyond it", who("", "c", ""), sub, "announcements/#", core.Ignore},
		{"deliver inside it", who("", "c", ""), dlv, "announcements/a", core.Allow},
		{"deliver beyond it", who("", "c", ""), dlv, "announcements/a/b", core.Ignore},
		{"first match wins", who("bob", "test-1", "10.1.2.3"), pub, "live/x", core.Deny},
		{"prefix does not reach", who("bob", "tes", "10.1.2.3"), pub, "live/x", core.Allow},
		{"outside the network", who("bob", "c", "11.1.2.3"), pub, "live/x", core.Ignore},
		{"IPv4 as IPv6", who("bob", "c", "::ffff:10.1.2.3"), pub, "live/x", core.Allow},
		{"both clauses must hold", who("", "c", "10.1.2.3"), pub, "live/x", core.Ignore},
		{"IPv6 with a zone", who("", "c", "fd00::1%eth0"), pub, "six", core.Allow},
		{"no address is in no network", who("", "c", ""), pub, "six", core.Ignore},
		{"unix socket", local, pub, "local/x", core.Allow},
		{"no address elsewhere", who("", "c", ""), pub, "local/x", core.Ignore},
		{"address at the unix listener", &core.Identity{Listener: "unix", Peer: netip.MustParseAddr("10.0.0.1")}, pub, "local/x", core.Ignore},
		{"anonymous", who("", "c7", ""), pub, "inbox/c7", core.Allow},
		{"anonymous is not a user", who("bob", "c7", ""), pub, "inbox/c7", core.Ignore},
		{"ClientID with a slash", who("", "a/b", ""), pub, "inbox/a/b", core.Ignore},
		{"ClientID with a wildcard", who("", "+", ""), pub, "inbox/+", core.Ignore},
		{"empty ClientID", who("", "", ""), pub, "inbox/", core.Ignore},
		{"$SYS for admin", who("admin", "c", ""), sub, "$SYS/#", core.Allow},
		{"$SYS for admin, a part", who("admin", "c", ""), sub, "$SYS/+/x", core.Allow},
		{"$SYS for others", who("bob", "c", ""), sub, "$SYS/#", core.Ignore},
		{"# is not $SYS", who("admin", "c", ""), pub, "$SYS/x", core.Ignore},
		{"eq", who("admin", "c", ""), sub, "#", core.Deny},
		{"second eq", who("admin", "c", ""), sub, "+/#", core.Deny},
		{"eq is about the text", who("admin", "c", ""), sub, "a/#", core.Allow},
		{"eq is not about topics", who("admin", "c", ""), dlv, "a/b", core.Allow},
		{"deny inside", who("eve", "c", ""), sub, "news/secret/+", core.Deny},
		{"deny overlaps", who("eve", "c", ""), sub, "news/#", core.Allow},
		{"deliver beside the deny", who("eve", "c", ""), dlv, "news/x", core.Allow},
		{"deliver in the deny", who("eve", "c", ""), dlv, "news/secret/x", core.Deny},
		{"unknown action", who("admin", "c", ""), core.Action(9), "a", core.Deny},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := r.Authorize(tt.id, tt.action, tt.topic); got != tt.want {
				t.Errorf("Authorize = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	r := mustParse(t, `deny  user eve subscribe news/secret/#
deny  all subscribe eq #
allow all subscribe news/#
deny  all subscribe mixed/a
allow all subscribe mixed/a mixed/b
allow all subscribe own/%u/#
deny  all subscribe later/#
allow all subscribe later/#
allow user admin subscribe #`)
	tests := []struct {
		name, user, filter string
		want               core.Verdict
	}{
		{"no deny in the way", "bob", "news/#", core.Allow},
		{"a deny overlaps", "eve", "news/#", core.Ignore},
		{"a deny overlaps a wildcard", "eve", "news/+/x", core.Ignore},
		{"no deny overlaps", "eve", "news/public/#", core.Allow},
		{"denied as a whole", "eve", "news/secret/x", core.Deny},
		{"no rule", "bob", "other/#", core.Ignore},
		{"rule for a part", "bob", "mixed/+", core.Ignore},
		{"own", "bob", "own/bob/#", core.Allow},
		{"another's", "bob", "own/eve/#", core.Ignore},
		{"everybody's", "bob", "own/+/#", core.Ignore},
		{"deny first", "bob", "later/x", core.Deny},
		{"eq", "admin", "#", core.Deny},
		{"the same in other words", "admin", "+/#", core.Ignore},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := r.Covers(who(tt.user, "c", ""), tt.filter); got != tt.want {
				t.Errorf("Covers = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestDefault is the promise of a fresh start, by action and by who asks.
func TestDefault(t *testing.T) {
	r := Default()
	unix := who("", "c", "")
	unix.Listener = "unix"
	posing := who("", "c", "192.0.2.1")
	posing.Listener = "unix"
	tests := []struct {
		name     string
		id       *core.Identity
		all, sys core.Verdict // on "a/b" or "#", on "$SYS/x" or "$SYS/#" for reading
	}{
		{"loopback", who("", "c", "127.0.0.1"), core.Allow, core.Allow},
		{"loopback, another of its addresses", who("", "c", "127.9.9.9"), core.Allow, core.Allow},
		{"IPv6 loopback", who("", "c", "::1"), core.Allow, core.Allow},
		{"IPv4 loopback as IPv6", who("", "c", "::ffff:127.0.0.1"), core.Allow, core.Allow},
		{"unix socket", unix, core.Allow, core.Allow},
		{"a network listener that is called unix", posing, core.Ignore, core.Ignore},
		{"a user from elsewhere", who("bob", "c", "192.0.2.1"), core.Allow, core.Ignore},
		{"nobody from elsewhere", who("", "c", "192.0.2.1"), core.Ignore, core.Ignore},
		{"nobody from nowhere", who("", "c", ""), core.Ignore, core.Ignore},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ask := func(a core.Action, topic string, want core.Verdict) {
				t.Helper()
				if got := r.Authorize(tt.id, a, topic); got != want {
					t.Errorf("action %d on %s: %v, want %v", a, topic, got, want)
				}
			}
			ask(core.ActionPublish, "a/b", tt.all)
			ask(core.ActionSubscribe, "#", tt.all)
			ask(core.ActionDeliver, "a/b", tt.all)
			ask(core.ActionSubscribe, "$SYS/#", tt.sys)
			ask(core.ActionDeliver, "$SYS/x", tt.sys)
			ask(core.ActionPublish, "$SYS/x", core.Ignore)
			ask(core.ActionSubscribe, "$other/#", core.Ignore)
			if got := r.Covers(tt.id, "#"); got != tt.all {
				t.Errorf("Covers # = %v, want %v", got, tt.all)
			}
		})
	}
	if r.Warnings() != nil {
		t.Errorf("warnings: %v", r.Warnings())
	}
}

func TestDecideNamesTheLine(t *testing.T) {
	r := mustParse(t, "# one\nallow user a publish x\n\nallow client c publish x\nallow all publish x y\n")
	for _, tt := range []struct {
		user, client, topic string
		want                int
	}{{"a", "c", "x", 2}, {"b", "c", "x", 4}, {"b", "d", "x", 5}, {"a", "c", "y", 5}, {"a", "c", "z", 0}} {
		if _, line := r.Decide(who(tt.user, tt.client, ""), core.ActionPublish, tt.topic); line != tt.want {
			t.Errorf("%+v: decided by line %d", tt, line)
		}
	}
}
