package emqximport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// sensor takes over what emqx_sn.conf and emqx_coap.conf say beyond what has a place of its
// own; false: name is none of that.
func (b *broker) sensor(name string, e *entry) bool {
	switch {
	case strings.HasPrefix(name, "sn.predefined.topic."):
		b.predefined(strings.TrimPrefix(name, "sn.predefined.topic."), e)
	case name == "sn.port":
		b.datagrams("mqttsn", "mqttsn", "udp", e)
	case name == "coap.port", name == "coap.bind.udp.1":
		b.datagrams("coap", "coap", "udp", e)
	case name == "coap.dtls.port", name == "coap.bind.dtls.1":
		b.secureDatagrams(e)
	case strings.HasPrefix(name, "coap.dtls."): // the listener looks at them
		if !slices.Contains([]string{"keyfile", "certfile", "cacertfile", "verify", "fail_if_no_peer_cert"}, strings.TrimPrefix(name, "coap.dtls.")) {
			why, do := unknownOfListener(strings.TrimPrefix(name, "coap.dtls."))
			b.note(e, why, do)
		}
	case name == "sn.enable_qos3":
		if on, _ := readFlag(e.value); on == true {
			b.note(e, "messages of QoS -1 are taken of topics and networks that are listed, and of no others", "set mqttsn.unconnected_topics and mqttsn.unconnected_networks")
		}
	default:
		return false
	}
	return true
}

// predefined takes over one topic id that clients know beforehand.
func (b *broker) predefined(id string, e *entry) {
	n, err := strconv.Atoi(id)
	if _, wrong := topic.ParseName(e.value); err != nil || n < 1 || n > 65534 || wrong != nil {
		b.note(e, "is no id from 1 to 65534 and a topic", "set mqttsn.predefined by docs/mqttsn.md")
		return
	}
	b.r.Set("mqttsn.predefined", id, e.value)
}

// datagrams opens a listener that is there by default.
func (b *broker) datagrams(name, protocol, transport string, e *entry) {
	address, why := listenAddress(e.value)
	if why != "" {
		b.note(e, why, fmt.Sprintf("set listeners.%s.address", name))
		return
	}
	for _, s := range []Setting{{"protocol", protocol}, {"transport", transport}, {"address", address}} {
		b.r.Set("listeners."+name, s.Key, s.Value)
	}
}

// secureDatagrams opens a listener for DTLS, with its certificates.
func (b *broker) secureDatagrams(e *entry) {
	l := &listener{kind: "dtls", name: "external", first: e, lines: map[string]*entry{"": e}}
	for name, other := range b.global {
		if key, ok := strings.CutPrefix(name, "coap.dtls."); ok && key != "port" {
			l.lines[key] = other
		}
	}
	if address, why := listenAddress(e.value); why != "" {
		b.refuse(l, e, why, "set its address, and enabled = true")
	} else {
		l.set("address", address)
	}
	b.takeTLS(l)
	head := []Setting{{"protocol", "coap"}, {"transport", "dtls"}, {"enabled", !l.off}}
	for _, s := range append(head, l.settings...) {
		b.r.Set("listeners.coaps", s.Key, s.Value)
	}
}
