package hostile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestSessions are the attacks by CONNECT: identities, Wills, sessions.
func TestSessions(t *testing.T) {
	run(t, []attack{
		{name: "takeover war", does: "takes its own client id over from two sides without end", holds: "0x8E to each loser, counted by takeovers and session_taken_over", wage: takeoverWar},
		{name: "empty client ids", does: "connects with empty client ids", holds: "an id is assigned, and nothing is left", wage: emptyIDs, many: true},
		{name: "client ids of 60 KiB", does: "connects with ever new ids of 60 KiB", holds: "0x85, client_id_not_valid", wage: longIDs, reasons: []string{"client_id_not_valid"}},
		{name: "client ids with NUL", does: "connects with U+0000 and with broken UTF-8 in its id", holds: "0x81, malformed_packet", wage: brokenIDs, reasons: []string{"malformed_packet"}},
		{name: "client ids with control characters", does: "connects with line feeds and escape sequences in its id, and is refused", holds: "no line of the log is its own", wage: controlIDs},
		{name: "Will flood", does: "connects with a Will of 50 KiB and breaks off, again and again", holds: "each published once", wage: willFlood},
		{name: "deep Will", does: "connects with a Will topic of 30,000 levels", holds: "0x90, topic_name_invalid", wage: deepWill, reasons: []string{"topic_name_invalid"}},
		{name: "session flood", does: "leaves sessions that never expire, under ever new ids", holds: "0x89, server_busy", settings: []string{"core.max_sessions=500"}, wage: sessionFlood, reasons: []string{"server_busy"}, many: true, full: true, once: true},
		{name: "large CONNECT", does: "sends a CONNECT of 70 KiB", holds: "0x95, packet_too_large", wage: largeConnect, reasons: []string{"packet_too_large"}},
		{name: "properties in CONNECT", does: "sends 100 User Properties in CONNECT and in the Will", holds: "0x97, quota_exceeded", wage: connectProperties, reasons: []string{"quota_exceeded"}},
	})
}

// takeoverWar: each loser is told, and the last one stays.
func takeoverWar(t *testing.T, at *arena) {
	loser := connect(t, at.mqtt, "attacker")
	rounds := 0
	for stop := time.Now().Add(span()); time.Now().Before(stop); rounds++ {
		winner := connect(t, at.mqtt, "attacker")
		wantCode(t, "the loser's DISCONNECT", loser.ended(t), packet.ReasonSessionTakenOver)
		loser.Close()
		loser = winner
	}
	eventually(t, "every takeover counted", func() bool { return int(at.metrics(t)["fairlead_takeovers_total"]) >= rounds })
	eventually(t, "session_taken_over counted", func() bool { return at.reason(t, "session_taken_over") > 0 })
	t.Logf("%d takeovers", rounds)
}

func emptyIDs(t *testing.T, at *arena) {
	before := at.metrics(t)["fairlead_sessions"]
	for range size(500, 10_000) {
		connect(t, at.mqtt, "").Close()
	}
	eventually(t, "the end of the sessions", func() bool { return at.metrics(t)["fairlead_sessions"] == before })
}

func longIDs(t *testing.T, at *arena) {
	for i := range size(2500, 10_000) {
		p := dial(t, at.mqtt)
		wantCode(t, "CONNACK", p.hello(t, fmt.Sprintf("%060000d", i)), packet.ReasonClientIdentifierNotValid)
		p.Close()
	}
}

func brokenIDs(t *testing.T, at *arena) {
	for _, id := range []string{"a\x00b", "a\xffb", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80"} {
		p := dial(t, at.mqtt)
		good := bytesOf(greeting(strings.Repeat("?", len(id))))
		if err := p.raw(bytes.Replace(good, []byte(strings.Repeat("?", len(id))), []byte(id), 1)); err != nil {
			t.Fatal(err)
		}
		wantCode(t, fmt.Sprintf("id %q", id), p.ended(t), packet.ReasonMalformedPacket)
	}
}

// controlIDs: such ids are allowed, and must not write lines of their own.
func controlIDs(t *testing.T, at *arena) {
	for _, id := range []string{"a\nlevel=ERROR msg=forged", "a\r\nforged", "\x1b[2Jforged", "a\u0085forged", "a\u2028forged"} {
		p := dial(t, at.mqtt)
		p.send(t, greeting(id, func(c *packet.Connect) {
			c.HasUsername, c.Username = true, []byte("nobody\nforged")
			c.HasPassword, c.Password = true, []byte("wrong")
		}))
		p.ended0(t)
	}
	for line := range strings.Lines(at.log.String()) {
		if strings.HasPrefix(line, "forged") || strings.HasPrefix(line, "level=ERROR msg=forged") || strings.Contains(line, "\x1b[2J") {
			t.Errorf("the log has %q", line)
		}
	}
}

// ended0 reads the CONNACK, whatever it says, and closes.
func (p *peer) ended0(t *testing.T) {
	t.Helper()
	var ack packet.Connack
	p.expect(t, packet.TypeConnack, &ack)
	p.Close()
}

func withWill(topic string, payload []byte) func(*packet.Connect) {
	return func(c *packet.Connect) {
		c.HasWill = true
		c.Will = packet.Will{Topic: []byte(topic), Payload: payload}
	}
}

func willFlood(t *testing.T, at *arena) {
	before := at.metrics(t)["fairlead_wills_published_total"]
	payload := bytes.Repeat([]byte("x"), 50_000)
	n := size(300, 10_000)
	for i := range n {
		connect(t, at.mqtt, fmt.Sprint("attacker-", i), withWill("hostile/will", payload)).Close()
	}
	eventually(t, "every Will", func() bool { return at.metrics(t)["fairlead_wills_published_total"] == before+float64(n) })
}

func deepWill(t *testing.T, at *arena) {
	for i := range size(50, 1000) {
		p := dial(t, at.mqtt)
		wantCode(t, "CONNACK", p.hello(t, fmt.Sprint("attacker-", i), withWill(strings.Repeat("/", 30_000), nil)), packet.ReasonTopicNameInvalid)
		p.Close()
	}
}

func sessionFlood(t *testing.T, at *arena) {
	busy := 0
	for i := range 700 {
		p := dial(t, at.mqtt)
		if p.hello(t, fmt.Sprint("attacker-", i), durable) == packet.ReasonServerBusy {
			busy++
		}
		p.Close()
	}
	if busy < 200 {
		t.Errorf("of 700 sessions %d were refused, allowed are 500", busy)
	}
	// Those who are known already may come back; the table is made room in for the
	// client that comes after the attack.
	p := dial(t, at.mqtt)
	if code := p.hello(t, "attacker-0", durable); code != packet.ReasonSuccess {
		at.fail(t, "a known client is refused with %#x while no session more is allowed", byte(code))
	}
	p.Close()
	for i := range 5 {
		clean := dial(t, at.mqtt)
		clean.hello(t, fmt.Sprint("attacker-", i))
		clean.Close()
	}
}

func largeConnect(t *testing.T, at *arena) {
	for range size(100, 5000) {
		p := dial(t, at.mqtt)
		p.raw(bytesOf(greeting("attacker", withWill("hostile/will", bytes.Repeat([]byte("x"), 65_535)), func(c *packet.Connect) {
			c.HasUsername, c.Username = true, bytes.Repeat([]byte("u"), 10_000)
		})))
		wantCode(t, "CONNACK", p.ended(t), packet.ReasonPacketTooLarge)
		p.Close()
	}
}

func connectProperties(t *testing.T, at *arena) {
	for range size(20, 1000) {
		for _, in := range []func(*packet.Connect) *packet.Properties{
			func(c *packet.Connect) *packet.Properties { return &c.Properties },
			func(c *packet.Connect) *packet.Properties { return &c.Will.Properties },
		} {
			p := dial(t, at.mqtt)
			p.raw(bytesOf(greeting("attacker", withWill("hostile/will", nil), func(c *packet.Connect) {
				for range 100 {
					in(c).AddUser([]byte("k"), []byte("v"))
				}
			})))
			wantCode(t, "CONNACK", p.ended(t), packet.ReasonQuotaExceeded)
			p.Close()
		}
	}
}
