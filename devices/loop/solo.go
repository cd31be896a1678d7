package loop

import (
	"errors"
	"net"
)

// maxDatagram is the longest that UDP carries, in bytes.
const maxDatagram = 65507

// solo is a socket for one port, with a goroutine that reads it.
type solo struct {
	conn net.PacketConn
	to   net.Addr
}

// openSolo opens a socket of its own for p.
func openSolo(l *Loop, p *Port) (*solo, error) {
	s := &solo{}
	var err error
	switch {
	case p.e.scheme == "mem" && l.opt.Packets == nil:
		return nil, errors.New("there are no datagrams in memory here")
	case p.e.scheme == "mem":
		s.conn, s.to, err = l.opt.Packets(p.e.path)
	default:
		s.to = net.UDPAddrFromAddrPort(p.e.addrs[0])
		s.conn, err = net.ListenPacket("udp", ":0")
	}
	if err != nil {
		return nil, err
	}
	go s.read(l, p)
	return s, nil
}

// read hands on what comes until the socket is closed.
func (s *solo) read(l *Loop, p *Port) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !isTimeoutOrRefused(err) {
				return
			}
			continue
		}
		if from.String() != s.to.String() {
			continue
		}
		b := append([]byte(nil), buf[:n]...)
		l.Post(func() {
			if p.way == way(s) { // else it closed meanwhile, or has another address
				p.arrive(b)
			}
		})
	}
}

// isTimeoutOrRefused tells errors after which a socket goes on: a gateway that is not
// there yet is told by ICMP.
func isTimeoutOrRefused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

func (s *solo) send(_ *Port, b []byte) { _, _ = s.conn.WriteTo(b, s.to) }
func (s *solo) leave(*Port)            { s.conn.Close() }
