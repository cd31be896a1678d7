package identity

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
)

// asked is a database that counts its questions for access rules, by query and client.
type asked struct {
	mu    sync.Mutex
	of    map[string]int
	allow string
}

func (*asked) Users(context.Context, string, *rules.Job) ([]map[string]string, error) {
	return []map[string]string{{"password": "right"}}, nil
}

func (d *asked) Access(_ context.Context, query string, j *rules.Job) ([]map[string]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of[query]++
	if query == "own ${clientid}" {
		return []map[string]string{{"allow": "1", "clientid": j.ClientID, "access": "2", "topic": "of/" + j.ClientID}}, nil
	}
	return []map[string]string{{"allow": d.allow, "access": "2", "topic": "up/%c"}}, nil
}

// take gives the questions since the last call, by query.
func (d *asked) take() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := fmt.Sprint(d.of)
	clear(d.of)
	return text
}

// Of clients that log in together what they have in common is read again once for all, and
// what is a client's own for each; at login everybody's is fresh. Each has the rights of its
// own client id all the same, and a change holds after the time and a second.
func TestRowsInCommon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &asked{of: map[string]int{}, allow: "1"}
		cfg := DefaultConfig(rules.SQLIdentities(nil))
		cfg.PasswordHash, cfg.ACLQueries = "plain", []string{"own ${clientid}", "user ${username}", "address ${peerhost}", "all"}
		s, err := New("test", cfg, d)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx, slog.New(slog.DiscardHandler)) })
		defer running.Wait()
		defer stop()
		var ids []*core.Identity
		for i := range 10 {
			c := &core.Credentials{ClientID: fmt.Sprint("c", i), Username: fmt.Sprint("user", i%2), HasUsername: true, Password: []byte("right"), HasPassword: true,
				Peer: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i / 5)}), 1)}
			v, grant, err := s.Authenticate(t.Context(), c)
			if v != core.Allow || err != nil {
				t.Fatal(v, err)
			}
			ids = append(ids, &core.Identity{ClientID: c.ClientID, Username: c.Username, Peer: c.Peer.Addr(), Grant: grant})
		}
		if got := d.take(); got != "map[address ${peerhost}:10 all:10 own ${clientid}:10 user ${username}:10]" {
			t.Errorf("at login: %s", got)
		}
		time.Sleep(90 * time.Second)
		got := d.take()
		own, user, address, all := 0, 0, 0, 0
		if n, err := fmt.Sscanf(got, "map[address ${peerhost}:%d all:%d own ${clientid}:%d user ${username}:%d]", &address, &all, &own, &user); n != 4 || err != nil {
			t.Fatal(got, err)
		}
		if most := cfg.Readers; own != 10 || user > 2*most || address > 2*most || all > most {
			t.Errorf("read again: %s, by %d readers", got, most)
		}
		for _, id := range ids {
			for topic, want := range map[string]core.Verdict{"up/" + id.ClientID: core.Allow, "of/" + id.ClientID: core.Allow, "up/other": core.Ignore, "of/c": core.Ignore} {
				if v, err := s.Authorize(id, core.ActionPublish, topic); v != want || err != nil {
					t.Errorf("%s, %s: %v %v, want %v", id.ClientID, topic, v, err, want)
				}
			}
		}
		d.mu.Lock()
		d.allow = "0"
		d.mu.Unlock()
		time.Sleep(cfg.Refresh + time.Second)
		for _, id := range ids {
			if v, _ := s.Authorize(id, core.ActionPublish, "up/"+id.ClientID); v != core.Deny {
				t.Errorf("%s after the change: %v", id.ClientID, v)
			}
		}
	})
}

// However many there are who share nothing, what is remembered is bounded.
func TestSharedIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	s := newShared(time.Minute, func() time.Time { return now })
	d := &asked{of: map[string]int{}, allow: "1"}
	for i := range 3 * maxShared {
		now = now.Add(time.Millisecond / 2)
		if _, err := s.ask(t.Context(), d, "user ${username}", &rules.Job{Username: fmt.Sprint(i)}, false); err != nil {
			t.Fatal(err)
		}
		if len(s.rows) > maxShared {
			t.Fatalf("%d are remembered", len(s.rows))
		}
	}
	if n := d.of["user ${username}"]; n != 3*maxShared {
		t.Errorf("asked %d times", n)
	}
}
