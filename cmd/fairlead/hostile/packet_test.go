package hostile

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestPackets are the attacks by bytes that are no packet, or not one for a server.
func TestPackets(t *testing.T) {
	run(t, []attack{
		{name: "malformed packets", does: "sends broken packets of each type", holds: "the code of the specification, malformed_packet or protocol_error", wage: malformedPackets, reasons: []string{"malformed_packet", "protocol_error"}},
		{name: "a server's packets", does: "sends CONNACK, SUBACK, UNSUBACK and PINGRESP", holds: "0x82, protocol_error", wage: serversPackets, reasons: []string{"protocol_error"}},
		{name: "huge remaining length", does: "announces packets of 256 MiB on 500 connections and sends a little of each", holds: "0x95, packet_too_large, at the header", wage: hugeLength, reasons: []string{"packet_too_large"}, many: true},
		{name: "allowed length, unfinished", does: "announces 1 MiB on 20 connections and sends half of it", holds: "what came is held, no more", wage: halfPackets, ceiling: 128 << 20, many: true},
		{name: "first packet not CONNECT", does: "sends every other type first", holds: "protocol_error, no answer", wage: notConnect, reasons: []string{"protocol_error"}},
	})
}

// broken are packets of an accepted MQTT 5 client and the code they end it with.
func broken() map[string]packet.ReasonCode {
	const bad, wrong = packet.ReasonMalformedPacket, packet.ReasonProtocolError
	return map[string]packet.ReasonCode{
		"00 00":                     bad,                            // type 0
		"10 02 0000":                wrong,                          // a second CONNECT
		"36 05 0001 61 0001":        bad,                            // QoS 3
		"38 04 0001 61 00":          bad,                            // DUP with QoS 0
		"30 04 0001 23 00":          packet.ReasonTopicNameInvalid,  // a wildcard in a Topic Name
		"30 04 0001 00 00":          bad,                            // U+0000 in the topic
		"30 04 0001 ff 00":          bad,                            // broken UTF-8
		"30 03 0009 61":             bad,                            // topic beyond the packet
		"30 03 0000 00":             wrong,                          // neither topic nor alias
		"32 06 0001 61 0000 00":     wrong,                          // packet identifier 0
		"30 06 0001 61 02 0102":     wrong,                          // payload format 2
		"30 07 0001 61 03 230000":   packet.ReasonTopicAliasInvalid, // alias 0
		"30 08 0001 61 04 01000100": wrong,                          // a property twice
		"30 06 0001 61 02 7f00":     bad,                            // an unknown property
		"30 07 0001 61 ffffff7f":    bad,                            // property length beyond the packet
		"30 ffffffff7f":             bad,                            // a length of five bytes
		"41 02 0001":                bad,                            // PUBACK with flags
		"40 01 00":                  bad,                            // PUBACK cut short
		"40 02 0000":                wrong,                          // PUBACK of identifier 0
		"50 03 0001 7f":             wrong,                          // PUBREC with an unknown code
		"60 02 0001":                bad,                            // PUBREL without its flags
		"72 02 0001":                bad,                            // PUBCOMP with flags
		"80 06 0001 00 0001 61":     bad,                            // SUBSCRIBE without its flags
		"82 03 0001 00":             wrong,                          // SUBSCRIBE without a filter
		"82 07 0001 00 0001 61 03":  wrong,                          // a QoS of 3
		"82 07 0001 00 0001 61 c0":  bad,                            // reserved bits
		"82 07 0001 00 0009 61 00":  bad,                            // filter beyond the packet
		"82 07 0000 00 0001 61 00":  wrong,                          // identifier 0
		"a2 03 0001 00":             wrong,                          // UNSUBSCRIBE without a filter
		"a0 06 0001 00 0001 61":     bad,                            // UNSUBSCRIBE without its flags
		"c1 00":                     bad,                            // PINGREQ with flags
		"c0 01 00":                  bad,                            // PINGREQ with a body
		"e1 00":                     bad,                            // DISCONNECT with flags
		"e0 01 7f":                  wrong,                          // DISCONNECT with an unknown code
		"e0 07 00 05 11 00000001":   wrong,                          // a Session Expiry Interval after none
		"f0 02 18 00":               wrong,                          // AUTH without a method
		"f1 00":                     bad,                            // AUTH with flags
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func malformedPackets(t *testing.T, at *arena) {
	for text, want := range broken() {
		p := connect(t, at.mqtt, "attacker")
		p.raw(unhex(t, text))
		wantCode(t, text, p.ended(t), want)
		p.Close()
	}
}

func serversPackets(t *testing.T, at *arena) {
	for _, text := range []string{"20 03 000000", "90 04 0001 00 00", "b0 04 0001 00 00", "d0 00"} {
		p := connect(t, at.mqtt, "attacker")
		p.raw(unhex(t, text))
		wantCode(t, text, p.ended(t), packet.ReasonProtocolError)
		p.Close()
	}
}

func hugeLength(t *testing.T, at *arena) {
	for i := range size(500, 5000) {
		p := dial(t, at.mqtt)
		if i%2 == 0 {
			p.hello(t, "attacker")
			p.raw(append(unhex(t, "30 ffffff7f"), bytes.Repeat([]byte("x"), 1000)...))
		} else {
			p.raw(append(unhex(t, "10 ffffff7f 0004 4d515454 05 02 003c"), bytes.Repeat([]byte("x"), 1000)...))
		}
		wantCode(t, "huge", p.ended(t), packet.ReasonPacketTooLarge)
		p.Close()
	}
}

func halfPackets(t *testing.T, at *arena) {
	for range size(20, 100) {
		p := connect(t, at.mqtt, "")
		if err := p.raw(append(unhex(t, "30 80803f 0001 61 00"), make([]byte, 500_000)...)); err != nil {
			t.Fatal(err)
		}
	}
	at.innocents.await(t, 100)
}

func notConnect(t *testing.T, at *arena) {
	for kind := 2; kind <= 15; kind++ {
		for _, rest := range []string{"\x00", "\x02\x00\x01", "\x05\x00\x01\x00\x00\x00"} {
			p := dial(t, at.mqtt)
			flags := 0
			if kind == 6 || kind == 8 || kind == 10 {
				flags = 2
			}
			p.raw(append([]byte{byte(kind<<4 | flags)}, rest...))
			wantCode(t, "before CONNECT", p.ended(t), 0)
			p.Close()
		}
	}
}
