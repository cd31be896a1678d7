package fairlead

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// coapGet asks for a path by a confirmable GET, and gives the code of the answer, such as
// 2.05, with its payload, and how long it took.
func (s *site) coapGet(id uint16, path ...string) (answer string, took time.Duration) {
	s.t.Helper()
	conn, err := net.Dial("udp", s.Addresses()["coap"])
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	begin := time.Now()
	conn.SetDeadline(begin.Add(20 * time.Second))
	get := []byte{0x40, 0x01, byte(id >> 8), byte(id)} // CON, no token
	for i, segment := range path {
		delta := byte(0)
		if i == 0 {
			delta = 11 << 4 // Uri-Path
		}
		get = append(append(get, delta|byte(len(segment))), segment...)
	}
	if _, err := conn.Write(get); err != nil {
		s.t.Fatal(err)
	}
	for {
		b := make([]byte, 2048)
		n, err := conn.Read(b)
		if err != nil {
			s.t.Fatalf("GET %v: %v", path, err)
		}
		if b = b[:n]; b[1] == 0 {
			continue // acknowledged: the answer comes apart
		}
		if b[0]>>4&3 == 0 {
			conn.Write([]byte{0x60, 0, b[2], b[3]})
		}
		return fmt.Sprintf("%d.%02d %s", b[1]>>5, b[1]&31, coapPayload(b)), time.Since(begin)
	}
}

// coapPayload is what stands behind the options, which are short here.
func coapPayload(b []byte) []byte {
	for i := 4; i < len(b); {
		if b[i] == 0xFF {
			return b[i+1:]
		}
		delta, n := b[i]>>4, int(b[i]&15)
		i++
		for range max(int(delta)-12, 0) { // 13: one byte more
			i++
		}
		i += n
	}
	return nil
}

// CoAP devices that ask find the retained messages that a database keeps, hear soon that it
// is away, and find them again.
func TestServiceRetainedByCoAP(t *testing.T) {
	for _, of := range stores() {
		t.Run(of.name, func(t *testing.T) {
			use, _ := of.open(t)
			c := testConfig(t.TempDir())
			use(&c, []rules.Rule{
				{Hook: rules.SessionSubscribed, Function: rules.OnRetainLookup},
				{Hook: rules.MessagePublish, Topic: "#", Function: rules.OnMessageRetain},
				{Hook: rules.MessagePublish, Topic: "#", Function: rules.OnRetainDelete},
			})
			s := &site{start(t, c), t}
			p := s.dial(devices.Options{ClientID: "p"})
			wants := func(id uint16, want string) {
				t.Helper()
				if got, took := s.coapGet(id, "ps", "r", "1"); got != want || took > 10*time.Second {
					t.Errorf("%q after %v, want %q", got, took, want)
				}
			}
			wants(1, "4.04 nothing is retained there")
			s.publish(p, "r/1", "kept", true)
			wants(2, "2.05 kept") // at once
			s.publish(p, "r/1", "", true)
			wants(3, "4.04 nothing is retained there")
			s.publish(p, "r/1", "again", true)
			wants(4, "2.05 again")
			testservice.Kill(t, of.name)
			t.Cleanup(func() { testservice.Start(t, of.name) }) // also when this fails
			wants(5, "5.03 server_unavailable")
			testservice.Start(t, of.name)
			answer := ""
			for n := range uint16(60) {
				if answer, _ = s.coapGet(10+n, "ps", "r", "1"); answer == "2.05 again" {
					return
				}
				pause(500 * time.Millisecond)
			}
			t.Errorf("it is back, and the answer is %q", answer)
		})
	}
}
