// Package hostile holds tests only. They build the fairlead command, run it as a
// process of its own, and attack it from outside with bytes of their own.
//
// While an attack runs, a pair of innocent clients publishes and receives at QoS
// 1. An attack is repelled if the gateway lives, the pair lost nothing, the
// process grew by no more than a bound, a new client can still connect, and what
// was refused has its reason code on the wire, a counter in /metrics and an
// explain record.
//
// Quick by default. -full takes the sizes of the promises (docs/limits.md) and wages
// each attack first against another gateway, so that what it takes of the machine can
// be told from what the gateway lets it take; -update-figures writes what was measured
// into that document. Times are written down and never asserted: they belong to the
// machine. Memory bounds are asserted with room to spare.
//
// A fault that is known and not yet mended stands at its attack (needs): the test
// measures and skips, saying which file it is in; -faults makes it fail. Whoever
// mends it takes the word away.
package hostile
