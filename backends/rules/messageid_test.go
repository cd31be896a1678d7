package rules_test

import (
	"slices"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
)

// The text is part of what stands in databases: it must never change.
func TestMessageIDIsGolden(t *testing.T) {
	m := &core.Message{ID: 1_790_000_000_000_000<<8 | 7, Topic: "sensors/1/temperature", Publisher: "sensor-1"}
	if got, want := rules.MessageID(m), goldenMessageID; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	other := core.Message{ID: m.ID, Topic: m.Topic, Publisher: "sensor-2"}
	if rules.MessageID(m) == rules.MessageID(&other) {
		t.Error("two publishers have the same")
	}
}

func TestMessageIDsSort(t *testing.T) {
	var ids []string
	for i := range uint64(2000) {
		ids = append(ids, rules.MessageID(&core.Message{ID: 1_790_000_000_000_000<<8 + i*37, Topic: string(rune('a' + i%26))}))
	}
	if !slices.IsSorted(ids) {
		t.Error("they do not sort by time")
	}
	at := time.UnixMicro(1_790_000_000_000_000).UnixMilli()
	if from := rules.MessageIDAt(at); from > ids[0] || rules.MessageIDAt(at-1) >= from {
		t.Errorf("the first of %d is %q, a message has %q", at, from, ids[0])
	}
	id := uint64(1_790_000_000_000_000<<8 + 255) // the last of its microsecond
	before, after := rules.MessageID(&core.Message{ID: id, Topic: "~"}), rules.MessageID(&core.Message{ID: id + 1})
	if b := rules.MessageIDAfter(id); b <= before || b > after {
		t.Errorf("%q is not between %q and %q", b, before, after)
	}
	for text, is := range map[string]bool{ids[0]: true, "sensors/1": false, "": false, "0123456789012345678901": true, "012345678901234567890+": false} {
		if rules.IsMessageID(text) != is {
			t.Errorf("IsMessageID(%q) is not %v", text, is)
		}
	}
}

const goldenMessageID = "002uBZ3Muo0EcmAMamDp2m"
