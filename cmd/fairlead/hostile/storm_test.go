package hostile

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// stormHeld is how many sockets of a storm are open at once.
const stormHeld = 4000

// TestStorms are the attacks of strangers that come faster than any client would, from
// one address.
func TestStorms(t *testing.T) {
	run(t, []attack{
		{name: "socket storm", does: "opens sockets from one address as fast as it can and resets the oldest of 4,000", holds: "others come in between", wage: func(t *testing.T, at *arena) { storm(t, at.mqtt, nil) }, many: true},
		{name: "CONNECT storm", does: "the same with a CONNECT on each", holds: "others come in between, and nothing is left", wage: connectStorm, many: true},
		{name: "TLS storm", does: "the same at the TLS port, with a ClientHello on each", holds: "others complete their handshakes in between", settings: secureListener(t), wage: tlsStorm, many: true},
	})
}

// tlsStorm has another address shake hands meanwhile.
func tlsStorm(t *testing.T, at *arena) {
	address, hello := at.ready.Listeners["mqtts"], clientHello(t)
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		n, longest := 0, time.Duration(0)
		for ; !ended(stop); n++ {
			began := time.Now()
			if err := shake(address); err != nil {
				t.Errorf("another address: %v", err)
				return
			}
			longest = max(longest, time.Since(began))
		}
		t.Logf("%d handshakes of another address, the longest %s", n, longest)
	})
	storm(t, address, func(int) []byte { return hello })
	close(stop)
	others.Wait()
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// shake makes one handshake from the innocents' address.
func shake(address string) error {
	d := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: neighbourhood(), Timeout: patience}, Config: &tls.Config{InsecureSkipVerify: true}}
	c, err := d.Dial("tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// clientHello is what a TLS client says first.
func clientHello(t *testing.T) []byte {
	near, far := net.Pipe()
	defer far.Close()
	go tls.Client(near, &tls.Config{InsecureSkipVerify: true}).Handshake()
	b := make([]byte, 4096)
	n, err := far.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func connectStorm(t *testing.T, at *arena) {
	before := at.metrics(t)["fairlead_sessions"]
	storm(t, at.mqtt, func(i int) []byte { return bytesOf(greeting(fmt.Sprint("storm-", i))) })
	eventually(t, "the end of the sessions", func() bool { return at.metrics(t)["fairlead_sessions"] == before })
}

// storm opens sockets until the attack's time is over. first gives what is said on one.
func storm(t *testing.T, address string, first func(i int) []byte) {
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	held := make([]gust, 0, stormHeld)
	defer func() {
		for _, g := range held {
			g.reset()
		}
	}()
	n := 0
	for stop := time.Now().Add(span()); time.Now().Before(stop); n++ {
		g, err := blow(to)
		if err != nil {
			t.Fatalf("socket %d: %v", n, err)
		}
		if first != nil {
			g.say(first(n))
		}
		if len(held) < stormHeld {
			held = append(held, g)
			continue
		}
		oldest := &held[n%stormHeld]
		oldest.reset()
		*oldest = g
	}
	t.Logf("%d sockets", n)
}
