package main

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	tests := []struct {
		name, text string
		want       usage
		fails      bool
	}{
		{"plain", "12 (fairlead) S 1 12 12 0 -1 4194304 100 0 0 0 250 75 0 0 20 0 7 0 100 1000 10", usage{2500 * time.Millisecond, 750 * time.Millisecond}, false},
		{"a name with everything", "12 (a) b (c d) R 1 12 12 0 -1 4194304 100 0 0 0 1 2 0 0 20", usage{10 * time.Millisecond, 20 * time.Millisecond}, false},
		{"short", "12 (fairlead) S 1 12", usage{}, true},
		{"not a number", "12 (x) S 1 12 12 0 -1 4194304 100 0 0 0 a 2 0 0 20", usage{}, true},
		{"empty", "", usage{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStat([]byte(tt.text))
			if (err != nil) != tt.fails || err == nil && got != tt.want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestParseKilobytes(t *testing.T) {
	text := "Name:\tx\nVmRSSX:\t1 kB\nVmRSS:\t  1234 kB\n"
	if n, ok := parseKilobytes(text, "VmRSS:"); !ok || n != 1234<<10 {
		t.Errorf("%d, %v", n, ok)
	}
	if _, ok := parseKilobytes(text, "Rss:"); ok {
		t.Error("found what is not there")
	}
}

func TestOfOurselves(t *testing.T) {
	memory, err := residentOf(os.Getpid())
	if err != nil || memory < 1<<20 {
		t.Errorf("resident: %d, %v", memory, err)
	}
	seen, err := usageOf(os.Getpid())
	if own := ownUsage(); err != nil || own.total() == 0 || seen.total() > own.total()+tick*2 {
		t.Errorf("usage %v, %v by /proc (%v)", own, seen, err)
	}
	if _, err := usageOf(1 << 30); err == nil {
		t.Error("a process that is not there has a usage")
	}
}
