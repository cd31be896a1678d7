//go:build !linux

package hostile

import "net"

// gust is a socket of a storm.
type gust struct{ *net.TCPConn }

func blow(to *net.TCPAddr) (gust, error) {
	c, err := net.DialTCP("tcp", nil, to)
	if err != nil {
		return gust{}, err
	}
	c.SetLinger(0)
	return gust{c}, nil
}

func (g gust) say(b []byte) { g.Write(b) }

func (g gust) reset() { g.Close() }
