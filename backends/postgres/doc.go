// Package postgres stores for data rules in PostgreSQL: who is online, messages, retained
// messages and who has read what, in the documented tables mqtt_client, mqtt_msg,
// mqtt_retain and mqtt_acked, and it reads subscriptions from mqtt_sub. Each [DB] is one
// pool of connections and a [rules.Database].
//
// A batch of jobs is one transaction in one round trip: jobs of one function become one
// statement over arrays, whatever their number. Values are bound, never written into
// statements.
//
// The tables may be ours (schema.sql) or those that somebody has; a [DB] looks at which
// columns and keys there are when it first works, and again when a statement finds them
// changed. What is different, and what that costs, Init says.
//
// A DB holds connections and what it knows of the tables, and nothing else.
package postgres
