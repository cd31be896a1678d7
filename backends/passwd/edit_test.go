package passwd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestSetKeepsTheRest(t *testing.T) {
	h := cheapHash(t, "old")
	fresh := cheapHash(t, "new")
	old, now := h.String(), fresh.String()
	tests := []struct{ name, content, user, want string }{
		{"first of all", "", "a", "a:" + now + "\n"},
		{"replace", "# one\na:" + old + "\n# two\nb:" + old + "\n", "a", "# one\na:" + now + "\n# two\nb:" + old + "\n"},
		{"append", "a:" + old + "\n# end\n", "b", "a:" + old + "\n# end\nb:" + now + "\n"},
		{"no end of line", "a:" + old, "b", "a:" + old + "\nb:" + now + "\n"},
		{"replace without end of line", "a:" + old, "a", "a:" + now},
		{"other line ends", "a:" + old + "\r\n", "b", "a:" + old + "\r\nb:" + now + "\r\n"},
		{"attributes stay", "a:" + old + ":superuser,client_id=x%2Cy\n", "a", "a:" + now + ":superuser,client_id=x%2Cy\n"},
		{"prefix of a name", "ab:" + old + "\n", "a", "ab:" + old + "\na:" + now + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := SetPassword([]byte(tt.content), tt.user, fresh, Scram{})
			if err != nil || string(got) != tt.want {
				t.Errorf("SetPassword = %q, %v\nwant %q", got, err, tt.want)
			}
			ok, err := Verify(got, tt.user, []byte("new"))
			if !ok || err != nil {
				t.Errorf("Verify = %t, %v", ok, err)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	h := cheapHash(t, "x")
	tests := []struct {
		name, content, want string
		entry               Entry
	}{
		{"line injection", "", "control character", Entry{User: "a\nroot:" + h.String() + ":superuser\nb", Hash: h}},
		{"comment as name", "", "begin with '#'", Entry{User: "#a", Hash: h}},
		{"colon in the name", "", "holds ':'", Entry{User: "a:b", Hash: h}},
		{"no hash", "", "argon2 costs", Entry{User: "a"}},
		{"faulty file", "garbage\n", "no ':'", Entry{User: "a", Hash: h}},
		{"client id too long", "", "client_id has 1025", Entry{User: "a", Hash: h, ClientID: strings.Repeat("c", 1025)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Set([]byte(tt.content), tt.entry)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Set = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestDeleteListVerify(t *testing.T) {
	content := []byte("# top\n")
	var err error
	for _, user := range []string{"a", "b", "c"} {
		if content, err = SetPassword(content, user, cheapHash(t, user), Scram{}); err != nil {
			t.Fatal(err)
		}
	}
	if content, err = Delete(content, "b"); err != nil {
		t.Fatal(err)
	}
	entries, err := List(content)
	if err != nil || len(entries) != 2 || entries[0].User != "a" || entries[1].User != "c" {
		t.Errorf("List = %v, %v", entries, err)
	}
	if !strings.HasPrefix(string(content), "# top\n") {
		t.Errorf("the comment is gone: %q", content)
	}
	if ok, err := Verify(content, "a", []byte("c")); ok || err != nil {
		t.Errorf("Verify with a wrong password = %t, %v", ok, err)
	}
	if _, err := Verify(content, "b", []byte("b")); !errors.Is(err, ErrUnknownUser) {
		t.Errorf("Verify of a deleted user: %v", err)
	}
	if _, err := Delete(content, "b"); !errors.Is(err, ErrUnknownUser) {
		t.Errorf("Delete of a deleted user: %v", err)
	}
}

func text(s string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(s), nil }
}

func TestEditFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	if err := Edit(path, text("one")); err != nil {
		t.Fatal(err)
	}
	wantMode(t, path, 0o600)
	for _, tt := range []struct{ old, want fs.FileMode }{{0o640, 0o640}, {0o644, 0o640}, {0o666, 0o640}, {0o600, 0o600}} {
		if err := os.Chmod(path, tt.old); err != nil {
			t.Fatal(err)
		}
		if err := Edit(path, text("two")); err != nil {
			t.Fatal(err)
		}
		wantMode(t, path, tt.want)
	}
	wantContent(t, path, "two")
}

func TestEditFailureChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "users")
	if err := Edit(path, text("garbage\n")); err != nil {
		t.Fatal(err)
	}
	err := Edit(path, func(content []byte) ([]byte, error) { return Delete(content, "a") })
	if err == nil || !strings.Contains(err.Error(), path+":1: ") {
		t.Errorf("Edit = %v, want the file's name and line", err)
	}
	wantContent(t, path, "garbage\n")
	if left, err := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestEditFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "users"), filepath.Join(dir, "link")
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("users", link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if err := Edit(link, text("two")); err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "two")
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
}

// TestEditApart: of editors at work at once, each either does its whole edit or
// fails; no edit that succeeded is lost.
func TestEditApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for done := 0; done < 20; {
				err := Edit(path, func(b []byte) ([]byte, error) { return append(b, 'x'), nil })
				if err == nil {
					done++
				} else if !strings.Contains(err.Error(), "is being edited") {
					t.Error(err)
					return
				}
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	wantContent(t, path, strings.Repeat("x", 160))
}

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want && runtime.GOOS != "windows" {
		t.Errorf("mode = %04o, want %04o", got, want)
	}
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("content = %q, %v, want %q", got, err, want)
	}
}
