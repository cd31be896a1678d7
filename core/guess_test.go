package core_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// slowSource takes a second for each password, and remembers who was right.
type slowSource struct {
	asked atomic.Int64
	known sync.Map // user names
}

func (s *slowSource) Name() string { return "slow" }

func (s *slowSource) Authenticate(_ context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	s.asked.Add(1)
	time.Sleep(time.Second)
	if string(c.Password) != "right" {
		return core.Deny, nil, nil
	}
	s.known.Store(c.Username, true)
	return core.Allow, &core.Grant{Username: c.Username}, nil
}

func (s *slowSource) Recall(c *core.Credentials) *core.Grant {
	if _, ok := s.known.Load(c.Username); !ok || string(c.Password) != "right" {
		return nil
	}
	return &core.Grant{Username: c.Username}
}

// guessConn is a connection from an address of its own.
type guessConn struct {
	from   string
	answer chan *core.ConnectResult
}

func (c *guessConn) Wake(*core.Turn)            {}
func (c *guessConn) Close(core.Reason)          {}
func (c *guessConn) Peer() netip.AddrPort       { return netip.MustParseAddrPort(c.from + ":1") }
func (c *guessConn) Complete(d core.Completion) { c.answer <- d.Connect }

// knock asks for entry with a password; the answer comes on the channel.
func knock(g *coretest.Gateway, id, from, password string) (*core.ConnectRequest, chan *core.ConnectResult) {
	c := &guessConn{from: from, answer: make(chan *core.ConnectResult, 1)}
	r := &core.ConnectRequest{Conn: c, Protocol: "mqtt", Version: 5, CleanStart: true,
		Credentials: core.Credentials{ClientID: id, Username: "alice", HasUsername: true, Password: []byte(password), HasPassword: true}}
	g.T.Begin(time.Now())
	if res, pending := g.Gateway.Connect(g.T, r); !pending {
		c.answer <- res
	}
	g.T.End()
	return r, c.answer
}

// TestGuessersWaitBehindThemselves: who guesses from one address keeps nobody of
// another one waiting for more than what is under way, nobody at all who was let in
// before, and those who have left cost no work.
func TestGuessersWaitBehindThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &slowSource{}
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Authenticators = []core.Authenticator{source}
			o.Config.AuthWorkers, o.Config.AuthBacklogPerAddress = 1, 100
		})
		var guesses []*core.ConnectRequest
		busy := 0
		for i := range 200 {
			r, answer := knock(g, fmt.Sprint("guess", i), "10.0.0.1", "wrong")
			select {
			case res := <-answer:
				if busy++; res.Reason != core.ServerBusy {
					t.Fatalf("guess %d: %v", i, res.Reason)
				}
			default:
				guesses = append(guesses, r)
			}
			if i == 0 {
				synctest.Wait() // this one is under way
			}
		}
		if busy != 99 {
			t.Errorf("%d guesses were refused at once, want 99", busy)
		}
		enter := func(id, from string) time.Duration {
			begun := time.Now()
			_, answer := knock(g, id, from, "right")
			if res := <-answer; res.Reason != core.Success {
				t.Errorf("%s: %v", id, res.Reason)
			}
			return time.Since(begun)
		}
		if took := enter("alice", "10.0.0.2"); took > 3*time.Second {
			t.Errorf("alice came in after %v", took)
		}
		if took := enter("alice", "10.0.0.1"); took > 0 {
			t.Errorf("who was let in before came in from the guesser's own address after %v", took)
		}
		asked := source.asked.Load()
		for _, r := range guesses {
			r.Abandon()
		}
		time.Sleep(10 * time.Second)
		if n := source.asked.Load() - asked; n > 1 {
			t.Errorf("%d passwords of those who have left were looked at", n)
		}
		if n := g.Stats().Reasons[core.ConnectionLost]; n == 0 {
			t.Error("nobody who has left is counted")
		}
	})
}
