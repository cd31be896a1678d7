package interop

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

var (
	kills = flag.Int("kills", 8, "how often the kill test kills the gateway")
	flows = flag.Int("flows", 32, "flows of the kill test: messages of one publisher on one topic of QoS 1 or 2, to one subscriber; rounded up to a multiple of 8")
	seed  = flag.Uint64("seed", 0, "seed of the kill test's choices; 0 takes one from the clock and prints it")
)

// killPatience bounds the wait for the end of all flows after the last kill.
const killPatience = time.Minute

// TestKill kills the gateway at random moments under load of durable QoS 1 and
// QoS 2 flows, while it runs and while it starts. Nothing that was acknowledged
// may be lost, nothing of QoS 2 doubled, nothing out of order.
func TestKill(t *testing.T) { killTest(t) }

// killTest does so to a gateway with more settings.
func killTest(t *testing.T, settings ...string) {
	chosen := *seed
	if chosen == 0 {
		chosen = uint64(time.Now().UnixNano())
	}
	t.Logf("again with: go test ./cmd/fairlead/interop -run '%s$' -kills %d -flows %d -seed %d -timeout 0", t.Name(), *kills, *flows, chosen)
	r := newKillRun(t, chosen, settings)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*kills)*patience+2*killPatience)
	defer cancel()
	r.start(t)
	r.receiving(ctx)
	r.awaitSubscribed(ctx, t)
	stop, stopSending := context.WithCancel(ctx)
	defer stopSending()
	r.sending(ctx, stop)
	for i := range *kills {
		if r.kill(ctx, t); (i+1)%20 == 0 {
			t.Logf("%d kills, %d deliveries", i+1, r.ledger.totals().received)
		}
	}
	stopSending()
	r.finish(ctx, t)
	cancel()
	r.receives.finish(t)
}

// killReceivers is how many subscribers receive each message of the kill test; a
// publisher has a topic of each QoS, so that it makes twice as many flows.
const killReceivers = 4

// killRun is the state of one kill test.
type killRun struct {
	random      *rand.Rand
	folder      string
	settings    []string // of the command, besides
	ca          authority
	place       *place
	gateway     *gateway
	ledger      *ledger
	publishers  []*publisher
	subscribers []*subscription
	restarts    []time.Duration // from the start to the ready file
	balanced    int             // how often the gateway's own ledger was found balanced
	restored    int             // queue entries that its starts found, in all

	sends, receives group
	mu              sync.Mutex
	acknowledged    int
}

// group runs goroutines and keeps their errors.
type group struct {
	sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

func (g *group) run(f func() error) {
	g.Go(func() {
		if err := f(); err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.errs = append(g.errs, err)
		}
	})
}

func (g *group) finish(t *testing.T) {
	t.Helper()
	g.Wait()
	for _, err := range g.errs {
		t.Error(err)
	}
}

func newKillRun(t *testing.T, seed uint64, settings []string) *killRun {
	t.Helper()
	command(t) // built before the first start is timed
	r := &killRun{random: rand.New(rand.NewPCG(seed, 0)), folder: shortDir(t), place: newPlace(), settings: settings}
	r.ca = newAuthority(t, r.folder)
	versions := []packet.Version{packet.V5, packet.V311}
	client := func(name string, i int) durable {
		return durable{
			name: fmt.Sprint(name, i), version: versions[i%2], place: r.place, session: devices.NewSession(),
			random: rand.New(rand.NewPCG(seed, r.random.Uint64())),
		}
	}
	var topics []string
	for i := range (*flows + 2*killReceivers - 1) / (2 * killReceivers) {
		p := &publisher{durable: client("pub", i), retain: i%4 == 0}
		both := p.topics()
		topics = append(topics, both[:]...)
		r.publishers = append(r.publishers, p)
	}
	for i := range killReceivers { // two of each version, one of them with QoS 2
		r.subscribers = append(r.subscribers, &subscription{durable: client("sub", i), exactlyOnce: i >= 2, ready: make(chan struct{})})
	}
	r.ledger = newLedger(topics, r.subscribers)
	for _, p := range r.publishers {
		p.ledger = r.ledger
	}
	for _, s := range r.subscribers {
		s.ledger = r.ledger
	}
	return r
}

// args run the gateway always on the same data.
func (r *killRun) args() []string {
	args := append(r.ca.listeners(r.folder), "--ephemeral", "--set", "node.data_dir="+filepath.Join(r.folder, "data"))
	return append(args, r.settings...)
}

// start runs the gateway and looks at its figures before the clients come back.
func (r *killRun) start(t *testing.T) {
	t.Helper()
	r.place.move(nil)
	began := time.Now()
	r.gateway = runGateway(t, r.folder, r.ca.path, r.args()...)
	r.restarts = append(r.restarts, time.Since(began))
	r.checkRestored(t)
	r.place.move(r.gateway.endpoints)
}

func (r *killRun) receiving(ctx context.Context) {
	for _, s := range r.subscribers {
		r.receives.run(func() error { return s.run(ctx) })
	}
}

func (r *killRun) awaitSubscribed(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, s := range r.subscribers {
		select {
		case <-s.ready:
		case <-ctx.Done():
			t.Fatalf("%s could not subscribe", s.name)
		}
	}
}

func (r *killRun) sending(ctx, stop context.Context) {
	for _, p := range r.publishers {
		r.sends.run(func() error {
			n, err := p.run(ctx, stop)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.acknowledged += n
			return err
		})
	}
}

// kill waits for a random moment, kills the gateway and starts it again; one
// time in eight it is killed once more while it starts.
func (r *killRun) kill(ctx context.Context, t *testing.T) {
	t.Helper()
	more := r.random.IntN(6000)
	if r.random.IntN(4) == 0 {
		more = 0 // while the clients come back
	}
	soon, cancel := context.WithTimeout(ctx, killPatience)
	defer cancel()
	if err := r.ledger.awaitReceived(soon, r.ledger.totals().received+more); err != nil {
		r.gateway.kill() // only then its log is ours
		// A publisher goes on only when what it sent before has come.
		t.Fatalf("nothing goes on: %v\n%s\n%s", err, strings.Join(r.ledger.faults(), "\n"), r.gateway.log)
	}
	r.pause(ctx, 30*time.Millisecond)
	r.gateway.kill()
	if r.random.IntN(8) == 0 {
		g := start(t, serve(t, r.folder, r.args()...), r.folder)
		r.pause(ctx, 200*time.Millisecond)
		g.kill()
	}
	r.start(t)
}

// pause waits for a random time below most.
func (r *killRun) pause(ctx context.Context, most time.Duration) {
	moment := time.NewTimer(time.Duration(r.random.Int64N(int64(most))))
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-ctx.Done():
	}
}

// finish lets all flows come to their end and judges them.
func (r *killRun) finish(ctx context.Context, t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, killPatience)
	defer cancel()
	r.sends.finish(t)
	r.ledger.awaitAll(ctx) // what has not come by then is told as lost
	r.checkQuiet(ctx, t)
	r.checkRetained(ctx, t)
	r.gateway.stop(t)
	sum := r.ledger.totals()
	takeovers := 0
	for _, s := range r.subscribers {
		takeovers += s.takeovers
	}
	slices.Sort(r.restarts)
	t.Logf("%d kills, %d flows: %d messages sent, %d acknowledged; %d deliveries: %d lost, %d out of order, %d doubled at QoS 2 (and %d at QoS 1, where that is allowed); %d ledgers of the gateway balanced, %d queue entries restored in all; %d takeovers; ready after a kill in %v (median), %v (longest)",
		*kills, 2*killReceivers*len(r.publishers), sum.sent, r.acknowledged, sum.received, sum.lost, sum.swapped, sum.doubled2, sum.doubled1,
		r.balanced, r.restored, takeovers, r.restarts[len(r.restarts)/2].Round(time.Millisecond), r.restarts[len(r.restarts)-1].Round(time.Millisecond))
	for _, fault := range r.ledger.faults() {
		t.Error(fault)
	}
	if sum.sent == 0 || r.acknowledged != sum.sent {
		t.Errorf("%d messages sent, %d acknowledged in the end", sum.sent, r.acknowledged)
	}
}
