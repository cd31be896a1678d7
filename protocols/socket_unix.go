//go:build unix

package protocols

import (
	"io"
	"syscall"
)

// setUp makes the two functions once: as closures they would be allocated for
// every call.
func (s *socket) setUp() {
	c, ok := s.Conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	s.raw = raw
	s.tryRead = func(fd uintptr) bool {
		h := s.engine.pools.helds.room(socketRead)
		s.readN, s.readErr = syscall.Read(int(fd), h.b[:cap(h.b)])
		if s.readN > 0 {
			s.took(h, s.readN)
			return true
		}
		s.engine.pools.helds.put(h)
		return s.nowait || s.readErr != syscall.EAGAIN && s.readErr != syscall.EINTR
	}
	s.tryWrite = func(fd uintptr) bool {
		s.writeN, s.writeErr = syscall.Write(int(fd), s.out)
		return true
	}
}

// await parks until there is something to read, and leaves it there.
func (s *socket) await() error {
	return s.raw.Read(func(fd uintptr) bool {
		var first [1]byte
		_, _, err := syscall.Recvfrom(int(fd), first[:], syscall.MSG_PEEK)
		return err != syscall.EAGAIN && err != syscall.EINTR // what is no socket is read at once
	})
}

// brokenOff tells that the client broke off. Reading would give first what it sent before.
func (s *socket) brokenOff() error {
	var code int
	var fault error
	if err := s.raw.Control(func(fd uintptr) {
		code, fault = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
	}); err != nil {
		return err
	}
	if fault == nil && code != 0 {
		return syscall.Errno(code)
	}
	return nil
}

// park waits until there is something to read, without a buffer, and reads it; with nowait,
// errAgain says that there is nothing.
func (s *socket) park() error {
	if s.raw == nil {
		return s.parkBlocking()
	}
	s.readN, s.readErr = 0, nil
	if err := s.raw.Read(s.tryRead); err != nil {
		return err
	}
	if s.readN > 0 {
		return nil
	}
	if s.readErr == syscall.EAGAIN || s.readErr == syscall.EINTR {
		return errAgain{}
	}
	if s.readErr != nil {
		return s.readErr
	}
	return io.EOF
}

// tryOnce writes s.out as far as the kernel has room. mu is held.
func (s *socket) tryOnce() int {
	if s.raw == nil {
		return 0
	}
	if err := s.raw.Write(s.tryWrite); err != nil {
		s.fail(err)
		return 0
	}
	s.edge.writes.Add(1)
	if s.writeErr != nil && s.writeErr != syscall.EAGAIN && s.writeErr != syscall.EINTR {
		s.fail(s.writeErr)
	}
	n := max(s.writeN, 0)
	s.edge.writeBytes.Add(uint64(n))
	return n
}
