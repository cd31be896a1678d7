package core

// PublishUnconnected takes a message at QoS 0 from a client that has no connection, as
// MQTT-SN's QoS −1 sends it; id is what the adapter knows of it. The reason says why the
// message was refused, which was counted and explained; nobody tells the client.
func (g *Gateway) PublishUnconnected(t *Turn, id *Identity, p *Publish) Reason {
	t.Count(MessagesReceived, 1)
	t.Count(MessagesQoS0, 1)
	who := placer{id: id.ClientID, user: id.Username}
	name, w := p.Topic, way{}
	if err := g.mounts.check(id.Listener, &who); err != nil {
		w.reason = err.Reason
	} else {
		name, w = g.placeName(&who, p.Topic)
	}
	r := g.mayPublishUnconnected(t, id, p, name, &w)
	if r == Success {
		m := newMessage(p.Payload)
		m.Topic, m.Retain, m.Publisher, m.Username = name, p.Retain, id.ClientID, id.Username
		m.ID, m.Published, m.Properties = g.newMessageID(), t.now, p.Properties
		if w.delay == 0 {
			g.dispatch(t, m)
			return Success
		}
		r, _ = g.delayAs(t, id, m, w.delay)
	}
	if r != Success {
		t.Count(MessagesRefused, 1)
		g.Refuse(t, Refusal{Reason: r, Listener: id.Listener, Peer: id.Peer.String(), ClientID: id.ClientID, Detail: "publish to " + p.Topic + " without a connection"})
	}
	return r
}

func (g *Gateway) mayPublishUnconnected(t *Turn, id *Identity, p *Publish, name string, w *way) Reason {
	switch {
	case g.stopping.Load():
		return ServerShuttingDown
	case w.reason != Success:
		return w.reason
	case g.beyondLimits(name):
		return TopicNameInvalid
	case g.checkBan(t, id.ClientID, id.Username, id.Peer) != nil:
		return Banned
	case !g.chain.decide(id, ActionPublish, name):
		return NotAuthorized
	case p.Retain && len(p.Payload) > 0 && w.delay == 0 && !g.fitsRetained(name, retainedSize(name, p.Payload, p.Properties)):
		return RetainedLimit
	}
	return Success
}
