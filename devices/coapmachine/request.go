package coapmachine

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// kind is what a request is for.
type kind uint8

const (
	publish kind = iota
	subscribe
	unsubscribe
	login // from here on: of one connection only
	logout
	heartbeat
	fetchBlocks
)

// tokenSize is the length of our tokens, in bytes.
const tokenSize = 4

// request is one that waits for the gateway, or is under way.
type request struct {
	kind    kind
	method  codes.Code
	caller  uint64 // token of the caller
	topic   string
	payload []byte
	query   []string

	block        block         // of the payload that is sent next, or of the answer that is asked for
	body         []byte        // of the answer, as far as it came
	notification *Notification // that body is of
	echo         []byte        // that the gateway wants to see [Echo-2.3-1]

	at      int64 // when it is sent again, 0 while it is not under way
	id      uint16
	token   uint32
	tries   uint8
	begun   uint8 // how often it began anew
	acked   bool  // its answer comes apart
	delayed bool  // the gateway is busy: it is sent anew at that time
}

// restart makes the request begin anew.
func (r *request) restart() {
	r.at, r.tries, r.block, r.echo, r.acked, r.delayed = 0, 0, block{}, nil, false, false
}

// Publish sends a message, whose payload is copied; Done follows. While the client is not
// connected the message waits.
func (m *Machine) Publish(t *Turn, p *Publication, token uint64) error {
	if p.QoS > 2 || p.Topic == "" {
		return ErrState
	}
	query := []string{"q=" + string('0'+rune(p.QoS))}
	if p.Retain {
		query = append(query, "r=true")
	}
	if p.HasExpiry {
		query = append(query, fmt.Sprintf("e=%d", p.Expiry))
	}
	return m.add(t, request{kind: publish, method: codes.PUT, caller: token, topic: p.Topic, payload: slices.Clone(p.Payload), query: query})
}

// Subscribe begins to observe a filter; Done follows. At QoS 0 notifications need no
// acknowledgement. Of the filter "" is what the gateway has subscribed the client to.
func (m *Machine) Subscribe(t *Turn, filter string, qos uint8, token uint64) error {
	if qos > 2 {
		return ErrState
	}
	r := request{kind: subscribe, method: codes.GET, caller: token, topic: filter}
	if qos == 0 {
		r.query = []string{"q=0"}
	}
	return m.add(t, r)
}

// Unsubscribe ends an observation; Done follows.
func (m *Machine) Unsubscribe(t *Turn, filter string, token uint64) error {
	return m.add(t, request{kind: unsubscribe, method: codes.GET, caller: token, topic: filter})
}

func (m *Machine) add(t *Turn, r request) error {
	switch {
	case len(m.queue) >= m.cfg.maxQueue():
		return ErrFull
	case len(r.payload) > m.cfg.maxBody():
		return ErrTooLong
	}
	for level := range strings.SplitSeq(r.topic, "/") {
		if len(level) > maxOption {
			return ErrTooLong
		}
	}
	m.queue = append(m.queue, r)
	m.pump(t)
	return nil
}

// first sends a request before all that waits.
func (m *Machine) first(t *Turn, r request) {
	m.queue = slices.Insert(m.queue, 0, r)
	m.send(t, &m.queue[0])
}

// current is the request under way, nil for none.
func (m *Machine) current() *request {
	if len(m.queue) == 0 || m.queue[0].at == 0 {
		return nil
	}
	return &m.queue[0]
}

// pump begins the next request while none is under way.
func (m *Machine) pump(t *Turn) {
	if m.state == Active && len(m.queue) > 0 && m.queue[0].at == 0 {
		m.send(t, &m.queue[0])
	}
}

// send sends the request's next message, as a new one.
func (m *Machine) send(t *Turn, r *request) {
	m.nextID++
	r.id, r.tries, r.acked, r.delayed = m.nextID, 0, false, false
	if r.token == 0 {
		r.token = m.tokenFor(r)
	}
	m.put(t, r)
}

// tokenFor gives the token of an observation, for what belongs to one, or a new one.
func (m *Machine) tokenFor(r *request) uint32 {
	if r.kind == subscribe || r.kind == unsubscribe {
		for _, o := range m.observed {
			if o.filter == r.topic {
				return o.token
			}
		}
	}
	if m.next++; m.next == 0 {
		m.next = 1
	}
	return m.next
}

// put sends the message of r, and sets its time. [CoAP-4.2-1]
func (m *Machine) put(t *Turn, r *request) {
	wait := m.cfg.ackTimeout()
	wait += wait / 2 * int64(r.id*40503%256) / 256 // ACK_RANDOM_FACTOR
	r.at = t.Now + wait<<r.tries
	msg := message.Message{Type: message.Confirmable, Code: r.method, MessageID: int32(r.id), Token: binary.BigEndian.AppendUint32(nil, r.token)}
	m.options(&msg, r)
	msg.Payload = m.payload(&msg, r)
	m.say(t, encode(t.out, &msg))
}

// options says where to, who asks, and what for.
func (m *Machine) options(msg *message.Message, r *request) {
	add := func(id message.OptionID, v string) {
		msg.Options = append(msg.Options, message.Option{ID: id, Value: []byte(v)})
	}
	path, query := "ps/"+r.topic, append(m.credentials(r.kind), r.query...)
	if r.topic == "" { // login, logout, heartbeat; and what the gateway subscribed
		path = "mqtt/connection"
	}
	switch r.kind {
	case subscribe:
		add(message.Observe, "")
	case unsubscribe:
		add(message.Observe, "\x01")
	}
	for level := range strings.SplitSeq(path, "/") {
		add(message.URIPath, level)
	}
	for _, q := range query {
		add(message.URIQuery, q)
	}
	if r.echo != nil {
		add(message.Echo, string(r.echo))
	}
}

// credentials are the query parameters that tell who asks.
func (m *Machine) credentials(k kind) (query []string) {
	if m.who.ClientID != "" {
		query = append(query, "c="+m.who.ClientID)
	}
	if k != login {
		return append(query, "t="+m.login)
	}
	if m.who.Username != "" {
		query = append(query, "u="+m.who.Username)
	}
	if m.who.HasPassword {
		query = append(query, "p="+m.who.Password)
	}
	switch m.cfg.Expiry {
	case 0:
	case math.MaxUint32:
		query = append(query, "expiry=never")
	default:
		query = append(query, fmt.Sprintf("expiry=%d", m.cfg.Expiry))
	}
	return query
}

// payload is what this message carries, with the block option that it needs.
func (m *Machine) payload(msg *message.Message, r *request) []byte {
	add := func(id message.OptionID, v []byte) {
		msg.Options = append(msg.Options, message.Option{ID: id, Value: v})
	}
	if r.kind != publish {
		if r.block.there {
			add(message.Block2, r.block.bytes())
		}
		return nil
	}
	if !r.block.there && len(r.payload) <= 16<<m.cfg.szx() {
		return r.payload
	}
	if !r.block.there {
		r.block = block{there: true, szx: m.cfg.szx()}
		add(message.Size1, uintBytes(uint32(len(r.payload)))) // [Block-4-1]
	}
	from := min(int(r.block.num)*r.block.size(), len(r.payload))
	to := min(from+r.block.size(), len(r.payload))
	r.block.more = to < len(r.payload)
	add(message.Block1, r.block.bytes())
	return r.payload[from:to]
}

// again repeats the request under way, or gives the gateway up. [CoAP-4.2-3]
func (m *Machine) again(t *Turn, r *request) {
	switch {
	case r.delayed:
		m.send(t, r)
	case r.tries < m.cfg.retransmits():
		r.tries++
		m.put(t, r)
	case m.state == Leaving:
		m.end(t, nil) // it is gone as well as it can be
	default:
		m.end(t, ErrNoAnswer)
	}
}

// finish takes the request under way off the queue and tells how it ended.
func (m *Machine) finish(t *Turn, code codes.Code, text string) {
	r := m.queue[0]
	m.queue[0] = request{}
	if m.queue = m.queue[1:]; len(m.queue) == 0 {
		m.queue = nil
	}
	m.sent = t.Now
	switch ok := code>>5 == 2; {
	case r.kind < login:
		t.Handler.Done(r.caller, code, text)
	case r.kind == logout:
		m.end(t, nil)
	case r.kind == login && ok:
		m.state, m.login = Active, text
		t.Handler.Connected()
	case r.kind == login:
		m.end(t, &RefusedError{code, text})
	case r.kind == fetchBlocks && ok:
		r.notification.Payload = r.body
		m.give(t, r.notification)
	}
}
