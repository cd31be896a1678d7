package hostile

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
)

// Attackers, gateway and innocents share one machine, but in the world that is attacked
// they do not. So the innocent are a process of their own, whose clock no attacker's
// goroutines hold up; and with -full they and the gateway come before the attackers
// where processors are short, as far as this user may ask for that. An attacker has what
// is left: all of it, as long as the gateway is not busy with him.
//
// With -apart the gateway has processors of its own, and the innocent go before whoever
// is on the others at once, not when a slice of theirs ends. What the innocent notice
// is then what the gateway itself lets an attacker take from them.

// place is where a process runs, and before whom.
type place struct {
	nice int  // with -full
	own  bool // with -apart, on the gateway's processors
	rank int  // with -apart, real-time; 0 for none
}

// The gateway has no such rank: its threads would not take turns.
var (
	ofGateway   = place{nice: -10, own: true}
	ofDecoy     = place{nice: -10}
	ofInnocents = place{nice: -15, rank: 1}
)

// placed makes a command that runs there.
func placed(at place, name string, args ...string) *exec.Cmd {
	all := append([]string{name}, args...)
	before := func(more ...string) { all = append(more, all...) }
	if nice, err := exec.LookPath("nice"); *full && err == nil {
		before(nice, "-n", strconv.Itoa(at.nice))
	}
	if *apart && at.rank > 0 {
		before("chrt", "--rr", strconv.Itoa(at.rank))
	}
	if own, rest := processors(); *apart && at.own {
		before("taskset", "--cpu-list", own)
	} else if *apart {
		before("taskset", "--cpu-list", rest)
	}
	return exec.Command(all[0], all[1:]...)
}

// processors divides them: the first half is the gateway's.
func processors() (own, rest string) {
	n := runtime.NumCPU()
	return fmt.Sprintf("0-%d", n/2-1), fmt.Sprintf("%d-%d", n/2, n-1)
}

// keepApart moves the attackers, which are this process, away from the gateway.
func keepApart() error {
	if runtime.NumCPU() < 2 {
		return fmt.Errorf("-apart needs two processors")
	}
	_, rest := processors()
	out, err := exec.Command("taskset", "--all-tasks", "--pid", "--cpu-list", rest, strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("-apart: taskset: %v: %s", err, out)
	}
	return nil
}
