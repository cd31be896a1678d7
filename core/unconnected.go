package core

// PublishUnconnected takes a message at QoS 0 from a client that has no connection, as
// MQTT-SN's QoS −1 sends it; id is what the adapter knows of it. The reason says why the
// message was refused, which was counted and explained; nobody tells the client.
func (g *Gateway) PublishUnconnected(t *Turn, id *Identity, p *Publish) Reason {
	t.Count(MessagesReceived, 1)
	t.Count(MessagesQoS0, 1)
	r := Success
	switch {
	case g.stopping.Load():
		r = ServerShuttingDown
	case g.beyondLimits(p.Topic):
		r = TopicNameInvalid
	case !g.chain.decide(id, ActionPublish, p.Topic):
		r = NotAuthorized
	case p.Retain && len(p.Payload) > 0 && !g.retained.fits(p.Topic, retainedSize(p.Topic, p.Payload, p.Properties)):
		r = RetainedLimit
	}
	if r != Success {
		t.Count(MessagesRefused, 1)
		g.Refuse(t, Refusal{Reason: r, Listener: id.Listener, Peer: id.Peer.String(), ClientID: id.ClientID, Detail: "publish to " + p.Topic + " without a connection"})
		return r
	}
	m := newMessage(p.Payload)
	m.Topic, m.Retain, m.Publisher, m.Username = p.Topic, p.Retain, id.ClientID, id.Username
	m.ID, m.Published, m.Properties = g.newMessageID(), t.now, p.Properties
	g.dispatch(t, m)
	return Success
}
