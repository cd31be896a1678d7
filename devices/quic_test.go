package devices

import (
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// serveQUIC plays the usual server on the first stream of each connection.
func serveQUIC(t *testing.T, p *pki) (address string) {
	t.Helper()
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	over := &quic.Transport{Conn: udp}
	l, err := over.Listen(&tls.Config{Certificates: []tls.Certificate{p.server}, NextProtos: []string{"mqtt"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept(t.Context())
			if err != nil {
				return
			}
			if s, err := c.AcceptStream(t.Context()); err == nil {
				play(&quicConn{s, c})
			}
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
		over.Close()
		udp.Close()
	})
	return l.Addr().String()
}

func TestDialQUIC(t *testing.T) {
	p := newPKI(t)
	address := serveQUIC(t, p)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{TLS: TLS{CAFile: filepath.Join(p.dir, "ca.pem"), ServerName: "gw.test"}}
	roundTrip(t, "quic://"+address, o)
	roundTrip(t, "quic://localhost:"+port, o)
}

func TestDialQUICExplains(t *testing.T) {
	p := newPKI(t)
	address := serveQUIC(t, p)
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	known := TLS{CAFile: filepath.Join(p.dir, "ca.pem"), ServerName: "gw.test"}
	for _, c := range []struct {
		name, url string
		o         Options
		want      string
	}{
		{"strange authority", "quic://" + address, Options{TLS: TLS{ServerName: "gw.test"}}, "authority that is not known"},
		{"other name", "quic://" + address, Options{TLS: TLS{CAFile: known.CAFile}}, "another name"},
		{"nobody answers", "quic://" + silent.LocalAddr().String(), Options{TLS: known, Timeout: 100 * time.Millisecond}, "no answer in time"},
		{"a path", "quic://host/x", Options{}, "a path has no meaning"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Dial(t.Context(), c.url, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one that says %q", err, c.want)
			}
			var told *DialError
			if c.name != "a path" && !errors.As(err, &told) {
				t.Fatalf("%T is no DialError", err)
			}
		})
	}
}
