package core_test

import (
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// hooked is an Authorizer that does something while a message is on its way.
type hooked struct {
	coretest.AllowAll
	verdict core.Verdict
	hook    func()
}

func (h *hooked) Authorize(_ *core.Identity, a core.Action, _ string) (core.Verdict, error) {
	if hook := h.hook; hook != nil && a == core.ActionPublish {
		h.hook = nil
		hook()
		return h.verdict, nil
	}
	return core.Allow, nil
}

// TestMQTT_4_3_3_10_TakeoverWhileOnItsWay: the publisher comes back on another
// connection and sends again while its first PUBLISH is still being routed.
func TestMQTT_4_3_3_10_TakeoverWhileOnItsWay(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*core.ConnectRequest)
		verdict core.Verdict
		answer  string
		arrives string
	}{
		{"durable", durable, core.Allow, "[received 7 success]", "[x=one q2 id1]"},
		{"refused", durable, core.Deny, "[received 7 not_authorized]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := &hooked{verdict: c.verdict}
				g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{h} })
				other := *g // another loop
				other.T = g.NewTurn()
				defer other.T.Close()
				b := g.Connect("b", nil)
				b.Subscribe(2, "x")
				first := g.Connect("a", c.change)
				var second *coretest.Client
				h.hook = func() {
					second = other.Connect("a", c.change)
					if _, err := second.Publish(pub("x", "one", 2, 7)); err != nil {
						t.Error(err)
					}
				}
				if _, err := first.Publish(pub("x", "one", 2, 7)); err == nil || err.Reason != core.SessionTakenOver {
					t.Errorf("the first connection got %v", err)
				}
				expect(t, second, c.answer)
				expect(t, b, c.arrives)
			})
		})
	}
}

// TestMQTT_3_3_4_8_OneMessageCountsOnce: a QoS 2 message whose PUBREC waits for the
// store is one of the Receive Maximum, not two.
func TestMQTT_3_3_4_8_OneMessageCountsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.ReceiveMaximum = 4 })
		a := g.Connect("a", durable)
		g.Store.Hold()
		for id := range uint16(4) {
			if _, err := a.Publish(pub("x", "", 2-uint8(id%2), id+1)); err != nil {
				t.Errorf("message %d of 4: %v", id+1, err)
			}
		}
		g.Store.Release()
		expect(t, a, "[received 1 no_matching_subscribers][ack 2 no_matching_subscribers][received 3 no_matching_subscribers][ack 4 no_matching_subscribers]")
	})
}
