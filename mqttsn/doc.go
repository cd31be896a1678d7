// Package mqttsn is the adapter of MQTT-SN 1.2: it translates between datagrams of
// sensors and calls of core.Gateway, and does nothing else.
//
// An [Adapter] makes one [Machine] for each client: for each address, and behind a
// forwarder for each wireless node. What sessions, queues, Wills, sleep or permissions
// mean is core's; what stays here is what only MQTT-SN knows: topic ids, the prompting
// for the Will, one transaction after the other, and sending again what was not answered.
//
// # Who owns the state
//
// All of a Machine belongs to its input half (Input, Complete, Tick, Stop, Closed). Its
// Output only asks, by a Completion of its own connection, that the input half takes what
// core has: topic ids and repetitions depend on what the client answers, and so both must
// not run at once.
//
// # Obligations
//
// The specification has no numbered statements; testdata/obligations.txt numbers what it
// asks for by its sections, [SN-6.14-3] and the like, and conformance.md shows where the
// code obeys and which tests show it.
package mqttsn
