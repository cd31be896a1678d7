package packet

// Advertise is a gateway's broadcast about itself. [SN-5.4.1-1]
type Advertise struct {
	GatewayID byte
	Duration  uint16 // seconds until the next one
}

// Decode reads the message.
func (p *Advertise) Decode(f Frame) error {
	c := read(f, TypeAdvertise)
	p.GatewayID, p.Duration = c.u8(), c.u16()
	return c.end()
}

// Append writes the message.
func (p *Advertise) Append(dst []byte) []byte {
	return appendU16(append(appendHeader(dst, TypeAdvertise, 3), p.GatewayID), p.Duration)
}

// SearchGW is a client's broadcast for a gateway. [SN-5.4.2-1]
type SearchGW struct {
	Radius byte // of the broadcast, in hops; 0 is the whole network
}

// Decode reads the message.
func (p *SearchGW) Decode(f Frame) error {
	c := read(f, TypeSearchGW)
	p.Radius = c.u8()
	return c.end()
}

// Append writes the message.
func (p *SearchGW) Append(dst []byte) []byte {
	return append(appendHeader(dst, TypeSearchGW, 1), p.Radius)
}

// GWInfo answers a SearchGW. [SN-5.4.3-1]
type GWInfo struct {
	GatewayID byte
	Address   []byte // of the gateway, when a client answers for it; else empty
}

// Decode reads the message.
func (p *GWInfo) Decode(f Frame) error {
	c := read(f, TypeGWInfo)
	p.GatewayID, p.Address = c.u8(), c.rest()
	return c.end()
}

// Append writes the message.
func (p *GWInfo) Append(dst []byte) []byte {
	return append(append(appendHeader(dst, TypeGWInfo, 1+len(p.Address)), p.GatewayID), p.Address...)
}
