// Package topic knows the grammar of MQTT topics: it parses Topic Names, Topic
// Filters and the prefixes that stand before a filter, and it answers the
// questions that can be asked of two of them (match, cover, overlap).
//
// Terms, as the specifications use them:
//
//   - Topic Name: what a message is published to; no wildcards.
//   - Topic Filter: what a client subscribes to; '+' stands for one level, '#'
//     for all that follows, the level before it included.
//   - level: the text between two '/'. It may be empty.
//   - prefix: $share/GROUP/, $queue/, $fastlane/, $local/, $exclusive/ before a
//     filter and $delayed/SECONDS/ before a name. They say how to deliver and
//     are no part of the filter that is matched.
//
// The package holds no state, allocates nothing on the paths a message takes
// and imports the standard library only. Clauses are cited with the numbers of
// MQTT 5.0.
package topic
