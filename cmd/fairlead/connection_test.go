package main

import (
	"errors"
	"math"
	"testing"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

func TestAddress(t *testing.T) {
	tests := []struct {
		name string
		c    connection
		want string
	}{
		{"nothing", connection{}, defaultURL},
		{"a URL", connection{url: "wss://a/b"}, "wss://a/b"},
		{"a host", connection{host: "gw"}, "mqtt://gw:1883"},
		{"host and port", connection{host: "gw", port: 21883}, "mqtt://gw:21883"},
		{"a port alone", connection{port: 21883}, "mqtt://127.0.0.1:21883"},
		{"IPv6", connection{host: "::1"}, "mqtt://[::1]:1883"},
		{"the port of TLS", connection{host: "gw", port: 8883}, "mqtts://gw:8883"},
		{"an authority means TLS", connection{host: "gw", ca: "ca.pem"}, "mqtts://gw:8883"},
		{"an authority and a port", connection{host: "gw", ca: "ca.pem", port: 9}, "mqtts://gw:9"},
		{"insecure means TLS", connection{host: "gw", insecure: true}, "mqtts://gw:8883"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.c.address()
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	var usage usageError
	if _, err := (&connection{url: "mqtt://a", port: 1}).address(); !errors.As(err, &usage) {
		t.Errorf("a URL and a port: %v", err)
	}
}

func TestClientOptions(t *testing.T) {
	base := connection{version: "5", clean: true, keepAlive: 60}
	tests := []struct {
		name   string
		change func(*connection)
		resume bool
		expiry uint32
	}{
		{"clean", func(*connection) {}, false, 0},
		{"-c", func(c *connection) { c.keep, c.id = true, "x" }, true, math.MaxUint32},
		{"--clean=false", func(c *connection) { c.clean, c.id = false, "x" }, true, math.MaxUint32},
		{"-c with an expiry", func(c *connection) { c.keep, c.id, c.sessionExpiry = true, "x", "2m" }, true, 120},
		{"-c before MQTT 5", func(c *connection) { c.keep, c.id, c.version = true, "x", "3.1.1" }, true, 0},
		{"an expiry alone", func(c *connection) { c.sessionExpiry = "never" }, false, math.MaxUint32},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := base
			tt.change(&c)
			o, err := c.options(&terminal{})
			if err != nil || o.Resume != tt.resume || o.SessionExpiry != tt.expiry {
				t.Errorf("resume %v, expiry %d, %v; want %v, %d", o.Resume, o.SessionExpiry, err, tt.resume, tt.expiry)
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]packet.Version{
		"5": packet.V5, "mqttv5": packet.V5, "3.1.1": packet.V311, "311": packet.V311, "mqttv311": packet.V311, "3.1": packet.V31, "31": packet.V31,
	} {
		if got, err := parseVersion(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func TestParseExpiry(t *testing.T) {
	tests := []struct {
		text string
		want uint32
		ok   bool
	}{
		{"", 0, true}, {"90", 90, true}, {"1h30m", 5400, true}, {"never", math.MaxUint32, true}, {"4294967295", math.MaxUint32, true},
		{"-1", 0, false}, {"soon", 0, false}, {"-5s", 0, false}, {"4294967296", 0, false}, {"2000000h", 0, false},
	}
	for _, tt := range tests {
		if got, err := parseExpiry(tt.text); (err == nil) != tt.ok || got != tt.want {
			t.Errorf("%q: %d, %v", tt.text, got, err)
		}
	}
}
