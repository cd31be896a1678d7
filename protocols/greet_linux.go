package protocols

import "github.com/fairlead-iot/fairlead/core"

// greet reads the PROXY header in front of everything else and makes the machine.
// It gives what stands behind the header, or all of b while it is not complete.
func (l *loop) greet(c *conn, b []byte) []byte {
	h, err := parseProxy(b)
	if err == errProxyShort {
		return b
	}
	if err != nil {
		l.refuse(c, core.ProtocolError, err.Error())
		return nil
	}
	l.begin(c, h.info(c.listener, c.peer))
	if c.phase != phaseOpen {
		return nil
	}
	return b[h.size:]
}
