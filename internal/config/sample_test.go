package config

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/sample.toml")

func TestSampleGolden(t *testing.T) {
	const golden = "testdata/sample.toml"
	got := Sample(defaults())
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
	for i, line := range strings.Split(string(got), "\n") {
		if strings.HasPrefix(line, "#") && len(line) > 82 || strings.HasSuffix(line, " ") {
			t.Errorf("row %d is long or ends in a space: %q", i+1, line)
		}
	}
}

// TestSampleLoadsBack: what is written from a configuration gives it back,
// over zero values as well as over the defaults.
func TestSampleLoadsBack(t *testing.T) {
	withoutSecrets := func() *gateway {
		c := goodConfig()
		l := c.Listeners["mqtt"]
		l.TLS.Password = ""
		c.Listeners["mqtt"] = l
		c.Users["ann"].Password = ""
		c.Labels = map[string]string{"a.b": "x\ty\"z\\\n\x01\u00e4", "": "empty name"}
		return c
	}
	for _, tc := range []struct {
		name  string
		c     func() *gateway
		write func(any) []byte
	}{
		{"sample of defaults", defaults, Sample},
		{"sample of much", withoutSecrets, Sample},
		{"marshal of defaults", defaults, Marshal},
		{"marshal of much", withoutSecrets, Marshal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := tc.write(tc.c())
			for _, got := range []*gateway{{}, defaults()} {
				if err := Load(got, Options{Path: writeFile(t, "c.toml", string(text))}); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				if diff := cmp.Diff(tc.c(), got, same()); diff != "" {
					t.Errorf("%s\n%s", diff, text)
				}
			}
		})
	}
}

func TestSecretsAreNeverWritten(t *testing.T) {
	c := goodConfig()
	for _, text := range []string{string(Sample(c)), string(Marshal(c))} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "# password is set and not shown") {
			t.Error(text)
		}
	}
	shown := 0
	for _, k := range Describe(c) {
		if strings.Contains(k.Value, "hunter2") {
			t.Error(k)
		}
		if k.Secret && k.Value == "(set)" {
			shown++
		}
	}
	if shown != 2 {
		t.Errorf("%d secrets are described as set, want 2", shown)
	}
}

func TestDescribe(t *testing.T) {
	byPath := map[string]Key{}
	for _, k := range Describe(defaults()) {
		byPath[k.Path] = k
	}
	for _, want := range []Key{
		{"node_name", "NODE_NAME", "a text", `""`, "name of this node; empty takes the host's", false},
		{"core.max_queued_bytes", "CORE_MAX_QUEUED_BYTES", `a size such as "64KiB"`, `"1MiB"`, "", false},
		{"core.session_expiry", "CORE_SESSION_EXPIRY", `a duration such as "5s"`, `"2h"`, "", false},
		{"core.strategy", "CORE_STRATEGY", "one of random, round_robin, sticky", `"random"`, "", false},
		{"listeners.mqttsn-dtls.enabled", "LISTENERS_MQTTSN_DTLS_ENABLED", "true or false", "false", "", false},
		{"listeners.mqtt.tls.password", "LISTENERS_MQTT_TLS_PASSWORD", "a text", "(not set)", "", true},
	} {
		if diff := cmp.Diff(want, byPath[want.Path]); diff != "" {
			t.Error(diff)
		}
	}
	for _, k := range Describe(defaults()) {
		if parts := resolve(structOf(defaults()), k.Env); strings.Join(parts, ".") != k.Path {
			t.Errorf("variable %s leads to %q, not to %s", k.Env, parts, k.Path)
		}
	}
}

func TestDurations(t *testing.T) {
	const longest = time.Duration(1<<63 - 1)
	for _, d := range []time.Duration{0, 1, -1, 1500 * time.Millisecond, time.Minute, 90 * time.Second, time.Hour, 61 * time.Minute, 3601 * time.Second, day, -day, 36 * time.Hour, 365 * day, longest, -longest - 1} {
		text := formatDuration(d)
		if got, err := parseDuration(text); err != nil || got != d {
			t.Errorf("%v is written %q and read as %v, %v", d, text, got, err)
		}
	}
	for _, tc := range []struct {
		text string
		want time.Duration
		err  error
	}{
		{"1d12h", 36 * time.Hour, nil}, {"0d", 0, nil}, {"1.5h", 90 * time.Minute, nil},
		{"", 0, errDuration}, {"5", 0, errDuration}, {"d", 0, errDuration}, {"1dd", 0, errDuration}, {"1d-1h", 0, errDuration},
		{"-1d1h", 0, errDuration}, {"1d+1h", 0, errDuration}, {"1.5d", 0, errDuration}, {"5 s", 0, errDuration},
		{"106752d", 0, errDurationLong}, {"-106752d", 0, errDurationLong}, {"106751d24h", 0, errDurationLong},
	} {
		if got, err := parseDuration(tc.text); got != tc.want || err != tc.err {
			t.Errorf("%q is read as %v, %v; want %v, %v", tc.text, got, err, tc.want, tc.err)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, tc := range []struct {
		text string
		want int64
		err  error
	}{
		{"0", 0, nil}, {"512", 512, nil}, {"1B", 1, nil}, {"64KiB", 65536, nil}, {"64kib", 65536, nil}, {"10 MB", 1e7, nil}, {"10kB", 1e4, nil},
		{"3GiB", 3 << 30, nil}, {"2TB", 2e12, nil}, {"-1", -1, nil}, {"8388607TiB", 8388607 << 40, nil},
		{"", 0, errSize}, {"KiB", 0, errSize}, {"1K", 0, errSize}, {"1.5MiB", 0, errSize}, {"1 000", 0, errSize}, {"0x10", 0, errSize},
		{"8388608TiB", 0, errSizeLarge}, {"99999999999999999999", 0, errSizeLarge},
	} {
		if got, err := parseSize(tc.text); got != tc.want || err != tc.err {
			t.Errorf("%q is read as %d, %v; want %d, %v", tc.text, got, err, tc.want, tc.err)
		}
	}
	for want, n := range map[string]int64{"64KiB": 65536, "1000": 1000, "0": 0, "1TiB": 1 << 40, "-1KiB": -1024, "1025": 1025} {
		if got, _ := formatSize(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"address", "max_queued", "tls", "protocol"}
	for word, want := range map[string]string{
		"adress": "address", "addres": "address", "adderss": "address", "ADDRESS": "address", "max-queued": "max_queued",
		"tsl": "tls", "tlx": "tls", "xyz": "", "proto": "", "protocl": "protocol", "": "", strings.Repeat("a", 1000): "",
	} {
		if got, _ := nearest(word, keys); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}

func TestSnakeCase(t *testing.T) {
	for name, want := range map[string]string{"MaxQueued": "max_queued", "ClientIDLength": "client_id_length", "TLS": "tls", "ID": "id", "QoS": "qo_s", "X": "x", "HTTPServer": "http_server"} {
		if got := snakeCase(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
