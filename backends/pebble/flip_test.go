package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fairlead-iot/fairlead/backends/pebble"
	"github.com/fairlead-iot/fairlead/core"
)

var flips = flag.Int("flips", 4, "bits of each file that TestFlippedBits flips, one at a time")

// diskFiles reads all files below dir.
func diskFiles(t *testing.T, files vfs.FS, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	names, err := files.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		at := path.Join(dir, name)
		info, err := files.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			for name, text := range diskFiles(t, files, at) {
				all[name] = text
			}
			continue
		}
		f, err := files.Open(at)
		if err != nil {
			t.Fatal(err)
		}
		if all[at], err = io.ReadAll(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return all
}

// diskWith makes a disk that holds files.
func diskWith(t *testing.T, files map[string][]byte) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewMem()
	for name, text := range files {
		if err := disk.MkdirAll(path.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := disk.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(text); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return disk
}

const (
	flipEntries  = 120
	flipRetained = 20
)

// flipEntry is entry seq of a session: small ones lie inline, large ones apart.
func flipEntry(id string, seq uint64) core.Op {
	return op(core.OpEnqueue, id, seq, 200+int(seq%5)*1500)
}

// powerCut gives the files of a store whose power fails: tables, a manifest with
// several entries, and a log.
func powerCut(t *testing.T) map[string][]byte {
	t.Helper()
	disk := vfs.NewCrashableMem()
	cfg := small("/data")
	cfg.FS, cfg.MemtableSize = disk, 256<<10
	s := open(t, cfg)
	defer s.Close()
	var ops []core.Op
	for _, id := range []string{"a", "b"} {
		ops = append(ops, op(core.OpPutSession, id, 0, 0),
			core.Op{Kind: core.OpPutSubscription, Session: id, Subscription: &core.SubscriptionRecord{Filter: "x/#"}},
			core.Op{Kind: core.OpPutReceived, Session: id, PacketID: 7})
	}
	for i := range flipRetained {
		ops = append(ops, core.Op{Kind: core.OpPutRetained, Msg: &core.Message{Topic: fmt.Sprint("r/", i), Payload: []byte("kept")}})
	}
	if err := wait(t, send(t, s, ops...)); err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(flipEntries) {
		if err := wait(t, send(t, s, flipEntry("a", seq), flipEntry("b", seq))); err != nil {
			t.Fatal(err)
		}
	}
	// Nothing proves the last group of a log: this one may be taken for one that
	// the power failure cut off.
	if err := wait(t, send(t, s, op(core.OpPutSession, "last", 0, 0))); err != nil {
		t.Fatal(err)
	}
	return diskFiles(t, disk.CrashClone(vfs.CrashCloneCfg{}), "/data")
}

// A bit flips in any of the files. What is served is right; what is missing is
// told, and where the store refuses to start it starts when it may discard.
func TestFlippedBits(t *testing.T) {
	files := powerCut(t)
	kinds := map[string]*[4]int{}
	seed := rand.Uint64()
	t.Logf("seed %#x, %d files", seed, len(files))
	rng := rand.New(rand.NewPCG(seed, 9))
	for name, text := range files {
		kind := strings.TrimRight(path.Base(name), "0123456789")
		if ext := path.Ext(name); ext == ".sst" || ext == ".log" {
			kind = ext
		}
		if kinds[kind] == nil {
			kinds[kind] = &[4]int{}
		}
		for range min(*flips, 8*len(bytes.TrimRight(text, "\x00"))) {
			at := rng.IntN(len(bytes.TrimRight(text, "\x00")))
			broken := bytes.Clone(text)
			broken[at] ^= 1 << rng.IntN(8)
			t.Run(fmt.Sprintf("%s byte %d", path.Base(name), at), func(t *testing.T) {
				changed := map[string][]byte{}
				for n, b := range files {
					changed[n] = b
				}
				changed[name] = broken
				kinds[kind][flipped(t, changed)]++
			})
		}
	}
	for kind, n := range kinds {
		t.Logf("%-24s %3d complete, %3d with what is lost told, %3d refused and then discarded, %3d refused", kind, n[0], n[1], n[2], n[3])
	}
}

// What may come of a flipped bit.
const (
	flipHarmless = iota
	flipTold
	flipDiscarded
	flipRefused
)

func flipped(t *testing.T, files map[string][]byte) int {
	cfg := small("/data")
	cfg.FS = diskWith(t, files)
	s, err := pebble.Open(cfg, nil)
	if err == nil {
		defer s.Close()
		if judgeFlipped(t, s) {
			return flipTold
		}
		return flipHarmless
	}
	var damage *pebble.DamageError
	if !errors.As(err, &damage) {
		if !strings.Contains(err.Error(), "/data") {
			t.Errorf("the refusal does not say where: %v", err)
		}
		t.Log(err)
		return flipRefused
	}
	if damage.Detail == "" || !strings.Contains(err.Error(), "store.repair") {
		t.Errorf("the refusal does not say what to do: %v", err)
	}
	cfg.Repair = pebble.RepairDiscard
	if s, err = pebble.Open(cfg, nil); err != nil {
		t.Fatalf("with discard: %v", err)
	}
	defer s.Close()
	if !judgeFlipped(t, s) {
		t.Errorf("nothing is told as lost after %v", damage)
	}
	if aside := diskFiles(t, cfg.FS, "/data/damaged"); len(aside) == 0 {
		t.Error("nothing was set aside")
	}
	return flipDiscarded
}

// judgeFlipped compares what a store holds with what was put into it; told says
// that it reports damage.
func judgeFlipped(t *testing.T, s *pebble.Store) (told bool) {
	t.Helper()
	c := newContent()
	if err := s.Load(context.Background(), c); err != nil {
		if !strings.Contains(err.Error(), "file 0") {
			t.Errorf("the refusal does not say where: %v", err)
		}
		return true // nothing of it can be read
	}
	missing := flipRetained - len(c.retained)
	for _, id := range []string{"a", "b"} {
		if !c.subs[id+" x/#"] || len(c.sessions[id].Received) != 1 {
			missing++
		}
		missing += flipEntries - readFlipped(t, s, id)
	}
	n, names := s.Faults()
	if missing > 0 && n == 0 {
		t.Errorf("%d things are missing and nothing is told", missing)
	}
	if n > 0 && len(names) == 0 {
		t.Errorf("%d faults without a name", n)
	}
	if err := wait(t, send(t, s, op(core.OpPutSession, "new", 0, 0), op(core.OpEnqueue, "new", 0, 10))); err != nil {
		t.Errorf("Commit beside the damage: %v", err)
	}
	return n > 0
}

// readFlipped reads a queue and gives how many entries of it are right; a wrong
// one fails the test.
func readFlipped(t *testing.T, s *pebble.Store, id string) (n int) {
	t.Helper()
	for from := uint64(0); ; {
		got, err := s.Fetch(t.Context(), id, from, 50, 1<<20, nil)
		if err != nil {
			t.Fatalf("Fetch: %v", err)
		}
		if len(got) == 0 {
			return n
		}
		for i := range got {
			want := flipEntry(id, got[i].Seq)
			if got[i].Seq >= flipEntries || !bytes.Equal(got[i].Msg.Payload, want.Entry.Msg.Payload) {
				t.Errorf("entry %d is not what was stored", got[i].Seq)
			}
		}
		n += len(got)
		from = got[len(got)-1].Seq + 1
	}
}
