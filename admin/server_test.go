package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestServerOverTCP(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := newTestServer(&fake{}, func(o *Options) { o.Config.Address, o.Config.MaxConnections = "127.0.0.1:0", 1 })
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	for range 3 { // one connection at a time: each gives its slot back
		res, err := client.Get("http://" + s.Address().String() + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || !strings.Contains(string(body), "live") {
			t.Fatalf("livez: %d %s", res.StatusCode, body)
		}
	}
	// A connection that says nothing holds the only slot, not the end.
	idle, err := net.Dial("tcp", s.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAddressInUse(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s := newTestServer(&fake{}, func(o *Options) { o.Config.Address = other.Addr().String() })
	err = s.Open()
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), other.Addr().String()) {
		t.Fatalf("error %v", err)
	}
}

func TestRefusesHugeRequests(t *testing.T) {
	s := newTestServer(&fake{}, func(o *Options) { o.Config.Address = "127.0.0.1:0" })
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	req, _ := http.NewRequest("GET", "http://"+s.Address().String()+"/livez", nil)
	req.Header.Set("X-Long", strings.Repeat("x", 4*maxHeader))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d for a header of %d bytes", res.StatusCode, 4*maxHeader)
	}
}

func TestConfigValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		faults int
	}{
		{"defaults", func(*Config) {}, 0},
		{"off", func(c *Config) { c.Address = "off" }, 0},
		{"empty is off", func(c *Config) { c.Address = "" }, 0},
		{"no port", func(c *Config) { c.Address = "localhost" }, 1},
		{"port too large", func(c *Config) { c.Address = "localhost:99999" }, 1},
		{"everything", func(c *Config) { *c = Config{Address: "x"} }, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := DefaultConfig()
			tt.change(&c)
			err := c.Validate()
			n := 0
			if err != nil {
				n = strings.Count(err.Error(), "\n") + 1
			}
			if n != tt.faults {
				t.Errorf("%d faults, want %d: %v", n, tt.faults, err)
			}
		})
	}
}
