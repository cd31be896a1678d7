//go:build !unix

package protocols

// setUp: without descriptors that can be polled, reading holds a buffer while it
// blocks and every write goes through the writer goroutine.
func (s *socket) setUp() {}

func (s *socket) await() error { return nil }

func (s *socket) brokenOff() error { return nil }

func (s *socket) park() error { return s.parkBlocking() }

func (s *socket) tryOnce() int { return 0 }
