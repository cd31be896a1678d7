package hashes

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// answerWithin is how long a worker may take for a hash: many times what the dearest
// costs, on processors that have much else to do.
const answerWithin = 30 * time.Second

var errLate = fmt.Errorf("no answer within %v", answerWithin)

// worker is a process that makes one hash at a time, or what a test has in its place.
// One goroutine uses it at a time.
type worker struct {
	in   io.WriteCloser
	out  io.Reader
	kill func() error // makes reads and writes fail; may be called at any time
	wait func() error // until it is gone, once

	used   bool        // it made a hash
	idle   *time.Timer // ends it
	buffer [requestPrefix + maxRequest]byte
	answer [maxAnswer]byte
}

// startProcess begins the process that c describes.
func startProcess(c *exec.Cmd) (*worker, error) {
	if c.Env == nil {
		// It needs nothing of ours, which may hold secrets. It collects by itself what a
		// hash leaves, and a hash that asks for threads gets them in turns.
		c.Env = []string{"GOGC=off", "GOMAXPROCS=1"}
	}
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	return &worker{in: in, out: out, kill: c.Process.Kill, wait: c.Wait}, nil
}

// make has the worker make a hash. After an error it is of no use any more. The hash is
// the caller's.
func (k *worker) make(r *Request, password []byte) ([]byte, error) {
	var late atomic.Bool
	limit := time.AfterFunc(answerWithin, func() {
		late.Store(true)
		_ = k.kill() // it is gone, or it will be
	})
	hash, err := k.ask(r, password)
	limit.Stop()
	if err != nil && late.Load() {
		err = errLate
	}
	return hash, err
}

func (k *worker) ask(r *Request, password []byte) ([]byte, error) {
	request := appendRequest(k.buffer[:0], r, password)
	defer clear(request)
	if _, err := k.in.Write(request); err != nil {
		return nil, err
	}
	answer := k.answer[:r.Size+sha256.Size]
	if _, err := io.ReadFull(k.out, answer); err != nil {
		return nil, err
	}
	hash := answerHash(answer, request[requestPrefix:])
	if hash == nil {
		return nil, errors.New("the answer is no hash")
	}
	k.used = true
	return append([]byte(nil), hash...), nil
}

// end ends the process, and gives why it had ended by itself if it had.
func (k *worker) end() error {
	_ = k.in.Close()
	_ = k.kill()
	return k.wait()
}

// rarely lets something be done once in a while.
type rarely struct {
	mu   sync.Mutex
	last time.Time
	not  int // times that it was not, since
}

// now says whether to do it, and how often it was not done since the last time.
func (r *rarely) now(every time.Duration) (times int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := time.Now(); r.last.IsZero() || t.Sub(r.last) >= every {
		times, r.last, r.not = r.not, t, 0
		return times, true
	}
	r.not++
	return 0, false
}
