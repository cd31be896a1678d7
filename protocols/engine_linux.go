package protocols

import (
	"log/slog"
	"maps"
	"net"
	"runtime"
	"slices"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// newLoops makes the event loops; nil, nil where a system has none, or no listener
// that is opened here is theirs.
func newLoops(cfg *Config, g gateway, log *slog.Logger, y *tally) (engine, error) {
	if !slices.ContainsFunc(slices.Collect(maps.Values(cfg.Listeners)), (*ListenerConfig).onLoops) {
		return nil, nil
	}
	n := cfg.Loops
	if n == 0 {
		n = min(runtime.GOMAXPROCS(0), maxLoops)
	}
	ls := &loops{gateway: g, log: log, tally: y, born: time.Now(), steering: newSteering()}
	ls.procs.Store(int32(runtime.GOMAXPROCS(0)))
	for range n {
		l, err := newLoop(ls, cfg.Wait)
		if err != nil {
			ls.shut()
			return nil, err
		}
		ls.all = append(ls.all, l)
	}
	return ls, nil
}

// onLoops tells whether the listener's connections are the loops'.
func (c *ListenerConfig) onLoops() bool {
	return c.IsEnabled() && !c.Given && (*loops)(nil).serves(c.Transport)
}

// serves tells which transports run on the loops.
func (ls *loops) serves(transport string) bool { return transport == TCP || transport == Unix }

func (ls *loops) bind(ln *Listener) ([]net.Addr, error) {
	sockets, err := bindSockets(ln, ls.log)
	if err != nil {
		return nil, err
	}
	ls.sockets = append(ls.sockets, sockets...)
	var addrs []net.Addr
	for _, s := range sockets {
		if n := len(addrs); n == 0 || addrs[n-1].String() != s.addr.String() { // one for all queues of an address
			addrs = append(addrs, s.addr)
		}
	}
	return addrs, nil
}

func (ls *loops) start() error {
	ls.started = true
	ls.descriptors.grow(firstDescriptors)
	for _, l := range ls.all {
		for _, s := range ls.sockets {
			if err := l.listen(s); err != nil {
				return err
			}
		}
	}
	ls.active.Store(int32(len(ls.all)))
	for _, l := range ls.all {
		ls.wg.Go(l.run)
	}
	return nil
}

// everywhere runs f in each loop and returns once all did.
func (ls *loops) everywhere(f func(*loop)) {
	done := make(chan struct{}, len(ls.all))
	for _, l := range ls.all {
		l.post(func(l *loop) {
			f(l)
			done <- struct{}{}
		})
	}
	for range ls.all {
		<-done
	}
}

func (ls *loops) stopAccepting() {
	if ls.started {
		ls.everywhere((*loop).stopListening)
	}
	for _, s := range ls.sockets {
		s.close()
	}
	ls.sockets = nil
}

// stopSome asks about n more connections to end, and tells how many it asked: 0
// once all were.
func (ls *loops) stopSome(n int, r core.Reason) int {
	share := max(n/len(ls.all), 1)
	counts := make(chan int, len(ls.all))
	for _, l := range ls.all {
		l.post(func(l *loop) { counts <- l.stopSome(share, r) })
	}
	sum := 0
	for range ls.all {
		sum += <-counts
	}
	return sum
}

func (l *loop) stopSome(n int, r core.Reason) (stopped int) {
	l.adoptSome(nil) // they would come into slots that were swept
	for ; l.swept < len(l.slots) && stopped < n; l.swept++ {
		if c := l.slots[l.swept]; c != nil && c.phase == phaseOpen {
			l.stop(c, r)
			stopped++
		}
	}
	return stopped
}

// shut closes everything at once and returns when the loops have ended.
func (ls *loops) shut() {
	ls.stopAccepting()
	if !ls.started {
		for _, l := range ls.all {
			l.closeDescriptors()
		}
		ls.all = nil
		return
	}
	for _, l := range ls.all {
		l.post(func(l *loop) { l.quit = true })
	}
	ls.wg.Wait()
	ls.started = false
	ls.all = nil
}
