package devices

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Client is one MQTT connection that the server accepted. Safe for concurrent use.
type Client struct {
	opt      Options
	url      string
	conn     net.Conn
	accepted Accepted
	session  *Session
	messages chan *Message
	born     time.Time // when its clock began

	done    chan struct{} // closed when the connection is over
	leaving chan struct{} // closed when Disconnect begins
	flushed chan struct{} // closed when all was written after that
	written chan struct{} // closed when the writer returned
	drained chan struct{} // closed when the reader returned
	wake    chan struct{} // for the writer: there is something
	room    chan struct{} // from the writer: there is room again
	pinger  *time.Timer   // nil without keep alive

	mu      *sync.Mutex     // the session's: one lock for both
	machine machine.Machine // speaks MQTT; holds the session's state
	turn    machine.Turn    // its Out waits for the writer
	err     error           // why it is over
	ended   bool
	closing bool // nothing goes out behind what waits
	answers map[uint64]*answer
	asks    uint64       // token of answers that was given out last
	stalled bool         // the caller does not take messages, so nothing is read
	got     *Message     // what the machine just received
	said    *ReasonError // what the server just said
	former  *Client      // whose session this one took over
	scram   *scram       // the authentication under way, or the last
	unsure  error        // why the server that said yes is not believed
	renewal chan error   // of the Reauthenticate under way, nil for none
}

// Accepted is what the server said in its CONNACK.
type Accepted struct {
	SessionPresent      bool
	ClientID            string // assigned, or the own
	KeepAlive           time.Duration
	SessionExpiry       uint32 // seconds
	ReceiveMaximum      uint16
	MaximumQoS          byte
	RetainAvailable     bool
	MaximumPacketSize   uint32 // 0: no limit
	TopicAliasMaximum   uint16
	ResponseInformation string
	User                []UserProperty
}

// maxUnwritten is how many bytes may wait for the writer before callers wait, too.
const maxUnwritten = 1 << 20

// leaveTimeout bounds the wait for the server's end of the connection.
const leaveTimeout = 2 * time.Second

// Accepted gives what the server granted.
func (c *Client) Accepted() Accepted { return c.accepted }

// Messages gives received messages; it is closed when the connection is over.
func (c *Client) Messages() <-chan *Message { return c.messages }

// Done is closed when the connection is over; Err then says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Session is what a following Dial needs to resume.
func (c *Client) Session() *Session { return c.session }

// Err says why the connection is over: ErrClosed after the own Disconnect or Close,
// a *ReasonError when the server said why, nil while it is open.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// start begins reading and writing; rest is what came behind the CONNACK.
func (c *Client) start(rest []byte) {
	go c.writeLoop()
	go c.readLoop(rest)
	if k := c.accepted.KeepAlive; k > 0 {
		c.mu.Lock()
		c.pinger = time.AfterFunc(k, c.ping)
		c.mu.Unlock()
	}
}

// tick tells the machine the time; the lock is held, as with flush.
func (c *Client) tick() { c.turn.Now = int64(time.Since(c.born)) }

// flush has the writer take what the machine wrote.
func (c *Client) flush() {
	if len(c.turn.Out) > 0 {
		signal(c.wake)
	}
}

// fail ends the connection for err, once.
func (c *Client) fail(err error) {
	if c.over(err) {
		// Both loops notice by their next read and write.
		c.conn.Close()
	}
}

// over notes the end; false when it was noted before.
func (c *Client) over(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endLocked(err)
}

// endLocked is over with the lock held.
func (c *Client) endLocked(err error) bool {
	if c.ended {
		return false
	}
	if c.closing && c.err == nil && !errors.Is(err, ErrClosed) {
		err = ErrClosed // the end that was wished
	}
	c.ended = true
	if c.err == nil {
		c.err = err
	}
	if c.pinger != nil {
		c.pinger.Stop()
	}
	c.machine.Lost()
	close(c.done)
	return true
}

// signal wakes one that waits, now or later.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// waitRoom waits until the writer has caught up.
func (c *Client) waitRoom(ctx context.Context) error {
	for {
		c.mu.Lock()
		full, over := len(c.turn.Out) > maxUnwritten, c.ended || c.closing
		c.mu.Unlock()
		if over {
			return c.overErr()
		}
		if !full {
			signal(c.room) // for the next that waits
			return nil
		}
		select {
		case <-c.room:
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// overErr is the error of calls that come too late.
func (c *Client) overErr() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.overLocked()
}

func (c *Client) overLocked() error {
	if c.err != nil {
		return c.err
	}
	return ErrClosed
}

// writeLoop writes what was queued, all of it at once.
func (c *Client) writeLoop() {
	defer close(c.written)
	var spare []byte
	for {
		select {
		case <-c.wake:
		case <-c.done:
			return
		}
		c.mu.Lock()
		out := c.turn.Out
		c.turn.Out = spare[:0]
		last := c.closing
		c.mu.Unlock()
		if len(out) > 0 {
			_ = c.conn.SetWriteDeadline(time.Now().Add(c.opt.Timeout))
			if _, err := c.conn.Write(out); err != nil {
				c.fail(lost(err))
				return
			}
		}
		if last {
			close(c.flushed)
			return
		}
		if spare = out[:0]; cap(spare) > maxUnwritten {
			spare = nil
		}
		signal(c.room)
	}
}

// lost says in which way a connection broke.
func lost(err error) error {
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// Disconnect sends all that waits and a DISCONNECT, so that the server discards the
// Will, then closes the connection. It returns once the server has it, as far as
// the network can tell. [MQTT-3.14.4-1] [MQTT-3.14.4-2]
func (c *Client) Disconnect(ctx context.Context) error {
	return c.DisconnectWith(ctx, packet.ReasonNormalDisconnection)
}

// DisconnectWith is Disconnect with a reason code: ReasonDisconnectWithWill makes
// the server publish the Will. Before MQTT 5 the code is not told.
func (c *Client) DisconnectWith(ctx context.Context, code packet.ReasonCode) error {
	if begun, err := c.beginLeave(code); err != nil {
		return fmt.Errorf("disconnect: %w", err)
	} else if !begun {
		return c.overErr()
	}
	defer c.fail(ErrClosed)
	select {
	case <-c.written:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.flushed:
	default:
		return ErrLost
	}
	// A close with bytes unread would reset the connection and could take the last
	// packets from the server: say that nothing more comes, and wait for its end.
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		wait := time.NewTimer(leaveTimeout)
		defer wait.Stop()
		select {
		case <-c.drained:
		case <-wait.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// beginLeave queues the last packet; false when the end has begun already.
func (c *Client) beginLeave(code packet.ReasonCode) (begun bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.closing {
		return false, nil
	}
	c.tick()
	if err := c.machine.Disconnect(&c.turn, code); err != nil {
		return false, err
	}
	c.leaveLocked(nil)
	return true, nil
}

// leaveLocked lets the writer end with what waits. why, if not nil, is what Err shall
// say. The lock is held.
func (c *Client) leaveLocked(why error) {
	c.closing, c.err = true, why
	close(c.leaving)
	signal(c.wake)
}

// Close cuts the connection without a DISCONNECT: the server publishes the Will.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	<-c.drained
	return nil
}

// ping runs when the keep alive may have passed. [MQTT-3.1.2-20]
func (c *Client) ping() {
	c.mu.Lock()
	if c.ended || c.closing {
		c.mu.Unlock()
		return
	}
	if c.tick(); c.stalled {
		c.machine.Heard(&c.turn)
	}
	next, err := c.machine.Timer(&c.turn)
	if next != 0 {
		c.pinger.Reset(time.Duration(max(next-c.turn.Now, int64(time.Millisecond))))
	}
	if err != nil {
		c.endLocked(err)
	}
	c.flush()
	c.mu.Unlock()
	if err != nil {
		c.conn.Close()
	}
}
