package coap

import (
	"crypto/rand"
	"sync/atomic"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Gateway is what a machine calls; *core.Gateway is one. The methods are
// described there.
type Gateway interface {
	Connect(t *core.Turn, r *core.ConnectRequest) (res *core.ConnectResult, pending bool)
	Resume(t *core.Turn, l core.Link)
	Attach(t *core.Turn, l core.Link, a core.Attachment) core.Reason
	Attachments(l core.Link) []core.Attachment
	Allowed(t *core.Turn, l core.Link, p *core.Publish) (r core.Reason, late bool)
	Publish(t *core.Turn, l core.Link, p *core.Publish) (pause bool, err *core.Error)
	Read(t *core.Turn, l core.Link, token uint32, name string) (m *core.Message, r core.Reason, pending bool)
	List(t *core.Turn, l core.Link, token uint32, filter string, max int) (ms []*core.Message, r core.Reason, pending bool)
	Subscribe(t *core.Turn, l core.Link, r *core.SubscribeRequest) (granted []uint8, reasons []core.Reason, pending bool)
	Unsubscribe(t *core.Turn, l core.Link, r *core.UnsubscribeRequest) (reasons []core.Reason, pending bool)
	LimitSubscribers(t *core.Turn, l core.Link, name string, most uint32)
	Acknowledge(t *core.Turn, l core.Link, k core.AckKind, packetID uint16, r core.Reason)
	Waiting(l core.Link) bool
	Take(t *core.Turn, l core.Link, dst []core.Delivery, max int) (out []core.Delivery, more bool)
	Drop(t *core.Turn, l core.Link, d core.Delivery, r core.Reason)
	Disconnect(t *core.Turn, l core.Link, r core.Reason, expiry *uint32)
	Refuse(t *core.Turn, info core.Refusal)
}

// Adapter makes the machines of CoAP peers. What they share never changes but for
// figures; safe for concurrent use.
type Adapter struct {
	cfg     Config
	gw      Gateway
	formats formats
	cbor    cborModes
	secret  [32]byte // of Echo
	szx     uint8    // of the blocks that we choose

	transfers atomic.Int64 // bytes of payloads under way block by block
}

var _ protocols.DatagramAdapter = (*Adapter)(nil)

// New makes an adapter that grants what cfg says, which must be valid, and
// hands everything over to gw.
func New(cfg Config, gw Gateway) *Adapter {
	a := &Adapter{cfg: cfg, gw: gw, formats: newFormats(), cbor: newCBOR()}
	a.szx, _ = exponent(cfg.BlockSize)
	rand.Read(a.secret[:]) // never fails
	return a
}

// Name implements protocols.Adapter.
func (a *Adapter) Name() string { return "coap" }

// Split implements protocols.DatagramAdapter: nothing is behind a peer.
func (a *Adapter) Split(b []byte) (node, message []byte) { return nil, b }

// Meet implements protocols.DatagramAdapter. What is not a request, or cannot be
// understood, is answered without state.
func (a *Adapter) Meet(t *core.Turn, info *protocols.ConnInfo, b []byte, acts *protocols.Actions) (open bool) {
	m := Machine{adapter: a, info: info, proven: a.trusts(info)}
	s := scratchOf(t)
	q, ok := m.understand(t, s, acts, b)
	if !ok {
		return false
	}
	if m.group() { // [CoAP-8.1-1]
		m.nextID = randomID()
		m.answerGroup(t, acts, q)
		return false
	}
	if a.cfg.Echo != echoAll || m.proven || a.echoes(t.Now(), info.Peer, q.echo) {
		return true
	}
	m.challenge(t, acts, q.asking()) // [Echo-2.4-1]
	return false
}

// NewMachine implements protocols.Adapter. info is kept.
func (a *Adapter) NewMachine(info *protocols.ConnInfo, conn core.Conn) protocols.Machine {
	return &Machine{adapter: a, info: info, conn: conn, stream: newStream(info), proven: a.trusts(info), nextID: randomID()}
}

// randomID is where the message IDs of a peer begin. [CoAP-4.4-2]
func randomID() uint16 {
	var id [2]byte
	rand.Read(id[:]) // never fails
	return uint16(id[0])<<8 | uint16(id[1])
}

// trusts says that a peer need not show that its address is its own: DTLS has seen to it,
// or nobody else can send from it, or nobody wants to know.
func (a *Adapter) trusts(info *protocols.ConnInfo) bool {
	return info.Secure || newStream(info) != nil || info.Peer.Addr().IsLoopback() || a.cfg.Echo == echoOff
}

// scratch is what one call needs and the next may overwrite. It belongs to the turn, so
// that machines hold none of it.
type scratch struct {
	message message.Message
	request request
	options message.Options
	taken   []core.Delivery
	raw     []byte // the datagram of request
	x       asking // what its answer comes back to, once it is done
}

// takeBatch is how many deliveries are taken at once.
const takeBatch = 16

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
