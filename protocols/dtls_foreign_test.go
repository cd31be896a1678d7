package protocols

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// shouting is a program's output, as it comes.
type shouting struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shouting) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *shouting) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.b.String(), text)
}

func (s *shouting) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestForeignOpenSSL has a DTLS that none of us wrote go through the cookie, and speak.
func TestForeignOpenSSL(t *testing.T) {
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	lc := &ListenerConfig{}
	certify(t, &lc.TLS)
	lc.DTLS.PSKFile = writeFile(t, t.TempDir()+"/keys", []byte("meter-1:"+testKey))
	for name, args := range map[string][]string{
		"shared key":  {"-psk_identity", "meter-1", "-psk", testKey, "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0"},
		"certificate": {"-cipher", "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"},
		"GCM":         {"-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := *lc
			e := startDTLS(t, &cfg)
			c := exec.CommandContext(t.Context(), program, append([]string{"s_client", "-dtls1_2", "-quiet", "-connect", e.server.Addresses()["l"].String()}, args...)...)
			in, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out := &shouting{}
			c.Stdout, c.Stderr = out, out
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { c.Wait(); close(ended) }()
			io.WriteString(in, "hello\n")
			m := await(t, e.peers.made, "machine: "+out.String())
			if (name == "shared key") != (m.info.PSKIdentity == "meter-1") {
				t.Errorf("identity %q", m.info.PSKIdentity)
			}
			for begin := time.Now(); !out.has("welcome"); {
				if time.Since(begin) > patience {
					t.Fatalf("no answer: %s", out)
				}
				select {
				case <-ended:
					t.Fatalf("ended: %s", out)
				case <-time.After(10 * time.Millisecond):
				}
			}
			m.conn.Close(core.AdministrativeAction)
			<-ended // close_notify
		})
	}
}
