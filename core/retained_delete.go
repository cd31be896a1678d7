package core

// DeleteRetained removes the retained messages of topics, for administration: the
// retained store, here and in databases behind data rules, is left as by a retained
// PUBLISH with an empty payload to each [MQTT-3.3.1-6], but no client gets that. It is
// counted as AdministrativeAction, and explained, once, of about. done is told when the
// store has noted it, or why it did not: then they are gone until the process ends. It
// must not block.
func (g *Gateway) DeleteRetained(t *Turn, topics []string, about string, done func(error)) {
	t.closeCommit()
	for _, name := range topics {
		m := &Message{Topic: name, Retain: true, ID: g.newMessageID(), Published: t.now}
		if g.retained.put(m) {
			g.keepRetained(t, m)
		}
		g.note(t, EventPublish, nil, m)
	}
	t.CountReason(AdministrativeAction, uint64(len(topics)))
	t.explain.add(Record{Time: t.now, Reason: AdministrativeAction, Topic: about, Count: uint64(len(topics)), Detail: "retained messages deleted"})
	if t.commit == nil {
		done(nil)
		return
	}
	t.commit.after = append(t.commit.after, waiter(done))
	t.closeCommit()
}
