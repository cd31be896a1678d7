package hashes

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
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
	w := NewWorkers(nil, ourselves)
	for {
		_, _ = w.make(context.Background(), usual(), []byte("x"))
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

// usual is a hash as the file of users has them, cheap one that costs next to nothing.
func usual() *Request { return argon(Costs{Memory: 19456, Passes: 2, Threads: 1}, 16, 32) }
func cheap() *Request { return argon(Costs{Memory: 8, Passes: 1, Threads: 1}, 16, 32) }

func argon(c Costs, salt, size int) *Request {
	return &Request{Algorithm: Argon2id, Costs: c, Salt: []byte(strings.Repeat("s", salt)), Size: size}
}

// alone is what a request makes of a password in this process.
func alone(t *testing.T, r *Request, password string) []byte {
	t.Helper()
	hash, err := r.Hash([]byte(password))
	if err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	return hash
}

// makes fails unless w makes the right hash.
func makes(t *testing.T, w *Workers, r *Request, password string) {
	t.Helper()
	if got, err := w.make(t.Context(), r, []byte(password)); err != nil || !bytes.Equal(got, alone(t, r, password)) {
		t.Errorf("%+v, a password of %d bytes: %x, %v", r, len(password), got, err)
	}
}

// all are requests of all kinds, and with what is least and most of each.
func all() []*Request {
	rs := []*Request{
		cheap(), usual(), argon(Costs{Memory: 64, Passes: 16, Threads: 1}, maxSalt, maxKey), argon(Costs{Memory: 256, Passes: 2, Threads: 4}, 9, 17),
		argon(Costs{Memory: 8 * maxThreads, Passes: 1, Threads: maxThreads}, minSalt, minKey), argon(Costs{Memory: maxMemory, Passes: 1, Threads: 2}, 16, 32),
		{Algorithm: Bcrypt, Rounds: minCost, Salt: make([]byte, BcryptSalt), Size: BcryptSize}, {Algorithm: Bcrypt, Rounds: 5, Salt: []byte("\x00\xff23456789abcdef"), Size: BcryptSize},
	}
	for sum := crypto.MD5; sum <= crypto.SHA512; sum++ {
		rs = append(rs, &Request{Algorithm: PBKDF2, Sum: sum, Rounds: 1000, Size: 20, Salt: []byte("salt")})
	}
	return append(rs, &Request{Algorithm: PBKDF2, Sum: crypto.SHA512, Rounds: 1, Size: 1}, &Request{Algorithm: PBKDF2, Sum: crypto.MD5, Rounds: 2000, Size: maxKey, Salt: make([]byte, maxSalt)})
}

// TestApartIsTheSame: whatever the kind, the costs and the password, a process apart makes
// of them what this one makes.
func TestApartIsTheSame(t *testing.T) {
	w := withWorkers(t)
	passwords := []string{"", "x", "correct horse", "\x00\xff", strings.Repeat("p", MaxPassword)}
	rs := all()
	for i, r := range rs {
		makes(t, w, r, passwords[i%len(passwords)])
		makes(t, w, r, passwords[(i+2)%len(passwords)])
	}
	wantStats(t, w, uint64(2*len(rs)), 0, 0)
}

// TestNotAsked: what no frame holds is made here, what is beyond the bounds not at all.
func TestNotAsked(t *testing.T) {
	w := withWorkers(t)
	makes(t, w, &Request{Algorithm: PBKDF2, Sum: crypto.SHA256, Rounds: 2, Size: 20, Salt: make([]byte, maxSalt+1)}, "x")
	wantStats(t, w, 0, 1, 0)
	for _, bad := range []*Request{{}, argon(Costs{Memory: 1 << 30, Passes: 1, Threads: 1}, 16, 32)} {
		if hash, err := w.make(t.Context(), bad, []byte("x")); err == nil {
			t.Errorf("%+v: %x", bad, hash)
		}
	}
	if hash, err := w.make(t.Context(), cheap(), make([]byte, MaxPassword+1)); err == nil {
		t.Errorf("a long password: %x", hash)
	}
	if s := w.Stats(); s.Apart+s.Failed > 0 {
		t.Errorf("%+v", s)
	}
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
			makes(t, w, usual(), "x")
		}
		deadly = true
		makes(t, w, usual(), "secret")
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
	makes(t, w, cheap(), "x")
	makes(t, w, cheap(), "y")
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
		k, err := w.take()
		if err != nil {
			t.Fatal(err)
		}
		makes(t, w, cheap(), "") // by another one
		w.put(k)
		want(2)
		time.Sleep(idleFor - 1)
		want(2)
		makes(t, w, cheap(), "")
		time.Sleep(time.Nanosecond)
		want(1)
		time.Sleep(idleFor)
		want(0)
		makes(t, w, cheap(), "")
		want(1)
		k, _ = w.take()
		makes(t, w, cheap(), "")
		want(2)
		w.Close()
		want(1) // this one has something to do
		w.put(k)
		want(0)
		wantStats(t, w, 4, 0, 0)
		makes(t, w, cheap(), "")
		want(0)
		wantStats(t, w, 4, 1, 0)
	})
}

// TestFaultyWorkers: those that answer with something else, or not at all, are ended, and
// the hash is right.
func TestFaultyWorkers(t *testing.T) {
	ended := make(chan struct{})
	faulty := func(out io.Reader) func() (*worker, error) {
		return func() (*worker, error) {
			return &worker{in: discard{}, out: out, kill: sync.OnceValue(func() error { close(ended); return nil }), wait: func() error { return nil }}, nil
		}
	}
	silence := readerFunc(func([]byte) (int, error) { <-ended; return 0, io.EOF })
	other := appendAnswer(nil, []byte("another request"), make([]byte, 32))
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
				makes(t, w, cheap(), "secret")
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
				makes(t, w, cheap(), "")
				wantStats(t, w, 0, 2, 1)
				time.Sleep(restFor)
				makes(t, w, cheap(), "")
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
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 20 {
				makes(t, w, cheap(), fmt.Sprint("secret", i, n))
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
