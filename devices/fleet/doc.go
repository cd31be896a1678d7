// Package fleet runs a scenario: it brings its devices to life on a few event loops,
// lets them speak, and has the oracle judge what came of it. It is the middle of the
// simulated fleets: scenario says what each device does and when, machine how it
// speaks, loop how bytes travel, oracle what had to arrive, report what people see.
//
// # Who owns what
//
// A worker is one event loop, and everything of its devices happens on the loop's
// goroutine: no device has a lock or a goroutine. Workers hand their events to a sink,
// which in this process is a source of the oracle, and in a process that holds a part
// of the fleet a pipe to the process that judges. The crew is what the run gives its
// orders to: workers here, or processes.
//
// # The phases of a run
//
// Groups with warm_up connect and subscribe; then the others. When the scenario's
// duration is over, the fleet falls silent: nothing new is published, and devices that
// are away come back for what waits for them. Once nothing is outstanding, or the
// settling time is over, lingering groups cut their connections so that their Wills
// come, and at last all leave in order.
package fleet
