package exproto

import (
	"crypto/x509"
	"math"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

// maxGoodbye bounds what is kept for a client's end.
const maxGoodbye = 1024

// do does one command.
func (m *Machine) do(t *core.Turn, a *protocols.Actions, c *pb.Command) {
	size := proto.Size(c)
	if w, ok := c.GetWhat().(*pb.Command_Send); ok {
		m.put(a, w.Send)
		m.said.Add(int32(size)) // given back once the socket has room
		t.Count(core.PacketsSent, 1)
		return
	}
	m.done += size
	if err := m.obey(t, a, c); err != nil {
		m.fault(t, c, err)
	}
}

// obey does a command that is not Send. An error says why it was not done.
func (m *Machine) obey(t *core.Turn, a *protocols.Actions, c *pb.Command) *core.Error {
	switch w := c.GetWhat().(type) {
	case nil:
		return core.Errorf(core.ProtocolError, "a command without anything to do, or one that this version does not know")
	case *pb.Command_Taken:
		if !m.lane.taken(m, int(w.Taken)) {
			return core.Errorf(core.ProtocolError, "taken says %d bytes, which is more than there are", w.Taken)
		}
		return nil
	case *pb.Command_Goodbye:
		if len(w.Goodbye) > maxGoodbye {
			return core.Errorf(core.PacketTooLarge, "the goodbye has %d bytes, of %d at most", len(w.Goodbye), maxGoodbye)
		}
		m.goodbye = w.Goodbye
		return nil
	case *pb.Command_Close:
		m.last = w.Close.SessionExpiry
		r := core.NormalDisconnect
		if w.Close.GetWithWill() {
			r = core.DisconnectWithWill
		}
		m.end(a, r)
		return nil
	case *pb.Command_Authenticate:
		return m.authenticate(t, a, c.GetToken(), w.Authenticate)
	}
	if m.state != open {
		return core.Errorf(core.ProtocolError, "it needs an authenticate that has succeeded")
	}
	return m.obeyOpen(t, a, c)
}

// obeyOpen does what only clients may want that were let in.
func (m *Machine) obeyOpen(t *core.Turn, a *protocols.Actions, c *pb.Command) *core.Error {
	switch w := c.GetWhat().(type) {
	case *pb.Command_Publish:
		return m.publish(t, a, c.GetToken(), w.Publish)
	case *pb.Command_Ack:
		return m.acknowledge(t, w.Ack)
	case *pb.Command_Release:
		return m.release(t, c.GetToken(), w.Release.GetPacketId())
	case *pb.Command_Subscribe:
		return m.subscribe(t, c.GetToken(), w.Subscribe.GetFilters())
	case *pb.Command_Unsubscribe:
		return m.unsubscribe(t, c.GetToken(), w.Unsubscribe.GetFilters())
	case *pb.Command_KeepAlive:
		if w.KeepAlive > math.MaxUint16 {
			return core.Errorf(core.ProtocolError, "the keep-alive of %d s is beyond 65,535", w.KeepAlive)
		}
		m.keep(a, m.gw.KeepAlive(uint16(w.KeepAlive)), t.Now())
	}
	return nil
}

// keep begins a keep-alive.
func (m *Machine) keep(a *protocols.Actions, seconds uint16, now int64) {
	m.keepAlive, m.heard = seconds, now
	m.arm(a)
}

// fault tells core and the handler of a command that was wrong.
func (m *Machine) fault(t *core.Turn, c *pb.Command, err *core.Error) {
	m.lane.fault()
	m.refuse(t, err.Reason, "handler: "+verb(c)+": "+err.Detail)
	m.say(faultOf(c, err))
	if answers(c) {
		m.say(&pb.Event{What: &pb.Event_Result{Result: &pb.Result{Token: c.GetToken(), Reason: err.Reason.String(), Detail: err.Detail}}})
	}
}

func faultOf(c *pb.Command, err *core.Error) *pb.Event {
	return &pb.Event{Conn: c.GetConn(), What: &pb.Event_Fault{Fault: &pb.Fault{Token: c.GetToken(), Reason: err.Reason.String(), Detail: err.Detail}}}
}

// answers says whether a command has a Result.
func answers(c *pb.Command) bool {
	switch w := c.GetWhat().(type) {
	case *pb.Command_Authenticate, *pb.Command_Subscribe, *pb.Command_Unsubscribe, *pb.Command_Release:
		return true
	case *pb.Command_Publish:
		return w.Publish.GetQos() > 0
	}
	return false
}

// verb names a command for people.
func verb(c *pb.Command) string {
	m := c.ProtoReflect()
	if f := m.WhichOneof(m.Descriptor().Oneofs().Get(0)); f != nil {
		return string(f.Name())
	}
	return "command"
}

// authenticate asks core for the client's session.
func (m *Machine) authenticate(t *core.Turn, a *protocols.Actions, token uint32, p *pb.Authenticate) *core.Error {
	if m.state != fresh {
		return core.Errorf(core.ProtocolError, "the client was let in already")
	}
	will, err := willOf(p.GetWill(), m.listener.Config().MaxPacketSize)
	switch {
	case err != nil:
		return err
	case p.GetKeepAlive() > math.MaxUint16, p.GetReceiveMaximum() > math.MaxUint16:
		return core.Errorf(core.ProtocolError, "keep_alive and receive_maximum are 65,535 at most")
	case strings.ContainsRune(p.GetClientId(), 0), strings.ContainsRune(p.GetUsername(), 0):
		return core.Errorf(core.ClientIDNotValid, "client ids and user names may not hold U+0000")
	}
	r := &core.ConnectRequest{
		Conn: m.conn, Protocol: protocols.Exproto, Version: 1, Listener: m.listener.Name(),
		CleanStart: p.GetCleanStart(), Expiry: p.GetSessionExpiry(), KeepAlive: uint16(p.GetKeepAlive()), ReceiveMaximum: uint16(p.GetReceiveMaximum()), Will: will,
		Credentials: core.Credentials{
			ClientID: p.GetClientId(), Username: p.GetUsername(), HasUsername: p.Username != nil, Password: p.GetPassword(), HasPassword: p.Password != nil,
			Peer: m.conn.Peer(), Listener: m.listener.Name(), Protocol: protocols.Exproto,
		},
	}
	if i := m.info; i != nil {
		r.Credentials.Certificate, r.Credentials.PSKIdentity = certificate(i), i.PSKIdentity
	}
	a.Proven = a.Proven || p.GetProven()
	m.state, m.asked, m.request = connecting, asking{token, m.gen}, r
	if res, pending := m.gw.Connect(t, r); pending {
		m.waiting = forConnect
	} else {
		m.connected(t, a, res)
	}
	return nil
}

// willOf translates a Will; nil for none.
func willOf(p *pb.Will, most int) (*core.Will, *core.Error) {
	if p == nil {
		return nil, nil
	}
	if err := checkMessage(p.GetTopic(), p.GetPayload(), p.GetQos(), most); err != nil {
		return nil, err
	}
	return &core.Will{Topic: p.GetTopic(), Payload: p.GetPayload(), QoS: uint8(p.GetQos()), Retain: p.GetRetain(), Delay: p.GetDelay(), Expiry: p.GetExpiry(), HasExpiry: p.Expiry != nil}, nil
}

// checkMessage judges what core takes as valid.
func checkMessage(name string, payload []byte, qos uint32, most int) *core.Error {
	switch err := topic.ValidateName([]byte(name)); {
	case err != nil:
		return core.Errorf(core.TopicNameInvalid, "%q: %s", name, err)
	case qos > 2:
		return core.Errorf(core.QoSNotSupported, "QoS %d", qos)
	case len(name)+len(payload) > most:
		return core.Errorf(core.PacketTooLarge, "topic and payload have %d bytes, and max_packet_size is %d", len(name)+len(payload), most)
	}
	return nil
}

// certificate is the client's, verified, or nil.
func certificate(info *protocols.ConnInfo) *x509.Certificate {
	if info.TLS == nil || len(info.TLS.VerifiedChains) == 0 || len(info.TLS.PeerCertificates) == 0 {
		return nil
	}
	return info.TLS.PeerCertificates[0]
}

// connected takes core's answer.
func (m *Machine) connected(t *core.Turn, a *protocols.Actions, res *core.ConnectResult) {
	m.waiting, m.request = forNothing, nil
	if m.state != connecting { // the connection ended while core decided: undo what it granted
		if res.Reason == core.Success {
			m.link, m.linked = res.Link, true
			m.leave(t)
		}
		return
	}
	if res.Reason != core.Success { // core counted and explained it already
		m.state = fresh
		m.result(m.asked, &pb.Result{Reason: res.Reason.String(), Detail: res.Detail})
		return
	}
	m.state, m.link, m.linked, m.clientID, m.more = open, res.Link, true, res.ClientID, true
	if m.lane.cfg.Hold == 0 {
		m.info = nil
	}
	a.Accepted = true
	m.keep(a, res.KeepAlive, t.Now())
	m.result(m.asked, &pb.Result{Ok: true, Reason: res.Reason.String(), Authenticated: &pb.Authenticated{
		ClientId: res.ClientID, SessionPresent: res.SessionPresent, KeepAlive: uint32(res.KeepAlive), SessionExpiry: res.Expiry, ReceiveMaximum: uint32(res.ReceiveMaximum),
	}})
	m.gw.Resume(t, m.link)
}

// result answers a command of the stream that is still there.
func (m *Machine) result(of asking, r *pb.Result) {
	if of.gen == m.gen {
		r.Token = of.token
		m.say(&pb.Event{What: &pb.Event_Result{Result: r}})
	}
}

// maxFilters bounds the filters of one command.
const maxFilters = 1024

func (m *Machine) subscribe(t *core.Turn, token uint32, filters []*pb.Filter) *core.Error {
	if len(filters) == 0 || len(filters) > maxFilters {
		return core.Errorf(core.ProtocolError, "%d filters, of 1 to %d", len(filters), maxFilters)
	}
	r := &core.SubscribeRequest{Token: token, Filters: make([]core.FilterRequest, len(filters))}
	for i, f := range filters {
		if f.GetQos() > 2 || f.GetRetainHandling() > 2 {
			return core.Errorf(core.ProtocolError, "qos and retain_handling are 0, 1 or 2")
		}
		r.Filters[i] = core.FilterRequest{Filter: f.GetFilter(), SubscribeOptions: core.SubscribeOptions{
			QoS: uint8(f.GetQos()), NoLocal: f.GetNoLocal(), RetainAsPublished: f.GetRetainAsPublished(), RetainHandling: uint8(f.GetRetainHandling()),
		}}
	}
	m.asked = asking{token, m.gen}
	granted, reasons, pending := m.gw.Subscribe(t, m.link, r)
	if pending {
		m.waiting = forSubscribe
		return nil
	}
	m.subscribed(granted, reasons)
	return nil
}

func (m *Machine) unsubscribe(t *core.Turn, token uint32, filters []string) *core.Error {
	if len(filters) == 0 || len(filters) > maxFilters {
		return core.Errorf(core.ProtocolError, "%d filters, of 1 to %d", len(filters), maxFilters)
	}
	m.asked = asking{token, m.gen}
	reasons, pending := m.gw.Unsubscribe(t, m.link, &core.UnsubscribeRequest{Token: token, Filters: filters})
	if pending {
		m.waiting = forUnsubscribe
		return nil
	}
	m.subscribed(nil, reasons)
	return nil
}

// subscribed answers subscribe, and unsubscribe without granted.
func (m *Machine) subscribed(granted []uint8, reasons []core.Reason) {
	m.waiting = forNothing
	r := &pb.Result{Ok: true, Reason: core.Success.String()}
	for i, why := range reasons {
		g := &pb.Granted{Ok: why == core.Success || why == core.NoSubscriptionExisted, Reason: why.String()}
		if i < len(granted) {
			g.Qos = uint32(granted[i])
		}
		if !g.Ok && r.Ok {
			r.Ok, r.Reason = false, g.Reason
		}
		r.Granted = append(r.Granted, g)
	}
	m.result(m.asked, r)
}

// publish hands the client's message to core. What is answered is answered in the order
// of the commands.
func (m *Machine) publish(t *core.Turn, a *protocols.Actions, token uint32, p *pb.Publish) *core.Error {
	if err := checkMessage(p.GetTopic(), p.GetPayload(), p.GetQos(), m.listener.Config().MaxPacketSize); err != nil {
		return err
	}
	out := core.Publish{Topic: p.GetTopic(), Payload: p.GetPayload(), QoS: uint8(p.GetQos()), Retain: p.GetRetain(), Expiry: p.GetExpiry(), HasExpiry: p.Expiry != nil, Properties: properties(p.GetProperties())}
	switch p.GetQos() {
	case 1:
		m.nextID = max(1, m.nextID+1)
		out.PacketID = m.nextID
		m.ups = append(m.ups, upward{asking{token, m.gen}, out.PacketID, core.DeliverAck})
	case 2:
		if id := p.GetPacketId(); id == 0 || id > math.MaxUint16 {
			return core.Errorf(core.ProtocolError, "a publish with QoS 2 needs a packet_id from 1 to 65,535")
		}
		out.PacketID = uint16(p.GetPacketId())
		m.ups = append(m.ups, upward{asking{token, m.gen}, out.PacketID, core.DeliverReceived})
	}
	pause, err := m.gw.Publish(t, m.link, &out)
	m.congested = m.congested || pause
	if err != nil {
		m.refuse(t, err.Reason, "handler: publish: "+err.Detail)
		m.end(a, err.Reason)
	}
	return nil
}

func properties(p *pb.Properties) *core.Properties {
	if p == nil {
		return nil
	}
	out := &core.Properties{ContentType: p.GetContentType(), ResponseTopic: p.GetResponseTopic(), CorrelationData: p.GetCorrelation()}
	if p.GetText() {
		out.PayloadFormat = 1
	}
	for _, u := range p.GetUser() {
		out.User = append(out.User, core.UserProperty{Name: u.GetName(), Value: u.GetValue()})
	}
	return out
}

func (m *Machine) release(t *core.Turn, token, id uint32) *core.Error {
	if id == 0 || id > math.MaxUint16 {
		return core.Errorf(core.ProtocolError, "a release needs a packet_id from 1 to 65,535")
	}
	m.ups = append(m.ups, upward{asking{token, m.gen}, uint16(id), core.DeliverComplete})
	m.gw.Acknowledge(t, m.link, core.AckRelease, uint16(id), core.Success)
	m.more = true
	return nil
}

// acknowledge takes an Ack, which is for the next step of a message.
func (m *Machine) acknowledge(t *core.Turn, p *pb.Ack) *core.Error {
	for i := range m.sent {
		s := &m.sent[i]
		if uint32(s.d.PacketID) != p.GetPacketId() {
			continue
		}
		kind, r := core.AckReceived1, core.Success
		if p.GetRefused() {
			r = core.ReceiverRefused
		}
		switch {
		case s.released:
			kind = core.AckComplete
		case s.d.QoS == 2:
			kind = core.AckReceived2
			if s.d.Msg == nil {
				return core.Errorf(core.ProtocolError, "message %d was acknowledged, and Released has not come", p.GetPacketId())
			}
		}
		id := s.d.PacketID
		if kind == core.AckReceived2 && r == core.Success {
			s.d.Msg = nil // received; core says when it is released
		} else {
			m.sent = append(m.sent[:i], m.sent[i+1:]...)
		}
		m.gw.Acknowledge(t, m.link, kind, id, r)
		m.more = true
		return nil
	}
	return core.Errorf(core.PacketIDNotFound, "no message %d waits for an ack", p.GetPacketId())
}
