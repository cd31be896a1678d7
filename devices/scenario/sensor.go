package scenario

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Sensor tells whether the group's devices speak over datagrams.
func (g *Group) Sensor() bool { return g.Protocol == "mqttsn" || g.Protocol == "coap" }

// sensorPorts are where gateways hear them.
var sensorPorts = map[string]string{"mqttsn": "1884", "coap": "5683"}

// brokerOf is the URL for the devices of a group: a sensor's gateway is on the host of
// the scenario's broker.
func brokerOf(broker string, g *Group) string {
	switch {
	case g.Broker != "":
		return g.Broker
	case !g.Sensor():
		return broker
	}
	u, err := url.Parse(broker)
	if err != nil || u.Scheme == g.Protocol || u.Scheme == g.Protocol+"s" {
		return broker
	}
	scheme := g.Protocol
	if u.Scheme == "mem" {
		scheme = "mem"
	}
	return scheme + "://" + net.JoinHostPort(u.Hostname(), sensorPorts[g.Protocol])
}

// checkSensor finds what sensors cannot do, and what only they can.
func (g *Group) checkSensor(f *faults) {
	if g.Broker != "" {
		scheme, _, _ := strings.Cut(strings.ToLower(g.Broker), "://")
		datagrams := slices.Contains([]string{"mqttsn", "mqttsns", "coap", "coaps"}, scheme)
		if (datagrams || g.Sensor()) && scheme != g.Protocol && scheme != g.Protocol+"s" && scheme != "mem" {
			f.add("broker", "%s:// does not go with protocol = %q", scheme, g.Protocol)
		}
	}
	f.times("retry", g.Retry)
	no := func(given bool, key string) {
		if given {
			f.add(key, "has no meaning with protocol = %q", g.Protocol)
		}
	}
	if no(g.Block != 0 && g.Protocol != "coap", "block"); g.Block != 0 && (g.Block < 16 || g.Block > 1024 || g.Block&(g.Block-1) != 0) {
		f.add("block", "%d bytes; CoAP knows 16, 32, 64, 128, 256, 512 and 1024", g.Block)
	}
	no(g.Unconnected && g.Protocol != "mqttsn", "unconnected")
	no(len(g.Predefined) > 0 && g.Protocol != "mqttsn", "predefined")
	if _, err := g.TopicIDs(); err != nil {
		f.add("predefined", "%v", err)
	}
	g.checkUnconnected(f)
	g.checkDTLS(f)
	if !g.Sensor() {
		no(g.Retry != 0, "retry")
		return
	}
	no(g.Misbehave != nil, "misbehave")
	no(len(g.Respond) > 0, "respond")
	no(g.Protocol == "coap" && g.Will != nil, "will")
	no(g.Protocol == "mqttsn" && g.Username != "", "username")
	no(g.Protocol == "mqttsn" && g.Password != "", "password")
	no(g.Protocol == "mqttsn" && g.Expiry != 0, "session_expiry")
	if g.Protocol == "mqttsn" && g.Sleep != nil && !g.Durable {
		f.add("sleep", "a clean session would be forgotten with each waking; set durable = true")
	}
	for name, s := range g.Subscribe {
		if s == nil || !plainName(name) {
			continue
		}
		no(s.After != 0, "subscribe."+name+".after")
		no(s.Every != 0, "subscribe."+name+".every")
		if g.Protocol == "coap" && strings.ContainsAny(s.Filter, "#+") {
			f.add("subscribe."+name+".filter", "CoAP does not tell the topic of a notification; the oracle needs a filter without wildcards")
		}
	}
}

// checkUnconnected finds what devices cannot do that never connect.
func (g *Group) checkUnconnected(f *faults) {
	if !g.Unconnected {
		return
	}
	no := func(given bool, key string) {
		if given {
			f.add(key, "has no meaning for devices that never connect (unconnected = true)")
		}
	}
	no(g.Durable, "durable")
	no(g.DTLS != 0, "dtls")
	no(g.Will != nil, "will")
	no(g.Sleep != nil, "sleep")
	no(len(g.Subscribe) > 0, "subscribe")
	for name, p := range g.Publish {
		if p != nil && plainName(name) {
			no(p.QoS != 0, "publish."+name+".qos")
			no(len(p.Mix) > 0, "publish."+name+".qos_mix")
		}
	}
}

// TopicIDs are the predefined topic ids by number.
func (g *Group) TopicIDs() (map[uint16]string, error) {
	out := map[uint16]string{}
	for key, topic := range g.Predefined {
		id, err := strconv.ParseUint(key, 10, 16)
		if err != nil || id == 0 || id == math.MaxUint16 || topic == "" {
			return nil, fmt.Errorf("%q = %q; ids are 1 to 65534, and their topics are not empty", key, topic)
		}
		out[uint16(id)] = topic
	}
	return out, nil
}
