package identity

// Waiting is how many clients are remembered, to read their access rules again.
func (s *Source) Waiting() int { return s.line.len() }

func (l *line) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.again) + len(l.turn)
}
