package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

const crowdSize = 5000

// crowd are that many sessions that took note of what came to them, in order.
type crowd struct {
	g    *coretest.Gateway
	all  []*noteConn
	pub  *noteConn
	more *core.Turn // of another loop
}

// noteConn notes the payloads that came.
type noteConn struct {
	sinkConn
	text     strings.Builder
	readable int
}

func (c *noteConn) Complete(d core.Completion) {
	if d.Op == core.OpReadable {
		c.readable++
	}
}

func (c *noteConn) Wake(t *core.Turn) {
	for more := true; more; {
		c.buf, more = c.g.Take(t, c.link, c.buf[:0], 64)
		for i := range c.buf {
			if d := &c.buf[i]; d.Kind == core.DeliverMessage {
				c.text.Write(d.Msg.Payload)
				if d.QoS == 1 {
					c.g.Acknowledge(t, c.link, core.AckReceived1, d.PacketID, core.Success)
				}
			}
		}
	}
}

func (cr *crowd) enter(t *core.Turn, id string) *noteConn {
	c := &noteConn{sinkConn: sinkConn{g: cr.g.Gateway}}
	res, _ := cr.g.Gateway.Connect(t, &core.ConnectRequest{Conn: c, CleanStart: true, Protocol: "mqtt", Version: 5, Credentials: core.Credentials{ClientID: id}})
	c.link = res.Link
	cr.g.Resume(t, c.link)
	return c
}

func newCrowd(t *testing.T) *crowd {
	cr := &crowd{g: coretest.Start(t, nil, nil)}
	for i := range crowdSize {
		c := cr.enter(cr.g.T, fmt.Sprint("s", i))
		cr.g.Gateway.Subscribe(cr.g.T, c.link, &core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: "all", SubscribeOptions: core.SubscribeOptions{QoS: 1}}}})
		cr.all = append(cr.all, c)
	}
	cr.pub = cr.enter(cr.g.T, "publisher")
	cr.g.T.End()
	cr.more = cr.g.NewTurn()
	t.Cleanup(cr.more.Close)
	return cr
}

// say publishes a letter, without ending the turn.
func (cr *crowd) say(t *core.Turn, from *noteConn, letter string, qos uint8, id uint16) (pause bool) {
	t.Begin(time.Now())
	pause, _ = cr.g.Gateway.Publish(t, from.link, &core.Publish{Topic: "all", Payload: []byte(letter), QoS: qos, PacketID: id})
	return pause
}

// heard fails unless all heard the same.
func (cr *crowd) heard(t *testing.T, want string) {
	t.Helper()
	for i, c := range cr.all {
		if got := c.text.String(); got != want {
			t.Fatalf("subscriber %d heard %q, want %q", i, got, want)
		}
	}
}

func (cr *crowd) reached() (n int) {
	for _, c := range cr.all {
		if c.text.Len() > 0 {
			n++
		}
	}
	return n
}

// TestFanOutTakesTurns: a message to very many reaches them some at a time, its
// publisher is not read from meanwhile, and goes on afterwards.
func TestFanOutTakesTurns(t *testing.T) {
	for qos := range uint8(2) {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cr := newCrowd(t)
				if !cr.say(cr.g.T, cr.pub, "a", qos, 1) {
					t.Error("the publisher is read on")
				}
				rounds := 1
				for cr.g.T.Flush(256) {
					if rounds++; rounds == 2 && (cr.reached() == 0 || cr.reached() > 1024) {
						t.Errorf("%d of %d heard in the first round", cr.reached(), crowdSize)
					}
				}
				if rounds < crowdSize/256 {
					t.Errorf("%d rounds", rounds)
				}
				cr.heard(t, "a")
				if cr.pub.readable != 1 {
					t.Errorf("the publisher was told %d times to go on", cr.pub.readable)
				}
				balanced(t, cr.g, 0)
			})
		})
	}
}

// TestFanOutKeepsOrder: nothing of one publisher overtakes, neither on its own turn
// nor after it has moved to another one; others do not wait.
func TestFanOutKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cr := newCrowd(t)
		cr.say(cr.g.T, cr.pub, "a", 0, 0)
		cr.say(cr.g.T, cr.pub, "b", 1, 1)
		cr.g.T.Flush(256)
		again := cr.enter(cr.more, "publisher") // takes over
		cr.say(cr.more, again, "c", 0, 0)
		cr.say(cr.more, again, "d", 1, 1)
		for more := true; more; {
			more = cr.more.Flush(256)
			more = cr.g.T.Flush(256) || more
		}
		cr.heard(t, "abcd")
		other := cr.enter(cr.more, "other")
		cr.say(cr.g.T, again, "e", 0, 0)
		cr.say(cr.more, other, "f", 0, 0)
		cr.more.End()
		if n := cr.reached(); n != crowdSize {
			t.Fatal(n)
		}
		if last := cr.all[crowdSize-1].text.String(); last != "abcdf" {
			t.Errorf("the last one heard %q: others wait for a fan-out", last)
		}
		cr.g.T.End()
		for _, c := range cr.all {
			if got := c.text.String(); got != "abcdef" && got != "abcdfe" {
				t.Fatalf("heard %q", got)
			}
		}
		balanced(t, cr.g, 0)
	})
}

// TestFanOutLosesNoDurable: what the publisher's acknowledgement promises does not
// wait for its slice.
func TestFanOutLosesNoDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cr := newCrowd(t)
		d := cr.g.Connect("durable", durable)
		d.Subscribe(1, "all")
		d.Disconnect(core.ConnectionLost)
		cr.say(cr.g.T, cr.pub, "a", 1, 1)
		cr.g.T.Flush(1) // commits what was asked for
		synctest.Wait()
		if n := cr.g.Store.Queued("durable"); n != 1 {
			t.Errorf("%d messages stored of a publish that is about to be acknowledged", n)
		}
		cr.g.T.End()
		cr.heard(t, "a")
	})
}
