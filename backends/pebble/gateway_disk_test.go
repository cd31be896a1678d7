package pebble_test

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// answers waits for the next answer to a publisher.
func answers(t *testing.T, c *coretest.Client) core.Delivery {
	t.Helper()
	var got []core.Delivery
	until(t, "the publisher is answered", func() bool {
		got = c.Now()
		return len(got) > 0
	})
	return got[0]
}

// The disk fails under a gateway: publishers are refused with the reason, nothing
// is acknowledged that is not kept, health says so, and all goes on by itself once
// the disk works again.
func TestGatewayOnFailingDisk(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		match func(errorfs.Op) bool
		want  core.Reason
	}{
		{"no space", syscall.ENOSPC, anyWrite, core.StoreFull},
		{"no space for the log", syscall.ENOSPC, file(".log", errorfs.OpFileWrite), core.StoreFull},
		{"write fails", syscall.EIO, anyWrite, core.StoreUnavailable},
		{"fsync fails", syscall.EIO, file(".log", errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo), core.StoreUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			disk := newFailingDisk(vfs.NewMem())
			cfg := small("/data")
			cfg.FS = disk
			s := open(t, cfg)
			t.Cleanup(func() { s.Close() })
			g := coretest.StartOn(t, s)
			lasting := func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = false, core.NeverExpires }
			away := g.Connect("away", lasting)
			away.Subscribe(1, "t")
			away.Disconnect(core.ConnectionLost)
			p, other := g.Connect("p", nil), g.Connect("other", nil)
			publish := func(c *coretest.Client, payload string, id uint16) {
				c.Publish(core.Publish{Topic: "t", Payload: []byte(payload), QoS: 1, PacketID: id})
			}
			publish(p, "before", 1)
			if d := answers(t, p); d.Kind != core.DeliverAck || d.Reason != core.Success {
				t.Fatalf("before: %+v", d)
			}
			disk.fail(tt.err, tt.match)
			publish(p, "caught", 2)
			until(t, "health says so", func() bool { st := g.Stats(); return st.StoreHealth != nil })
			publish(other, "refused", 1)
			if d := answers(t, other); d.PacketID != 1 || d.Reason != tt.want {
				t.Errorf("while the disk fails: packet %d answered with %v, want %v", d.PacketID, d.Reason, tt.want)
			}
			if got := p.Now(); len(got) != 0 {
				t.Errorf("what was caught by the failure was answered: %+v", got)
			}
			disk.heal()
			if d := answers(t, p); d.PacketID != 2 || d.Reason != core.Success {
				t.Errorf("after the disk works again: %+v", d)
			}
			until(t, "health is good", func() bool { st := g.Stats(); return st.StoreHealth == nil })
			publish(other, "after", 2)
			if d := answers(t, other); d.PacketID != 2 || d.Reason != core.Success {
				t.Errorf("after: %+v", d)
			}
			arrivesAt(t, g.Connect("away", lasting), "before", "caught", "after")
		})
	}
}

// arrivesAt waits for these payloads, in this order.
func arrivesAt(t *testing.T, c *coretest.Client, want ...string) {
	t.Helper()
	var got []string
	defer func() { t.Logf("arrived: %q", got) }()
	until(t, "the queue arrives", func() bool {
		for _, d := range c.Now() {
			got = append(got, string(d.Msg.Payload))
			c.Ack(core.AckReceived1, d.PacketID)
		}
		return len(got) >= len(want)
	})
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("arrived %q, want %q", got, want)
		}
	}
}

// Reading fails for a while: the reader hears of it, and nothing is taken for
// damaged or given up.
func TestReadFailure(t *testing.T) {
	var failing atomic.Bool
	cfg := small("/data")
	cfg.CacheSize = 0
	cfg.FS = errorfs.Wrap(diskWith(t, powerCut(t)), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if failing.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsRead && file(".sst")(op) {
			return syscall.EIO
		}
		return nil
	}))
	s := open(t, cfg)
	defer s.Close()
	load(t, s)
	failing.Store(true)
	if got, err := s.Fetch(t.Context(), "a", 0, 10, 1<<20, nil); !errors.Is(err, syscall.EIO) {
		t.Errorf("Fetch while reading fails: %d entries, %v", len(got), err)
	}
	failing.Store(false)
	if n := readFlipped(t, s, "a"); n != flipEntries {
		t.Errorf("%d of %d entries are left", n, flipEntries)
	}
	if n, names := s.Faults(); n != 0 {
		t.Errorf("taken for damaged: %q", names)
	}
}
