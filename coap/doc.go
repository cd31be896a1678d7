// Package coap is the adapter of CoAP (RFC 7252) with observation (RFC 7641),
// block-wise transfer (RFC 7959) and Echo (RFC 9175): it translates between
// datagrams and calls of core.Gateway, and does nothing else. The message format is
// coded by go-coap's coder packages; nothing else of that module is used.
//
// An [Adapter] makes one [Machine] for each peer, that is an address or a DTLS
// association. A machine is pure: datagrams and time go in, actions come out, and the
// only thing it calls is the gateway. What stays here is what only CoAP knows:
// confirmable messages and their repetition, the deduplication of requests, tokens,
// options, blocks, observations and response codes.
//
// Requests come on these surfaces, which docs/coap.md describes for users:
//
//   - /ps/{topic}, with /mqtt/connection for clients that keep a session;
//   - /mqtt/{topic}?c=…&u=…&p=…, the older one;
//   - a collection of topics as draft-ietf-core-coap-pubsub-21 has it;
//   - /.well-known/core, for discovery.
//
// # Who owns the state
//
// All state of a Machine belongs to its input half (Input, Complete, Tick, Stop,
// Closed): a response, a notification and a repetition all change the same books.
// Output therefore encodes nothing. It is a bell: where core has something, it asks the
// edge for a Complete, in which the input half takes it. What both halves touch are
// three atomics.
package coap
