package hostile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestPublishing are the attacks of a client that was let in and publishes.
func TestPublishing(t *testing.T) {
	run(t, []attack{
		{name: "deep topics", does: "publishes to topics of 30,000 levels, then to ever new ones of 128", holds: "0x90, topic_name_invalid", wage: deepTopics, reasons: []string{"topic_name_invalid"}},
		{name: "long topics", does: "publishes to ever new topics of 64 KiB", holds: "0x90, topic_name_invalid", wage: longTopics, reasons: []string{"topic_name_invalid"}},
		{name: "user properties", does: "sends 65 User Properties, then 8 KiB of them in every message", holds: "0x97, quota_exceeded", wage: userProperties, reasons: []string{"quota_exceeded"}},
		{name: "subscription identifiers in PUBLISH", does: "sends a thousand Subscription Identifiers in a PUBLISH", holds: "0x82, protocol_error", wage: subscriptionIDs, reasons: []string{"protocol_error"}},
		{name: "unfinished QoS 2", does: "publishes at QoS 2 and never sends PUBREL, again on each new connection of its durable session", holds: "0x93, receive_maximum_exceeded", wage: unfinishedQoS2, reasons: []string{"receive_maximum_exceeded"}},
		{name: "alias beyond the maximum", does: "uses the Topic Alias 33 of 32", holds: "0x94, topic_alias_invalid", wage: aliasBeyond, reasons: []string{"topic_alias_invalid"}},
		{name: "alias of nothing", does: "uses a Topic Alias that it never set", holds: "0x82, protocol_error", wage: aliasOfNothing, reasons: []string{"protocol_error"}},
		{name: "alias churn", does: "sets all 32 Topic Aliases to new 4 KiB topics without end", holds: "the table stays 32 topics", wage: aliasChurn},
	})
}

// refused opens clients that each send one packet, and demands the code.
func refused(t *testing.T, at *arena, times int, code packet.ReasonCode, one func(i int) []byte) {
	t.Helper()
	for i := range times {
		p := connect(t, at.mqtt, fmt.Sprint("attacker-", i))
		if err := p.raw(one(i)); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "refusal", p.ended(t), code)
		p.Close()
	}
}

// answered sends a PUBLISH of QoS 1 and demands the code of its PUBACK.
func answered(t *testing.T, p *peer, code packet.ReasonCode, one *packet.Publish) {
	t.Helper()
	p.send(t, one)
	ack := packet.Ack{Type: packet.TypePuback}
	p.expect(t, packet.TypePuback, &ack)
	wantCode(t, "PUBACK", ack.Reason, code)
}

func deepTopics(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	for i := range size(500, 5000) {
		answered(t, p, packet.ReasonTopicNameInvalid, publish(fmt.Sprint(i)+strings.Repeat("/", 30_000), 1, 1, []byte("x")))
	}
	deepest := strings.Repeat("/x", 127)
	p.flood(time.Now().Add(span()), func(i int) []byte {
		return bytesOf(publish(fmt.Sprint(i, deepest), 0, 0, []byte("x")))
	})
}

func longTopics(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	answered(t, p, packet.ReasonTopicNameInvalid, publish(strings.Repeat("x", 5000), 1, 1, nil))
	for i := range size(3000, 30_000) {
		if err := p.raw(bytesOf(publish(fmt.Sprintf("%065000d", i), 0, 0, []byte("x")))); err != nil {
			t.Fatal(err)
		}
	}
	at.settled(t, p)
}

// settled waits until the gateway has worked off what p sent.
func (at *arena) settled(t *testing.T, p *peer) {
	t.Helper()
	p.send(t, &packet.Pingreq{})
	p.expect(t, packet.TypePingresp, &packet.Pingresp{})
}

func userProperties(t *testing.T, at *arena) {
	many := func(pairs, length int) []byte {
		p := publish("hostile/properties", 0, 0, []byte("x"))
		for range pairs {
			p.Properties.AddUser([]byte("k"), bytes.Repeat([]byte("v"), length))
		}
		return bytesOf(p)
	}
	refused(t, at, 20, packet.ReasonQuotaExceeded, func(int) []byte { return many(65, 1) })
	refused(t, at, 20, packet.ReasonQuotaExceeded, func(int) []byte { return many(60, 200) })
	p := connect(t, at.mqtt, "attacker")
	allowed := many(60, 120)
	p.flood(time.Now().Add(span()), func(int) []byte { return allowed })
}

func subscriptionIDs(t *testing.T, at *arena) {
	refused(t, at, size(20, 1000), packet.ReasonProtocolError, func(int) []byte {
		p := publish("hostile/ids", 0, 0, []byte("x"))
		for i := range 1000 {
			p.Properties.AddSubscriptionID(uint32(i + 1))
		}
		return bytesOf(p)
	})
}

// unfinishedQoS2 sends more than the Receive Maximum; what stays open belongs to
// the session, so a new connection does not add to it.
func unfinishedQoS2(t *testing.T, at *arena) {
	for range size(10, 100) {
		p := connect(t, at.mqtt, "attacker", durable)
		var all []byte
		for id := range 10_000 {
			all = append(all, bytesOf(publish("hostile/qos2", 2, uint16(id+1), []byte("x")))...)
		}
		p.raw(all) // the gateway may end it before all is written
		wantCode(t, "beyond the Receive Maximum", p.ended(t), packet.ReasonReceiveMaximumExceeded)
		p.Close()
	}
}

// durable makes a session that outlives its connections.
func durable(c *packet.Connect) {
	c.CleanStart = false
	c.Properties.SetSessionExpiry(3600)
}

func aliased(topic string, alias uint16) []byte {
	p := publish(topic, 0, 0, []byte("x"))
	p.Properties.SetTopicAlias(alias)
	return bytesOf(p)
}

func aliasBeyond(t *testing.T, at *arena) {
	refused(t, at, 20, packet.ReasonTopicAliasInvalid, func(int) []byte { return aliased("a/b", 33) })
}

func aliasOfNothing(t *testing.T, at *arena) {
	refused(t, at, 20, packet.ReasonProtocolError, func(int) []byte { return aliased("", 7) })
}

func aliasChurn(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	long := strings.Repeat("x", 4000)
	p.flood(time.Now().Add(span()), func(i int) []byte {
		return aliased(fmt.Sprintf("%d/%s", i, long), uint16(i%32)+1)
	})
}
