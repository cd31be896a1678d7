package pebble_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fairlead-iot/fairlead/backends/pebble"
	"github.com/fairlead-iot/fairlead/core"
)

var writeFormat = flag.String("write-format", "", "write today's data directory to testdata under this name: once for each new format")

// formatOps fill a store with a record of each kind, every field used.
func formatOps() []core.Op {
	props := &core.Properties{PayloadFormat: 1, ContentType: "text/plain", ResponseTopic: "re/ply", CorrelationData: []byte{1, 2},
		User: []core.UserProperty{{Name: "unit", Value: "°C"}}}
	m := func(n uint64, size int) *core.Message {
		return &core.Message{Topic: "plant/1/temperature", Payload: bytes.Repeat([]byte{byte(n)}, size), Publisher: "p", Username: "u",
			ID: n, QoS: 2, Retain: true, Published: 1_700_000_000_000, Expires: 4_000_000_000_000, Properties: props}
	}
	record := &core.SessionRecord{ClientID: "sensor", Username: "u", Epoch: 3, Expiry: core.NeverExpires, Protocol: "mqtt", Version: 5,
		Listener: "mqtts", Mount: "plant/%u/", Peer: netip.MustParseAddr("2001:db8::1"), Superuser: true, Disconnected: 1_700_000_000_001, Created: 1_600_000_000_000,
		Will: &core.Will{Topic: "will/sensor", Payload: []byte("gone"), QoS: 1, Retain: true, Delay: 10, Expiry: 20, HasExpiry: true, Properties: props}, WillAt: 1_700_000_010_001}
	s, shared := "sensor", m(9, 40)
	named := func(m *core.Message) *core.Message {
		m.Stored = &core.StoredName{Sink: "redis.main", ID: fmt.Sprintf("name of %d", m.ID)}
		return m
	}
	return []core.Op{
		{Kind: core.OpPutSession, Session: s, Record: record},
		{Kind: core.OpPutSession, Session: "plain", Record: &core.SessionRecord{ClientID: "plain", Epoch: 1}},
		{Kind: core.OpPutSubscription, Session: s, Subscription: &core.SubscriptionRecord{Filter: "$share/g/plant/+/#", SubID: 77,
			SubscribeOptions: core.SubscribeOptions{QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}}},
		{Kind: core.OpEnqueue, Session: s, Entry: core.QueuedMessage{Seq: 0, Msg: m(1, 20), QoS: 1, Retain: true, SubIDs: []uint32{77, 1}}},
		{Kind: core.OpEnqueue, Session: s, Entry: core.QueuedMessage{Seq: 1, Msg: m(2, 3000), QoS: 2}},
		{Kind: core.OpEnqueue, Session: s, Entry: core.QueuedMessage{Seq: 2, Msg: m(3, 20), QoS: 2}},
		{Kind: core.OpReleased, Session: s, Entry: core.QueuedMessage{Seq: 2}},
		{Kind: core.OpEnqueue, Session: s, Entry: core.QueuedMessage{Seq: 3, Msg: shared, QoS: 1}},
		{Kind: core.OpEnqueue, Session: "plain", Entry: core.QueuedMessage{Seq: 0, Msg: shared, QoS: 1}},
		{Kind: core.OpEnqueue, Session: s, Entry: core.QueuedMessage{Seq: 4, Msg: named(m(6, 20)), QoS: 2}},
		{Kind: core.OpEnqueue, Session: s, Entry: core.QueuedMessage{Seq: 5, Msg: named(m(7, 3000)), QoS: 1}},
		{Kind: core.OpEnqueue, Session: s, Entry: core.QueuedMessage{Seq: 6, Msg: named(m(8, 20)), QoS: 2}},
		{Kind: core.OpReleased, Session: s, Entry: core.QueuedMessage{Seq: 6, Msg: named(m(8, 0))}},
		{Kind: core.OpPutReceived, Session: s, PacketID: 65535},
		{Kind: core.OpPutSubscription, Session: s, Subscription: &core.SubscriptionRecord{Filter: "commands/sensor", Proxy: true, SubscribeOptions: core.SubscribeOptions{QoS: 1}}},
		{Kind: core.OpPutDelayed, Delayed: &core.DelayedRecord{Msg: m(5, 30), Due: 1_700_000_060_000, Listener: "mqtts", Peer: netip.MustParseAddr("192.0.2.1"), Superuser: true}},
		{Kind: core.OpPutRetained, Msg: m(4, 10)},
		{Kind: core.OpPutSession, Session: "asleep", Record: &core.SessionRecord{ClientID: "asleep", Epoch: 1, Expiry: core.NeverExpires, Protocol: "mqttsn", Version: 1,
			Listener: "mqttsn", Peer: netip.MustParseAddr("192.0.2.9"), Port: 4711, Asleep: 3600, Will: record.Will, KeptWill: &core.Will{Topic: "kept", Payload: []byte("k")}}},
		{Kind: core.OpPutRegistration, Session: "asleep", PacketID: 7, Filter: "plant/1/temperature"},
	}
}

// describeStore writes all that a store holds as text.
func describeStore(t *testing.T, s *pebble.Store) string {
	t.Helper()
	var out strings.Builder
	c := load(t, s)
	message := func(m *core.Message) string {
		if m == nil {
			return "none"
		}
		text := fmt.Sprintf("%s of %s/%s id %d qos %d retain %t at %d until %d, %d bytes %x…, %+v", m.Topic, m.Publisher, m.Username, m.ID, m.QoS,
			m.Retain, m.Published, m.Expires, len(m.Payload), m.Payload[:min(4, len(m.Payload))], *m.Properties)
		if m.Stored != nil {
			text += fmt.Sprintf(", %q of %s", m.Stored.ID, m.Stored.Sink)
		}
		return text
	}
	for _, id := range slices.Sorted(maps.Keys(c.sessions)) {
		r := c.sessions[id]
		if r.Will != nil {
			fmt.Fprintf(&out, "will of %s: %s %q %d %t %d %d %t %+v\n", id, r.Will.Topic, r.Will.Payload, r.Will.QoS, r.Will.Retain, r.Will.Delay, r.Will.Expiry, r.Will.HasExpiry, *r.Will.Properties)
			r.Will = nil
		}
		if w := r.KeptWill; w != nil {
			fmt.Fprintf(&out, "will kept by %s: %s %q\n", id, w.Topic, w.Payload)
			r.KeptWill = nil
		}
		// Fields that came later are told only where they are set.
		later := strings.NewReplacer(" KeptWill:<nil>", "", " Asleep:0 Port:0", "", " Registrations:[]", "", " Told:false", "")
		fmt.Fprintf(&out, "session %s\n", later.Replace(fmt.Sprintf("%+v", r)))
		got, err := s.Fetch(t.Context(), id, 0, 100, 1<<20, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got {
			fmt.Fprintf(&out, "entry %d qos %d retain %t released %t subscriptions %v: %s\n", e.Seq, e.QoS, e.Retain, e.Released, e.SubIDs, message(e.Msg))
		}
	}
	for _, sub := range slices.Sorted(maps.Keys(c.subs)) {
		fmt.Fprintf(&out, "subscription %s\n", sub)
	}
	for _, topic := range slices.Sorted(maps.Keys(c.retained)) {
		fmt.Fprintf(&out, "retained %s\n", topic)
	}
	for _, id := range slices.Sorted(maps.Keys(c.delayed)) {
		d := c.delayed[id]
		fmt.Fprintf(&out, "delayed until %d, from %s by %s, superuser %t: %s\n", d.Due, d.Peer, d.Listener, d.Superuser, message(d.Msg))
	}
	return out.String()
}

// Data directories that earlier programs wrote, half in tables and half in a log,
// are read to this day. A new format adds a file; none is ever taken away.
func TestEarlierFormats(t *testing.T) {
	if *writeFormat != "" {
		packFormat(t, filepath.Join("testdata", *writeFormat))
	}
	packed, err := filepath.Glob("testdata/*.tar.gz")
	if err != nil || len(packed) == 0 {
		t.Fatalf("no data directories: %v", err)
	}
	for _, name := range packed {
		t.Run(filepath.Base(name), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(name, ".tar.gz") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			cfg := small("/data")
			cfg.FS = diskWith(t, unpack(t, name))
			s := open(t, cfg)
			defer s.Close()
			if got := describeStore(t, s); got != string(want) {
				t.Errorf("it holds\n%s\nwant\n%s", got, want)
			}
			if n, names := s.Faults(); n != 0 {
				t.Errorf("%d faults: %q", n, names)
			}
		})
	}
}

// packFormat writes a data directory as the power failure leaves it, and what it
// holds.
func packFormat(t *testing.T, name string) {
	disk := vfs.NewCrashableMem()
	cfg := small("/data")
	cfg.FS, cfg.Version = disk, "v0.1.0"
	s := open(t, cfg)
	ops := formatOps()
	for _, part := range [][]core.Op{ops[:5], ops[5:]} {
		if err := wait(t, send(t, s, part...)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, cfg) // what the log held goes to a table
	}
	if err := wait(t, send(t, s, core.Op{Kind: core.OpPutReceived, Session: "plain", PacketID: 1})); err != nil {
		t.Fatal(err)
	}
	files := diskFiles(t, disk.CrashClone(vfs.CrashCloneCfg{}), "/data")
	defer s.Close()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for _, at := range slices.Sorted(maps.Keys(files)) {
		text := files[at]
		err := archive.WriteHeader(&tar.Header{Name: at, Size: int64(len(text)), Mode: 0o600})
		if _, e := archive.Write(text); err != nil || e != nil {
			t.Fatal(err, e)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close(), os.MkdirAll("testdata", 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(name+".tar.gz", out.Bytes(), 0o644), os.WriteFile(name+".txt", []byte(describeStore(t, s)), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func unpack(t *testing.T, name string) map[string][]byte {
	t.Helper()
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	zip, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for archive := tar.NewReader(zip); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}
