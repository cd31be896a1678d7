package protocols

import "github.com/fairlead-iot/fairlead/core"

// A batch is what many peers sent. Who sends much of it, or what costs much, waits behind
// the others: clients are served in rounds, in each of which one has its share, and those
// that no protocol has accepted yet come last. What one peer sent stays in its order.

// dealShare is how many datagrams of one client are served before those of others are.
const dealShare = 4

// served is what became of a datagram in a round.
type served uint8

const (
	isDone   served = iota
	isLast          // it is a stranger's
	hadShare        // its client has had its share
)

// deal serves a batch.
func (p *port) deal(in []inItem) {
	var order, last [receiveBatch]uint8
	waiting, strangers := order[:0], last[:0]
	for i := range in {
		waiting = append(waiting, uint8(i))
	}
	for len(waiting) > 0 {
		p.round++
		rest := waiting[:0]
		for _, i := range waiting {
			switch p.serve(&in[i]) {
			case hadShare:
				rest = append(rest, i)
			case isLast:
				strangers = append(strangers, i)
			}
		}
		waiting = rest
	}
	for _, i := range strangers {
		p.datagram(&in[i])
	}
}

// serve serves a datagram of a client that has not had its share of this round.
func (p *port) serve(it *inItem) served {
	if it.tooLong {
		p.refuse(core.PacketTooLarge, it.from, "a datagram larger than max_packet_size")
		return isDone
	}
	node, message := p.adapter.Split(it.b)
	c := p.find(p.peers.hash(it.from, node), it.from, node)
	if c == nil || !c.accepted || p.groups(it) {
		return isLast
	}
	if c.round != p.round {
		c.round, c.dealt = p.round, 0
	}
	if c.dealt >= dealShare {
		return hadShare
	}
	c.dealt++
	p.turn.Allot()
	c.receive(p, message, len(it.b))
	if p.turn.Spent() {
		c.dealt = dealShare
	}
	return isDone
}

// groups says that a datagram was sent to a group or to all.
func (p *port) groups(it *inItem) bool {
	return p.voice != nil || it.local != nil && it.local.control == nil
}
