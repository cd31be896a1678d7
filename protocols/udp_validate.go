package protocols

func (c *ListenerConfig) validateUDP(f *faults) {
	u := &c.UDP
	if !c.Datagrams() {
		if *u != (UDPConfig{}) {
			f.add("udp", "…", "only holds for the transports udp and dtls")
		}
		return
	}
	f.within("udp.answer_rate", u.AnswerRate, 0, 10_000_000)
	f.within("max_packet_size", c.MaxPacketSize, 0, maxDatagram)
	if c.ProxyProtocol == "on" {
		f.add("proxy_protocol", "on", "is for transports over TCP: datagrams have no PROXY header")
	}
}
