// Package scenario reads the files that describe a fleet: which devices there are,
// what they say, when, and over which network, and what has to come of it. It also
// holds the profiles that people know by name, and makes of a scenario and a seed the
// exact schedule of every device.
//
// # From a file to messages
//
// [Load] and [Profile] give a [Scenario], checked as a whole. [Scenario.Plan] makes a
// [Plan] of it: for each [Device] who it is and when it connects, and with its
// [State] when it is due to say what. The plan has no clock and no goroutine; the
// runner tells it the times and asks what is next:
//
//	st := plan.NewState(i)
//	stay := st.Begin(now)                  // the connection stands: streams go on
//	at, stream, ok := st.Next()            // wait until at, then
//	st.Message(stream, now, &m)            // makes it, and moves the stream on
//	PutMarkTime(m.Mark, now)               // again just before writing, if time went by
//	st.End()                               // the connection is over
//
// [State.Will] comes before each CONNECT; [State.Answers] and [State.Answer] go with
// what is received. Plan.Begun is set to the present before the first of these.
//
// # Who owns what
//
// A Plan is not changed once it is made and may be used by many goroutines. A State
// belongs to one goroutine, and so does a [Message], whose buffers are used again by
// the next call that fills it.
//
// # Numbers of messages
//
// All messages of one device on one topic count in one row from 0 without gaps, over
// the whole run, whichever stream, answer or Will they are of. The rows are kept by
// the State: whatever fills a Message gives it its number, so what was filled has to be
// sent (for a Will: has to be in a CONNECT).
//
// # Chance
//
// Every choice comes from the seed, the device's number and a count, so that a device
// does the same in each run with the same seed however many others there are beside
// it, and in whichever process it lives.
package scenario
