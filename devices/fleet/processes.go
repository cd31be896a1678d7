package fleet

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Child is a process that holds a part of the fleet.
type Child struct {
	PID    int
	Orders io.WriteCloser // its standard input
	Frames io.Reader      // its standard output
	// Wait waits for its end; Kill ends it.
	Wait func() error
	Kill func()
}

// processes is the crew of several processes.
type processes struct {
	f        *Fleet
	children []*child
}

// child is one of them, as the process that judges sees it.
type child struct {
	Child
	number  int
	sinks   []*unpiped // of its workers
	ready   chan error
	settled sync.WaitGroup

	mu      sync.Mutex
	status  status
	harvest harvest
	got     bool // the harvest
	err     error
}

func newProcesses(f *Fleet) (*processes, error) {
	if f.opt.Spawn == nil {
		return nil, errNoSpawn
	}
	p := &processes{f: f}
	for i := range f.opt.Processes {
		c, err := f.opt.Spawn(Part{Number: i, Of: f.opt.Processes}, f.plan.Seed)
		if err != nil {
			p.kill()
			return nil, fmt.Errorf("process %d of the fleet: %w", i+1, err)
		}
		k := &child{Child: c, number: i, ready: make(chan error, 1)}
		for range f.opt.Loops {
			k.sinks = append(k.sinks, newUnpiped(f.newSink()))
		}
		p.children = append(p.children, k)
		k.settled.Go(k.read)
	}
	f.self = startWatch(p.pids()...)
	for _, k := range p.children {
		if err := <-k.ready; err != nil {
			p.kill()
			return nil, fmt.Errorf("process %d of the fleet: %w", k.number+1, err)
		}
	}
	return p, nil
}

// pids are those of the fleet: the children and the one that judges.
func (p *processes) pids() []int {
	out := []int{selfPID()}
	for _, k := range p.children {
		out = append(out, k.PID)
	}
	return out
}

func (p *processes) kill() {
	for _, k := range p.children {
		k.Kill()
		k.settled.Wait()
		_ = k.Wait() // killed: its exit tells nothing
	}
}

// read takes a child's frames until its end.
func (k *child) read() {
	r := bufio.NewReaderSize(k.Frames, 256<<10)
	var buf []byte
	for {
		f, err := readFrame(r, buf)
		if err == nil {
			buf = f.content[:cap(f.content)]
			err = k.take(f)
		}
		if err != nil {
			k.end(err)
			return
		}
	}
}

func (k *child) take(f frame) error {
	if f.worker >= len(k.sinks) {
		return fmt.Errorf("a frame of worker %d", f.worker)
	}
	to := k.sinks[f.worker]
	switch f.kind {
	case frameReady:
		k.ready <- nil
	case frameFailed:
		k.ready <- errors.New(string(f.content))
	case frameEvents:
		return to.take(f.content)
	case frameWatermark:
		if len(f.content) == 8 {
			to.watermark(int64(binary.BigEndian.Uint64(f.content)))
		}
	case frameClose:
		to.close()
	case frameStatus:
		k.mu.Lock()
		defer k.mu.Unlock()
		return json.Unmarshal(f.content, &k.status)
	case frameHarvest:
		k.mu.Lock()
		defer k.mu.Unlock()
		k.got = true
		return json.Unmarshal(f.content, &k.harvest)
	}
	return nil
}

// end notes the end of a child's frames; before its harvest that is a fault.
func (k *child) end(err error) {
	for _, s := range k.sinks {
		s.close()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.status = (status{}); !k.got {
		k.err = fmt.Errorf("process %d of the fleet ended by itself: %w", k.number+1, err)
	}
	select {
	case k.ready <- k.err:
	default:
	}
}

func (p *processes) tell(i instruction) {
	b, err := json.Marshal(i)
	if err != nil {
		panic(err) // only our own plain struct
	}
	for _, k := range p.children {
		// One that is gone has said so, or will.
		_, _ = k.Orders.Write(append(b, '\n'))
	}
}

func (p *processes) start(warm bool, begun, now int64) {
	p.tell(instruction{Do: "start", Warm: warm, Begun: begun, Now: now})
}

func (p *processes) order(o order) {
	p.tell(instruction{Do: [...]string{hush: "hush", cut: "cut", leave: "leave"}[o]})
}

func (p *processes) status() (sum status) {
	for _, k := range p.children {
		k.mu.Lock()
		sum.Cold += k.status.Cold
		sum.Connected += k.status.Connected
		sum.Unacked += k.status.Unacked
		sum.Open += k.status.Open
		k.mu.Unlock()
	}
	return sum
}

func (p *processes) finish() (harvest, error) {
	sum := harvest{Connected: map[string]int{}}
	sum.Usage = p.f.self.end()
	p.tell(instruction{Do: "finish"})
	var errs []error
	for _, k := range p.children {
		k.Orders.Close()
		k.settled.Wait()
		errs = append(errs, k.err, k.Wait())
		sum.Shortfalls = append(sum.Shortfalls, k.harvest.Shortfalls...)
		sum.Incidents = append(sum.Incidents, k.harvest.Incidents...)
		for name, n := range k.harvest.Connected {
			sum.Connected[name] += n
		}
	}
	return sum, errors.Join(errs...)
}
