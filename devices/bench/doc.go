// Package bench measures MQTT brokers: named measurements, each a scenario that the
// simulated fleet plays and the figures that are read off its run. It adds nothing to
// how devices behave; what a measurement does stands in its scenario.
//
// # Terms
//
// A delivery is one message that reached one subscriber. The window is the part of a run
// that is measured: for streams the seconds after the warm-up, for storms the time from
// their begin until the last message or connection. A round is one run against one
// broker; with two brokers the order changes from round to round, so that a machine that
// becomes slower harms both. What is told of a broker is the median of its rounds with
// the smallest and the largest.
//
// A remark says what makes figures worth less than they seem, or nothing at all: a fault
// that the oracle found, a load generator that could not keep up, fewer messages than
// were offered.
//
// # State
//
// [Run] owns all of a bench. A [Result] is not changed once Run gave it. Measurements are
// data and are never changed.
package bench
