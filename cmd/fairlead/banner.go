package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/fairlead-iot/fairlead/protocols"
)

// banner says what runs, where, and how to open it to others.
func (s *service) banner() {
	var b bytes.Buffer
	g := s.gateway
	c := g.Config()
	active := c.ActiveListeners()
	addresses := g.Addresses()
	fmt.Fprintf(&b, "\nFairlead is ready.\n\n")
	lonely := true
	for _, name := range slices.Sorted(maps.Keys(addresses)) {
		l := active[name]
		fmt.Fprintf(&b, "  %-8s %s\n", name, urlOf(l, addresses[name]))
		lonely = lonely && l.Loopback()
	}
	if a := g.AdminAddress(); a != "" {
		fmt.Fprintf(&b, "  %-8s http://%s  (health, /metrics, REST API /api/v1)\n", "admin", a)
	}
	fmt.Fprintf(&b, "  %-8s %s\n", "data", g.DataDir())
	if p := g.FirstPassword(); p != "" {
		fmt.Fprintf(&b, "\n  The administrator is \"admin\", the password is\n\n      %s\n\n  It is shown this once. Another one: fairlead passwd %s admin\n", p, g.AdministratorsFile())
	}
	if first, ok := firstPlain(active, addresses); ok {
		fmt.Fprintf(&b, "\n  Try it:  fairlead sub --url %s -t 'hello/#' -v\n           fairlead pub --url %s -t hello/world -m 'good morning'\n", first, first)
	}
	if lonely {
		fmt.Fprint(&b, "\n  Only this machine can connect. For others: make users (fairlead passwd users alice),\n  name the file in auth.passwd_file, give listeners.mqtts a certificate and an address\n  such as 0.0.0.0:8883, and see what would hold with fairlead check.\n")
	}
	io.Copy(s.out, &b)
	fmt.Fprintln(s.out)
}

// urlOf is how a client on this machine names the listener.
func urlOf(l *protocols.ListenerConfig, address string) string {
	scheme := map[string]string{
		protocols.TCP: "mqtt", protocols.TLS: "mqtts", protocols.WebSocket: "ws", protocols.SecureWS: "wss", protocols.Unix: "unix", protocols.QUIC: "quic",
	}[l.Transport]
	if l.Datagrams() {
		if scheme = l.Protocol; l.Transport == protocols.DTLS {
			scheme += "s"
		}
	}
	if l.Protocol == protocols.Exproto {
		scheme = l.Protocol + "+" + l.Transport // no client of ours speaks it
	}
	url := scheme + "://" + address
	if l.Transport == protocols.WebSocket || l.Transport == protocols.SecureWS {
		if l.Path == "" {
			return url + "/mqtt"
		}
		return url + l.Path
	}
	return url
}

// firstPlain is a URL to try that needs no certificate.
func firstPlain(active map[string]*protocols.ListenerConfig, addresses map[string]string) (string, bool) {
	for _, name := range slices.Sorted(maps.Keys(addresses)) {
		if l := active[name]; l.Transport == protocols.TCP && l.Protocol == "mqtt" && l.Loopback() {
			return urlOf(l, addresses[name]), true
		}
	}
	return "", false
}
