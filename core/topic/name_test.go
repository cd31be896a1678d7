package topic

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	long := strings.Repeat("a", DefaultLength)
	deep := strings.Repeat("/", DefaultLevels-1)
	for _, c := range []struct {
		name, topic string
		lim         Limits
		want        error
	}{
		{name: "plain", topic: "sport/tennis/player1"},
		{name: "one slash is two empty levels", topic: "/"},
		{name: "space and case", topic: "ACCOUNTS/Payable now"},
		{name: "dollar", topic: "$SYS/broker"},
		{name: "more than ASCII", topic: "wärme/😀"},
		{name: "byte order mark is text [MQTT-1.5.4-3]", topic: "\uFEFFa"},
		{name: "empty [MQTT-4.7.3-1]", topic: "", want: ErrEmpty},
		{name: "plus [MQTT-4.7.0-1]", topic: "a/+", want: ErrWildcard},
		{name: "hash [MQTT-4.7.0-1]", topic: "a#", want: ErrWildcard},
		{name: "null [MQTT-4.7.3-2]", topic: "a\x00b", want: ErrNull},
		{name: "stray byte [MQTT-1.5.4-1]", topic: "a\xff", want: ErrUTF8},
		{name: "surrogate [MQTT-1.5.4-1]", topic: "\xed\xa0\x80", want: ErrUTF8},
		{name: "overlong null [MQTT-1.5.4-1]", topic: "\xc0\x80", want: ErrUTF8},
		{name: "longest", topic: long},
		{name: "too long", topic: long + "a", want: ErrTooLong},
		{name: "deepest", topic: deep},
		{name: "too deep", topic: deep + "/", want: ErrTooManyLevels},
		{name: "own length", topic: "abcd", lim: Limits{Length: 3}, want: ErrTooLong},
		{name: "own levels", topic: "a/b/c", lim: Limits{Levels: 2}, want: ErrTooManyLevels},
		{name: "spec length", topic: strings.Repeat("a", MaxLength), lim: Limits{Length: 1 << 20}},
		{name: "above it", topic: strings.Repeat("a", MaxLength+1), lim: Limits{Length: 1 << 20}, want: ErrTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.lim.ParseName(c.topic)
			if err != c.want || err == nil && string(got) != c.topic {
				t.Errorf("ParseName: %q, %v; want error %v", got, err, c.want)
			}
			if err := c.lim.ValidateName([]byte(c.topic)); err != c.want {
				t.Errorf("ValidateName: %v, want %v", err, c.want)
			}
		})
	}
}

func TestNameDefaults(t *testing.T) {
	if n, err := ParseName("a/b"); n != "a/b" || err != nil {
		t.Errorf("ParseName: %q, %v", n, err)
	}
	if err := ValidateName([]byte("a/+")); err != ErrWildcard {
		t.Errorf("ValidateName: %v", err)
	}
}

func TestErrorSpeaks(t *testing.T) {
	if got := ErrEmpty.Error(); got != "topic: is empty" {
		t.Errorf("got %q", got)
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"a", "a/b", "", "\x00", "+", "\xff", "$SYS/#"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, perr := ParseName(string(b))
		verr := ValidateName(b)
		if perr != verr {
			t.Fatalf("%q: ParseName %v, ValidateName %v", b, perr, verr)
		}
		if perr == nil && !Match(string(b), string(b)) {
			t.Fatalf("%q does not match itself", b)
		}
	})
}

func BenchmarkValidateName(b *testing.B) {
	name := []byte("fleet/tenant-17/device-000123/telemetry")
	b.ReportAllocs()
	for b.Loop() {
		if ValidateName(name) != nil {
			b.Fatal("invalid")
		}
	}
}
