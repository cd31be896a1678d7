package hostile

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// latency is how long the innocents' messages took, or their connects.
type latency struct{ P50, P99 time.Duration }

// service is how the innocents were served.
type service struct {
	Messages latency // publish to arrival
	Connects latency // dial to CONNACK
	Refused  int     // connects
}

// middle is the median of each figure, and all that were refused.
func middle(all []service) (s service) {
	if len(all) == 0 {
		return s
	}
	of := func(figure func(*service) time.Duration) time.Duration {
		var values []time.Duration
		for i := range all {
			values = append(values, figure(&all[i]))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	for i := range all {
		s.Refused += all[i].Refused
	}
	s.Messages.P50 = of(func(s *service) time.Duration { return s.Messages.P50 })
	s.Messages.P99 = of(func(s *service) time.Duration { return s.Messages.P99 })
	s.Connects.P50 = of(func(s *service) time.Duration { return s.Connects.P50 })
	s.Connects.P99 = of(func(s *service) time.Duration { return s.Connects.P99 })
	return s
}

// innocentsKey tells a process that it is the innocents', and of which gateway.
const innocentsKey = "HOSTILE_TEST_INNOCENTS"

// order is one word from the test to the innocents' process; each is answered by an
// account.
type order struct {
	Await  int  // messages to wait for
	Mark   bool // tell how they were served, and begin anew
	Finish bool // stop, and say how it went
}

// account is an answer.
type account struct {
	service      // since the mark before
	Failed  bool // why stands in the process's output
}

// innocents are the process of a pair, from outside.
type innocents struct {
	log    *journal
	orders *json.Encoder
	back   *json.Decoder
	cmd    *exec.Cmd
}

// startInnocents begins to publish until finish.
func startInnocents(t *testing.T, address string) *innocents {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n := &innocents{log: &journal{}, cmd: placed(ofInnocents, self, "-test.run=^TestInnocentsProcess$", "-test.timeout=1h")}
	n.cmd.Env = append(os.Environ(), innocentsKey+"="+address)
	n.cmd.Stdout, n.cmd.Stderr = n.log, n.log
	to, err := n.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, answers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	n.cmd.ExtraFiles = []*os.File{answers}
	dieWithUs(n.cmd)
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers.Close()
	n.orders, n.back = json.NewEncoder(to), json.NewDecoder(from)
	t.Cleanup(func() {
		to.Close() // the process ends by that
		n.cmd.Wait()
		from.Close()
	})
	return n
}

// ask gives an order and takes its account.
func (n *innocents) ask(t *testing.T, o order) (a account) {
	t.Helper()
	if err := n.orders.Encode(o); err != nil {
		t.Fatalf("the innocents' process: %v\n%s", err, n.log)
	}
	if err := n.back.Decode(&a); err != nil {
		t.Fatalf("the innocents' process: %v\n%s", err, n.log)
	}
	return a
}

// mark tells how they were served since the mark before.
func (n *innocents) mark(t *testing.T) service {
	t.Helper()
	return n.ask(t, order{Mark: true}).service
}

// await waits until count more messages have arrived.
func (n *innocents) await(t *testing.T, count int) {
	t.Helper()
	n.ask(t, order{Await: count})
}

// finish stops publishing and demands that all was acknowledged and arrived.
func (n *innocents) finish(t *testing.T) {
	t.Helper()
	if n.ask(t, order{Finish: true}).Failed {
		n.cmd.Wait()
		t.Errorf("the innocents:\n%s", n.log)
	}
}

// The innocents' process: it does as it is ordered until its input ends.
func TestInnocentsProcess(t *testing.T) {
	address := os.Getenv(innocentsKey)
	if address == "" {
		t.Skip("runs as a child of the attacks")
	}
	n := startPair(t, address)
	orders, back := json.NewDecoder(os.Stdin), json.NewEncoder(os.NewFile(3, "answers"))
	for {
		var o order
		if err := orders.Decode(&o); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if o.Await > 0 {
			n.await(t, o.Await)
		}
		if o.Finish {
			n.finish(t)
		}
		a := account{Failed: t.Failed()}
		if o.Mark {
			a.service = n.mark()
		}
		if err := back.Encode(a); err != nil {
			t.Fatal(err)
		}
		if o.Finish {
			return
		}
	}
}
