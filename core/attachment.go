package core

import (
	"bytes"
	"slices"
)

// Attachment is a small value that an adapter keeps with a session under a key of its
// own, which begins with the adapter's name. It lives as long as the session, whatever
// connection that has: for a durable one it is stored. Values are immutable.
type Attachment struct {
	Key   string
	Value []byte
}

// Attach puts a into l's session, in the place of what has its key; without a value it
// takes that away. Nobody is told when it is stored, but what is committed later, such
// as a Subscribe, is committed after it. How many there are is the adapter's to bound.
// SessionTakenOver: the link is stale.
func (g *Gateway) Attach(t *Turn, l Link, a Attachment) Reason {
	s := l.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.live() {
		return SessionTakenOver
	}
	if !s.rarely().attach(a) || !s.durable {
		return Success
	}
	t.op(s.attachmentOp(a))
	return Success
}

// attachmentOp stores a, or that it is no more.
func (s *Session) attachmentOp(a Attachment) Op {
	o := s.op(OpPutAttachment)
	if a.Value == nil {
		o.Kind = OpDeleteAttachment
	}
	o.Filter, o.Value = a.Key, a.Value
	return o
}

// attach adds, replaces or removes; false says that nothing changed.
func (m *rare) attach(a Attachment) bool {
	i := slices.IndexFunc(m.attachments, func(o Attachment) bool { return o.Key == a.Key })
	switch {
	case i < 0 && a.Value == nil:
		return false
	case i < 0:
		m.attachments = append(m.attachments, a)
	case a.Value == nil:
		m.attachments = slices.Delete(m.attachments, i, i+1)
	case bytes.Equal(m.attachments[i].Value, a.Value):
		return false
	default:
		m.attachments[i] = a
	}
	return true
}

// Attachments are those of l's session, the caller's to keep.
func (g *Gateway) Attachments(l Link) []Attachment {
	s := l.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.live() || s.more == nil {
		return nil
	}
	return slices.Clone(s.more.attachments)
}
