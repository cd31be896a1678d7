// Package mongodb is data rules on MongoDB: one server, a replica set or a sharded
// cluster.
//
// Collections, as documented for EMQ X 2.4:
//
//	mqtt_client  clientid, state (1, 0), node, online_at, offline_at (seconds, or null)
//	mqtt_sub     clientid, topic, qos: the user's programs write it
//	mqtt_msg     _id (a number that grows), topic, msgid, sender, qos, retain, payload, arrived
//	mqtt_retain  topic, msgid, sender, qos, payload, arrived
//	mqtt_acked   clientid, topic, mongo_id: the _id of the last one acknowledged
//
// and one of our own, mqtt_counter, where the next _id of mqtt_msg stands. A message has
// expires_at (a date) where its rule or its publisher bounds its life, and MongoDB removes
// it then.
//
// Only single documents are changed at a time, none of it in transactions: what comes
// twice leaves the same behind, by unique indexes on msgid, on topic and on clientid with
// topic. Init makes them.
//
// A payload is text where it is UTF-8 and binary else, as the rule's payload_format has
// it; text, binary and documents are read alike.
//
// Without a real MongoDB the tests use servers that speak its protocol, see
// docs/services.md; FAIRLEAD_TEST_MONGODB_URL names a real one.
package mongodb
