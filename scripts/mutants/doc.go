// Package mutants holds tests only. They show that the authorisation matrix sees
// every check: they take the checks away one at a time, and something must fail.
//
// A check is found in the source, not in a list: each call of a function that answers
// whether something is allowed, each branch that refuses for who somebody is, and each
// condition inside the functions that decide. A check that is added is mutated with the
// rest, and an exception (harmless) that fits nothing any more is a fault.
//
// The tree is not changed. All mutants of a package stand in one test binary, built by
// go test -overlay, and a number in the environment says which of them is in force, so
// that a package is built once however many checks it has.
package mutants
