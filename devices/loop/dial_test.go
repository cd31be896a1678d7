package loop

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDialErrorsSayWhatToDo(t *testing.T) {
	gone := listen(t, "tcp", "127.0.0.1:0")
	gone.Close()
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		wantDialError(t, l, "mqtt://u:secret@"+gone.Addr().String(), TLS{}, "mqtt://u:xxxxx@127.0.0.1:", "nothing listens there", "is the gateway running")
		wantDialError(t, l, "unix://"+filepath.Join(t.TempDir(), "none"), TLS{}, "no such socket")
		wantDialError(t, l, "mqtt://gateway.invalid", TLS{}, "Endpoint.Resolve")
	})
}

// TestDialTimesOut: a server that does not answer in TLS.
func TestDialTimesOut(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		o.DialTimeout = 50 * time.Millisecond
		l := start(t, o)
		url := tcp(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			_, _ = c.Read(make([]byte, 1<<16))
			_, _ = c.Read(make([]byte, 1))
		})
		wantDialError(t, l, "mqtts"+strings.TrimPrefix(url, "mqtt"), TLS{Insecure: true}, "no answer in time")
		wantDialError(t, l, "ws"+strings.TrimPrefix(url, "mqtt"), TLS{}, "no answer in time")
	})
}

// TestAbortWhileDialling, at each stage.
func TestAbortWhileDialling(t *testing.T) {
	a := newAuthority(t)
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		url := tcp(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1<<16)); _, _ = c.Read(make([]byte, 1)) })
		for _, url := range []string{url, "ws" + strings.TrimPrefix(url, "mqtt"), "mqtts" + strings.TrimPrefix(url, "mqtt"), "mqtts://" + a.serve(t, 0, 0, echo)} {
			e, err := ParseEndpoint(url, a.trusted())
			if err != nil {
				t.Fatal(err)
			}
			for turns := range 6 {
				d := newDevice()
				do(t, l, func() { l.Dial(&d.Conn, e, nil, 0, d) })
				for range turns {
					do(t, l, func() {})
				}
				if turns%2 == 0 {
					do(t, l, d.Abort)
				} else {
					do(t, l, d.Conn.Close)
				}
				if err := <-d.closed; err != nil && err != ErrAborted {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestLocalhostMeansBothFamilies(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
			ln, err := net.Listen("tcp", address)
			if err != nil {
				t.Skip(err)
			}
			_, port, _ := net.SplitHostPort(serve(t, ln, echo))
			d := newDevice()
			d.dial(t, l, "mqtt://localhost:"+port, TLS{}, nil)
			d.close(t, l)
		}
	})
}

func TestParseEndpoint(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"127.0.0.1:1883", "mqtt://HOST:PORT"},
		{"http://127.0.0.1", "unknown scheme"},
		{"mqtt://", "host is missing"},
		{"mqtt://h/topic", "no meaning"},
		{"mqtt://h:0", "port"},
		{"mqtt://h:70000", "port"},
		{"unix://", "path of the socket"},
		{"unix:///" + strings.Repeat("x", 200), "longer"},
		{"mem://", "name is missing"},
		{"mqtt://u:secret@h:port", "cannot be read"},
	} {
		_, err := ParseEndpoint(c.url, TLS{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", c.url, err, c.want)
		}
	}
	if _, err := ParseEndpoint("mqtts://h", TLS{CAFile: filepath.Join(t.TempDir(), "none")}); err == nil || !strings.Contains(err.Error(), "tls.ca_file") {
		t.Errorf("missing file: %v", err)
	}
	e, err := ParseEndpoint("WSS://me:pw@[::1]/", TLS{})
	if err != nil {
		t.Fatal(err)
	}
	user, password, has := e.Credentials()
	if e.addrs[0] != netip.MustParseAddrPort("[::1]:8084") || e.path != "/mqtt" || user != "me" || password != "pw" || !has || !e.Loopback() || strings.Contains(e.String(), "pw") {
		t.Errorf("%+v", e)
	}
	if err := e.Resolve(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestSources(t *testing.T) {
	s, err := ParseSources("127.1.0.0/30, 127.9.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	server := netip.MustParseAddr("127.0.0.1")
	for _, want := range []string{"127.1.0.2", "127.1.0.3", "127.9.0.1", "127.1.0.1"} {
		if got := s.pick(server); got.String() != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
	for _, far := range []string{"192.0.2.1", "::1"} {
		if got := s.pick(netip.MustParseAddr(far)); got.IsValid() {
			t.Errorf("%v for %s", got, far)
		}
	}
	if s.Len() != 4 || s.Room() != 40_000 {
		t.Errorf("%d addresses, room %d", s.Len(), s.Room())
	}
	for _, bad := range []string{"", "x", "10.0.0.1", "127.0.0.0/7", "127.0.0.0/8", "::1", "127.1.0.0/32,"} {
		if s, err := ParseSources(bad, 0); err == nil {
			t.Errorf("%q gives %d addresses", bad, s.Len())
		}
	}
	if _, err := ParseSources(DefaultSources(), 1<<40+7); err != nil {
		t.Error(err)
	}
}
