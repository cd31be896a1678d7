package mqtt

import (
	"encoding/binary"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// FuzzMachine feeds any bytes in any split, with a gateway that answers now or
// later as the fuzzer wants: the machine never panics, never goes back on what it
// consumed, ends where it should and holds no more than its tables.
func FuzzMachine(f *testing.F) {
	for _, s := range []string{
		connect31, connect311 + "c000 30 03 0001 61", connect5 + "82 07 0009 00 0001 61 01 a2 06 000a 00 0001 61 e000",
		connect5 + "30 07 0001 61 03 23 0020 30 06 0000 03 23 0020", connect5 + "32 06 0001 61 0001 00 40 02 0001 50 02 0001 62 02 0001 70 02 0001",
		connect5With("15 0003 666f6f") + "f0 08 19 06 15 0003 666f6f", connectFoo() + nextFoo + "61" + nextFoo + "62" + againFoo + "63" + nextFoo + "64", "16 03 01", connect311 + connect311,
	} {
		f.Add(unhex(f, s), uint64(0x1234), byte(0))
		f.Add(unhex(f, s), uint64(3), byte(0xFF))
		f.Add(unhex(f, s), uint64(3), byte(0x10))
	}
	f.Fuzz(func(t *testing.T, stream []byte, splits uint64, answers byte) {
		r := newRig(t)
		r.gw.connectPending = answers&1 != 0
		r.gw.subPending = answers&2 != 0
		r.gw.publishPause = answers&4 != 0
		if answers&16 != 0 {
			r.gw.connect = more("b")
		}
		r.gw.auths = []core.ConnectResult{more("c"), {Link: core.Link{Session: &core.Session{}, Epoch: 1}, Data: []byte("d")}, more("e"), {}}
		r.gw.authPending = answers&32 != 0
		if answers&8 != 0 {
			r.gw.publishErr = core.Errorf(core.ReceiveMaximumExceeded, "slow")
		}
		feed(t, r, stream, splits)
		r.m.Closed(r.turn, core.ConnectionLost)
		if n := len(r.gw.disconnects); n > 1 || (n == 1) != accepted(r) {
			t.Fatalf("core heard of %d ends, calls %v", n, r.gw.calls)
		}
		if r.m.rare != nil && len(r.m.rare.aliases) > int(r.m.adapter.cfg.TopicAliasMaximum) {
			t.Fatalf("%d aliases", len(r.m.rare.aliases))
		}
	})
}

// accepted says whether core ever granted the CONNECT.
func accepted(r *rig) bool { return r.m.link.Session != nil }

// feed plays the edge: it offers what has come, and what was not used again with
// more behind it.
func feed(t *testing.T, r *rig, stream []byte, splits uint64) {
	var a protocols.Actions
	for at, end := 0, 0; ; {
		if end == len(stream) {
			return
		}
		end = min(len(stream), end+1+int(splits&15))
		splits = splits>>4 | splits<<60
		a.Reset()
		offered := stream[at:end:end]
		used := r.m.Input(r.turn, offered, &a)
		if used < 0 || used > len(offered) {
			t.Fatalf("used %d of %d", used, len(offered))
		}
		if !a.Close && !a.Pause && !a.Again && len(offered)-used > 5+r.m.adapter.cfg.MaxPacketSize {
			t.Fatalf("%d bytes are neither used nor refused", len(offered)-used)
		}
		at += used
		for a.Pause && !a.Close {
			a.Reset()
			completeWhatIsPending(r, &a)
		}
		if a.Close {
			return
		}
	}
}

func completeWhatIsPending(r *rig, a *protocols.Actions) {
	c := core.Completion{}
	switch r.m.waiting {
	case forConnect:
		c = core.Completion{Op: core.OpConnect, Connect: r.gw.result(r.gw.request)}
		if r.gw.authAsked {
			c.Connect = r.gw.nextAuth()
		}
	case forAuth:
		c = core.Completion{Op: core.OpAuthenticate, Connect: r.gw.nextAuth()}
	case forSubscribe:
		n := len(r.gw.subscribed[len(r.gw.subscribed)-1].Filters)
		c = core.Completion{Op: core.OpSubscribe, Token: uint32(r.m.rare.packetID), Granted: make([]uint8, n), Reasons: make([]core.Reason, n)}
	case forUnsubscribe:
		c = core.Completion{Op: core.OpUnsubscribe, Token: uint32(r.m.rare.packetID), Reasons: make([]core.Reason, 1)}
	case forReadable:
		c = core.Completion{Op: core.OpReadable}
	}
	r.m.Complete(r.turn, c, a)
}

// FuzzAliases sends topics in any order and reads back what the client would see.
func FuzzAliases(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 2, 2, 2, 9, 0}, uint16(2))
	f.Add([]byte{5, 5, 5, 5}, uint16(1))
	f.Fuzz(func(t *testing.T, order []byte, max uint16) {
		r := opened(t, connect5With("22 "+hexOf(binary.BigEndian.AppendUint16(nil, max))))
		client := map[uint16]string{}
		for _, b := range order {
			topic := string([]byte{'t', 'o', 'p', 'i', 'c', '/', 'a' + b%26})
			got, _ := decodeAll(t, r.out(core.Delivery{Msg: message(topic, "")}), client)
			if got[0] != topic {
				t.Fatalf("the client reads %q, sent was %q", got[0], topic)
			}
		}
		if len(client) > int(max) {
			t.Fatalf("%d aliases, %d are allowed", len(client), max)
		}
	})
}
