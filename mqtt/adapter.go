package mqtt

import (
	"hash/maphash"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Gateway is what a machine calls; *core.Gateway is one. The methods are
// described there.
type Gateway interface {
	Connect(t *core.Turn, r *core.ConnectRequest) (res *core.ConnectResult, pending bool)
	Authenticate(t *core.Turn, a *core.Authentication, again bool, data []byte) (res *core.ConnectResult, pending bool)
	Resume(t *core.Turn, l core.Link)
	Publish(t *core.Turn, l core.Link, p *core.Publish) (pause bool, err *core.Error)
	Subscribe(t *core.Turn, l core.Link, r *core.SubscribeRequest) (granted []uint8, reasons []core.Reason, pending bool)
	Unsubscribe(t *core.Turn, l core.Link, r *core.UnsubscribeRequest) (reasons []core.Reason, pending bool)
	Acknowledge(t *core.Turn, l core.Link, k core.AckKind, packetID uint16, r core.Reason)
	Take(t *core.Turn, l core.Link, dst []core.Delivery, max int) (out []core.Delivery, more bool)
	Drop(t *core.Turn, l core.Link, d core.Delivery, r core.Reason)
	Disconnect(t *core.Turn, l core.Link, r core.Reason, expiry *uint32)
	Refuse(t *core.Turn, info core.Refusal)
}

// Adapter makes the machines of MQTT connections. It holds what they share and
// never changes; safe for concurrent use.
type Adapter struct {
	cfg    Config
	gw     Gateway
	limits packet.Limits
	seed   maphash.Seed // of the outbound alias tables
}

var _ protocols.Adapter = (*Adapter)(nil)

// New makes an adapter that grants what cfg says, which must be valid, and
// hands everything over to gw.
func New(cfg Config, gw Gateway) *Adapter {
	return &Adapter{
		cfg: cfg,
		gw:  gw,
		limits: packet.Limits{
			PropertyBytes:  cfg.MaxPropertyBytes,
			UserProperties: cfg.MaxUserProperties,
			Filters:        cfg.MaxFilters,
		},
		seed: maphash.MakeSeed(),
	}
}

// Name implements protocols.Adapter.
func (a *Adapter) Name() string { return "mqtt" }

// NewMachine implements protocols.Adapter. info is kept until the client is
// accepted.
func (a *Adapter) NewMachine(info *protocols.ConnInfo, conn core.Conn) protocols.Machine {
	return &Machine{adapter: a, conn: conn, listener: info.Listener, rare: &rare{info: info}}
}

var _ protocols.StreamAdapter = (*Adapter)(nil)

// NewStreamMachine implements protocols.StreamAdapter.
func (a *Adapter) NewStreamMachine(info *protocols.ConnInfo, conn core.Conn) protocols.StreamMachine {
	return &Machine{adapter: a, conn: conn, listener: info.Listener, rare: &rare{info: info}, divided: true, aliases: &aliasesOut{}}
}

// takeBatch is how many deliveries Output takes at once: enough that the
// session's lock is taken seldom, few enough that little is left over when the
// batch of bytes is full.
const takeBatch = 64

// scratch is what one call needs and the next may overwrite: decoded packets,
// the values handed to core, the deliveries on their way out. It belongs to the
// turn, so that machines hold none of it and nothing of it is allocated per call.
type scratch struct {
	publish     packet.Publish
	ack         packet.Ack
	connect     packet.Connect
	subscribe   packet.Subscribe
	unsubscribe packet.Unsubscribe
	disconnect  packet.Disconnect
	auth        packet.Auth

	message core.Publish
	search  core.Search            // of message, on connections that have none
	left    bool                   // core has left the packet under way
	request *core.SubscribeRequest // nil while core has it
	ending  *core.UnsubscribeRequest

	taken    []core.Delivery
	outgoing packet.Outgoing
	one      [1]uint32 // the one Subscription Identifier of outgoing
	aside    bool      // outgoing goes by a data stream

	ackOut   packet.Ack
	suback   packet.Suback
	unsuback packet.Unsuback
	goodbye  packet.Disconnect
	authOut  packet.Auth
}

// scratchOf gives the turn's scratch, made when a machine of this protocol first
// runs on the turn.
func scratchOf(t *core.Turn) *scratch {
	if s, ok := t.Adapter.(*scratch); ok {
		return s
	}
	s := &scratch{taken: make([]core.Delivery, 0, takeBatch)}
	t.Adapter = s
	return s
}
