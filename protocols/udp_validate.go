package protocols

func (c *ListenerConfig) validateUDP(f *faults) {
	u := &c.UDP
	if !c.Datagrams() {
		if *u != (UDPConfig{}) {
			f.add("udp", "…", "only holds for the transports udp and dtls")
		}
		c.validateDTLS(f)
		return
	}
	c.validateDTLS(f)
	f.within("udp.answer_rate", u.AnswerRate, 0, 10_000_000)
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
