// Package snmachine is what a client of MQTT-SN 1.2 says and when, for programs and for
// simulated fleets: connecting with a Will, registering topics, QoS 0, 1, 2 and −1,
// sleeping, and sending again what was not answered.
//
// A [Machine] is pure: datagrams and the time come in by Input and Timer, datagrams and
// events go out by a [Handler]. It has no goroutine, lock, socket or clock, and idle it
// holds no buffer.
//
//	m.Init(&cfg, "pump-7")
//	err := m.Connect(&turn, nil)
//	m.Input(&turn, datagram)      // for each that came
//	next := m.Timer(&turn)        // when that time has come, and to learn it after each call
//
// # One thing at a time
//
// A client has one transaction under way [SN-6.6-3]; what is asked for meanwhile waits in a
// bounded queue. The queue, the topic ids and the QoS 2 messages received outlive a
// connection, as the session does; a clean session forgets the last two.
package snmachine
