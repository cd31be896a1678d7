package protocols

import (
	"strings"
	"testing"
	"time"
)

// Machines of datagrams are told how many messages they may take, by each rate.
func TestRatesOfDatagrams(t *testing.T) {
	for name, c := range map[string]struct {
		lc     ListenerConfig
		burst  int
		each   int // bytes of a message
		shared bool
	}{
		"messages of one": {lc: ListenerConfig{ClientMessageRate: 1, ClientMessageBurst: 3}, burst: 3, each: 10},
		"messages of all": {lc: ListenerConfig{MessageRate: 1, MessageBurst: 3}, burst: 3, each: 10, shared: true},
		"bytes of one":    {lc: ListenerConfig{ClientByteRate: 1000, ClientByteBurst: 3000}, burst: 3, each: 1000},
		"bytes of all":    {lc: ListenerConfig{ByteRate: 1000, ByteBurst: 3000}, burst: 3, each: 1000, shared: true},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEcho(t, true, &c.lc)
			one, other := e.client(), e.client()
			for _, k := range []*dgramClient{one, other} {
				k.asks("hello", "welcome")
				k.say("prove")
			}
			begun, taken, later := time.Now(), 0, 0
			message := "message " + strings.Repeat("x", c.each-len("message "))
			for range 8 {
				one.say(message)
				if one.hear() == "taken" {
					taken++
				} else {
					later++
				}
			}
			most := c.burst + 1 + int(time.Since(begun)/time.Second)
			if taken < c.burst-1 || taken > most || later == 0 && most < 8 {
				t.Errorf("%d taken, %d refused; at most %d", taken, later, most)
			}
			other.say(message)
			if got := other.hear(); !c.shared && got != "taken" {
				t.Errorf("another client hears %q", got)
			}
		})
	}
}

func TestNoRatesOfDatagramsCostNothing(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{})
	c := e.client()
	c.asks("hello", "welcome")
	c.say("prove")
	for range 100 {
		c.asks("message", "taken")
	}
}
