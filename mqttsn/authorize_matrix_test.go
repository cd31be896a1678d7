package mqttsn

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// TestAuthorizationMatrix is core's matrix on the wire: what clients send and are told are
// bytes written by hand, in the notation of scenes. One column registers its topics, the
// other knows them beforehand.
func TestAuthorizationMatrix(t *testing.T) {
	coretest.RunAuthz(t, wireProtocol{}, wireProtocol{predefined: true})
}

// predefinedTopics are those that clients of the second column know: those of the rows, and
// what they become.
func predefinedTopics() map[string]string {
	return map[string]string{"1001": "a", "1002": "b", "1003": "a/b", "1004": "a/c", "1005": "x/1", "1006": "s", "1007": "$SYS/a", "1008": "$delayed/5/a"}
}

type wireProtocol struct{ predefined bool }

// Name implements coretest.Protocol.
func (p wireProtocol) Name() string {
	if p.predefined {
		return "SN known"
	}
	return "MQTT-SN"
}

// Lacks implements coretest.Protocol.
func (p wireProtocol) Lacks(f coretest.Feature) string {
	switch f {
	case coretest.Aliases, coretest.WillDelay:
		return "only MQTT 5 has it"
	case coretest.Passwords, coretest.Claims:
		return "a client has no user name but that of its key, certificate, token or network"
	case coretest.Reads:
		return "retained messages come with a subscription"
	}
	return ""
}

// Open implements coretest.Protocol. The field is one with DTLS, so that clients may come
// from anywhere. [SN-6.14-9]
func (p wireProtocol) Open(t testing.TB, g *coretest.Gateway) coretest.Site {
	cfg := DefaultConfig()
	cfg.UnconnectedTopics, cfg.UnconnectedNetworks = []string{"xy"}, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	s := &wireSite{t: t, gw: g, clients: map[netip.AddrPort]*wireClient{}, port: 6000}
	if p.predefined {
		cfg.Predefined = predefinedTopics()
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s.adapter = New(cfg, g.Gateway)
	s.field = newField(t, g, s.adapter, true, func(peer netip.AddrPort, _ string, d []byte) {
		s.clients[peer].packets = append(s.clients[peer].packets, d)
	})
	return s
}

// wireSite is a field on which the matrix plays.
type wireSite struct {
	t       testing.TB
	gw      *coretest.Gateway
	adapter *Adapter
	field   *field
	clients map[netip.AddrPort]*wireClient
	port    uint16
}

// Dial implements coretest.Site.
func (s *wireSite) Dial(from netip.AddrPort) coretest.Wire {
	s.port++
	w := &wireClient{site: s, peer: netip.AddrPortFrom(from.Addr(), s.port), names: map[uint16]string{}, came: map[uint16]uint16{}}
	s.clients[w.peer] = w
	return w
}

// Wait implements coretest.Site.
func (s *wireSite) Wait(d time.Duration) { s.field.wait(d) }

// wireClient is a client as a coretest.Wire.
type wireClient struct {
	site    *wireSite
	peer    netip.AddrPort
	id      uint16
	said    string
	name    string
	names   map[uint16]string // of topic ids
	came    map[uint16]uint16 // the topic ids of messages, which PUBACK tells again
	packets [][]byte          // received and not looked at, without their Length
}

// says sends a datagram, in the notation of scenes.
func (w *wireClient) says(format string, a ...any) {
	w.site.t.Helper()
	w.said = fmt.Sprintf(format, a...)
	w.site.field.datagram(w.peer, sized(wireBytes(w.site.t, w.said)))
	w.site.field.settle()
}

// hears wants this answer: the first packet of its type is it.
func (w *wireClient) hears(format string, a ...any) {
	w.site.t.Helper()
	want := wireBytes(w.site.t, fmt.Sprintf(format, a...))
	for i, p := range w.packets {
		if p[0] != want[0] {
			continue
		}
		w.packets = slices.Delete(w.packets, i, i+1)
		if !slices.Equal(p, want) {
			w.site.t.Fatalf("after %s: received %x, want %x", w.said, p, want)
		}
		return
	}
	w.site.t.Fatalf("after %s: no %x among %x", w.said, want, w.packets)
}

// Connect implements coretest.Wire. CONNACK does not tell whether a session goes on.
func (w *wireClient) Connect(l coretest.Login, want core.Reason, _ bool) {
	w.site.t.Helper()
	flags := byte(0x04) // CleanSession
	if l.Kept {
		flags = 0
	}
	w.name = l.ClientID
	if p := l.Will; p != nil {
		w.says("04 %02x 01 0000 %q", flags|0x08, l.ClientID)
		w.hears("06")
		w.says("07 %02x %q", p.QoS<<5|retainFlag(p.Retain), p.Topic)
		w.hears("08")
		w.says("09 %q", p.Payload)
	} else {
		w.says("04 %02x 01 0000 %q", flags, l.ClientID)
	}
	w.hears("05 %02x", returnCode(w.site.t, want))
	if want != core.Success {
		w.over(want)
	}
}

// returnCode is how a reason is told, written down from the specification. [SN-5.3.10-1]
func returnCode(t testing.TB, r core.Reason) byte {
	switch r {
	case core.Success:
		return 0x00
	case core.NotAuthorized, core.BadCredentials, core.ClientIDNotValid: // there is no word for them: not supported
		return 0x03
	case core.AuthUnavailable: // congestion: it may be better later
		return 0x01
	}
	t.Fatalf("nobody has written down how a client is told of %s", r)
	return 0
}

func retainFlag(on bool) byte {
	if on {
		return 0x10
	}
	return 0
}

// fixed is the topic id of a topic that is known beforehand, with its type: predefined, or
// a name of two characters.
func (w *wireClient) fixed(topic string) (kind byte, id uint16, ok bool) {
	if id, ok = w.site.adapter.ids[topic]; ok {
		return 0x01, id, true
	}
	if len(topic) == 2 && !strings.ContainsAny(topic, "#+") {
		return 0x02, binary.BigEndian.Uint16([]byte(topic)), true
	}
	return 0, 0, false
}

// Subscribe implements coretest.Wire.
func (w *wireClient) Subscribe(filter string, qos uint8, want core.Reason) {
	w.site.t.Helper()
	w.id++
	code := returnCode(w.site.t, want)
	granted := qos << 5
	if want != core.Success || strings.Contains(filter, "$fastlane/") {
		granted = 0
	}
	if kind, id, ok := w.fixed(filter); ok { // [SN-6.9-5]
		w.says("12 %02x %04x %04x", qos<<5|kind, w.id, id)
		w.hears("13 %02x 0000 %04x %02x", granted, w.id, code)
		return
	}
	w.says("12 %02x %04x %q", qos<<5, w.id, filter)
	told := uint16(0)
	for _, p := range w.packets { // [SN-6.9-3]: which number it is, is the gateway's to say
		if p[0] == 0x13 && want == core.Success {
			told = binary.BigEndian.Uint16(p[2:])
		}
	}
	w.hears("13 %02x %04x %04x %02x", granted, told, w.id, code)
	if told != 0 {
		w.names[told] = bare(filter)
	}
}

// bare is a filter without its prefixes.
func bare(filter string) string {
	for _, p := range []string{"$fastlane/", "$local/", "$exclusive/", "$share/g/", "$queue/"} {
		if inner, ok := strings.CutPrefix(filter, p); ok {
			return bare(inner)
		}
	}
	return filter
}

// topicID gives the id that stands for a topic, and registers it if need be. To register
// needs no right: a number is not a message.
func (w *wireClient) topicID(topic string) (kind byte, id uint16) {
	w.site.t.Helper()
	if kind, id, ok := w.fixed(topic); ok {
		return kind, id
	}
	for id, name := range w.names {
		if name == topic {
			return 0, id
		}
	}
	w.says("0a 0000 7777 %q", topic)
	for _, p := range w.packets {
		if p[0] == 0x0b {
			id = binary.BigEndian.Uint16(p[1:])
		}
	}
	w.hears("0b %04x 7777 00", id)
	w.names[id] = topic
	return 0, id
}

func (w *wireClient) send(p coretest.Post, id uint16, again bool) (topicID uint16) {
	w.site.t.Helper()
	kind, topicID := w.topicID(p.Topic)
	flags := kind | p.QoS<<5 | retainFlag(p.Retain)
	if again {
		flags |= 0x80
	}
	if p.QoS == 0 {
		id = 0
	}
	w.says("0c %02x %04x %04x %q", flags, topicID, id, p.Payload)
	return topicID
}

// Publish implements coretest.Wire. PUBREC has no room for a refusal: PUBACK tells it at
// every QoS. [SN-5.4.13-2]
func (w *wireClient) Publish(p coretest.Post, want core.Reason) {
	w.site.t.Helper()
	w.id++
	topicID := w.send(p, w.id, false)
	switch code := returnCode(w.site.t, want); {
	case p.QoS == 0:
		return
	case p.QoS == 1:
		w.hears("0d %04x %04x %02x", topicID, w.id, code)
	case want != core.Success:
		w.hears("0d 0000 %04x %02x", w.id, code)
	default:
		w.hears("0f %04x", w.id)
		w.says("10 %04x", w.id)
		w.hears("0e %04x", w.id)
	}
}

// Half implements coretest.Wire.
func (w *wireClient) Half(p coretest.Post, again bool) {
	w.site.t.Helper()
	w.send(p, 0x77, again)
	w.hears("0f 0077")
}

// Take implements coretest.Wire.
func (w *wireClient) Take(finish bool) (got []coretest.Got) {
	w.site.t.Helper()
	for w.site.field.settle(); len(w.packets) > 0; w.site.field.settle() {
		packets := w.packets
		w.packets = nil
		for _, p := range packets {
			g, ok := w.received(p)
			if ok && finish {
				w.finish(g)
			}
			if ok && !(finish && g.Released) {
				got = append(got, g)
			}
		}
	}
	return got
}

// received reads a PUBLISH or PUBREL. A REGISTER that comes before is answered, the end of
// what gathered is noted, and nothing else may come unasked.
func (w *wireClient) received(p []byte) (g coretest.Got, ok bool) {
	w.site.t.Helper()
	switch p[0] {
	case 0x0a: // [SN-6.10-2]
		id := binary.BigEndian.Uint16(p[1:])
		w.names[id] = string(p[5:])
		w.says("0b %04x %04x 00", id, binary.BigEndian.Uint16(p[3:]))
		return g, false
	case 0x17: // PINGRESP ends what gathered [SN-6.14-5]
		return g, false
	case 0x10:
		return coretest.Got{Released: true, ID: binary.BigEndian.Uint16(p[1:])}, true
	case 0x0c:
		topicID := binary.BigEndian.Uint16(p[2:])
		g = coretest.Got{QoS: p[1] >> 5 & 3, ID: binary.BigEndian.Uint16(p[4:]), Payload: string(p[6:])}
		switch p[1] & 3 {
		case 0:
			g.Topic = w.names[topicID]
		case 1:
			g.Topic = w.site.adapter.predefined[topicID]
		case 2:
			g.Topic = string(p[2:4])
		}
		w.came[g.ID] = topicID
		return g, true
	}
	w.site.t.Fatalf("%s has received %x", w.name, p)
	return g, false
}

func (w *wireClient) finish(g coretest.Got) {
	w.site.t.Helper()
	switch {
	case g.Released:
		w.says("0e %04x", g.ID)
	case g.QoS == 1:
		w.says("0d %04x %04x 00", w.came[g.ID], g.ID)
	case g.QoS == 2:
		w.says("0f %04x", g.ID)
	}
}

// Receive implements coretest.Wire.
func (w *wireClient) Receive(g coretest.Got) {
	w.site.t.Helper()
	w.says("0f %04x", g.ID)
	w.hears("10 %04x", g.ID)
}

// Ended implements coretest.Wire.
func (w *wireClient) Ended(why core.Reason) {
	w.site.t.Helper()
	if why != core.SessionTakenOver {
		w.site.t.Fatalf("nobody has written down how a connection ends for %s", why)
	}
	w.site.field.settle()
	w.hears("18") // [SN-5.4.21-2]
	w.over(why)
}

// over checks that the connection has ended, and that nothing else was said.
func (w *wireClient) over(why core.Reason) {
	w.site.t.Helper()
	w.site.field.settle()
	if len(w.packets) > 0 || w.site.field.known(w.peer, "") {
		w.site.t.Fatalf("it goes on, with %x, after %s", w.packets, why)
	}
}

// Lose implements coretest.Wire: it is what the edge finds out in the end.
func (w *wireClient) Lose() {
	if e := w.site.field.ends[endKey{w.peer, ""}]; e != nil {
		w.site.gw.T.Begin(time.Now())
		e.finish(core.ConnectionLost)
		w.site.gw.T.End()
	}
	w.site.field.settle()
}

// Sleep implements coretest.Sleeper. [SN-6.14-2]
func (w *wireClient) Sleep() {
	w.site.t.Helper()
	w.says("18 003c")
	w.hears("18")
}

// Wake implements coretest.Sleeper. [SN-6.14-4]
func (w *wireClient) Wake() {
	w.site.t.Helper()
	w.says("16 %q", w.name)
}

// ChangeWill implements coretest.Willing. [SN-6.4-1]
func (w *wireClient) ChangeWill(topic string, want core.Reason) {
	w.site.t.Helper()
	w.says("1a 20 %q", topic)
	w.hears("1b %02x", returnCode(w.site.t, want))
}

// Shout implements coretest.Stranger: QoS −1, the topic by its two characters. [SN-6.8-1]
func (w *wireClient) Shout(topic, payload string) {
	w.site.t.Helper()
	w.says("0c 62 %x 0000 %q", topic, payload)
	if len(w.packets) > 0 {
		w.site.t.Fatalf("QoS -1 was answered: %x", w.packets)
	}
}
