package hostile

import (
	"fmt"
	"net"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// arrivalPace is how often an innocent client connects, and leaves again.
const arrivalPace = 10 * time.Millisecond

// neighbourhood is where they connect from: in the world nobody shares an attacker's
// address, its ports and its queues.
func neighbourhood() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)} }

// arrivals has ever new clients connect. Each has its own goroutine: the next one does
// not wait for one that is slow.
func (n *pair) arrivals(address string) {
	tick := time.NewTicker(arrivalPace)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-n.stop:
			return
		case <-tick.C:
			n.wg.Go(func() { n.arrival(address, fmt.Sprint("innocent-", i)) })
		}
	}
}

func (n *pair) arrival(address, id string) {
	began := time.Now()
	from := net.Dialer{LocalAddr: neighbourhood(), Timeout: patience}
	c, err := from.Dial("tcp", address)
	if err != nil { // a system whose loopback has one address
		c, err = net.DialTimeout("tcp", address, patience)
	}
	if err != nil {
		n.fault("a new client: %w", err)
		return
	}
	defer c.Close()
	p := &peer{Conn: c}
	c.SetDeadline(time.Now().Add(patience))
	c.Write(bytesOf(greeting(id)))
	f, err := p.next()
	var ack packet.Connack
	if err == nil {
		err = ack.Decode(packet.V5, f.Header, f.Body)
	}
	if err != nil {
		n.fault("a new client's CONNACK: %w", err)
		return
	}
	c.Write(bytesOf(&packet.Disconnect{}))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.came = append(n.came, time.Since(began))
	if ack.Reason != packet.ReasonSuccess {
		n.refused++
	}
}
