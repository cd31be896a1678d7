package oracle

import (
	"cmp"
	"time"
)

// Config says whom and how strictly to judge. Only Devices is needed; the other zero
// values have the meanings given.
type Config struct {
	Devices []Device // by number; a later change of the slice is not seen
	Begun   int64    // Event.At of the run's begin, from which examples count

	// WillWithin is how late a Will may come after the connection's end and its delay,
	// and how long the server may take to know of a connection's end; 0: 2 seconds.
	WillWithin time.Duration
	// Flight is how long a packet or message may be under way (in transports and in
	// the server) in good order. What is younger at the end of a subscription or
	// connection may have been lost with it; 0: 5 seconds. It has to be no longer than
	// the run's settling time if the devices leave at the end, or the last messages
	// go unjudged.
	Flight time.Duration
	// Slack is how much earlier than the device the server may have known of the
	// end of a connection, and how exactly intervals of whole seconds are kept;
	// 0: 500 milliseconds.
	Slack time.Duration
	// Keep is how long a message is remembered after all has come of it, so that late
	// copies are known and compared; 0: 10 seconds.
	Keep time.Duration

	// Duplicates: true leaves repeated messages at QoS 1 unjudged.
	Duplicates bool
	// LossQoS0 is the share of QoS 0 deliveries that may be missing, 0 to 1.
	LossQoS0 float64
	// Refusals: true makes refused messages and subscriptions no fault.
	Refusals bool

	MaxMessages   int // remembered at once, about 100 bytes each; 0: 2,000,000
	MaxDeliveries int // outstanding at once, about 32 bytes each; 0: 8,000,000
	MaxRows       int // pairs of a receiver and a (publisher, topic), about 120 bytes each; 0: 4,000,000
	MaxTopics     int // topics and filters, about 300 bytes each; 0: 2,000,000
	Queue         int // events that a source holds before Add blocks; 0: 65,536
}

func (c Config) withDefaults() Config {
	c.WillWithin = cmp.Or(c.WillWithin, 2*time.Second)
	c.Flight = cmp.Or(c.Flight, 5*time.Second)
	c.Slack = cmp.Or(c.Slack, 500*time.Millisecond)
	c.Keep = cmp.Or(c.Keep, 10*time.Second)
	c.MaxMessages = cmp.Or(c.MaxMessages, 2_000_000)
	c.MaxDeliveries = cmp.Or(c.MaxDeliveries, 8_000_000)
	c.MaxRows = cmp.Or(c.MaxRows, 4_000_000)
	c.MaxTopics = cmp.Or(c.MaxTopics, 2_000_000)
	c.Queue = cmp.Or(c.Queue, 65_536)
	return c
}
