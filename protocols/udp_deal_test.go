package protocols

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
)

// dealt gives a batch to the port of e, and the order in which it is served.
func (e *simEcho) dealt(batch ...inItem) string {
	e.t.Helper()
	var order []string
	e.peers.spy = func(m *gramMachine, t *core.Turn, b []byte) {
		order = append(order, string(b))
		if strings.HasPrefix(string(b), "dear") {
			t.Spend(10_000)
		}
	}
	done := make(chan struct{})
	e.srv.datagrams.ports[0].post(func(p *port) { p.intake(batch); close(done) })
	<-done
	e.peers.spy = nil
	return strings.Join(order, " ")
}

// gram is a datagram of c.
func (c *simClient) gram(s string) inItem {
	return inItem{b: []byte(s), from: netAddrPort(c.LocalAddr()), size: len(s)}
}

// Who sends much waits behind the others, and strangers come last; each keeps its order.
func TestABatchIsDealtOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := serveSim(t, &ListenerConfig{})
		defer e.stop()
		flood, dear, one, stranger := e.client(), e.client(), e.client(), e.client()
		for _, c := range []*simClient{flood, dear, one} {
			c.asks("hello", "welcome")
		}
		batch := []inItem{stranger.gram("hello"), stranger.gram("s2")}
		for i := range 10 {
			batch = append(batch, flood.gram(fmt.Sprintf("f%d", i)))
		}
		for i := range 3 {
			batch = append(batch, dear.gram(fmt.Sprintf("dear%d", i)))
		}
		batch = append(batch, one.gram("o1"), one.gram("o2"), stranger.gram("s3"))
		want := "f0 f1 f2 f3 dear0 o1 o2 f4 f5 f6 f7 dear1 f8 f9 dear2 hello s2 s3"
		if got := e.dealt(batch...); got != want {
			t.Errorf("served\n%s, want\n%s", got, want)
		}
		if got := e.dealt(one.gram("o1"), inItem{b: []byte("x"), from: netip.AddrPort{}, size: 9, tooLong: true}, one.gram("bye"), one.gram("hello")); got != "o1 bye hello" {
			t.Errorf("served %s", got)
		}
	})
}

// A full batch of one client is served whole, in its order.
func TestABatchOfOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := serveSim(t, &ListenerConfig{})
		defer e.stop()
		c := e.client()
		c.asks("hello", "welcome")
		var batch []inItem
		var want []string
		for i := range receiveBatch {
			want = append(want, fmt.Sprintf("dear%d", i))
			batch = append(batch, c.gram(want[i]))
		}
		if got := strings.Fields(e.dealt(batch...)); !slices.Equal(got, want) {
			t.Errorf("served %v", got)
		}
	})
}
