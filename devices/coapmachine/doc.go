// Package coapmachine is what a CoAP device says to a broker and when, for programs and
// for simulated fleets: it logs in at /mqtt/connection, publishes by PUT to /ps/{topic} and
// observes there, with payloads block by block both ways, and sends again what was not
// acknowledged (RFC 7252, 7641, 7959, 9175).
//
// A [Machine] is pure, and used as those of devices/snmachine are: datagrams and the time
// come in by Input and Timer, datagrams and events go out by a [Handler].
//
// # One thing at a time
//
// One request is under way (NSTART is 1, [CoAP-4.7-1]); what is asked for meanwhile waits
// in a bounded queue. The queue outlives a connection, and so do the observations of a
// session that lasts: the gateway goes on with their tokens.
package coapmachine
