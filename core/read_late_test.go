package core_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// archive keeps the retained messages below db/, and takes a second to read them.
type archive struct {
	found []*core.Message
	err   error
	takes time.Duration
	asked atomic.Int32
}

func (a *archive) OwnsRetained(topic string) bool { return strings.HasPrefix(topic, "db/") }
func (a *archive) LooksUp(filter string) bool {
	return filter == "#" || strings.HasPrefix(filter, "db/")
}

func (a *archive) ReadRetained(ctx context.Context, _, after string, max int) ([]*core.Message, string, error) {
	a.asked.Add(1)
	select {
	case <-time.After(a.takes):
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
	from, _ := strconv.Atoi(after)
	end, next := len(a.found), ""
	if end > from+max {
		end, next = from+max, strconv.Itoa(from+max)
	}
	return a.found[from:end], next, a.err
}

func kept(topic string) *core.Message {
	return &core.Message{Topic: topic, Payload: []byte(topic), Retain: true}
}

// read reads name as c, and says what came of it.
func read(g *coretest.Gateway, c *coretest.Client, name string) (m *core.Message, r core.Reason, late bool) {
	g.T.Begin(time.Now())
	m, r, late = g.Read(g.T, c.Result.Link, 7, name)
	g.T.End()
	if !late {
		return m, r, false
	}
	done := c.Completed(core.OpRead)
	if done.Token != 7 || len(done.Reasons) != 1 || len(done.Messages) > 1 {
		return nil, core.ProtocolError, true
	}
	if len(done.Messages) == 1 {
		m = done.Messages[0]
	}
	return m, done.Reasons[0], true
}

// What is kept elsewhere is read there, by those who may have it.
func TestReadElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := kept("db/a")
		old.Expires = time.Now().UnixMilli()
		for _, tt := range []struct {
			name  string
			topic string
			found []*core.Message
			err   error
			takes time.Duration
			want  string
			why   core.Reason
			asked int32
		}{
			{"there", "db/a", []*core.Message{kept("db/a")}, nil, time.Second, "db/a", core.Success, 1},
			{"not there", "db/a", nil, nil, time.Second, "", core.Success, 1},
			{"lapsed", "db/a", []*core.Message{old}, nil, time.Second, "", core.Success, 1},
			{"another than was asked for", "db/a", []*core.Message{kept("db/b")}, nil, 0, "", core.Success, 1},
			{"away", "db/a", nil, errors.New("unplugged"), 0, "", core.ServerUnavailable, 1},
			{"too slow", "db/a", []*core.Message{kept("db/a")}, nil, time.Hour, "", core.ServerUnavailable, 1},
			{"not allowed", "db/secret", []*core.Message{kept("db/secret")}, nil, 0, "", core.NotAuthorized, 0},
			{"here", "here", nil, nil, 0, "here", core.Success, 0},
		} {
			a := &archive{found: tt.found, err: tt.err, takes: tt.takes}
			rights := &coretest.Rights{}
			rights.Allow("c", core.ActionPublish, "#")
			rights.Allow("c", core.ActionSubscribe, "db/a", "db/b", "here")
			g := coretest.Start(t, nil, func(o *core.Options) { o.Retained, o.Authorizers = a, []core.Authorizer{rights} })
			c := g.Connect("c", nil)
			for _, topic := range []string{"here", "db/a"} {
				c.Publish(core.Publish{Topic: topic, Retain: true, Payload: []byte(topic)})
			}
			m, r, late := read(g, c, tt.topic)
			got := ""
			if m != nil {
				got = string(m.Payload)
			}
			if got != tt.want || r != tt.why || late != (tt.asked > 0) || a.asked.Load() != tt.asked {
				t.Errorf("%s: %q, %s, late %v, asked %d times; want %q, %s, %d times", tt.name, got, r, late, a.asked.Load(), tt.want, tt.why, tt.asked)
			}
			if n := g.Stats().Reasons[tt.why]; tt.why != core.Success && n != 1 {
				t.Errorf("%s: counted %d times", tt.name, n)
			}
		}
	})
}

// A list is of what is here and of what is elsewhere, as far as the client may have it.
func TestListElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := &archive{found: []*core.Message{kept("db/a"), kept("db/secret"), kept("db/b"), kept("db/c")}, takes: time.Second}
		rights := &coretest.Rights{}
		rights.Allow("c", core.ActionPublish, "#")
		rights.Allow("c", core.ActionSubscribe, "#")
		rights.Withhold("c", "db/secret")
		g := coretest.Start(t, nil, func(o *core.Options) { o.Retained, o.Authorizers = a, []core.Authorizer{rights} })
		c := g.Connect("c", nil)
		c.Publish(core.Publish{Topic: "here", Retain: true, Payload: []byte("x")})
		list := func(max int) (names string, late bool) {
			g.T.Begin(time.Now())
			ms, r, late := g.List(g.T, c.Result.Link, 8, "#", max)
			g.T.End()
			if late {
				done := c.Completed(core.OpRead)
				ms, r = done.Messages, done.Reasons[0]
			}
			if r != core.Success {
				t.Error(r)
			}
			for _, m := range ms {
				names += m.Topic + " "
			}
			return names, late
		}
		if got, late := list(3); got != "here db/a db/b " || !late {
			t.Errorf("listed %q, late %v", got, late)
		}
		if got, late := list(1); got != "here " || late {
			t.Errorf("listed %q, late %v, want what is here alone", got, late)
		}
	})
}

// A right to read that must be asked for is asked for, and the answer waits for it.
func TestReadAsksForItsRight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, rights := startAsked(t)
		rights.Allow("a", core.ActionPublish, "#")
		rights.Allow("a", core.ActionSubscribe, "up")
		a := g.Connect("a", nil)
		for i, topic := range []string{"up", "down"} {
			a.Publish(core.Publish{Topic: topic, Retain: true, Payload: []byte("v"), QoS: 1, PacketID: uint16(i + 1)})
			a.Take(1)
		}
		if m, r, late := read(g, a, "up"); m == nil || r != core.Success || !late {
			t.Errorf("%v, %s, late %v", m, r, late)
		}
		if m, r, late := read(g, a, "up"); m == nil || r != core.Success || late {
			t.Errorf("known: %v, %s, late %v", m, r, late)
		}
		if m, r, late := read(g, a, "down"); m != nil || r != core.NotAuthorized || !late {
			t.Errorf("%v, %s, late %v", m, r, late)
		}
	})
}

// Nobody is answered who has gone, and too much at once is refused by name.
func TestReadElsewhereIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := &archive{takes: time.Second}
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Retained, o.Config.AuthWorkers, o.Config.AuthBacklog = a, 1, 2
		})
		c := g.Connect("c", nil)
		busy := 0
		for range 5 {
			if _, r, late := g.Read(g.T, c.Result.Link, 7, "db/a"); r == core.ServerBusy && !late {
				busy++
			}
			g.T.End()
			synctest.Wait() // the worker takes one
		}
		if n := g.Stats().Reasons[core.ServerBusy]; busy != 2 || n != 2 {
			t.Errorf("%d were refused and %d counted, want 2", busy, n)
		}
		c.Disconnect(core.NormalDisconnect)
		<-time.After(time.Minute) // the answer comes, to nobody
		again := g.Connect("c", nil)
		if m, r, late := read(g, again, "db/a"); m != nil || r != core.Success || !late {
			t.Errorf("%v, %s, late %v", m, r, late)
		}
	})
}
