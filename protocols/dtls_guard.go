package protocols

// dtlsGuard stands in front of the connections of a DTLS port.
type dtlsGuard struct{}

func (g *dtlsGuard) record(p *port, it *inItem) {}

// dtlsSession is one connection's DTLS.
type dtlsSession struct{}

func (s *dtlsSession) write(d []byte) {}
func (s *dtlsSession) leave()         {}
