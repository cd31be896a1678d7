package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// load runs the command against an address.
func load(addr, args string) (code int, r report, stderr string) {
	var out, errs strings.Builder
	code = execute(append(strings.Fields(args), "-addr", addr), &out, &errs)
	if out.Len() > 0 {
		if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
			return code, r, err.Error()
		}
	}
	return code, r, errs.String()
}

// short is long enough for a busy machine, on which nothing may happen for a while. The drain
// lasts only where something is lost.
const short = " -warmup 20ms -duration 400ms -drain 1s"

// Every mode, QoS and version must be measured without a fault against a broker that has none.
func TestRunModes(t *testing.T) {
	for _, mode := range []string{"fanin -pubs 5 -subs 2 -window 20", "fanout -subs 7", "pairs -n 6", "shared -pubs 3 -subs 2 -window 30", "pairs -n 4 -rate 2000"} {
		for qos := range 3 {
			for _, v := range []int{4, 5} {
				args := fmt.Sprintf("%s -qos %d -v %d -pid %d", mode, qos, v, os.Getpid())
				t.Run(args, func(t *testing.T) {
					t.Parallel()
					code, r, errs := load(startBroker(t).addr(), args+short)
					if code != exitMeasured {
						t.Fatalf("exit %d: %s", code, errs)
					}
					if r.Deliveries == 0 || r.Published == 0 || r.P50 <= 0 || r.P99 < r.P50 || r.BrokerRSS == 0 {
						t.Errorf("report %+v", r)
					}
				})
			}
		}
	}
}

// once makes the n-th delivery go wrong.
func once(n int, what fault) func(int) fault {
	return func(at int) fault {
		if at == n {
			return what
		}
		return none
	}
}

func TestRunFindsFaults(t *testing.T) {
	tests := []struct {
		name string
		what fault
		want faults
	}{
		{"a lost message", lose, faults{Lost: 1}},
		{"a doubled message", double, faults{Duplicates: 1}},
		{"two swapped messages", swap, faults{OutOfOrder: 1}},
	}
	for _, tt := range tests {
		for qos := range 3 {
			t.Run(fmt.Sprintf("%s, QoS %d", tt.name, qos), func(t *testing.T) {
				b := startBroker(t)
				b.fault = once(15, tt.what)
				code, r, errs := load(b.addr(), fmt.Sprintf("fanin -pubs 1 -window 20 -qos %d", qos)+short)
				if code != exitFaulty || r.faults != tt.want {
					t.Errorf("exit %d, faults %+v, want %+v (%s)", code, r.faults, tt.want, errs)
				}
			})
		}
	}
}

// A broker that loses everything must not hang the closed loop.
func TestRunEndsWithoutDeliveries(t *testing.T) {
	b := startBroker(t)
	b.fault = func(int) fault { return lose }
	code, r, errs := load(b.addr(), "fanin -pubs 2 -window 10"+short)
	if code != exitFaulty || r.Lost != 10 || r.Broker != 0 {
		t.Errorf("exit %d, report %+v (%s)", code, r, errs)
	}
}

// What is lost gives its place in the window back after a while.
func TestRunGoesOnAfterAStall(t *testing.T) {
	b := startBroker(t)
	b.fault = func(n int) fault {
		if n <= 4 {
			return lose
		}
		return none
	}
	code, r, errs := load(b.addr(), "pairs -n 4 -warmup 0s -stall 50ms -duration 400ms -drain 1s")
	if code != exitFaulty || r.Lost != 4 || r.Stalls == 0 || r.Deliveries == 0 {
		t.Errorf("exit %d, report %+v (%s)", code, r, errs)
	}
}

func TestRunSaysWhatHappened(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(b *testBroker)
		want  []string
	}{
		{"nobody listens", func(b *testBroker) { b.stop() }, []string{"connection refused", "is a broker listening"}},
		{"refused", func(b *testBroker) { b.refuse = packet.ReasonNotAuthorized }, []string{"refused the connection", "Not authorized"}},
		{"no subscription", func(b *testBroker) { b.deny = packet.ReasonNotAuthorized }, []string{"refused the subscription", "loadgen/"}},
		{"closed in the run", func(b *testBroker) { b.fault = once(15, hangUp) }, []string{"the connection", "deliveries"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := startBroker(t)
			tt.spoil(b)
			code, _, errs := load(b.addr(), "fanin -pubs 2 -window 20 -v 5"+short)
			if code != exitFailed {
				t.Errorf("exit %d", code)
			}
			for _, want := range tt.want {
				if !strings.Contains(errs, want) {
					t.Errorf("%q does not say %q", errs, want)
				}
			}
		})
	}
}

func TestIdle(t *testing.T) {
	var out, errs strings.Builder
	args := fmt.Sprintf("idle -n 20 -settle 50ms -hold 50ms -pid %d -addr %s", os.Getpid(), startBroker(t).addr())
	if code := execute(strings.Fields(args), &out, &errs); code != exitMeasured {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	var r idleReport
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatal(err)
	}
	if r.Connections != 20 || r.ConnectPerSec <= 0 || r.Before == 0 || r.After == 0 || r.Settled == 0 || r.HoldSeconds < 0.05 {
		t.Errorf("report %+v", r)
	}
}

// More connections than perSource come from further addresses.
func TestSourceAddresses(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for group, want := range map[int]string{0: "127.0.0.1", 1: "127.0.0.2", 300: "127.0.1.45"} {
		r, err := newRun(&options{mode: modeIdle, subs: 1, addr: listener.Addr().String(), level: 4})
		if err != nil {
			t.Fatal(err)
		}
		c := &r.loop.clients[0]
		c.number = int32(group * perSource)
		if err := r.dialer.open(c); err != nil {
			t.Fatal(err)
		}
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.RemoteAddr().(*net.TCPAddr).IP.String(); got != want {
			t.Errorf("group %d comes from %s, want %s", group, got, want)
		}
		conn.Close()
		r.loop.close()
	}
}
