package protocols

import "net/netip"

func (c *ListenerConfig) validateUDP(f *faults) {
	u := &c.UDP
	if !c.Datagrams() {
		if !u.empty() {
			f.add("udp", "…", "only holds for the transports udp and dtls")
		}
		c.validateDTLS(f)
		return
	}
	c.validateDTLS(f)
	f.within("udp.answer_rate", u.AnswerRate, 0, 10_000_000)
	u.validateGroups(f, c.Transport)
	f.within("max_packet_size", c.MaxPacketSize, 0, maxDatagram)
	if c.ProxyProtocol == "on" {
		f.add("proxy_protocol", "on", "is for transports over TCP: datagrams have no PROXY header")
	}
}

func (c *ListenerConfig) validateDTLS(f *faults) {
	d := &c.DTLS
	if c.Transport != DTLS {
		if d.PSKFile != "" || d.NoConnectionID || d.PSK != nil {
			f.add("dtls", "…", "only holds for the transport dtls")
		}
		return
	}
	if d.PSKFile == "" && d.PSK == nil && c.TLS.CertFile == "" {
		f.add("dtls.psk_file", "", "is needed, or tls.cert_file and tls.key_file: DTLS must know its clients or show a certificate")
	}
	if c.TLS.MinVersion == "1.3" {
		f.add("tls.min_version", "1.3", "must be 1.2 or left out: what is spoken is DTLS 1.2")
	}
}

// empty tells whether nothing is set.
func (u *UDPConfig) empty() bool {
	return u.AnswerRate == 0 && len(u.Groups)+len(u.Interfaces)+len(u.Announce) == 0
}

func (u *UDPConfig) validateGroups(f *faults, transport string) {
	for _, g := range u.Groups {
		if !g.IsMulticast() {
			f.add("udp.groups", g.String(), "must be multicast addresses, such as 224.0.1.187 or ff02::fd")
		}
	}
	for _, a := range u.Announce {
		if !a.IsValid() || a.Port() == 0 || a.Addr().IsUnspecified() {
			f.add("udp.announce", a.String(), "must be addresses with a port, such as 225.1.1.1:1884 or 192.0.2.255:1884")
		}
	}
	if len(u.Interfaces) > 0 && len(u.Groups)+len(u.Announce) == 0 {
		f.add("udp.interfaces", "[…]", "does nothing without udp.groups or udp.announce")
	}
	if transport == DTLS && !u.groupless() {
		f.add("udp.groups", "[…]", "only holds for the transport udp: DTLS has no groups")
	}
}

func (u *UDPConfig) groupless() bool { return len(u.Groups)+len(u.Announce) == 0 }

// sameFamily tells whether a socket on one of these addresses can send to the other.
func sameFamily(ours, other netip.Addr) bool {
	return ours.Is6() == other.Is6() || ours.Is6() && ours.IsUnspecified()
}
