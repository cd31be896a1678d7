// Command loadgen puts load on an MQTT broker and tells what a message costs. It serves this repository's own
// measurements (scripts/measure); users are offered other commands.
//
//	loadgen idle   -n 19000            connections that only stand there, with one subscription each
//	loadgen fanin  -pubs 100 -subs 1   many publishers, each receiver hears all of them (by a wildcard)
//	loadgen fanout -pubs 1 -subs 1000  few publishers, many receivers
//	loadgen pairs  -n 500              publisher i to receiver i only
//	loadgen shared -pubs 100 -subs 10  one shared group: each message goes to one of the receivers
//
// It is one thread with one epoll set, and allocates nothing per message, so that it costs less than what it measures;
// what it costs stands in its report. It prints one line of JSON. With -pid it reads the broker's CPU time and
// memory from /proc, over the same seconds as the deliveries are counted in.
//
// # Terms
//
// Closed loop (-window W): at most W messages are under way, published and not yet received by everybody who should
// have them. Each publisher has its even share of W, and publishes anew when one of its own messages has arrived.
// Paced (-rate R): R messages a second in all, publisher after publisher, whatever comes back; latency counts from
// the moment a message was due, so that a late generator or a stalled broker cannot hide it.
//
// A delivery is one message that reached one receiver for the first time. Lost, doubled and swapped messages are
// found by the sequence number in each payload, from the first message of the warm-up to the end of the drain.
// A stall is a publisher to whom nothing came back for two seconds (-stall) in a closed loop; what it had under way is given
// up then (and counted as lost if it never comes).
//
// # State
//
// A run owns everything: the loop owns descriptors and buffers, the traffic owns publishers and windows, the ledger
// owns sequence numbers. There are no other goroutines.
//
// Exit codes: 0 measured; 1 could not be measured; 2 wrong arguments; 3 measured, and messages were lost, doubled or
// out of order.
package main
