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
	cmd := exec.Command(command(t), "passwd", file, "alice")
	cmd.Stdin = strings.NewReader("correct horse\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run(t, []attack{
		{name: "password guessing", does: "tries 300 wrong passwords of one user at once, each on its own socket", holds: "0x86, bad_credentials; who knows the password comes in meanwhile", settings: []string{"auth.passwd_file=" + file},
			wage: guessing, reasons: []string{"bad_credentials"}, ceiling: target},
	})
}

func as(user, password string) func(*packet.Connect) {
	return func(c *packet.Connect) {
		c.HasUsername, c.Username = true, []byte(user)
		c.HasPassword, c.Password = true, []byte(password)
	}
}

func guessing(t *testing.T, at *arena) {
	all := make([]*peer, size(300, 2000))
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
