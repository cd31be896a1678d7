package main

import (
	"errors"
	"fmt"
)

// state is how far a client has come.
type state byte

const (
	unused     state = iota
	connecting       // connect is under way
	greeting         // CONNECT is sent
	subscribing
	ready
)

// role is what a client does.
type role byte

const (
	receiverRole role = iota
	publisherRole
)

// client is one connection to the broker. The loop owns all of it but packetID, unacked, quota and pending, which are
// the MQTT side's.
type client struct {
	fd      int
	number  int32 // place among the loop's clients
	index   int32 // number among those of its role
	state   state
	role    role
	blocked bool // the kernel took not all; EPOLLOUT is asked for
	dirty   bool // is in the loop's list
	in      []byte
	out     []byte
	sent    int   // bytes of out that are written
	wrote   int64 // when something was last written, for pings

	packetID uint16
	unacked  int                 // messages with QoS over 0 without their last acknowledgement
	quota    int                 // how many of those the broker allows
	released map[uint16]struct{} // QoS 2: received, and not yet released by PUBREL
}

func (c *client) String() string {
	if c.role == publisherRole {
		return fmt.Sprintf("publisher %d", c.index)
	}
	return fmt.Sprintf("receiver %d", c.index)
}

// nextID gives the next Packet Identifier. The quota is far below 65,535, so that the last holder is done with it.
func (c *client) nextID() uint16 {
	c.packetID++
	if c.packetID == 0 {
		c.packetID = 1
	}
	return c.packetID
}

// What the other end may do to us.
var (
	errClosed = errors.New("the broker closed the connection")
	errReset  = errors.New("the broker reset the connection")
)
