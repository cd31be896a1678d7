package main

import (
	"io"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	tests := []struct {
		args   string
		pubs   int
		subs   int
		window int
		rate   int
	}{
		{"fanin", 100, 1, 1000, 0},
		{"fanin -pubs 2000", 2000, 1, 2000, 0},
		{"fanout", 1, 1000, 4, 0},
		{"pairs -n 20 -qos 2", 20, 20, 20, 0},
		{"pairs -rate 4000", 500, 500, 0, 4000},
		{"shared -v 5", 100, 10, 1000, 0},
		{"idle -n 7", 0, 7, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			o, err := parseOptions(strings.Fields(tt.args), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if o.pubs != tt.pubs || o.subs != tt.subs || o.window != tt.window || o.rate != tt.rate {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestWrongOptions(t *testing.T) {
	tests := []struct{ args, want string }{
		{"", "say what to do"},
		{"fan", `no mode "fan"`},
		{"pairs extra", `"extra" is no flag`},
		{"idle -qos 1", errUsage.Error()},
		{"pairs -qos 3", "-qos 3"},
		{"pairs -v 3", "-v 3"},
		{"pairs -n 0", "receiver"},
		{"fanin -pubs 0", "publisher"},
		{"fanin -payload 27", "-payload 27"},
		{"fanin -window 99", "one message for each of the 100"},
		{"fanin -window 100 -rate 1", "exclude"},
		{"fanin -pubs 2000 -subs 2000", "publishers times receivers"},
		{"fanin -duration 0s", "-duration"},
		{"idle -keepalive 1s", "-keepalive"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			_, err := parseOptions(strings.Fields(tt.args), io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
