// Package redis is data rules on Redis (or Valkey): one server, sentinels or a cluster.
//
// Keys, as documented for EMQ X 2.4, all times in seconds:
//
//	mqtt:client:CLIENTID      hash   state (1, 0), online_at, offline_at ("undefined" at first)
//	mqtt:node:NODE            hash   CLIENTID → online_at, of those connected there
//	mqtt:sub:CLIENTID         hash   filter → QoS: the user's programs write it
//	mqtt:msg:MSGID            hash   id, from, qos, topic, payload, ts, retain
//	mqtt:msg:TOPIC            zset   MSGID, all of score 1: in the order of publishing
//	mqtt:retain:TOPIC         hash   as mqtt:msg:MSGID; a string that holds a MSGID is read, too
//	mqtt:acked:CLIENTID:TOPIC string MSGID of the last one acknowledged
//	mqtt:latest_msg:TOPIC     hash   as mqtt:msg:MSGID
//
// and three of our own, without which nothing but equal topics could be found:
//
//	mqtt:topics:msg, mqtt:topics:retain, mqtt:topics:latest
//	                          zset   topics that have messages, of score 0
//
// Every write touches one key at a time, in an order that leaves nothing dangling which
// reading does not clear away: so the same keys do in a cluster, where none of them need
// lie together. A cursor moves forward only, also when acknowledgements come out of
// order, and is compared by its text, not by its place: it holds when what it names has
// expired.
//
// The queue functions remove a message once it was acknowledged by anybody; the pubsub
// functions keep a cursor for each client.
package redis
