package protocols

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// Sizes and numbers of DTLS 1.2 (RFC 6347 section 4, RFC 9146).
const (
	recordHeader    = 13
	handshakeHeader = 12

	recordHandshake = 22
	recordData      = 23
	recordCID       = 25

	messageClientHello        = 1
	messageHelloVerifyRequest = 3

	helloRandom = 32
	// cidSize is the size of our connection ids: which socket has the connection, and
	// eight random bytes that nobody can guess.
	cidSize = 9
)

// clientHello is one that came whole in the first record of a datagram.
type clientHello struct {
	record     []byte // with its header
	cookieAt   int    // where the cookie's length stands in record
	cookie     []byte
	random     []byte
	parameters [][]byte // what must not change between the two hellos
	sequence   uint64   // the record's
	message    uint16   // the message's
}

// parseHello takes a ClientHello apart; false for anything else. A hello in fragments
// cannot be answered without state, and is none.
func parseHello(b []byte) (h clientHello, ok bool) {
	if len(b) < recordHeader+handshakeHeader+2+helloRandom+1 || b[0] != recordHandshake || b[1] != 0xfe || binary.BigEndian.Uint16(b[3:]) != 0 {
		return h, false
	}
	size := int(binary.BigEndian.Uint16(b[11:]))
	if size > len(b)-recordHeader {
		return h, false
	}
	h.record = b[:recordHeader+size]
	m := h.record[recordHeader:]
	if len(m) < handshakeHeader {
		return h, false
	}
	length := uint24(m[1:])
	if m[0] != messageClientHello || uint24(m[6:]) != 0 || uint24(m[9:]) != length || length != len(m)-handshakeHeader {
		return h, false
	}
	h.sequence = binary.BigEndian.Uint64(b[3:]) // the epoch is 0
	h.message = binary.BigEndian.Uint16(m[4:])
	return h, h.parseBody(m[handshakeHeader:])
}

func (h *clientHello) parseBody(body []byte) bool {
	if len(body) < 2+helloRandom+1 {
		return false
	}
	h.random = body[2 : 2+helloRandom]
	id, rest, ok := vector8(body[2+helloRandom:])
	if !ok {
		return false
	}
	h.cookieAt = len(h.record) - len(rest)
	if h.cookie, rest, ok = vector8(rest); !ok || len(rest) < 2 {
		return false
	}
	suites := 2 + int(binary.BigEndian.Uint16(rest))
	if suites > len(rest) {
		return false
	}
	methods, _, ok := vector8(rest[suites:])
	h.parameters = [][]byte{body[:2+helloRandom], id, rest[:suites], methods}
	return ok
}

// vector8 takes a vector with one byte of length off b.
func vector8(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 1 || int(b[0]) > len(b)-1 {
		return nil, nil, false
	}
	return b[1 : 1+b[0]], b[1+b[0]:], true
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

// withoutCookie is the client's first hello, made from its second one: they differ in
// the cookie and the sequence numbers only.
func (h *clientHello) withoutCookie() []byte {
	b := append([]byte(nil), h.record[:h.cookieAt+1]...)
	b[h.cookieAt] = 0
	b = append(b, h.record[h.cookieAt+1+len(h.cookie):]...)
	binary.BigEndian.PutUint64(b[3:], h.sequence-1)
	binary.BigEndian.PutUint16(b[11:], uint16(len(b)-recordHeader))
	m := b[recordHeader:]
	length := len(m) - handshakeHeader
	for _, at := range []int{1, 9} {
		m[at], m[at+1], m[at+2] = byte(length>>16), byte(length>>8), byte(length)
	}
	binary.BigEndian.PutUint16(m[4:], 0)
	return b
}

// cookies makes the cookies by which a client shows that it is where its address says,
// before anything is remembered of it [RFC 6347 section 4.2.1].
type cookies struct{ secret [32]byte }

const (
	// cookieSize is a byte of time and the code.
	cookieSize = 20
	// cookieTime is how long cookies of one kind are made; they hold as long again.
	cookieTime = 30 * time.Second
)

func newCookies() *cookies {
	c := &cookies{}
	rand.Read(c.secret[:]) // never fails
	return c
}

func (c *cookies) make(peer netip.AddrPort, h *clientHello, window uint64) []byte {
	mac := hmac.New(sha256.New, c.secret[:])
	var head [26]byte
	binary.BigEndian.PutUint64(head[:], window)
	ip := peer.Addr().As16()
	copy(head[8:], ip[:])
	binary.BigEndian.PutUint16(head[24:], peer.Port())
	mac.Write(head[:])
	for _, p := range h.parameters {
		mac.Write([]byte{byte(len(p) >> 8), byte(len(p))})
		mac.Write(p)
	}
	return append([]byte{byte(window)}, mac.Sum(nil)[:cookieSize-1]...)
}

// valid tells whether h brings back a cookie that its sender was sent a short time ago.
func (c *cookies) valid(peer netip.AddrPort, h *clientHello, now time.Time) bool {
	if len(h.cookie) != cookieSize {
		return false
	}
	window := windowOf(now)
	if h.cookie[0] == byte(window-1) {
		window--
	}
	return hmac.Equal(h.cookie, c.make(peer, h, window))
}

func windowOf(now time.Time) uint64 { return uint64(now.Unix()) / uint64(cookieTime/time.Second) }

// request appends the HelloVerifyRequest that answers h. It is shorter than any hello.
func (c *cookies) request(b []byte, peer netip.AddrPort, h *clientHello, now time.Time) []byte {
	body := []byte{0xfe, 0xff, cookieSize} // DTLS 1.0: it only says how this is written
	body = append(body, c.make(peer, h, windowOf(now))...)
	size := handshakeHeader + len(body)
	b = append(b, recordHandshake, 0xfe, 0xff)
	b = binary.BigEndian.AppendUint64(b, h.sequence) // the hello's, as nothing was counted
	b = append(b, 0, byte(size), messageHelloVerifyRequest, 0, 0, byte(len(body)), 0, 0, 0, 0, 0, 0, 0, byte(len(body)))
	return append(b, body...)
}
