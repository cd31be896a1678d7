// Package mysql stores for data rules in MySQL 8 and MariaDB 10.6 or later: who is online,
// messages, retained messages and who has read what, in the documented tables
// mqtt_client, mqtt_msg, mqtt_retain and mqtt_acked, and it reads subscriptions from
// mqtt_sub. Each [DB] is one pool of connections and a [rules.Database].
//
// A batch of jobs is one transaction: jobs of one function become statements of many
// rows. They are prepared once for each number of rows that is a power of two, so that
// values are bound, never written into statements, and few statements are enough.
//
// The tables may be ours (schema.sql) or those that somebody has; a [DB] looks at which
// columns and keys there are when it first works, and again when a statement finds them
// changed. What is different, and what that costs, Init says.
//
// A DB holds connections, prepared statements and what it knows of the tables, and
// nothing else.
package mysql
