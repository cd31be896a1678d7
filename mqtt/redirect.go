package mqtt

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// maxServerReference bounds the Server Reference, in bytes: it has to fit beside all
// else into the smallest packets that clients take.
const maxServerReference = 1024

// redirect makes a farewell that sends the client elsewhere of one for which another
// server is the answer. Only MQTT 5 has words for it. [MQTT 5 section 4.11]
func (m *Machine) redirect(v verdict) verdict {
	if m.version != packet.V5 {
		return v
	}
	cfg := &m.adapter.cfg
	switch {
	case v.reason == core.ServerShuttingDown && cfg.DrainRedirect != "", v.reason == core.UseAnotherServer:
		v.code = packet.ReasonUseAnotherServer
		if cfg.DrainRedirectMoved {
			v.code = packet.ReasonServerMoved
		}
		v.server = cfg.DrainRedirect
	}
	return v
}

// refer puts the Server Reference of v into p, where the packet then still is one that
// the client takes; size tells the packet's length.
func (m *Machine) refer(p *packet.Properties, v verdict, size func() int) {
	if v.server == "" {
		return
	}
	p.SetServerReference([]byte(v.server))
	if !m.fits(size()) {
		p.Remove(packet.SetOf(packet.PropServerReference))
	}
}
