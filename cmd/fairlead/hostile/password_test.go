package hostile

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestPasswords are the attacks on the identity sources.
func TestPasswords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	for _, user := range []string{"alice", "mallory"} {
		cmd := exec.Command(command(t), "passwd", file, user)
		cmd.Stdin = strings.NewReader("correct horse\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	users := []string{"auth.passwd_file=" + file}
	run(t, []attack{
		{name: "password guessing", does: "tries 300 wrong passwords of one user at once, each on its own socket", holds: "0x86, bad_credentials; who knows the password comes in meanwhile", settings: users,
			wage: guessing, reasons: []string{"bad_credentials"}, ceiling: target},
		{name: "passwords of 60 KiB", does: "tries wrong passwords of 60 KiB", holds: "0x86, bad_credentials, and no hash is made", settings: users, wage: longPasswords, reasons: []string{"bad_credentials"}},
		{name: "takeover across users", does: "connects as another user under a victim's client id", holds: "0x87, not_authorized; the victim stays", settings: users, wage: foreignTakeover, reasons: []string{"not_authorized"}},
		{name: "sessions of one user", does: "leaves sessions that never expire, under ever new ids of one user", holds: "0x97, quota_exceeded", settings: append([]string{"core.max_sessions_per_user=100"}, users...), wage: userSessions, once: true, reasons: []string{"quota_exceeded"}},
	})
}

func as(user, password string) func(*packet.Connect) {
	return func(c *packet.Connect) {
		c.HasUsername, c.Username = true, []byte(user)
		c.HasPassword, c.Password = true, []byte(password)
	}
}

func guessing(t *testing.T, at *arena) {
	// Those of the first wave are hashed before those of the second, which must have an
	// answer within patience.
	all := make([]*peer, size(300, 600))
	for i := range all {
		p := from(t, at.mqtt, "127.0.0.2")
		all[i] = p
		p.send(t, greeting(fmt.Sprint("attacker-", i), as("alice", fmt.Sprint("guess ", i))))
	}
	alice := dial(t, at.mqtt)
	begun := time.Now()
	alice.send(t, greeting("alice", as("alice", "correct horse")))
	if code, ok := alice.answer(); !ok || code != packet.ReasonSuccess {
		t.Errorf("alice is refused with %#x after %v", byte(code), time.Since(begun).Round(time.Millisecond))
	} else if guesses := at.reason(t, "bad_credentials"); int(guesses) > len(all)/2 {
		t.Errorf("alice came in behind %v of %d guesses, after %v", guesses, len(all), time.Since(begun).Round(time.Millisecond))
	}
	t.Logf("alice came in after %v", time.Since(begun).Round(time.Millisecond))
	again := from(t, at.mqtt, "127.0.0.2")
	if code := again.hello(t, "alice-2", as("alice", "correct horse")); code != packet.ReasonSuccess {
		t.Errorf("alice, who was in before, is refused at the guesser's address with %#x", byte(code))
	}
	if guesses := at.reason(t, "bad_credentials"); int(guesses) > len(all)/2 {
		t.Errorf("alice, who was in before, came in behind %v of %d guesses", guesses, len(all))
	}
	if code, ok := all[0].answer(); !ok || code != packet.ReasonBadUserNameOrPassword {
		t.Errorf("a wrong password is answered with %#x", byte(code))
	}
	eventually(t, "the first refusal", func() bool { return at.reason(t, "bad_credentials") > 0 })
}

// longPasswords: a thousand hashes would take longer than patience.
func longPasswords(t *testing.T, at *arena) {
	for i := range size(200, 2000) {
		p := dial(t, at.mqtt)
		wantCode(t, "CONNACK", p.hello(t, "attacker", as("alice", strings.Repeat("x", 60_000)+fmt.Sprint(i))), packet.ReasonBadUserNameOrPassword)
		p.Close()
	}
}

func foreignTakeover(t *testing.T, at *arena) {
	victim := connect(t, at.mqtt, "victim", as("alice", "correct horse"), durable)
	for range size(200, 10_000) {
		p := dial(t, at.mqtt)
		wantCode(t, "CONNACK", p.hello(t, "victim", as("mallory", "correct horse")), packet.ReasonNotAuthorized)
		p.Close()
	}
	at.settled(t, victim)
}

func userSessions(t *testing.T, at *arena) {
	in := 0
	for i := range 200 {
		p := dial(t, at.mqtt)
		switch code := p.hello(t, fmt.Sprint("attacker-", i), as("mallory", "correct horse"), durable); code {
		case packet.ReasonSuccess:
			in++
		default:
			wantCode(t, "CONNACK", code, packet.ReasonQuotaExceeded)
		}
		p.Close()
	}
	if in != 100 {
		t.Errorf("%d sessions of one user, allowed are 100", in)
	}
	wantCode(t, "another user", dial(t, at.mqtt).hello(t, "alice", as("alice", "correct horse"), durable), packet.ReasonSuccess)
}

// answer reads the CONNACK, or tells that the connection ended without.
func (p *peer) answer() (packet.ReasonCode, bool) {
	p.SetReadDeadline(time.Now().Add(patience))
	f, err := p.next()
	var ack packet.Connack
	if err != nil || f.Type != packet.TypeConnack || ack.Decode(packet.V5, f.Header, f.Body) != nil {
		return 0, false
	}
	return ack.Reason, true
}
