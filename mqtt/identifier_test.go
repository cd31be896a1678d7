package mqtt

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core/coretest"
)

// identifierTest plays the identifiers of QoS 1 once around: message 1 is not
// acknowledged, so its identifier must not come again until it is.
func identifierTest(t *testing.T, version byte) {
	st := &stage{t: t, mqtt: DefaultConfig(), version: version, ends: map[string]*end{}, at: "start"}
	st.gw = coretest.Start(t, nil, nil)
	for _, line := range strings.Split(strings.TrimSpace(pair), "\n") {
		st.act(strings.TrimSpace(line))
	}
	s, p := st.ends["s"], st.ends["p"]
	publish := st.bytes("32 .. 'a' 0001 {} \"x\"")
	send := func(n int) (ids []uint16) {
		p.inbuf = bytes.Repeat(publish, n)
		st.settle()
		p.take()
		for out := s.take(); len(out) > 0; out = out[len(publish):] {
			ids = append(ids, binary.BigEndian.Uint16(out[5:]))
		}
		return ids
	}
	acknowledge := func(ids []uint16) {
		for _, id := range ids {
			s.inbuf = append(s.inbuf, 0x40, 2, byte(id>>8), byte(id))
		}
		st.settle()
	}
	first := send(1)
	for sent := 0; sent < 1<<16; sent += 512 {
		ids := send(512)
		for _, id := range ids {
			if id == first[0] || id == 0 {
				t.Fatalf("identifier %d is given again while in use, after about %d messages", id, sent)
			}
		}
		acknowledge(ids)
	}
	// What the last identifier in use held up goes on now.
	acknowledge(first)
	if len(s.take()) == 0 {
		t.Fatal("nothing was held up: more messages were sent than there are identifiers")
	}
	for _, e := range st.ends {
		e.lose()
	}
	synctest.Wait()
}

func TestMQTT_2_2_1_4_IdentifiersGoAround(t *testing.T) {
	for _, v := range "345" {
		t.Run(versionName(v), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { identifierTest(t, byte(v)) })
		})
	}
}
