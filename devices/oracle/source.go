package oracle

// Source is where events come from. One goroutine at a time uses it.
type Source struct {
	o      *Oracle
	number int

	// Guarded by o.mu.
	in     []Event // added, not yet taken
	held   int     // taken, not yet judged when last looked at
	floor  int64   // nothing earlier comes
	late   uint64  // events that came earlier than floor, not yet told
	closed bool
}

// Add gives the oracle more events, in the order of their times; one that is earlier
// than what was said before is taken to be of that later time, and counted in the
// verdict's Skipped. Events are copied: the batch is the caller's again on return. Add
// blocks while the source's queue is full. After Finish events are dropped.
func (s *Source) Add(batch []Event) {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	for len(batch) > 0 {
		room := s.o.queue - len(s.in)
		switch {
		case s.o.ending || s.closed:
			return
		case room <= 0:
			s.o.changed.Wait()
			continue
		}
		n := min(room, len(batch))
		s.put(batch[:n])
		batch = batch[n:]
		s.o.changed.Broadcast()
	}
}

func (s *Source) put(batch []Event) {
	for i := range batch {
		s.in = append(s.in, batch[i])
		e := &s.in[len(s.in)-1]
		if e.At < s.floor {
			e.At = s.floor
			s.late++
		}
		s.floor = e.At
	}
}

// Watermark says that nothing earlier than before comes from this source any more.
// Every source has to say so now and then (ten times a second is enough) while it has
// no events. It does not block.
func (s *Source) Watermark(before int64) {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	if before > s.floor {
		s.floor = before
		s.o.changed.Broadcast()
	}
}

// Close says that nothing comes any more from this source. Finish closes all.
func (s *Source) Close() {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	s.closed = true
	s.o.changed.Broadcast()
}
