package config

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// gateway is a configuration of the shape that the command's has.
type gateway struct {
	NodeName  string              `toml:"node_name" doc:"name of this node; empty takes the host's"`
	Log       logging             `toml:"log" doc:"what is logged"`
	Core      engine              `toml:"core" doc:"sessions and queues"`
	Listeners map[string]listener `toml:"listeners" doc:"where clients connect"`
	Users     map[string]*user    `toml:"users" doc:"built-in users"`
	Sources   []source            `toml:"sources" doc:"identity sources in order"`
	Labels    map[string]string   `toml:"labels"`
	Logger    *slog.Logger        `toml:"-"`
	OnStart   func()
	quiet     bool
}

type logging struct {
	Level slog.Level `toml:"level" doc:"debug, info, warn or error"`
	JSON  *bool      `toml:"json" doc:"JSON instead of text; not set decides by the terminal"`
}

type bounds struct {
	MaxQueued      int   `doc:"messages that wait for one session; newer ones beyond it are dropped by name and counted"`
	MaxQueuedBytes int64 `unit:"bytes"`
}

type engine struct {
	bounds
	ReceiveMaximum uint16        `toml:"receive_maximum"`
	SessionExpiry  time.Duration `toml:"session_expiry"`
	Load           float64       `toml:"load"`
	Strategy       string        `toml:"strategy" oneof:"random,round_robin,sticky"`
}

func (e *engine) Validate() error {
	var faults []error
	if e.MaxQueued < 1 {
		faults = append(faults, errors.New("max_queued: must be at least 1"))
	}
	if e.SessionExpiry < 0 {
		faults = append(faults, errors.New("session_expiry: must not be negative"))
	}
	return errors.Join(faults...)
}

type listener struct {
	Protocol string         `toml:"protocol"`
	Address  string         `toml:"address"`
	Enabled  bool           `toml:"enabled"`
	Allow    []netip.Prefix `toml:"allow"`
	TLS      tlsFiles       `toml:"tls"`
}

func (l *listener) SetDefaults(name string) {
	l.Protocol, l.Enabled = "mqtt", true
}

func (l listener) Validate() error {
	if l.Enabled && l.Address == "" {
		return errors.New("address: is missing")
	}
	return nil
}

type tlsFiles struct {
	CertFile string `toml:"cert_file"`
	Password string `toml:"password" secret:"true"`
}

type user struct {
	Password string   `toml:"password" secret:"true"`
	Groups   []string `toml:"groups"`
}

type source struct {
	Kind    string        `toml:"kind"`
	Timeout time.Duration `toml:"timeout"`
}

func (s *source) SetDefaults(string) { s.Timeout = 5 * time.Second }

func defaults() *gateway {
	return &gateway{
		quiet: true, // not exported, so no key
		Log:   logging{Level: slog.LevelInfo},
		Core: engine{
			bounds:         bounds{MaxQueued: 1000, MaxQueuedBytes: 1 << 20},
			ReceiveMaximum: 32, SessionExpiry: 2 * time.Hour, Load: 0.8, Strategy: "random",
		},
		Listeners: map[string]listener{
			"mqtt":        {Protocol: "mqtt", Address: "127.0.0.1:1883", Enabled: true},
			"mqttsn-dtls": {Protocol: "mqttsn", Address: "127.0.0.1:8885"},
		},
	}
}

// write puts a file into a folder of the test's own.
func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
