package passwd

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cheap costs microseconds, so that tests may hash often.
func cheap() Params { return Params{Memory: 8, Passes: 1, Threads: 1} }

func cheapHash(t testing.TB, password string) Hash {
	t.Helper()
	h, err := NewHash([]byte(password), cheap())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestParse(t *testing.T) {
	h := cheapHash(t, "secret").String()
	content := "# users\n" +
		"alice:" + h + "\n" +
		"sensor-7:" + h + ":client_id=aa:bb%2Ccc%25\r\n" +
		"#bob:" + h + "\n" +
		"ops:" + h + ":client_id=x,superuser"
	got, err := Parse("users", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	hash, err := ParseHash(h)
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{User: "alice", Hash: hash},
		{User: "sensor-7", Hash: hash, ClientID: "aa:bb,cc%"},
		{User: "ops", Hash: hash, ClientID: "x", Superuser: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseFaults(t *testing.T) {
	h := cheapHash(t, "secret").String()
	costs := func(c string) string { return "u:$argon2id$v=19$" + c + "$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA" }
	tests := []struct{ name, line, want string }{
		{"empty line", "", "the line is empty"},
		{"blank line", " \t", "the line is empty"},
		{"no colon", "alice", "no ':'"},
		{"no user", ":" + h, "name is empty"},
		{"no password", "alice:", "has no password"},
		{"empty hash with attributes", "alice::superuser", "no argon2id hash"},
		{"password in the clear", "alice:hunter2", "no argon2id hash"},
		{"bcrypt", "alice:$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", "no argon2id hash"},
		{"mosquitto", "alice:$7$101$c2FsdHNhbHQ=$AAAA", "no argon2id hash"},
		{"argon2i", "alice:" + strings.Replace(h, "argon2id", "argon2i", 1), "no argon2id hash"},
		{"version", "alice:" + strings.Replace(h, "v=19", "v=16", 1), "must be v=19"},
		{"gigabytes", costs("m=4194304,t=1,p=1"), "m=4194304"},
		{"more than 32 bits", costs("m=4294967296,t=1,p=1"), "whole number"},
		{"endless", costs("m=8,t=4000000000,p=1"), "t=4000000000: must be between 1 and 16"},
		{"too costly together", costs("m=65536,t=5,p=1"), "together too costly"},
		{"threads", costs("m=65536,t=1,p=255"), "p=255: must be between 1 and 16"},
		{"more threads than a byte", costs("m=65536,t=1,p=257"), "p=257"},
		{"no thread", costs("m=8,t=1,p=0"), "p=0"},
		{"no pass", costs("m=8,t=0,p=1"), "t=0"},
		{"too little memory", costs("m=8,t=1,p=2"), "m=8"},
		{"order", costs("t=1,m=8,p=1"), "m=…,t=…,p=…"},
		{"fourth cost", costs("m=8,t=1,p=1,x=1"), "m=…,t=…,p=…"},
		{"sign", costs("m=+8,t=1,p=1"), "whole number"},
		{"short salt", "u:$argon2id$v=19$m=8,t=1,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA", "salt: has 4 bytes"},
		{"short key", "u:$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA", "hash: has 3 bytes"},
		{"long key", "u:$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 100), "hash: longer than 64"},
		{"padding", "u:$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAA", "salt: is not base64"},
		{"blank before the name", " alice:" + h, "must not begin"},
		{"blank after the name", "alice :" + h, "must not begin"},
		{"control in the name", "ali\x01ce:" + h, "control character"},
		{"name not UTF-8", "ali\xffce:" + h, "not UTF-8"},
		{"long name", strings.Repeat("a", 1025) + ":" + h, "1025 bytes"},
		{"long line", "u:" + strings.Repeat("a", 9000), "the line has 9002 bytes"},
		{"attribute unknown", "u:" + h + ":admin", `"admin" is unknown`},
		{"attribute empty", "u:" + h + ":", `"" is unknown`},
		{"superuser with a value", "u:" + h + ":superuser=false", "takes no value"},
		{"attribute twice", "u:" + h + ":client_id=a,client_id=b", "twice"},
		{"client id empty", "u:" + h + ":client_id=", "client_id is empty"},
		{"client id escape", "u:" + h + ":client_id=a%2", "two hexadecimal digits"},
		{"client id not UTF-8", "u:" + h + ":client_id=%FF", "not UTF-8"},
		{"twice", "z:" + h, "stands in line 1 already"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			content := "z:" + h + "\n" + tt.line + "\nz2:" + h + "\n"
			_, err := Parse("users", []byte(content))
			var faults Faults
			if !errors.As(err, &faults) || len(faults) != 1 {
				t.Fatalf("Parse = %v, want one fault", err)
			}
			if f := faults[0]; f.Line != 2 || !strings.Contains(f.Problem, tt.want) {
				t.Errorf("fault = %v, want line 2 and %q", f, tt.want)
			}
		})
	}
}

// TestFaultsHideSecrets: who mistakes the format writes passwords in the clear.
func TestFaultsHideSecrets(t *testing.T) {
	for _, text := range []string{"alice:hunter2", "hunter2", "alice:$argon2id$v=hunter2$a$b$c", "alice:$argon2id$v=19$hunter2$b$c", "alice:$argon2id$v=19$m=8,t=1,p=1$hunter2$hunter2", "alice:$argon2id$v=19$m=hunter2,t=1,p=1$b$c"} {
		_, err := Parse("users", []byte(text))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Parse(%q) = %v: must fail without showing the password", text, err)
		}
	}
}

func TestFaultsAllAtOnce(t *testing.T) {
	_, err := Parse("users", []byte("alice\n\nbob:x\n"))
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	var rows []int
	for _, f := range faults {
		rows = append(rows, f.Line)
	}
	if !slices.Equal(rows, []int{1, 2, 3}) {
		t.Errorf("lines = %v", rows)
	}
	if want := "users:2: the line is empty"; !strings.Contains(err.Error(), want) {
		t.Errorf("%v: want %q", err, want)
	}
	_, err = Parse("users", []byte(strings.Repeat("x\n", 1000)))
	if errors.As(err, &faults); len(faults) != maxFaults {
		t.Errorf("%d faults told, want %d", len(faults), maxFaults)
	}
}

func FuzzParse(f *testing.F) {
	h := "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"
	f.Add([]byte("# c\nalice:" + h + "\nbob:" + h + ":superuser,client_id=a%2Cb\r\n"))
	f.Add([]byte("alice:" + h + ":client_id=%00%7f"))
	f.Add([]byte("a:$argon2id$v=19$m=65536,t=4,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA\n\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		lines, err := parseLines("f", content)
		if err != nil {
			if len(err.(Faults)) == 0 {
				t.Fatal("an error without faults")
			}
			return
		}
		if got := join(lines); string(got) != string(content) {
			t.Fatalf("written again: %q, was %q", got, content)
		}
		entries, err := Parse("f", content)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := e.Hash.Validate(); err != nil || e.User == "" {
				t.Fatalf("entry %+v: %v", e, err)
			}
			again, err := parseEntry(e.String())
			if err != nil || !cmp.Equal(e, again) {
				t.Fatalf("%+v is read back as %+v, %v", e, again, err)
			}
		}
	})
}
