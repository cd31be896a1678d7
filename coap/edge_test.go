package coap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/internal/simnet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// serveSim runs core, adapter and edge on a network in memory.
func serveSim(t *testing.T, network *simnet.Network) (at net.Addr, stop func()) {
	t.Helper()
	gw := coretest.Start(t, nil, nil)
	cfg := protocols.DefaultConfig()
	cfg.Listeners["coap"] = &protocols.ListenerConfig{Given: true, Protocol: "coap", Transport: protocols.UDP}
	srv, err := protocols.NewServer(cfg, gw.Gateway, []protocols.Adapter{New(DefaultConfig(), gw.Gateway)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := network.ListenPacket("gateway:5683")
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran, ended := make(chan error, 1), make(chan error, 1)
	go func() { ran <- srv.Run(ctx) }()
	go func() { ended <- srv.ServePacket(c, "coap") }()
	synctest.Wait()
	return c.LocalAddr(), func() {
		cancel()
		if err := errors.Join(<-ran, <-ended); err != nil {
			t.Error(err)
		}
	}
}

// radio is a device that repeats what is not answered, and answers what must be confirmed.
type radio struct {
	t       *testing.T
	c       *simnet.PacketConn
	to      net.Addr
	id      uint16
	mu      sync.Mutex
	waiting map[uint16]chan codes.Code
	seen    map[uint16]bool
	heard   []string
	deaf    bool // it does not hear the next notification
}

func newRadio(t *testing.T, network *simnet.Network, name string, to net.Addr) *radio {
	c, err := network.ListenPacket(name + ":0")
	if err != nil {
		t.Fatal(err)
	}
	r := &radio{t: t, c: c, to: to, waiting: map[uint16]chan codes.Code{}, seen: map[uint16]bool{}}
	go r.read()
	return r
}

func (r *radio) read() {
	b := make([]byte, 2048)
	for {
		n, _, err := r.c.ReadFrom(b)
		if err != nil {
			return
		}
		var m message.Message
		if err := decode(b[:n], &m); err != nil {
			r.t.Errorf("heard %x: %v", b[:n], err)
			return
		}
		r.mu.Lock()
		id := uint16(m.MessageID)
		switch m.Type {
		case message.Confirmable:
			if m.Code == codes.Empty { // [CoAP-4.2-2]
				r.c.WriteTo(appendEmpty(nil, message.Reset, id), r.to)
				break
			}
			if r.deaf {
				r.deaf = false
				break
			}
			r.c.WriteTo(appendEmpty(nil, message.Acknowledgement, id), r.to)
			if !r.seen[id] {
				r.heard = append(r.heard, string(m.Payload))
			}
			r.seen[id] = true
		case message.Acknowledgement:
			if w := r.waiting[id]; w != nil && m.Code != codes.Empty {
				delete(r.waiting, id)
				w <- m.Code
			}
		}
		r.mu.Unlock()
	}
}

// ask sends a confirmable request until it is answered.
func (r *radio) ask(line string) codes.Code {
	r.mu.Lock()
	r.id++
	id := r.id
	w := make(chan codes.Code, 1)
	r.waiting[id] = w
	r.mu.Unlock()
	b := build(r.t, fmt.Sprintf(line, id))
	for wait := 2 * time.Second; wait < 200*time.Second; wait *= 2 {
		r.c.WriteTo(b, r.to)
		select {
		case code := <-w:
			return code
		case <-time.After(wait):
		}
	}
	return codes.Empty
}

// TestFirstNotificationLost: who has sent no more than one request is notified though the
// network loses the first notification: what may be sent to an address that is not proven
// would not be enough to repeat it, and so the proof comes first. [CoAP-11.3-1]
func TestFirstNotificationLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New(1)
		at, stop := serveSim(t, network)
		observer, sender := newRadio(t, network, "observer", at), newRadio(t, network, "sender", at)
		if code := observer.ask("CON GET %d /mqtt/field?c=observer obs=0 tok=01"); code != codes.Content {
			t.Fatalf("observing is answered %v", code)
		}
		observer.deaf = true
		if code := sender.ask("CON PUT %d /mqtt/field?c=sender 'x*100'"); code != codes.Changed {
			t.Fatalf("publishing is answered %v", code)
		}
		time.Sleep(3 * time.Minute)
		if observer.mu.Lock(); len(observer.heard) != 1 {
			t.Errorf("heard %q", observer.heard)
		}
		observer.mu.Unlock()
		observer.c.Close()
		sender.c.Close()
		stop()
		synctest.Wait()
	})
}

// TestEdgeLossy: over a network that loses, doubles and reorders, every publication that
// was answered reaches the observer once. [CoAP-4.2-4] [CoAP-4.5-1]
func TestEdgeLossy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New(7)
		at, stop := serveSim(t, network)
		observer := newRadio(t, network, "observer", at)
		if code := observer.ask("CON GET %d /mqtt/field/#?c=observer obs=0 tok=01"); code != codes.Content {
			t.Fatalf("observing is answered %v", code)
		}
		// With more loss one of the 400 exchanges is lost five times now and then, and its
		// observer counts as gone. [RFC7641-4.5]
		network.SetConditions(simnet.Conditions{Latency: 20 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.03, Duplicate: 0.05, Reorder: 0.05})
		const devices, each = 20, 10
		sent := make(chan string, devices*each)
		var wg sync.WaitGroup
		for d := range devices {
			r := newRadio(t, network, fmt.Sprint("device", d), at)
			wg.Go(func() {
				defer r.c.Close()
				for n := range each {
					text := fmt.Sprintf("%d-%d", d, n)
					if code := r.ask(fmt.Sprintf("CON PUT %%d /mqtt/field/%d?c=d%d '%s'", d, d, text)); code == codes.Changed {
						sent <- text
					} else {
						t.Errorf("%s is answered %v", text, code)
					}
				}
			})
		}
		wg.Wait()
		close(sent)
		time.Sleep(20 * time.Minute) // the observer takes one after the other
		observer.mu.Lock()
		got := map[string]int{}
		for _, text := range observer.heard {
			got[text]++
		}
		observer.mu.Unlock()
		for text := range sent {
			if got[text] != 1 {
				t.Errorf("%s was acknowledged and came %d times", text, got[text])
			}
		}
		if len(got) != devices*each {
			t.Errorf("%d came, %d were sent", len(got), devices*each)
		}
		if s := network.Stats(); s.Lost == 0 || s.Duplicated == 0 || s.Reordered == 0 {
			t.Errorf("the network was kind: %+v", s)
		}
		observer.c.Close()
		stop()
		synctest.Wait()
	})
}
