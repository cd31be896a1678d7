// Package mqtt is the adapter of MQTT 3.1, 3.1.1 and 5.0: it translates between
// packets on a connection and calls of core.Gateway, and does nothing else.
//
// An [Adapter] makes one [Machine] for each connection. A machine is pure: bytes
// and time go in, actions come out, and the only thing it calls is the gateway.
// What sessions, queues, Wills, retained messages or permissions mean is core's;
// what stays here is what only MQTT knows: the order of packets, versions, client
// identifiers as each version treats them, Topic Aliases, packet size limits, and
// the codes and reason strings in which core's reasons are told to a client.
//
// # Who owns the state
//
// A Machine has two halves that may run at the same time. The input half (Input,
// Complete, Tick, Stop, Closed) owns the packet order and the inbound aliases;
// the output half (Output) owns the outbound aliases. What CONNECT settled is
// written before Gateway.Resume and only read afterwards. Buffers that serve one
// call lie in the turn's scratch, not in the machine, so an idle connection is
// the Machine struct alone. A connection that its client divided over several streams
// (QUIC) also keeps which stream what is under way belongs to; its halves take turns.
package mqtt
