package loop

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// gatewayEcho answers every datagram to whence it came, and tells the addresses.
func gatewayEcho(t *testing.T) (*Endpoint, chan netip.AddrPort) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	from := make(chan netip.AddrPort, 1000)
	go func() {
		b := make([]byte, 2048)
		for {
			n, a, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			from <- a
			_, _ = conn.WriteToUDPAddrPort(b[:n], a)
		}
	}()
	e, err := ParseEndpoint("mqttsn://"+conn.LocalAddr().String(), TLS{})
	if err != nil {
		t.Fatal(err)
	}
	return e, from
}

// hears hands on what comes.
type hears chan string

func (h hears) Opened()           {}
func (h hears) Received(b []byte) { h <- string(bytes.Clone(b)) }
func (h hears) Ended(error)       {}

func TestPortsHaveAddressesOfTheirOwn(t *testing.T) {
	for name, portable := range map[string]bool{"shared sockets": false, "a socket each": true} {
		t.Run(name, func(t *testing.T) {
			e, from := gatewayEcho(t)
			sources, err := ParseSources("127.1.0.0/28", 0)
			if err != nil {
				t.Fatal(err)
			}
			l, err := New(Options{Portable: portable, Sources: sources})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- l.Run(ctx) }()
			defer func() { cancel(); <-ended }()
			const n = 40
			ports, heard := make([]Port, n), make([]hears, n)
			l.Post(func() {
				for i := range ports {
					heard[i] = make(hears, 4)
					if err := l.OpenPort(&ports[i], e, nil, 0, nil, heard[i]); err != nil {
						t.Error(err)
					}
					ports[i].Send([]byte{byte('A' + i)})
				}
			})
			seen := map[netip.AddrPort]bool{}
			for range n {
				seen[<-from] = true
			}
			if len(seen) != n {
				t.Errorf("%d ports have %d addresses", n, len(seen))
			}
			done := make(chan bool)
			l.Post(func() { close(done) })
			<-done
			for i, h := range heard {
				if got := <-h; got != string(rune('A'+i)) {
					t.Errorf("port %d heard %q", i, got)
				}
			}
			l.Post(func() {
				for i := range ports {
					ports[i].rebind()
					ports[i].Send([]byte("x"))
				}
			})
			for range n {
				if a := <-from; portable && seen[a] {
					t.Errorf("%s again after rebinding", a)
				}
			}
			closed := make(chan bool)
			l.Post(func() {
				for i := range ports {
					ports[i].Close()
				}
				close(closed)
			})
			<-closed
		})
	}
}

func TestWeatherIsThatOfItsSeed(t *testing.T) {
	const n = 2000
	run := func(seed uint64) (got []byte) {
		l := &Loop{opt: Options{}.withDefaults()}
		p := &Port{l: l, r: collect{&got}, way: (*solo)(nil)}
		p.weather = newWeather(p, &Conditions{Loss: 0.1, Duplicate: 0.1, Reorder: 0.1, Latency: time.Millisecond}, seed)
		for i := range n {
			l.now = int64(i) * int64(10*time.Millisecond)
			l.fire()
			p.arrive([]byte{byte(i)})
		}
		l.now += int64(time.Second)
		l.fire()
		return got
	}
	first, again, other := run(7), run(7), run(8)
	if !bytes.Equal(first, again) || bytes.Equal(first, other) {
		t.Error("the same seed is not the same weather, or another one is")
	}
	late := 0
	for i := 1; i < len(first); i++ {
		if int8(first[i]-first[i-1]) < 0 {
			late++
		}
	}
	if len(first) < n*95/100 || len(first) > n*103/100 || late < n/20 || late > n/5 {
		t.Errorf("%d of %d came, %d late", len(first), n, late)
	}
}

type collect struct{ to *[]byte }

func (c collect) Opened()     {}
func (c collect) Ended(error) {}

func (c collect) Received(b []byte) { *c.to = append(*c.to, b...) }
