package coap

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Echo values are the time and a code that only we can make, short enough that a
// challenge is never much larger than its request: 12 bytes.
const (
	echoTime  = 4
	echoCode  = 8
	echoValid = 60 // seconds
)

// challengeSize is the length of a challenge without a token: header, option, value.
const challengeSize = 4 + 2 + echoTime + echoCode

// echoValue is what peer has to send back. [Echo-2.3-1]
func (a *Adapter) echoValue(seconds uint32, peer netip.AddrPort) []byte {
	out := binary.BigEndian.AppendUint32(make([]byte, 0, echoTime+echoCode), seconds)
	h := hmac.New(sha256.New, a.secret[:])
	h.Write(out)
	addr := peer.Addr().As16()
	h.Write(addr[:])
	h.Write(binary.BigEndian.AppendUint16(nil, peer.Port()))
	return append(out, h.Sum(nil)[:echoCode]...)
}

// echoes says that v is a value that we gave to peer a short time before now.
// [Echo-2.3-2]
func (a *Adapter) echoes(now int64, peer netip.AddrPort, v []byte) bool {
	if len(v) != echoTime+echoCode {
		return false
	}
	at := binary.BigEndian.Uint32(v)
	age := uint32(now/1000) - at
	return age <= echoValid && hmac.Equal(v, a.echoValue(at, peer))
}

// challenge answers x by a request to come again with an Echo option. [Echo-2.4-1]
func (m *Machine) challenge(t *core.Turn, a *protocols.Actions, x asking) {
	m.forget(x) // it will come again and be done then
	if challengeSize+int(x.token.n) > protocols.AmplificationFactor*x.size {
		return // too short for a path: nobody means it
	}
	r := answer(codes.Unauthorized)
	r.echo = m.adapter.echoValue(uint32(t.Now()/1000), m.info.Peer)
	proven := m.proven
	m.proven = true // this one is always affordable
	x.noResponse, x.acked = 0, false
	m.reply(t, a, x, r)
	m.proven = proven
}

// affordable says that an answer of size bytes may go to the peer, who asked in asked
// bytes. [Echo-2.4-1] [CoAP-11.3-1]
func (m *Machine) affordable(size, asked int) bool {
	return m.proven || size <= protocols.AmplificationFactor*asked
}

// prove notes that the peer's address is its own.
func (m *Machine) prove(a *protocols.Actions) { m.proven, a.Proven = true, true }
