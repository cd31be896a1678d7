package devices

import (
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// readLoop takes the server's packets until the connection ends.
func (c *Client) readLoop(buf []byte) {
	defer close(c.drained)
	defer close(c.messages)
	for {
		used, err := c.take(buf)
		if err != nil {
			c.abort(err)
			return
		}
		if buf = buf[used:]; cap(buf) > maxUnwritten && len(buf) < minRead {
			buf = append([]byte(nil), buf...) // a large packet's memory is not kept
		}
		if buf, err = c.fill(buf); err != nil {
			c.fail(lost(err))
			return
		}
	}
}

// minRead is the least room a read gets.
const minRead = 4096

// fill reads more behind buf, which grows only with what really came.
func (c *Client) fill(buf []byte) ([]byte, error) {
	if cap(buf)-len(buf) < minRead {
		grown := make([]byte, len(buf), 2*len(buf)+4*minRead)
		copy(grown, buf)
		buf = grown
	}
	n, err := c.conn.Read(buf[len(buf):cap(buf)])
	if n > 0 {
		return buf[:len(buf)+n], nil
	}
	if err == nil {
		err = errors.New("a read without bytes")
	}
	return buf, err
}

// take handles the whole packets at the start of b, one by one: a message waits for
// the caller without the lock, and what is behind it waits, too.
func (c *Client) take(b []byte) (used int, err error) {
	for {
		n, m, err := c.step(b[used:])
		if err != nil || n == 0 {
			return used, err
		}
		used += n
		if m == nil {
			continue
		}
		qos, id := m.QoS, m.packetID // m is the caller's from here on
		if c.hand(m) && !c.opt.ManualAck {
			// An error says that the connection is over, and so does its own.
			_ = c.acknowledge(qos, id)
		}
	}
}

// step gives the machine one packet; m is the message in it, if it was one.
func (c *Client) step(in []byte) (n int, m *Message, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick()
	n, err = c.machine.Step(&c.turn, in)
	m, c.got = c.got, nil
	switch {
	case err == nil:
	case c.ended:
	case errors.Is(err, machine.ErrDisconnected):
		err = c.said
		c.endLocked(err)
	default:
		err = fmt.Errorf("%s: the server broke the rules: %w", c.url, err)
		if c.closing {
			c.endLocked(err)
		} else {
			c.leaveLocked(err) // the machine has said so where MQTT can
		}
	}
	c.flush()
	return n, m, err
}

// abort closes the connection after what the server did, once it was told.
func (c *Client) abort(err error) {
	wait := time.NewTimer(leaveTimeout)
	defer wait.Stop()
	select {
	case <-c.flushed:
	case <-wait.C:
	case <-c.done:
	}
	c.fail(err)
	c.conn.Close()
}

// hand gives m to the caller, waiting until there is room; false when the connection
// ends meanwhile.
func (c *Client) hand(m *Message) bool {
	select {
	case c.messages <- m:
		return true
	case <-c.leaving:
		return false
	case <-c.done:
		return false
	default:
	}
	c.setStalled(true)
	defer c.setStalled(false)
	select {
	case c.messages <- m:
		return true
	case <-c.leaving:
	case <-c.done:
	}
	return false
}

// setStalled notes that nothing is read at present, so that a missing PINGRESP
// proves nothing.
func (c *Client) setStalled(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = on
	c.tick()
	c.machine.Heard(&c.turn)
}

// acknowledge answers a received message. An error means that nothing was recorded:
// the caller learns that the message will come again.
func (c *Client) acknowledge(qos byte, id uint16) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.closing {
		return c.overLocked()
	}
	c.tick()
	err := c.machine.Ack(&c.turn, qos, id, packet.ReasonSuccess)
	c.flush()
	return err
}
