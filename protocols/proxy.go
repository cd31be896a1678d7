package protocols

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

const (
	proxyV1Max    = 107 // bytes of the longest version 1 header
	proxyV2Head   = 16  // signature, command, family, length
	proxyV2Max    = 4096
	proxyV1Prefix = "PROXY "
	proxyV2Prefix = "\r\n\r\n\x00\r\nQUIT\n"
)

// errProxyShort says that more bytes are needed.
var errProxyShort = errors.New("PROXY header is not complete")

// proxyHeader is what a PROXY header tells.
type proxyHeader struct {
	size      int  // bytes of the header
	local     bool // the proxy speaks for itself: a health check
	peer      netip.AddrPort
	target    netip.AddrPort
	authority string // host name that the client asked for, "" if none
}

// parseProxy reads a PROXY protocol header, version 1 or 2, from the front of b.
// errProxyShort: not all of it is there; any other error: it is none. It looks at
// no more than 4,096 bytes and keeps nothing of b.
func parseProxy(b []byte) (proxyHeader, error) {
	size, err := proxySize(b)
	if err != nil {
		return proxyHeader{}, err
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b[:size]), size))
	if err != nil {
		return proxyHeader{}, fmt.Errorf("PROXY header: %w", err)
	}
	out := proxyHeader{size: size, local: h.Command.IsLocal()}
	if !out.local {
		out.peer = netAddrPort(h.SourceAddr)
		out.target = netAddrPort(h.DestinationAddr)
	}
	tlvs, err := h.TLVs()
	if err != nil {
		return proxyHeader{}, fmt.Errorf("PROXY header: %w", err)
	}
	for _, t := range tlvs {
		if t.Type == proxyproto.PP2_TYPE_AUTHORITY {
			out.authority = string(t.Value)
		}
	}
	return out, nil
}

// proxySize is the length of the header that b begins with.
func proxySize(b []byte) (int, error) {
	if hasPart(b, proxyV2Prefix) {
		if len(b) < proxyV2Head {
			return 0, errProxyShort
		}
		size := proxyV2Head + int(binary.BigEndian.Uint16(b[14:]))
		if size > proxyV2Max {
			return 0, fmt.Errorf("PROXY header of %d bytes: at most %d are taken", size, proxyV2Max)
		}
		if len(b) < size {
			return 0, errProxyShort
		}
		return size, nil
	}
	if !hasPart(b, proxyV1Prefix) {
		return 0, errors.New("no PROXY header")
	}
	end := bytes.IndexByte(b[:min(len(b), proxyV1Max)], '\n')
	if end >= 0 {
		return end + 1, nil
	}
	if len(b) >= proxyV1Max {
		return 0, errors.New("PROXY header without an end")
	}
	return 0, errProxyShort
}

// hasPart tells whether b begins with prefix as far as it goes.
func hasPart(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

// trusts tells whether peer may speak for others; everyone may where no header is
// read, and whoever the file's permissions let at a unix socket.
func (l *Listener) trusts(peer netip.AddrPort) bool {
	if l.cfg.ProxyProtocol != "on" || l.cfg.Transport == Unix {
		return true
	}
	for _, p := range l.cfg.ProxyTrusted {
		if p.Contains(peer.Addr()) {
			return true
		}
	}
	return false
}

// info is what is known of a connection whose header was h and whose other end
// is at proxy.
func (h *proxyHeader) info(ln *Listener, proxy netip.AddrPort) ConnInfo {
	info := ConnInfo{Listener: ln, Peer: proxy, ServerName: h.authority}
	if !h.local && h.peer.IsValid() {
		info.Peer, info.Local = h.peer, h.target
	}
	return info
}
