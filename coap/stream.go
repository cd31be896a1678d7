package coap

import (
	"errors"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	tcp "github.com/plgd-dev/go-coap/v3/tcp/coder"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// CoAP over reliable transports (RFC 8323): the same requests without types, message IDs,
// repetition and deduplication, and with signals of its own.

// stream is what only a peer over TCP, TLS or the like has.
type stream struct {
	greeted    bool // our CSM is out
	known      bool // its CSM came [TCP-5.3-1]
	maxMessage int  // the largest message that it takes [TCP-5.3.1-1]
	blocks     bool // it knows block-wise transfer [TCP-5.3.2-1]
	released   bool // it wants to go [TCP-5.5-1]
	asked      bool // a ping of ours is on its way
	pings      uint32
	unsure     []*flight // told, but not known to have arrived
	pinged     int       // how many of them the ping is behind
}

// defaultMessage is what a peer takes that says nothing. [TCP-5.3.1-1]
const defaultMessage = 1152

// overhead is what options may need of a message beside its payload.
const overhead = 128

// newStream is the state of a peer on info's listener, or nil for datagrams.
func newStream(info *protocols.ConnInfo) *stream {
	if info.Listener == nil || info.Listener.Config().Datagrams() {
		return nil
	}
	return &stream{maxMessage: defaultMessage}
}

// maxStreamMessage is the largest message taken from a peer. [TCP-5.3.1-1]
func (m *Machine) maxStreamMessage() int { return m.adapter.cfg.MaxBody + 1024 }

// inputStream takes whole messages from b.
func (m *Machine) inputStream(t *core.Turn, s *scratch, b []byte, a *protocols.Actions) (used int) {
	m.greet(t, a)
	for m.state == open && m.waiting == forNothing && used < len(b) {
		var h tcp.MessageHeader
		_, err := tcp.DefaultCoder.DecodeHeader(b[used:], &h)
		switch {
		case errors.Is(err, message.ErrShortRead) && h.MessageLength <= uint32(m.maxStreamMessage()):
			return used
		case err != nil && !errors.Is(err, message.ErrShortRead):
			m.abort(t, a, "a message that cannot be understood: "+err.Error())
		case h.MessageLength > uint32(m.maxStreamMessage()): // [TCP-5.3.1-2]
			m.abort(t, a, "a message larger than the Max-Message-Size")
		case int(h.MessageLength) > len(b)-used:
			return used
		default:
			frame := b[used : used+int(h.MessageLength)]
			used += len(frame)
			t.Count(core.PacketsReceived, 1)
			m.frame(t, s, a, frame)
		}
	}
	return used
}

// greet sends our Capabilities and Settings, before all else. [TCP-5.3-1]
func (m *Machine) greet(t *core.Turn, a *protocols.Actions) {
	if !m.stream.greeted {
		m.stream.greeted = true
		m.signal(t, a, codes.CSM, nil, message.Option{ID: message.TCPMaxMessageSize, Value: uintBytes(uint32(m.maxStreamMessage()))})
	}
}

// signal sends a signalling message.
func (m *Machine) signal(t *core.Turn, a *protocols.Actions, code codes.Code, token []byte, options ...message.Option) {
	msg := message.Message{Code: code, Token: token, Options: options}
	a.Out = appendStream(a.Out, &msg)
	t.Count(core.PacketsSent, 1)
}

// appendStream encodes m behind dst, without type and message ID. [TCP-3.2-1]
func appendStream(dst []byte, m *message.Message) []byte {
	size, err := tcp.DefaultCoder.Size(*m)
	if err != nil {
		return dst
	}
	at := len(dst)
	dst = slices.Grow(dst, size)[:at+size]
	if _, err := tcp.DefaultCoder.Encode(*m, dst[at:]); err != nil {
		return dst[:at]
	}
	return dst
}

// replyStream answers a request. A peer that takes neither the answer nor blocks of it is
// told so. [TCP-5.3.1-1]
func (m *Machine) replyStream(t *core.Turn, a *protocols.Actions, msg *message.Message) {
	at := len(a.Out)
	a.Out = appendStream(a.Out, msg)
	if len(a.Out)-at > m.stream.maxMessage {
		short := message.Message{Code: codes.InternalServerError, Token: msg.Token, Payload: []byte("the answer is larger than your Max-Message-Size")}
		a.Out = appendStream(a.Out[:at], &short)
	}
	t.Count(core.PacketsSent, 1)
}

// frame takes one message.
func (m *Machine) frame(t *core.Turn, s *scratch, a *protocols.Actions, frame []byte) {
	msg := &s.message
	if err := m.decode(frame, msg); err != nil {
		m.abort(t, a, err.Error())
		return
	}
	switch {
	case !m.stream.known && msg.Code != codes.CSM: // [TCP-5.3-1]
		m.abort(t, a, "the first message must be a CSM")
	case msg.Code>>5 == 7:
		m.signalled(t, a, msg)
	case msg.Code == codes.Empty: // [TCP-3.4-1]
	case msg.Code>>5 != 0: // a response to nothing
	default:
		q := &s.request
		if bad := q.read(msg, len(frame)); bad != 0 {
			m.refuse(t, core.ProtocolError, "option "+bad.String()+" is not understood [CoAP-5.4.1-1]")
			m.reply(t, a, q.asking(), failure(codes.BadOption, "option "+bad.String()+" is not understood"))
			return
		}
		m.serve(t, s, a, q, frame)
	}
}

// signalled takes a signal of the peer.
func (m *Machine) signalled(t *core.Turn, a *protocols.Actions, msg *message.Message) {
	st := m.stream
	for _, o := range msg.Options {
		switch {
		case msg.Code == codes.CSM && o.ID == message.TCPMaxMessageSize:
			st.maxMessage = int(number(o.Value))
		case msg.Code == codes.CSM && o.ID == message.TCPBlockWiseTransfer:
			st.blocks = true
		case o.ID%2 == 1: // [TCP-5.2-1]
			m.abort(t, a, "an option of a signal that is not understood")
			return
		}
	}
	switch msg.Code {
	case codes.CSM:
		st.known = true
	case codes.Ping: // [TCP-5.4-1] what came before it was dealt with, so custody is told, too
		m.signal(t, a, codes.Pong, msg.Token, custody(msg.Options)...)
	case codes.Pong:
		m.pong(t)
	case codes.Release: // [TCP-5.5-1]
		st.released = true
	case codes.Abort: // [TCP-5.6-1]
		m.end(core.NormalDisconnect)
	}
}

// custody gives the option Custody again if it is there. [TCP-5.4.1-1]
func custody(options message.Options) []message.Option {
	if options.HasOption(message.TCPCustody) {
		return []message.Option{{ID: message.TCPCustody}}
	}
	return nil
}

// abort ends the connection for what the peer did. [TCP-5.6-1]
func (m *Machine) abort(t *core.Turn, a *protocols.Actions, why string) {
	m.refuse(t, core.ProtocolError, why)
	msg := message.Message{Code: codes.Abort, Payload: []byte(why)}
	a.Out = appendStream(a.Out, &msg)
	m.end(core.ProtocolError)
}

// told notes a notification that left. TCP says nothing of its arrival: a ping with
// Custody behind it does. [TCP-5.4.1-1]
func (m *Machine) told(f *flight) { m.stream.unsure = append(m.stream.unsure, f) }

// askCustody sends a ping if something is unsure and none is on its way.
func (m *Machine) askCustody(t *core.Turn, a *protocols.Actions) {
	st := m.stream
	if st.asked || len(st.unsure) == 0 {
		return
	}
	st.asked, st.pinged = true, len(st.unsure)
	st.pings++
	m.signal(t, a, codes.Ping, uintBytes(st.pings), message.Option{ID: message.TCPCustody})
}

// pong ends what the ping was behind.
func (m *Machine) pong(t *core.Turn) {
	st := m.stream
	done := st.unsure[:st.pinged]
	st.unsure = append([]*flight(nil), st.unsure[st.pinged:]...)
	st.asked, st.pinged = false, 0
	for _, f := range done {
		m.finish(t, f, core.Success)
	}
}

// settleStream closes a connection that its peer released, once all is answered.
func (m *Machine) settleStream(t *core.Turn, a *protocols.Actions) {
	m.askCustody(t, a)
	if m.stream.released && len(m.pending)+len(m.calls) == 0 && m.waiting == forNothing {
		m.end(core.NormalDisconnect)
		a.Close, a.Reason = true, m.reason
	}
}

// silentStream asks a silent peer, and gives it up when it stays so.
func (m *Machine) silentStream(t *core.Turn, a *protocols.Actions) {
	if t.Now()-m.heard >= m.adapter.cfg.ObserverCheck.Milliseconds()+streamPatience {
		m.end(core.KeepAliveTimeout)
		return
	}
	m.stream.asked = true
	m.stream.pings++
	m.signal(t, a, codes.Ping, uintBytes(m.stream.pings))
}

// streamPatience is how long a peer over TCP may take to answer a ping, milliseconds.
const streamPatience = 60_000
