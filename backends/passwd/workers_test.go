package passwd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// The tests' program is a worker, or a gateway that has one, when it is begun so.
const (
	asWorker  = "hash-worker"
	asGateway = "hash-gateway"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == asWorker:
		if err := Work(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	case len(os.Args) == 2 && os.Args[1] == asGateway:
		gatewayWithWorker()
	}
	os.Exit(m.Run())
}

// ourselves is the command of a worker.
func ourselves() *exec.Cmd {
	c := exec.Command(os.Args[0], asWorker)
	c.Stderr = os.Stderr
	return c
}

// gatewayWithWorker tells that it has one, and makes hashes until it is killed.
func gatewayWithWorker() {
	h := Hash{Params: DefaultParams(), Salt: make([]byte, 16), Key: make([]byte, 32)}
	w := NewWorkers(nil, ourselves)
	for {
		w.derive(h, []byte("x"))
		fmt.Println(w.Stats().Apart, w.Stats().Here)
	}
}

// withWorkers makes Workers of this program that end with the test.
func withWorkers(t *testing.T) *Workers {
	t.Helper()
	w := NewWorkers(nil, ourselves)
	t.Cleanup(func() { w.Close() })
	return w
}

// wantStats fails unless the figures are so.
func wantStats(t *testing.T, w *Workers, apart, here, failed uint64) {
	t.Helper()
	if got, want := w.Stats(), (WorkerStats{apart, here, failed}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestApartIsTheSame: whatever the costs and the password, a process apart makes of them what
// this one makes.
func TestApartIsTheSame(t *testing.T) {
	w := withWorkers(t)
	costs := []Params{
		cheap(), DefaultParams(), {Memory: 64, Passes: 16, Threads: 1}, {Memory: 256, Passes: 2, Threads: 4},
		{Memory: 8 * maxThreads, Passes: 1, Threads: maxThreads}, {Memory: maxMemory, Passes: 1, Threads: 2},
	}
	sizes := []struct{ salt, key int }{{minSalt, minKey}, {16, 32}, {maxSalt, maxKey}, {9, 17}}
	n := uint64(0)
	for i, p := range costs {
		size := sizes[i%len(sizes)]
		h := decoy(p, size.salt, size.key).hash
		for _, password := range []string{"", "x", "correct horse", "\x00\xff", strings.Repeat("p", MaxPassword)} {
			if got, want := w.derive(h, []byte(password)), h.derive([]byte(password)); !bytes.Equal(got, want) {
				t.Errorf("%+v, a password of %d bytes: %x, want %x", p, len(password), got, want)
			}
			n++
		}
	}
	wantStats(t, w, n, 0, 0)
}

// TestVerdictsApart: a Source says the same with workers as without.
func TestVerdictsApart(t *testing.T) {
	path := usersFile(t, Entry{User: "alice"}, Entry{User: "bob"})
	w := withWorkers(t)
	here := open(t, path, false)
	apart, err := Open(Config{File: path, Workers: w})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*core.Credentials{
		login("alice", "alice"), login("alice", "bob"), login("bob", "bob"), login("carol", "carol"), login("alice", ""),
		login("alice", strings.Repeat("x", 4096)), login("carol", strings.Repeat("x", 4096)), login("alice", strings.Repeat("x", MaxPassword)),
		{Username: "alice", HasUsername: true}, {},
	} {
		want, _, _ := here.Authenticate(t.Context(), c)
		got, grant, err := apart.Authenticate(t.Context(), c)
		if got != want || err != nil || (got == core.Allow) != (grant != nil) {
			t.Errorf("%s with %d bytes: %v, %v, want %v", c.Username, len(c.Password), got, err, want)
		}
	}
	wantStats(t, w, 6, 0, 0) // what is too long or no password costs none
}

// whenAsked calls f once a worker has got a request.
type whenAsked struct {
	io.WriteCloser
	f func()
}

func (w whenAsked) Write(b []byte) (int, error) {
	n, err := w.WriteCloser.Write(b)
	w.f()
	return n, err
}

// TestKilledWhileHashing: a process that is killed in the middle of a hash, its first or a
// later one, costs nobody the right verdict.
func TestKilledWhileHashing(t *testing.T) {
	h, err := NewHash([]byte("secret"), DefaultParams())
	if err != nil {
		t.Fatal(err)
	}
	for _, first := range []bool{true, false} {
		w := withWorkers(t)
		begin, deadly := w.begin, false
		w.begin = func() (*worker, error) {
			k, err := begin()
			if err == nil {
				k.in = whenAsked{k.in, func() {
					if deadly {
						deadly = false
						k.kill()
					}
				}}
			}
			return k, err
		}
		if !first {
			w.derive(h, nil)
		}
		deadly = true
		if !bytes.Equal(w.derive(h, []byte("secret")), h.Key) {
			t.Error("the right password is not right any more")
		}
		if first {
			wantStats(t, w, 0, 1, 1)
		} else {
			wantStats(t, w, 2, 0, 1) // another process made it
		}
	}
}

// TestNoProcess: where none can be begun hashes are made here, and it is not tried for each.
func TestNoProcess(t *testing.T) {
	var log bytes.Buffer
	w := NewWorkers(slog.New(slog.NewTextHandler(&log, nil)), func() *exec.Cmd { return exec.Command("./there is no such program") })
	s, err := Open(Config{File: usersFile(t, Entry{User: "alice"}), Workers: w})
	if err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{"alicf", "alice"} {
		v, _, err := s.Authenticate(t.Context(), login("alice", password))
		if (v == core.Allow) != (password == "alice") || err != nil {
			t.Errorf("%s: %v, %v", password, v, err)
		}
	}
	wantStats(t, w, 0, 2, 1)
	if n := strings.Count(log.String(), "no such program"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, &log)
	}
}

// TestNothingIsLeft: when the gateway is killed, its processes end. They have its standard
// error, which so ends with the last of them.
func TestNothingIsLeft(t *testing.T) {
	c := exec.Command(os.Args[0], asGateway)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c.Stderr = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "1 0\n" {
		t.Errorf("the gateway has no worker: %q, %v", line, err)
	}
	c.Process.Kill()
	c.Wait()
	r.SetReadDeadline(time.Now().Add(time.Minute))
	if said, err := io.ReadAll(r); err != nil {
		t.Errorf("a worker is left: %v\n%s", err, said)
	}
}

// inMemory makes Workers whose worker is a goroutine, and counts those that live.
func inMemory(alive *int, mu *sync.Mutex) func() (*worker, error) {
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		*alive += n
	}
	return func() (*worker, error) {
		inR, inW := io.Pipe()
		outR, outW := io.Pipe()
		gone := make(chan error, 1)
		count(1)
		go func() {
			gone <- work(inR, outW, func() {})
			count(-1)
		}()
		killed := errors.New("killed")
		return &worker{in: inW, out: outR, wait: func() error { return <-gone }, kill: func() error {
			inR.CloseWithError(killed)
			return outW.CloseWithError(killed)
		}}, nil
	}
}

// TestIdleWorkersEnd: one that has nothing to do ends in time, not sooner, and others are
// begun afterwards.
func TestIdleWorkersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var alive int
		var mu sync.Mutex
		w := NewWorkers(nil, nil)
		w.begin = inMemory(&alive, &mu)
		want := func(n int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if alive != n {
				t.Errorf("%d workers, want %d", alive, n)
			}
		}
		h := decoy(cheap(), 16, 32).hash
		k, err := w.take()
		if err != nil {
			t.Fatal(err)
		}
		w.derive(h, nil) // by another one
		w.put(k)
		want(2)
		time.Sleep(idleFor - 1)
		want(2)
		w.derive(h, nil)
		time.Sleep(time.Nanosecond)
		want(1)
		time.Sleep(idleFor)
		want(0)
		w.derive(h, nil)
		want(1)
		k, _ = w.take()
		w.derive(h, nil)
		want(2)
		w.Close()
		want(1) // this one has something to do
		w.put(k)
		want(0)
		wantStats(t, w, 4, 0, 0)
		w.derive(h, nil)
		want(0)
		wantStats(t, w, 4, 1, 0)
	})
}

// TestFaultyWorkers: those that answer with something else, or not at all, are ended, and
// the hash is right.
func TestFaultyWorkers(t *testing.T) {
	h := cheapHash(t, "secret")
	ended := make(chan struct{})
	faulty := func(out io.Reader) func() (*worker, error) {
		return func() (*worker, error) {
			return &worker{in: discard{}, out: out, kill: sync.OnceValue(func() error { close(ended); return nil }), wait: func() error { return nil }}, nil
		}
	}
	silence := readerFunc(func([]byte) (int, error) { <-ended; return 0, io.EOF })
	other := appendAnswer(nil, []byte("another request"), make([]byte, len(h.Key)))
	for name, out := range map[string]io.Reader{
		"silent": silence, "ended": strings.NewReader(""), "cut off": bytes.NewReader(other[:20]), "other": bytes.NewReader(other),
		"text": strings.NewReader(strings.Repeat("usage: ", 100)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended = make(chan struct{})
				w := NewWorkers(nil, nil)
				w.begin = faulty(out)
				began := time.Now()
				if !bytes.Equal(w.derive(h, []byte("secret")), h.Key) {
					t.Error("the right password is not right any more")
				}
				wantStats(t, w, 0, 1, 1)
				select {
				case <-ended:
				default:
					t.Error("it was not ended")
				}
				if took := time.Since(began); took > answerWithin {
					t.Errorf("waited %v for it", took)
				}
				w.begin = inMemory(new(int), &sync.Mutex{})
				w.derive(h, nil)
				wantStats(t, w, 0, 2, 1)
				time.Sleep(restFor)
				w.derive(h, nil)
				wantStats(t, w, 1, 2, 1)
				w.Close()
			})
		})
	}
}

// TestWarningsAreRare: a failure is told once in a minute, with how many were not.
func TestWarningsAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := NewWorkers(slog.New(slog.NewTextHandler(&log, nil)), nil)
		for range 3 {
			w.fail(errors.New("failed"), false)
		}
		time.Sleep(warnEvery)
		w.fail(errors.New("failed"), false)
		if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "not_told=2") {
			t.Error(got)
		}
	})
}

// TestManyAtOnce: each hash under way has a process of its own.
func TestManyAtOnce(t *testing.T) {
	w := withWorkers(t)
	h := cheapHash(t, "secret")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 20 {
				password := fmt.Sprint("secret", i, n)
				if got := w.derive(h, []byte(password)); !bytes.Equal(got, h.derive([]byte(password))) {
					t.Errorf("%s: another hash", password)
				}
			}
		})
	}
	wg.Wait()
	wantStats(t, w, 80, 0, 0)
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) Close() error                { return nil }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
