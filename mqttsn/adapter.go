package mqttsn

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Gateway is what a machine calls; *core.Gateway is one. The methods are described there.
type Gateway interface {
	Connect(t *core.Turn, r *core.ConnectRequest) (res *core.ConnectResult, pending bool)
	Resume(t *core.Turn, l core.Link)
	Publish(t *core.Turn, l core.Link, p *core.Publish) (pause bool, err *core.Error)
	PublishUnconnected(t *core.Turn, id *core.Identity, p *core.Publish) core.Reason
	Subscribe(t *core.Turn, l core.Link, r *core.SubscribeRequest) (granted []uint8, reasons []core.Reason, pending bool)
	Unsubscribe(t *core.Turn, l core.Link, r *core.UnsubscribeRequest) (reasons []core.Reason, pending bool)
	Register(t *core.Turn, l core.Link, token uint32, r core.Registration) (why core.Reason, pending bool)
	Acknowledge(t *core.Turn, l core.Link, k core.AckKind, packetID uint16, r core.Reason)
	Take(t *core.Turn, l core.Link, dst []core.Delivery, max int) (out []core.Delivery, more bool)
	Drop(t *core.Turn, l core.Link, d core.Delivery, r core.Reason)
	Sleep(t *core.Turn, l core.Link, most time.Duration) (r core.Reason, pending bool)
	Awake(t *core.Turn, l core.Link) bool
	Will(l core.Link) *core.Will
	SetWill(t *core.Turn, l core.Link, w *core.Will) (r core.Reason, pending bool)
	Disconnect(t *core.Turn, l core.Link, r core.Reason, expiry *uint32)
	Refuse(t *core.Turn, info core.Refusal)
}

// Adapter makes the machines of MQTT-SN clients. It holds what they share and never
// changes; safe for concurrent use.
type Adapter struct {
	cfg        Config
	gw         Gateway
	predefined map[uint16]string
	ids        map[string]uint16 // of predefined
	random     func() uint16
}

var _ protocols.Beacon = (*Adapter)(nil)

// New makes an adapter that grants what cfg says, which must be valid, and hands
// everything over to gw.
func New(cfg Config, gw Gateway) *Adapter {
	a := &Adapter{cfg: cfg, gw: gw, ids: map[string]uint16{}, random: func() uint16 { return uint16(rand.Uint32()) }}
	a.predefined, _ = cfg.predefined() // it is valid
	for id, name := range a.predefined {
		if old, twice := a.ids[name]; !twice || id < old {
			a.ids[name] = id
		}
	}
	return a
}

// Name implements protocols.Adapter.
func (a *Adapter) Name() string { return "mqttsn" }

// NewMachine implements protocols.Adapter.
func (a *Adapter) NewMachine(info *protocols.ConnInfo, conn core.Conn) protocols.Machine {
	return &Machine{adapter: a, info: info, conn: conn}
}

// Split implements protocols.DatagramAdapter: each wireless node behind a forwarder is a
// client of its own. [SN-5.5-1] [SN-5.5-2]
func (a *Adapter) Split(b []byte) (node, message []byte) {
	p, message, ok, err := packet.SplitForwarded(b)
	if !ok || err != nil {
		return nil, b
	}
	return p.Node, message
}

// Beacon implements protocols.Beacon: ADVERTISE tells clients of this gateway, and when
// the next one follows. [SN-6.1-1]
func (a *Adapter) Beacon(t *core.Turn, _ *protocols.Listener, act *protocols.Actions) (next time.Duration) {
	p := packet.Advertise{GatewayID: a.cfg.GatewayID, Duration: uint16(a.cfg.AdvertiseInterval / time.Second)}
	act.Out = p.Append(act.Out)
	act.EndDatagram()
	t.Count(core.PacketsSent, 1)
	return a.cfg.AdvertiseInterval
}

// Meet implements protocols.DatagramAdapter. A CONNECT and the PINGREQ of a client that
// may sleep make a connection; the rest is answered at once or not at all.
func (a *Adapter) Meet(t *core.Turn, info *protocols.ConnInfo, message []byte, act *protocols.Actions) (open bool) {
	t.Count(core.PacketsReceived, 1)
	f, err := packet.Parse(message)
	if err != nil {
		a.refuse(t, info, err)
		return false
	}
	s := scratchOf(t)
	if f.Type != packet.TypeSearchGW && toAll(info.Local.Addr()) {
		return false // only a search is for whoever hears it
	}
	switch f.Type {
	case packet.TypeSearchGW:
		a.searched(t, info, act, s, f)
	case packet.TypeConnect:
		if err = s.connect.Decode(f); err == nil {
			return a.mayOpen(t, info, act, s.connect.ClientID)
		}
		a.answer(t, info, act, &packet.Connack{Code: packet.NotSupported}) // [SN-5.4.5-2]
	case packet.TypePingreq:
		if err = s.pingreq.Decode(f); err == nil && len(s.pingreq.ClientID) > 0 && len(s.pingreq.ClientID) <= a.cfg.MaxClientIDLength {
			return true
		}
		a.strange(t, info, act, f)
	case packet.TypePublish:
		switch err = s.publish.Decode(f); {
		case err != nil:
		case s.publish.QoS == packet.QoSMinusOne:
			a.publishUnconnected(t, info, s)
		default:
			a.strange(t, info, act, f)
		}
	default:
		a.strange(t, info, act, f)
	}
	if err != nil {
		a.refuse(t, info, err)
	}
	return false
}

// toAll says whether what was sent to a was meant for many. [SN-6.1-2]
func toAll(a netip.Addr) bool {
	return a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// mayOpen checks what a CONNECT shows before anything is kept for it.
func (a *Adapter) mayOpen(t *core.Turn, info *protocols.ConnInfo, act *protocols.Actions, id []byte) bool {
	if err := a.checkClientID(id); err != nil {
		a.refuse(t, info, err)
		a.answer(t, info, act, &packet.Connack{Code: packet.NotSupported})
		return false
	}
	return true
}

// checkClientID bounds the length of a client id. [SN-5.3.1-1]
func (a *Adapter) checkClientID(id []byte) error {
	if len([]rune(string(id))) > a.cfg.MaxClientIDLength {
		return core.Errorf(core.ClientIDNotValid, "the client id has more than %d characters [SN-5.3.1-1]", a.cfg.MaxClientIDLength)
	}
	return nil
}

// searched answers a SEARCHGW at once, with this gateway's id and no address: a gateway
// answers for itself. [SN-6.1-2]
func (a *Adapter) searched(t *core.Turn, info *protocols.ConnInfo, act *protocols.Actions, s *scratch, f packet.Frame) {
	var p packet.SearchGW
	if err := p.Decode(f); err != nil {
		a.refuse(t, info, err)
		return
	}
	a.answer(t, info, act, &packet.GWInfo{GatewayID: a.cfg.GatewayID})
}

// strange answers a message of a client that has no connection: DISCONNECT, so that it
// connects again [SN-6.12-4]. What is itself an answer, or a gateway's message, is passed
// over: two gateways must not answer each other for ever.
func (a *Adapter) strange(t *core.Turn, info *protocols.ConnInfo, act *protocols.Actions, f packet.Frame) {
	switch f.Type {
	case packet.TypePublish, packet.TypeRegister, packet.TypeSubscribe, packet.TypeUnsubscribe, packet.TypePubrel,
		packet.TypePingreq, packet.TypeWillTopic, packet.TypeWillMsg, packet.TypeWillTopicUpd, packet.TypeWillMsgUpd:
		a.answer(t, info, act, &packet.Disconnect{})
		a.refuse(t, info, core.Errorf(core.ProtocolError, "a %s of a client without a connection [SN-6.12-4]", f.Type))
	}
}

// answer appends one datagram to the peer of info.
func (a *Adapter) answer(t *core.Turn, info *protocols.ConnInfo, act *protocols.Actions, p packet.Packet) (size int) {
	from := len(act.Out)
	if info.Node != "" { // [SN-5.5-3]
		capsule := packet.Forwarded{Node: []byte(info.Node)}
		act.Out = capsule.Append(act.Out)
	}
	act.Out = p.Append(act.Out)
	act.EndDatagram()
	t.Count(core.PacketsSent, 1)
	return len(act.Out) - from
}

// refuse counts and explains a fault of a peer without a session.
func (a *Adapter) refuse(t *core.Turn, info *protocols.ConnInfo, err error) {
	v := judge(err)
	a.gw.Refuse(t, core.Refusal{Reason: v.Reason, Listener: listenerName(info), Peer: info.Peer.String(), Detail: v.Detail})
}

// judge puts an error of the codec in core's words.
func judge(err error) *core.Error {
	var wire *packet.Error
	var e *core.Error
	switch {
	case errors.As(err, &wire):
		return &core.Error{Reason: core.MalformedPacket, Detail: wire.Error()}
	case errors.As(err, &e):
		return e
	}
	return &core.Error{Reason: core.UnspecifiedError}
}

// publishUnconnected takes a PUBLISH with QoS −1: only to topics and from networks that
// are listed. Nobody is answered. [SN-6.8-1] [SN-6.8-3]
func (a *Adapter) publishUnconnected(t *core.Turn, info *protocols.ConnInfo, s *scratch) {
	p := &s.publish
	name, ok := a.fixedTopic(p.IDType, p.TopicID)
	switch {
	case len(a.cfg.UnconnectedTopics) == 0:
		a.refuse(t, info, core.Errorf(core.NotAuthorized, "QoS -1 is off; unconnected_topics and unconnected_networks turn it on"))
		return
	case !ok:
		a.refuse(t, info, core.Errorf(core.TopicAliasInvalid, "QoS -1 with unknown topic id %d", p.TopicID))
		return
	case !slices.Contains(a.cfg.UnconnectedTopics, name):
		a.refuse(t, info, core.Errorf(core.NotAuthorized, "QoS -1 to %q, which is not in unconnected_topics", name))
		return
	case !within(a.cfg.UnconnectedNetworks, info.Peer.Addr()):
		a.refuse(t, info, core.Errorf(core.NotAuthorized, "QoS -1 from a network that is not in unconnected_networks"))
		return
	}
	id := core.Identity{Listener: listenerName(info), Peer: info.Peer.Addr()}
	s.message = core.Publish{Topic: name, Payload: p.Data, Retain: p.Retain}
	a.gw.PublishUnconnected(t, &id, &s.message)
	s.message.Payload = nil
}

// fixedTopic gives the topic of a predefined id or a short name. [SN-6.7-1] [SN-6.7-2]
func (a *Adapter) fixedTopic(kind packet.IDType, id uint16) (name string, ok bool) {
	switch kind {
	case packet.PredefinedID:
		name, ok = a.predefined[id]
		return name, ok
	case packet.ShortName:
		name = string([]byte{byte(id >> 8), byte(id)})
		_, err := limits().ParseName(name)
		return name, err == nil
	}
	return "", false
}

// scratch is what one call needs and the next may overwrite. It belongs to the turn.
type scratch struct {
	connect   packet.Connect
	willTopic packet.WillTopic
	willMsg   packet.WillMsg
	register  packet.Register
	topicack  packet.Topicack
	publish   packet.Publish
	ack       packet.Ack
	subscribe packet.Subscribe
	pingreq   packet.Pingreq
	goodbye   packet.Disconnect

	message core.Publish
	taken   []core.Delivery
}

// takeBatch is how many deliveries are taken at once.
const takeBatch = 16

// scratchOf gives the turn's scratch, made when a machine of this protocol first runs on
// the turn.
func scratchOf(t *core.Turn) *scratch {
	if s, ok := t.Adapter.(*scratch); ok {
		return s
	}
	s := &scratch{taken: make([]core.Delivery, 0, takeBatch)}
	t.Adapter = s
	return s
}
