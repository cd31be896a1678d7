package fleet

import (
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/devices/report"
)

// watch follows what processes use.
type watch struct {
	pids []int

	mu         sync.Mutex
	base       float64 // processor seconds at the begin
	baseRSS    uint64
	peak       uint64
	goroutines int
	sockets    int
	laps       []float64 // what was used until each
	last       float64
	lastAt     time.Time
}

func selfPID() int { return os.Getpid() }

func startWatch(pids ...int) *watch {
	w := &watch{pids: pids, lastAt: time.Now()}
	w.base, w.baseRSS = w.sum()
	w.last = w.base
	return w
}

// sum is what all processes together have used.
func (w *watch) sum() (cpu float64, rss uint64) {
	for _, pid := range w.pids {
		c, r := processUsage(pid)
		cpu += c
		rss += r
	}
	return cpu, rss
}

// look gives the use since the last look, in percent of a core, and the memory now.
func (w *watch) look(sockets int) (percent float64, rss uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cpu, rss := w.sum()
	now := time.Now()
	if past := now.Sub(w.lastAt).Seconds(); past > 0 {
		percent = max(cpu-w.last, 0) / past * 100
	}
	w.last, w.lastAt = cpu, now
	w.peak = max(w.peak, rss)
	w.goroutines = max(w.goroutines, runtime.NumGoroutine())
	w.sockets = max(w.sockets, sockets)
	return percent, rss
}

// lap ends a part of the run: end tells what each used.
func (w *watch) lap() {
	w.mu.Lock()
	defer w.mu.Unlock()
	cpu, _ := w.sum()
	w.laps = append(w.laps, max(cpu-w.base, 0))
}

// end gives the whole use.
func (w *watch) end() report.Usage {
	w.look(0)
	w.mu.Lock()
	defer w.mu.Unlock()
	u := report.Usage{CPU: max(w.last-w.base, 0), PeakRSS: w.peak, Sockets: w.sockets}
	if len(w.laps) == 2 {
		u.Warm, u.Played = w.laps[0], w.laps[1]-w.laps[0]
	}
	if len(w.pids) == 1 && w.pids[0] == selfPID() {
		u.Goroutines = w.goroutines
	}
	return u
}

// grown is how much more memory there is than at the begin.
func (w *watch) grown() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, rss := w.sum()
	return rss - min(rss, w.baseRSS)
}
