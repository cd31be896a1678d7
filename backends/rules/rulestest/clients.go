package rulestest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

func clientCases() map[string]trial {
	return map[string]trial{
		"connected":     {connected, needs(rules.OnClientConnected)},
		"disconnected":  {disconnected, needs(rules.OnClientConnected, rules.OnClientDisconnected)},
		"again":         {connectedAgain, needs(rules.OnClientConnected, rules.OnClientDisconnected)},
		"unknown":       {unknownDisconnected, needs(rules.OnClientDisconnected)},
		"subscriptions": {subscriptions, needs(rules.OnSubscribeLookup)},
	}
}

func (b *bench) client(f rules.Function, h rules.Hook, id string) {
	b.Helper()
	b.do(b.job(f, h, id, nil))
}

func (b *bench) wantClient(id string, online bool, onlineAt, offlineAt time.Time) {
	b.Helper()
	c := b.site.Client(b.T, id)
	switch {
	case c == nil:
		b.Errorf("nothing stands about %q", id)
	case c.Online != online:
		b.Errorf("%q: online is %v, want %v", id, c.Online, online)
	case online && c.Node != "n1":
		b.Errorf("%q: node is %q, want n1", id, c.Node)
	case !c.OnlineAt.Equal(onlineAt):
		b.Errorf("%q: online_at is %s, want %s", id, c.OnlineAt, onlineAt)
	case !c.OfflineAt.Equal(offlineAt):
		b.Errorf("%q: offline_at is %s, want %s", id, c.OfflineAt, offlineAt)
	}
}

func connected(b *bench) {
	if c := b.site.Client(b.T, "c"); c != nil {
		b.Fatalf("before: %+v", c)
	}
	b.client(rules.OnClientConnected, rules.ClientConnected, "c")
	b.wantClient("c", true, b.now, time.Time{})
	if c := b.site.Client(b.T, "d"); c != nil {
		b.Errorf("another: %+v", c)
	}
}

func disconnected(b *bench) {
	at := b.now
	b.client(rules.OnClientConnected, rules.ClientConnected, "c")
	b.now = b.now.Add(5 * second)
	b.client(rules.OnClientDisconnected, rules.ClientDisconnected, "c")
	b.wantClient("c", false, at, b.now)
}

// A client that comes back is online; when it was away last may be kept.
func connectedAgain(b *bench) {
	b.client(rules.OnClientConnected, rules.ClientConnected, "c")
	b.now = b.now.Add(5 * second)
	b.client(rules.OnClientDisconnected, rules.ClientDisconnected, "c")
	b.now = b.now.Add(5 * second)
	b.client(rules.OnClientConnected, rules.ClientConnected, "c")
	c := b.site.Client(b.T, "c")
	if c == nil || !c.Online || !c.OnlineAt.Equal(b.now) || c.Node != "n1" {
		b.Errorf("back again: %+v, want online at %s", c, b.now)
	}
}

// The database may have been away when the client came.
func unknownDisconnected(b *bench) {
	b.client(rules.OnClientDisconnected, rules.ClientDisconnected, "c")
	if c := b.site.Client(b.T, "c"); c != nil && c.Online {
		b.Errorf("%+v", c)
	}
}

func subscriptions(b *bench) {
	want := []string{"$share/g/s@0", "a/+/b@2", "cmd/%c@1"}
	for _, s := range want {
		filter, qos, _ := strings.Cut(s, "@")
		b.site.Subscribe(b.T, "c", filter, qos[0]-'0')
	}
	b.site.Subscribe(b.T, "other", "x", 1)
	rule := &rules.Rule{Hook: rules.ClientConnected, Function: rules.OnSubscribeLookup}
	read := func(id string) (got []string) {
		subs, err := b.db.Subscriptions(b.context(), rule, id)
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range subs {
			got = append(got, fmt.Sprintf("%s@%d", s.Filter, s.QoS))
		}
		slices.Sort(got)
		return got
	}
	if got := read("c"); !slices.Equal(got, want) {
		b.Errorf("got %v, want %v", got, want)
	}
	if got := read("nobody"); len(got) != 0 {
		b.Errorf("nobody has %v", got)
	}
}
