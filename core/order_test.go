package core_test

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// What happened to a client's session on another turn has not gone to the store yet when
// the client connects: it is let in all the same, and what it is told is kept.
func TestConnectBeforeTheFormerIsStored(t *testing.T) {
	clean := func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = true, core.NeverExpires }
	brief := func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = true, 0 }
	ended := uint32(0)
	formers := map[string]former{
		"it ends":                    {end: true, expiry: &ended},
		"it is left":                 {end: true},
		"it goes on":                 {change: durable},
		"another":                    {change: clean},
		"another, not to be kept":    {change: brief},
		"it goes on, to end with it": {change: func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = false, 0 }},
	}
	for name, f := range formers {
		for later, change := range map[string]func(*core.ConnectRequest){"resumes": durable, "begins anew": clean} {
			t.Run(name+"/"+later, func(t *testing.T) {
				bubble(t, func(t *testing.T) { f.play(t, change) })
			})
		}
	}
}

// former is what happens to the session of a client that is connected, on a turn that is
// slow to flush.
type former struct {
	end    bool
	expiry *uint32
	change func(*core.ConnectRequest)
}

func (f *former) play(t *testing.T, change func(*core.ConnectRequest)) {
	g := coretest.Start(t, nil, nil)
	first := g.Connect("s", durable)
	slow := g.NewTurn()
	defer slow.Close()
	slow.Begin(time.Now())
	if f.end {
		g.Gateway.Disconnect(slow, first.Result.Link, core.ConnectionLost, f.expiry)
	} else {
		r := &core.ConnectRequest{Conn: deafConn{}, Protocol: "mqtt", Version: 5, Listener: "mqtt", Credentials: core.Credentials{ClientID: "s", Listener: "mqtt"}}
		f.change(r)
		g.Gateway.Connect(slow, r)
	}
	var last *coretest.Client
	var wait sync.WaitGroup
	wait.Go(func() {
		if last = g.Connect("s", change); last.Result.Reason == core.Success {
			last.Subscribe(1, "x")
		}
	})
	synctest.Wait()
	slow.End()
	wait.Wait()
	if r := last.Result.Reason; r != core.Success {
		t.Fatalf("refused: %s", r)
	}
	synctest.Wait()
	if last.Ended() {
		t.Errorf("closed: %s", last.Closed())
	}
	next := coretest.Start(t, g.Store.Kill(0), nil)
	again := next.Connect("s", durable)
	if !again.Result.SessionPresent {
		t.Fatal("the session that was granted is lost")
	}
	next.Connect("p", nil).Publish(pub("x", "kept", 0, 0))
	expect(t, again, "[x=kept q0]")
}

// deafConn hears nothing.
type deafConn struct{}

func (deafConn) Wake(*core.Turn)          {}
func (deafConn) Complete(core.Completion) {}
func (deafConn) Close(core.Reason)        {}
func (deafConn) Peer() netip.AddrPort     { return netip.AddrPort{} }
