package mqtt

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

// TestAuthorizationMatrix is core's matrix on the wire, in each version: what clients
// send and are told are bytes written by hand, in the notation of scenes.
func TestAuthorizationMatrix(t *testing.T) {
	coretest.RunAuthz(t, wireProtocol('3'), wireProtocol('4'), wireProtocol('5'))
}

// wireProtocol is a version of MQTT, as scenes name them.
type wireProtocol byte

// Name implements coretest.Protocol.
func (p wireProtocol) Name() string { return "MQTT " + versionName(rune(p)) }

// Lacks implements coretest.Protocol.
func (p wireProtocol) Lacks(f coretest.Feature) string {
	if p != '5' && (f == coretest.Aliases || f == coretest.WillDelay) {
		return "only MQTT 5 has it"
	}
	switch f {
	case coretest.Sleeps, coretest.WillUpdates, coretest.WillLasts, coretest.Unconnected, coretest.Reads:
		return "MQTT has none"
	}
	return ""
}

// Open implements coretest.Protocol.
func (p wireProtocol) Open(t testing.TB, g *coretest.Gateway) coretest.Site {
	s := &wireSite{stage{t: t.(*testing.T), gw: g, mqtt: DefaultConfig(), version: byte(p), ends: map[string]*end{}, at: "driver"}}
	s.mqtt.ReasonStrings = false
	return s
}

// wireSite is a stage on which the matrix plays.
type wireSite struct{ stage }

// Dial implements coretest.Site.
func (s *wireSite) Dial(from netip.AddrPort) coretest.Wire {
	e := newEnd(&s.stage)
	e.peer = from
	w := &wireClient{site: s, name: fmt.Sprintf("c%d", len(s.ends)), e: e}
	s.ends[w.name] = e
	return w
}

// Wait implements coretest.Site.
func (s *wireSite) Wait(d time.Duration) { s.wait(d) }

// wireClient is a client's end as a coretest.Wire.
type wireClient struct {
	site    *wireSite
	name    string
	e       *end
	id      uint16
	packets [][]byte // received and not looked at
}

func (w *wireClient) five() bool { return w.site.version == '5' }

// says has the client send, in the notation of scenes.
func (w *wireClient) says(format string, a ...any) {
	w.site.t.Helper()
	bytes := fmt.Sprintf(format, a...)
	w.site.at = w.name + " > " + bytes
	w.site.act(w.name + " > " + bytes)
}

// read takes the packets that came.
func (w *wireClient) read() {
	w.site.settle()
	for b := w.e.take(); len(b) > 0; {
		n, size := binary.Uvarint(b[1:])
		end := 1 + size + int(n)
		w.packets = append(w.packets, b[:end])
		b = b[end:]
	}
}

// hears wants one of these answers: the first packet of its type is it.
func (w *wireClient) hears(answers ...string) {
	w.site.t.Helper()
	w.read()
	for i, p := range w.packets {
		if p[0]>>4 != w.site.bytes(answers[0])[0]>>4 {
			continue
		}
		w.packets = slices.Delete(w.packets, i, i+1)
		for _, a := range answers {
			if string(w.site.bytes(a)) == string(p) {
				return
			}
		}
		w.site.t.Fatalf("%s: received %x, want %s", w.site.at, p, answers)
	}
	w.site.t.Fatalf("%s: no %s", w.site.at, answers)
}

// Connect implements coretest.Wire.
func (w *wireClient) Connect(l coretest.Login, want core.Reason, present bool) {
	w.site.t.Helper()
	flags, rest := byte(0x02), ""
	if l.Kept {
		flags = 0
	}
	if p := l.Will; p != nil {
		flags |= 0x04 | p.QoS<<3
		if p.Retain {
			flags |= 0x20
		}
		rest = fmt.Sprintf("{18 %08x} '%s' '%s'", p.Delay, p.Topic, p.Payload)
	}
	if l.Username != "" {
		flags |= 0xc0
		rest += fmt.Sprintf(" '%s' '%s'", l.Username, l.Password)
	}
	props := "{}"
	if l.Kept {
		props = "{11 00000e10}"
	}
	w.says("10 .. @v %02x 0000 %s '%s' %s", flags, props, l.ClientID, rest)
	switch {
	case want != core.Success:
		w.hears(connectRefusal(w.five(), want))
		w.over(want, "")
	case present:
		w.hears("@again")
	default:
		w.hears("@ok")
	}
}

// connectRefusal is the CONNACK of a refusal, written down from the specifications.
// [MQTT 5 section 3.2.2.2] [MQTT 3.1.1 section 3.2.2.3]
func connectRefusal(five bool, r core.Reason) string {
	codes := map[core.Reason][2]string{
		core.NotAuthorized:    {"05", "87"},
		core.BadCredentials:   {"04", "86"},
		core.ClientIDNotValid: {"02", "85"},
		core.AuthUnavailable:  {"03", "88"},
	}
	if five {
		return "20 .. 00 " + codes[r][1] + " 00"
	}
	return "20 .. 00 " + codes[r][0]
}

// Subscribe implements coretest.Wire.
func (w *wireClient) Subscribe(filter string, qos uint8, want core.Reason) {
	w.site.t.Helper()
	w.id++
	w.says("82 .. %04x {} '%s' %02x", w.id, filter, qos)
	code := qos
	switch {
	case want == core.NotAuthorized && w.five(): // [MQTT 5 section 3.9.3]
		code = 0x87
	case want == core.NotAuthorized: // [MQTT 3.1.1 section 3.9.3]; 3.1 has no word for it, and clients know this one
		code = 0x80
	case want != core.Success:
		w.site.t.Fatalf("nobody has written down how a SUBSCRIBE is answered for %s", want)
	case strings.Contains(filter, "$fastlane/"):
		code = 0
	}
	w.hears(fmt.Sprintf("90 .. %04x {} %02x", w.id, code))
}

func (w *wireClient) send(p coretest.Post, id uint16, again bool) {
	w.site.t.Helper()
	head := 0x30 | p.QoS<<1
	if p.Retain {
		head |= 0x01
	}
	if again {
		head |= 0x08
	}
	packetID, alias := "", ""
	if p.QoS > 0 {
		packetID = fmt.Sprintf("%04x", id)
	}
	if p.Alias > 0 {
		alias = fmt.Sprintf("23 %04x", p.Alias)
	}
	w.says("%02x .. '%s' %s {%s} \"%s\"", head, p.Topic, packetID, alias, p.Payload)
}

// Publish implements coretest.Wire. A version that has no word for a refusal
// acknowledges, and the message goes nowhere. [MQTT 3.1.1 section 3.3.5]
func (w *wireClient) Publish(p coretest.Post, want core.Reason) {
	w.site.t.Helper()
	w.id++
	w.send(p, w.id, false)
	kind := map[uint8]string{1: "40", 2: "50"}[p.QoS]
	done, told := fmt.Sprintf("%s 02 %04x", kind, w.id), fmt.Sprintf("%s 03 %04x", kind, w.id)
	switch {
	case p.QoS == 0:
		return
	case want == core.NotAuthorized && w.five(): // [MQTT 5 section 3.4.2.1]
		w.hears(told + " 87")
		return
	case want != core.Success && want != core.NotAuthorized:
		w.site.t.Fatalf("nobody has written down how a PUBLISH is answered for %s", want)
	case w.five():
		w.hears(done, told+" 10")
	default:
		w.hears(done)
	}
	if p.QoS == 2 {
		w.says("62 02 %04x", w.id)
		w.hears(fmt.Sprintf("70 02 %04x", w.id))
	}
}

// Half implements coretest.Wire.
func (w *wireClient) Half(p coretest.Post, again bool) {
	w.site.t.Helper()
	w.send(p, 0x77, again)
	w.hears("50 02 0077")
}

// Take implements coretest.Wire.
func (w *wireClient) Take(finish bool) (got []coretest.Got) {
	w.site.t.Helper()
	for w.read(); len(w.packets) > 0; w.read() {
		packets := w.packets
		w.packets = nil
		for _, p := range packets {
			g := w.received(p)
			if finish {
				w.finish(g)
			}
			if !finish || !g.Released {
				got = append(got, g)
			}
		}
	}
	return got
}

// received reads a PUBLISH or PUBREL; nothing else may come unasked.
func (w *wireClient) received(p []byte) coretest.Got {
	w.site.t.Helper()
	_, size := binary.Uvarint(p[1:])
	body := p[1+size:]
	if p[0] == 0x62 {
		return coretest.Got{Released: true, ID: binary.BigEndian.Uint16(body)}
	}
	if p[0]>>4 != 3 {
		w.site.t.Fatalf("%s has received %x", w.name, p)
	}
	g := coretest.Got{QoS: p[0] >> 1 & 3}
	n := 2 + int(binary.BigEndian.Uint16(body))
	g.Topic, body = string(body[2:n]), body[n:]
	if g.QoS > 0 {
		g.ID, body = binary.BigEndian.Uint16(body), body[2:]
	}
	if w.five() {
		body = body[1+int(body[0]):] // fewer than 128 bytes of properties
	}
	g.Payload = string(body)
	return g
}

func (w *wireClient) finish(g coretest.Got) {
	w.site.t.Helper()
	switch {
	case g.Released:
		w.says("70 02 %04x", g.ID)
	case g.QoS == 1:
		w.says("40 02 %04x", g.ID)
	case g.QoS == 2:
		w.says("50 02 %04x", g.ID)
	}
}

// Receive implements coretest.Wire.
func (w *wireClient) Receive(g coretest.Got) {
	w.site.t.Helper()
	w.says("50 02 %04x", g.ID)
	w.hears(fmt.Sprintf("62 02 %04x", g.ID))
}

// Ended implements coretest.Wire.
func (w *wireClient) Ended(why core.Reason) {
	w.site.t.Helper()
	if why != core.SessionTakenOver {
		w.site.t.Fatalf("nobody has written down how a connection ends for %s", why)
	}
	w.over(why, "e0 01 8e") // [MQTT 5 section 3.14.2.1]; older versions hear nothing
}

// over checks that the connection has ended, with these last words of MQTT 5.
func (w *wireClient) over(why core.Reason, five string) {
	w.site.t.Helper()
	if five != "" && w.five() {
		w.hears(five)
	}
	w.read()
	if len(w.packets) > 0 || w.e.over() != why {
		w.site.t.Fatalf("%s ends with %x, for %s; want %s", w.name, w.packets, w.e.over(), why)
	}
}

// Lose implements coretest.Wire.
func (w *wireClient) Lose() {
	w.e.lose()
	w.site.settle()
}
