package fleet

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/devices/coapmachine"
	"github.com/fairlead-iot/fairlead/devices/loop"
	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/devices/snmachine"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// group is what the devices of a group share in this process.
type group struct {
	plan         *scenario.GroupPlan
	endpoint     *loop.Endpoint
	guarded      *loop.Endpoint   // of devices over DTLS; nil: there are none
	network      *loop.Conditions // nil: a perfect one
	config       *machine.Config
	sn           *snmachine.Config   // of MQTT-SN devices
	coap         *coapmachine.Config // of CoAP devices
	acknowledged []bool              // by stream: its messages may have QoS 1 or 2
	paced        bool                // it has a schedule to keep
	salt         uint64
	connected    atomic.Int64 // devices that were connected at least once
}

// congestionWait is how long a device leaves a congested gateway alone: less than the
// specification's five minutes, as runs are short.
const congestionWait = 5 * time.Second

// connackTimeout is how long a device waits for the CONNACK.
const connackTimeout = 10 * time.Second

func newGroup(p *scenario.GroupPlan, e, guarded *loop.Endpoint, seed uint64) *group {
	g := p.Group
	c := &machine.Config{
		Version: versionOf(g.Protocol), Clean: !g.Durable,
		KeepAlive:      uint16(min(g.KeepAlive/time.Second, math.MaxUint16)),
		ReceiveMaximum: uint16(g.Receive), MaxInflight: uint16(g.Inflight),
		ConnackTimeout: connackTimeout,
	}
	if c.Version == packet.V5 {
		c.SessionExpiry = uint32(min(g.Expiry/time.Second, math.MaxUint32-1))
	}
	out := &group{plan: p, endpoint: e, guarded: guarded, config: c, salt: seed}
	out.sn = &snmachine.Config{Clean: c.Clean, KeepAlive: c.KeepAlive, Retry: g.Retry, CongestionWait: congestionWait}
	out.sn.Predefined, _ = g.TopicIDs() // they are valid
	out.coap = &coapmachine.Config{KeepAlive: c.KeepAlive, AckTimeout: g.Retry, BlockSize: g.Block}
	if g.Durable {
		out.coap.Expiry = p.Expiry
	}
	if p.Network != nil {
		n := loop.Conditions(*p.Network)
		out.network = &n
	}
	for i := range p.Streams {
		s := p.Streams[i].Publish
		out.paced = out.paced || s.Schedule != "max"
		out.acknowledged = append(out.acknowledged, s.QoS > 0 || len(s.Mix) > 1 && (s.Mix[1] > 0 || len(s.Mix) > 2 && s.Mix[2] > 0))
	}
	return out
}

func versionOf(protocol string) packet.Version {
	switch protocol {
	case "mqtt3.1":
		return packet.V31
	case "mqtt3.1.1", "mqttsn": // whose sessions are as theirs
		return packet.V311
	}
	return packet.V5
}

// version is what CONNECT says.
func (g *group) version() uint8 {
	if g.config.Version == 0 {
		return uint8(packet.V5)
	}
	return uint8(g.config.Version)
}

// expiry is how long sessions outlive their connections, in seconds; 0: not at all,
// or by MQTT 3's rule that durable ones have no end.
func (g *group) expiry() uint32 {
	if g.config.Clean || g.version() == uint8(packet.V5) {
		return g.config.SessionExpiry
	}
	return math.MaxUint32
}

// seed is that of a connection's network conditions: every connection has its own, the
// same in every run of the same seed.
func (g *group) seed(d *unit) uint64 {
	return g.salt ^ uint64(d.state.Index)<<24 ^ uint64(d.tries)
}

// credentials fills in user name and password: the group's, or those of the URL.
func (g *group) credentials(d *unit, id *machine.Identity) {
	if user, ok := d.state.Username(); ok {
		id.HasUsername, id.Username = true, []byte(user)
	}
	if password, ok := d.state.Password(); ok {
		id.HasPassword, id.Password = true, password
	}
	user, password, has := g.endpoint.Credentials()
	if !id.HasUsername && user != "" {
		id.HasUsername, id.Username = true, []byte(user)
	}
	if !id.HasPassword && has {
		id.HasPassword, id.Password = true, []byte(password)
	}
}
