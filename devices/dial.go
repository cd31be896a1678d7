package devices

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Dial connects to the server at rawURL and waits for its CONNACK:
//
//	mqtt://HOST[:1883]  mqtts://HOST[:8883]  ws://HOST[:8083][/mqtt]  wss://HOST[:8084][/mqtt]  unix:///PATH
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
	a.credentials(&o)
	connect, err := connectPacket(&o)
	if err != nil {
		return nil, &DialError{URL: a.shown, Problem: "cannot say this in a CONNECT: " + err.Error(), Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	conn, err := a.open(ctx, &o)
	if err != nil {
		return nil, explainDial(a, err)
	}
	ack, rest, err := handshake(ctx, conn, connect, &o)
	if err != nil {
		conn.Close()
		return nil, explainHandshake(a, &o, err)
	}
	c := newClient(conn, a, o, ack)
	o.Session.begin(c, ack.SessionPresent)
	c.start(rest)
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

func newClient(conn net.Conn, a *address, o Options, ack *packet.Connack) *Client {
	c := &Client{
		opt: o, url: a.shown, conn: conn, session: o.Session, mu: &o.Session.mu,
		accepted: accepted(&o, ack),
		messages: make(chan *Message, o.Buffer),
		done:     make(chan struct{}), leaving: make(chan struct{}), flushed: make(chan struct{}), written: make(chan struct{}), drained: make(chan struct{}),
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1),
		answers: map[uint16]*answer{},
	}
	c.window = int(min(c.accepted.ReceiveMaximum, o.MaxInflight)) // [MQTT-4.9.0-1]
	return c
}

// connectPacket is the CONNECT that o describes, checked.
func connectPacket(o *Options) (*packet.Connect, error) {
	p := &packet.Connect{
		CleanStart: !o.Resume, KeepAlive: o.keepAliveSeconds(), ClientID: []byte(o.ClientID),
		HasUsername: o.Username != "", Username: []byte(o.Username),
		HasPassword: o.HasPassword, Password: o.Password,
	}
	if o.Version == packet.V5 {
		o.connectProperties(&p.Properties)
	}
	if err := checkUser(o.User); err != nil {
		return nil, err
	}
	if w := o.Will; w != nil {
		if err := checkUser(w.User); err != nil {
			return nil, err
		}
		p.HasWill = true
		p.Will = packet.Will{Topic: []byte(w.Topic), Payload: w.Payload, QoS: w.QoS, Retain: w.Retain}
		w.properties(&p.Will.Properties)
		if w.Delay > 0 {
			p.Will.Properties.SetWillDelay(w.Delay)
		}
	}
	if err := p.Validate(o.Version); err != nil {
		return nil, err
	}
	return p, nil
}

func (o *Options) connectProperties(p *packet.Properties) {
	if o.SessionExpiry != 0 {
		p.SetSessionExpiry(o.SessionExpiry)
	}
	if o.ReceiveMaximum != math.MaxUint16 {
		p.SetReceiveMaximum(o.ReceiveMaximum)
	}
	if o.MaximumPacketSize != 0 {
		p.SetMaximumPacketSize(o.MaximumPacketSize)
	}
	if o.TopicAliasMaximum != 0 {
		p.SetTopicAliasMaximum(o.TopicAliasMaximum)
	}
	if o.RequestResponseInformation {
		p.SetRequestResponseInformation(true)
	}
	if checkUser(o.User) == nil {
		addUser(p, o.User)
	}
}

// maxConnack is the largest answer to a CONNECT that is taken, in bytes.
const maxConnack = 1 << 20

// handshake sends the CONNECT and reads the CONNACK; rest is what came behind it.
func handshake(ctx context.Context, conn net.Conn, connect *packet.Connect, o *Options) (ack *packet.Connack, rest []byte, err error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if ctx.Err() != nil && err != nil {
			err = ctx.Err()
		}
	}()
	if _, err = conn.Write(connect.Append(nil, o.Version)); err != nil {
		return nil, nil, err
	}
	buf := make([]byte, 0, 4096)
	for {
		f, n, err := packet.Next(buf, maxConnack)
		if err != nil {
			return nil, nil, &notMQTT{buf, err}
		}
		if n > 0 {
			ack, err = readConnack(f, o)
			return ack, buf[n:], err
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		got, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+got]
		if err != nil && got == 0 {
			if errors.Is(err, io.EOF) && len(buf) > 0 {
				err = &notMQTT{buf, err}
			}
			return nil, nil, err
		}
	}
}

// readConnack takes the server's answer; a refusal is a *ReasonError.
func readConnack(f packet.Frame, o *Options) (*packet.Connack, error) {
	// What is kept of it must outlive the buffer.
	body := bytes.Clone(f.Body)
	ack := &packet.Connack{}
	if err := ack.Decode(o.Version, f.Header, body); err != nil {
		// A server that does not speak the version may answer in another's form.
		if old := (&packet.Connack{}); o.Version == packet.V5 && old.Decode(packet.V311, f.Header, body) == nil && old.Reason != 0 {
			return nil, refused(old, packet.V311)
		}
		return nil, &notMQTT{body, err}
	}
	if ack.Reason != packet.ReasonSuccess {
		return nil, refused(ack, o.Version)
	}
	if ack.SessionPresent && !o.Resume {
		return nil, &notMQTT{body, errors.New("the server resumes a session although a clean one was asked for [MQTT-3.2.2-2]")}
	}
	return ack, nil
}

func refused(ack *packet.Connack, v packet.Version) error {
	p := &ack.Properties
	return &ReasonError{Op: "connection refused", Code: ack.Reason, Version: v,
		Text: string(p.ReasonString), Reference: string(p.ServerReference)}
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
