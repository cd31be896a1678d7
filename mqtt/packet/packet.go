package packet

// Packet is what every packet struct of this package offers. It is there for code that treats all types alike (tests,
// traces, simple clients); a hot path uses the structs themselves.
type Packet interface {
	// Decode fills the packet from the body that follows fixed header h, in version v. It keeps nothing of an earlier
	// packet but memory. Byte slices alias body: they are valid while the caller keeps those bytes unchanged. After
	// an error the packet's content is undefined, except for Connect's Version and Level.
	Decode(v Version, h Header, body []byte) error
	// Append writes the whole packet to dst in version v and returns the longer slice. It does not allocate if dst has
	// room for Size(v) bytes. It panics where a field is too long to be written at all; Validate tells beforehand.
	Append(dst []byte, v Version) []byte
	// Size is the number of bytes that Append writes, to be compared with the receiver's Maximum Packet Size.
	Size(v Version) int
}

var (
	_ Packet = (*Connect)(nil)
	_ Packet = (*Connack)(nil)
	_ Packet = (*Publish)(nil)
	_ Packet = (*Ack)(nil)
	_ Packet = (*Subscribe)(nil)
	_ Packet = (*Suback)(nil)
	_ Packet = (*Unsubscribe)(nil)
	_ Packet = (*Unsuback)(nil)
	_ Packet = (*Pingreq)(nil)
	_ Packet = (*Pingresp)(nil)
	_ Packet = (*Disconnect)(nil)
	_ Packet = (*Auth)(nil)
)

// New makes an empty struct for packets of type t, nil if there is no such type.
func New(t Type) Packet {
	switch t {
	case TypeConnect:
		return new(Connect)
	case TypeConnack:
		return new(Connack)
	case TypePublish:
		return new(Publish)
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp:
		return &Ack{Type: t}
	case TypeSubscribe:
		return new(Subscribe)
	case TypeSuback:
		return new(Suback)
	case TypeUnsubscribe:
		return new(Unsubscribe)
	case TypeUnsuback:
		return new(Unsuback)
	case TypePingreq:
		return new(Pingreq)
	case TypePingresp:
		return new(Pingresp)
	case TypeDisconnect:
		return new(Disconnect)
	case TypeAuth:
		return new(Auth)
	}
	return nil
}
