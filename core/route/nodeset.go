package route

import "math/bits"

// maskNodes is how many nodes stand in an entry's mask; the others, and there
// are seldom any, stand in a list.
const maskNodes = 64

// maxNode bounds node numbers to what a record can hold.
const maxNode = payloadMask

// nodeSet is the nodes of a filter that more than one node wants.
type nodeSet struct {
	mask uint64 // nodes 0 to 63
	word uint32 // the others: a list
	kind kind
}

func (s *nodeSet) link() *uint32 { return &s.word }

func (s *nodeSet) above() list { return list{s.kind, s.word} }

// count returns how many nodes the set has.
func (es *entries) nodesIn(s *nodeSet) int {
	return bits.OnesCount64(s.mask) + es.values.count(s.above())
}

// nodes returns the nodes of a record: a mask of 0 to 63 and a list of the others.
func (es *entries) nodes(r record) (uint64, list) {
	payload := r.state() & payloadMask
	switch r.state() & nodeMask {
	case oneNode:
		if payload < maskNodes {
			return 1 << payload, list{}
		}
		return 0, list{one, payload}
	case manyNodes:
		s := es.sets.at(payload)
		return s.mask, s.above()
	}
	return 0, list{}
}

// setNodes writes what the record knows of its nodes.
func (r record) setNodes(what, payload uint32) {
	r.setState(r.state()&^(nodeMask|payloadMask) | what | payload)
}

// addNode puts a node into the record's set and reports whether it is new.
func (es *entries) addNode(r record, node uint32) bool {
	payload := r.state() & payloadMask
	switch r.state() & nodeMask {
	case noNodes:
		r.setNodes(oneNode, node)
	case oneNode:
		if payload == node {
			return false
		}
		id := es.sets.alloc()
		es.enter(es.sets.at(id), payload)
		es.enter(es.sets.at(id), node)
		r.setNodes(manyNodes, id)
	default:
		if !es.enter(es.sets.at(payload), node) {
			return false
		}
	}
	es.nodeCount++
	return true
}

// enter puts a node into a set and reports whether it is new.
func (es *entries) enter(s *nodeSet, node uint32) bool {
	if node < maskNodes {
		old := s.mask
		s.mask |= 1 << node
		return s.mask != old
	}
	l, added := es.values.add(s.above(), node)
	s.kind, s.word = l.kind, l.word
	return added
}

// removeNode takes a node out of the record's set and reports whether it was
// there.
func (es *entries) removeNode(r record, node uint32) bool {
	payload := r.state() & payloadMask
	switch r.state() & nodeMask {
	case noNodes:
		return false
	case oneNode:
		if payload != node {
			return false
		}
		r.setNodes(noNodes, 0)
	default:
		if !es.leave(es.sets.at(payload), node) {
			return false
		}
		es.shrink(r, payload)
	}
	es.nodeCount--
	return true
}

// leave takes a node out of a set and reports whether it was there.
func (es *entries) leave(s *nodeSet, node uint32) bool {
	if node < maskNodes {
		old := s.mask
		s.mask &^= 1 << node
		return s.mask != old
	}
	l, removed := es.values.remove(s.above(), node)
	s.kind, s.word = l.kind, l.word
	return removed
}

// shrink writes a set of one node into the record itself.
func (es *entries) shrink(r record, id uint32) {
	s := es.sets.at(id)
	if es.nodesIn(s) > 1 {
		return
	}
	last := s.word
	if s.mask != 0 {
		last = uint32(bits.TrailingZeros64(s.mask))
	}
	es.sets.release(id)
	r.setNodes(oneNode, last)
}
