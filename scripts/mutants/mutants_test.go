package mutants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// helper is what the mutated packages call.
const helper = `package %s

import (
	"os"
	"strconv"
)

var mutantInForce, _ = strconv.Atoi(os.Getenv("FAIRLEAD_MUTANT"))

func mutantOn(n int) bool { return n == mutantInForce }

func mutantGives[T any](n int, allows, answer T) T {
	if n == mutantInForce {
		return allows
	}
	return answer
}
`

// subject is a package whose checks are taken away.
type subject struct {
	dir      string
	name     string   // of the package
	only     []string // these files; none means all
	matrix   string   // the tests that must see it
	rest     string   // further tests that may
	harmless []string // mutants that nobody can see, each with its reason
}

func TestEveryCheckIsTested(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs each package with its mutants")
	}
	for _, s := range subjects() {
		t.Run(s.dir, func(t *testing.T) { s.run(t) })
	}
}

func (s *subject) run(t *testing.T) {
	p, err := load(filepath.Join("..", "..", s.dir), s.only...)
	if err != nil {
		t.Fatal(err)
	}
	bin := s.build(t, p)
	for _, tests := range []string{s.matrix, s.rest} {
		if tests == "" {
			continue
		}
		if out, killed := trial(t, bin, p.dir, 0, tests); killed {
			t.Fatalf("the tests fail without any mutant:\n%s", out)
		}
	}
	harmless := map[string]bool{}
	for _, h := range s.harmless {
		harmless[h] = false
	}
	var mu sync.Mutex
	matrix, rest := 0, 0
	all(p.mutants, func(m *mutant) {
		by := "the matrix"
		out, killed := trial(t, bin, p.dir, m.number, s.matrix)
		if !killed && s.rest != "" {
			by = "other tests"
			if out, killed = trial(t, bin, p.dir, m.number, s.rest); killed { // not by chance
				out, killed = trial(t, bin, p.dir, m.number, s.rest)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		_, excused := harmless[m.key]
		switch {
		case killed && by == "the matrix":
			matrix++
		case killed:
			rest++
		case excused:
			by = "nobody, and it does no harm"
		default:
			t.Errorf("%s: every test passes without this check; add a row to the authorisation matrix", m.about)
		}
		if excused {
			harmless[m.key] = true
		}
		t.Logf("%s: seen by %s%s", m.about, map[bool]string{true: by, false: "nobody"}[killed || excused], failure(out))
	})
	for h, found := range harmless {
		if !found {
			t.Errorf("the exception %q fits nothing any more", h)
		}
	}
	t.Logf("%s: %d mutants, %d killed by the matrix, %d by other tests, %d do no harm", s.dir, len(p.mutants), matrix, rest, len(p.mutants)-matrix-rest)
}

// build makes one test binary with all mutants.
func (s *subject) build(t *testing.T, p *pack) (bin string) {
	dir := t.TempDir()
	replace := map[string]string{}
	put := func(real string, text []byte) {
		abs, err := filepath.Abs(real)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		replace[abs] = file
	}
	for name := range p.files {
		put(name, p.mutated(name))
	}
	put(filepath.Join(p.dir, "mutants_in_force.go"), fmt.Appendf(nil, helper, s.name))
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(config, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	bin = filepath.Join(dir, "mutants.test")
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-overlay", config, "-o", bin, ".")
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the mutants cannot be built: %v\n%s", err, out)
	}
	return bin
}

// patience is how long a mutant may take: one that hangs is seen too.
const patience = 60 * time.Second

// trial runs tests with one mutant in force, and says whether one failed.
func trial(t *testing.T, bin, dir string, number int, tests string) (out []byte, killed bool) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "-test.run", tests, "-test.failfast", "-test.short", "-test.timeout", (patience / 2).String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("FAIRLEAD_MUTANT=%d", number))
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Errorf("the test binary does not run: %v", err)
	}
	if err == nil && strings.Contains(string(out), "no tests to run") {
		t.Errorf("no test is called %s", tests)
	}
	return out, err != nil
}

// failure is the innermost test that failed.
func failure(out []byte) (name string) {
	for line := range strings.Lines(string(out)) {
		if _, rest, found := strings.Cut(line, "--- FAIL: "); found {
			name = ", " + strings.TrimSpace(rest)
		} else if strings.HasPrefix(line, "panic: ") && name == "" {
			name = ", " + strings.TrimSpace(line)
		}
	}
	return name
}

// all calls fn for each mutant, some at once.
func all(ms []mutant, fn func(*mutant)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range ms {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			fn(&ms[i])
		})
	}
	wg.Wait()
}
