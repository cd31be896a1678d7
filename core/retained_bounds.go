package core

// retainedBounds are how much is retained, and how long.
type retainedBounds struct {
	max      int   // messages
	maxBytes int   // of all of them
	expiry   int64 // milliseconds for messages without their own expiry, 0 for ever
}

// fits says that a message of size may be retained for topic. One that is no
// larger than what it replaces always may: bounds can be lowered below what is held.
func (r *retainedStore) fits(topic string, size int) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.fitsLocked(topic, size)
}

// fitsRetained says whether the message of p may be retained for name, and does not ask
// where others keep it.
func (g *Gateway) fitsRetained(name string, size int) bool {
	return g.retainsElsewhere(name) || g.retained.fits(name, size)
}

func (r *retainedStore) fitsLocked(topic string, size int) bool {
	old := 0
	if i, known := r.index.Get(topic); known {
		old = sizeRetained(r.slots[i])
	} else if len(r.slots)-len(r.free) >= r.max {
		return false
	}
	return size <= old || r.bytes-old+size <= r.maxBytes
}

// offer is put within the bounds. The gateway's own figures stand outside of them:
// their number is fixed.
func (r *retainedStore) offer(m *Message) (changed, fits bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(m.Payload) > 0 && !ownFigure(m) && !r.fitsLocked(m.Topic, sizeRetained(m)) {
		return false, false
	}
	return r.putLocked(m), true
}

// lapsed says that m is not retained any longer at now, Unix milliseconds.
func (r *retainedStore) lapsed(m *Message, now int64) bool {
	end := r.lapses(m)
	return end != 0 && now >= end
}

// lapses is until when m is retained, Unix milliseconds; 0 for ever.
func (r *retainedStore) lapses(m *Message) int64 {
	if m.Expires != 0 || r.expiry == 0 || ownFigure(m) {
		return m.Expires
	}
	return m.Published + r.expiry
}

// ownFigure says that the gateway itself published m below $SYS.
func ownFigure(m *Message) bool { return m.Publisher == "" && m.Topic[0] == '$' }

func sizeRetained(m *Message) int { return retainedSize(m.Topic, m.Payload, m.Properties) }

// retainedSize is what a message counts for in max_retained_bytes.
func retainedSize(topic string, payload []byte, p *Properties) int {
	return len(topic) + len(payload) + p.Size() + 96
}

// size is what the properties hold; p may be nil.
// Size is what they count for in limits, in bytes.
func (p *Properties) Size() (n int) {
	if p == nil {
		return 0
	}
	n = len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	for _, u := range p.User {
		n += len(u.Name) + len(u.Value) + 32 // the two strings' headers
	}
	return n
}
