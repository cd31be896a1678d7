package devices

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Dial connects to the server at rawURL and waits for its CONNACK:
//
//	mqtt://HOST[:1883]  mqtts://HOST[:8883]  ws://HOST[:8083][/mqtt]  wss://HOST[:8084][/mqtt]  unix:///PATH
//	quic://HOST[:14567]
//
// A user name and password may stand in the URL. The error is a *DialError, or a
// *ReasonError inside one when the server answered with a refusal; both say what
// to do.
func Dial(ctx context.Context, rawURL string, o Options) (*Client, error) {
	o = o.withDefaults()
	a, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if a.datagrams() {
		return nil, fmt.Errorf("%s: Dial speaks MQTT; DialSensor speaks %s", a.shown, a.scheme)
	}
	a.credentials(&o)
	c := newClient(a, o)
	if err := c.connect(); err != nil {
		return nil, &DialError{URL: a.shown, Problem: "cannot say this in a CONNECT: " + err.Error(), Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if c.conn, err = a.open(ctx, &o); err != nil {
		return nil, explainDial(a, err)
	}
	got, err := c.begin(ctx)
	if err != nil {
		c.conn.Close()
		return nil, explainHandshake(a, &o, err)
	}
	c.start(got)
	return c, nil
}

// credentials fills in those of the URL where the options have none.
func (a *address) credentials(o *Options) {
	if o.Username == "" {
		o.Username = a.user
	}
	if !o.HasPassword && o.Password == nil && a.hasPass {
		o.Password = []byte(a.pass)
	}
	o.HasPassword = o.HasPassword || o.Password != nil
}

// newClient makes a client that is not connected yet.
func newClient(a *address, o Options) *Client {
	c := &Client{
		opt: o, url: a.shown, session: o.Session, mu: &o.Session.mu, born: time.Now(),
		messages: make(chan *Message, o.Buffer),
		done:     make(chan struct{}), leaving: make(chan struct{}), flushed: make(chan struct{}), written: make(chan struct{}), drained: make(chan struct{}),
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1),
		answers: map[uint64]*answer{},
	}
	c.machine.Init(o.config())
	c.turn.Handler = (*events)(c)
	return c
}

// config is what the machine is to know of o. It acknowledges nothing by itself: a
// message is first to be handed over.
func (o *Options) config() *machine.Config {
	return &machine.Config{
		Version: o.Version, Clean: !o.Resume, SessionExpiry: o.SessionExpiry, KeepAlive: o.keepAliveSeconds(),
		ReceiveMaximum: o.ReceiveMaximum, MaxPacketSize: o.MaximumPacketSize, TopicAliasMaximum: o.TopicAliasMaximum,
		RequestResponseInformation: o.RequestResponseInformation,
		MaxInflight:                o.MaxInflight, MaxQueue: math.MaxUint16, ManualAck: true,
	}
}

// connect has the CONNECT written that the options describe.
func (c *Client) connect() error {
	o := &c.opt
	if err := checkUser(o.User); err != nil {
		return err
	}
	id := &machine.Identity{
		ClientID: []byte(o.ClientID), HasUsername: o.Username != "", Username: []byte(o.Username),
		HasPassword: o.HasPassword, Password: o.Password,
	}
	for _, u := range o.User {
		id.User = id.User.Add([]byte(u.Name), []byte(u.Value))
	}
	if o.AuthMethod != "" {
		if err := c.prove(id); err != nil {
			return err
		}
	}
	if w := o.Will; w != nil {
		if err := checkUser(w.User); err != nil {
			return err
		}
		id.Will = &packet.Will{Topic: []byte(w.Topic), Payload: w.Payload, QoS: w.QoS, Retain: w.Retain}
		w.properties(&id.Will.Properties)
		if w.Delay > 0 {
			id.Will.Properties.SetWillDelay(w.Delay)
		}
	}
	return c.machine.Connect(&c.turn, id)
}

// maxConnack is the largest answer to a CONNECT that is taken, in bytes.
const maxConnack = 1 << 20

// begin sends the CONNECT and takes the answers up to the CONNACK; rest is what came
// behind it.
func (c *Client) begin(ctx context.Context) (rest []byte, err error) {
	for {
		if rest, err = c.handshake(ctx, rest); err != nil {
			return nil, err
		}
		if rest, err = c.join(rest); err != nil || c.joined() {
			return rest, err
		}
	}
}

// joined reports whether the CONNACK came; before it there are steps of an
// authentication, whose answers wait to be sent.
func (c *Client) joined() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machine.Online() || c.ended
}

// handshake sends what waits and reads behind buf until an answer is there; more may be
// behind it.
func (c *Client) handshake(ctx context.Context, buf []byte) (got []byte, err error) {
	conn := c.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if ctx.Err() != nil && err != nil {
			err = ctx.Err()
		}
	}()
	c.mu.Lock()
	out := c.turn.Out
	c.turn.Out = nil
	c.mu.Unlock()
	if len(out) > 0 {
		if _, err = conn.Write(out); err != nil {
			return nil, err
		}
	}
	buf = append(make([]byte, 0, max(4096, len(buf))), buf...)
	for {
		_, n, err := packet.Next(buf, maxConnack)
		if err != nil {
			return nil, &notMQTT{buf, err}
		}
		if n > 0 {
			return buf, nil
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err = conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil && n == 0 {
			if errors.Is(err, io.EOF) && len(buf) > 0 {
				err = &notMQTT{buf, err}
			}
			return nil, err
		}
	}
}

// join takes the server's answer at the start of got: with a yes the session is this
// client's from here on. A refusal is a *ReasonError.
func (c *Client) join(got []byte) (rest []byte, err error) {
	c.mu.Lock()
	c.tick()
	n, err := c.machine.Step(&c.turn, got)
	former := c.former
	c.former = nil
	c.flush()
	unsure := c.unsure
	c.mu.Unlock()
	var fault *authFault
	switch {
	case former != nil:
		former.conn.Close()
	case unsure != nil:
		return nil, unsure
	case errors.As(err, &fault):
		return nil, err
	case errors.Is(err, machine.ErrRefused):
		if got[1] == 2 && c.said.Version == packet.V5 { // shorter than MQTT 5 has it
			c.said.Version = packet.V311
		}
		return nil, c.said
	case err != nil:
		return nil, &notMQTT{got, err}
	}
	return got[n:], nil
}

// accepted reads the grants, with the defaults of MQTT where the server is silent.
func accepted(o *Options, ack *packet.Connack) Accepted {
	p := &ack.Properties
	out := Accepted{
		SessionPresent: ack.SessionPresent, ClientID: o.ClientID, SessionExpiry: o.SessionExpiry,
		KeepAlive: time.Duration(o.keepAliveSeconds()) * time.Second, ReceiveMaximum: math.MaxUint16,
		MaximumQoS: 2, RetainAvailable: true, MaximumPacketSize: p.MaximumPacketSize,
		TopicAliasMaximum: p.TopicAliasMaximum, ResponseInformation: string(p.ResponseInformation), User: userProperties(p),
	}
	if p.Present.Has(packet.PropAssignedClientID) {
		out.ClientID = string(p.AssignedClientID)
	}
	if p.Present.Has(packet.PropServerKeepAlive) {
		out.KeepAlive = time.Duration(p.ServerKeepAlive) * time.Second // [MQTT-3.1.2-21]
	}
	if p.Present.Has(packet.PropSessionExpiry) {
		out.SessionExpiry = p.SessionExpiry
	}
	if p.Present.Has(packet.PropReceiveMaximum) {
		out.ReceiveMaximum = p.ReceiveMaximum
	}
	if p.Present.Has(packet.PropMaximumQoS) {
		out.MaximumQoS = p.MaximumQoS
	}
	if p.Present.Has(packet.PropRetainAvailable) {
		out.RetainAvailable = p.RetainAvailable == 1
	}
	return out
}
