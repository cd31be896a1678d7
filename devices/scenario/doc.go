// Package scenario reads the files that describe a fleet: which devices there are,
// what they say, when, and over which network, and what has to come of it. It also
// holds the profiles that people know by name, and makes of a scenario and a seed the
// exact schedule of every device.
package scenario
