package packet

// Property is a property identifier. [MQTT 5 section 2.2.2.2]
type Property byte

// The properties of MQTT 5.
const (
	PropPayloadFormat                 Property = 0x01
	PropMessageExpiry                 Property = 0x02
	PropContentType                   Property = 0x03
	PropResponseTopic                 Property = 0x08
	PropCorrelationData               Property = 0x09
	PropSubscriptionID                Property = 0x0B
	PropSessionExpiry                 Property = 0x11
	PropAssignedClientID              Property = 0x12
	PropServerKeepAlive               Property = 0x13
	PropAuthenticationMethod          Property = 0x15
	PropAuthenticationData            Property = 0x16
	PropRequestProblemInformation     Property = 0x17
	PropWillDelay                     Property = 0x18
	PropRequestResponseInformation    Property = 0x19
	PropResponseInformation           Property = 0x1A
	PropServerReference               Property = 0x1C
	PropReasonString                  Property = 0x1F
	PropReceiveMaximum                Property = 0x21
	PropTopicAliasMaximum             Property = 0x22
	PropTopicAlias                    Property = 0x23
	PropMaximumQoS                    Property = 0x24
	PropRetainAvailable               Property = 0x25
	PropUserProperty                  Property = 0x26
	PropMaximumPacketSize             Property = 0x27
	PropWildcardSubscriptionAvailable Property = 0x28
	PropSubscriptionIDAvailable       Property = 0x29
	PropSharedSubscriptionAvailable   Property = 0x2A
	propLast                                   = PropSharedSubscriptionAvailable
)

// PropertySet is a set of properties, the bit 1<<id for each.
type PropertySet uint64

// SetOf makes a set of the given properties.
func SetOf(ids ...Property) PropertySet {
	var s PropertySet
	for _, id := range ids {
		s |= 1 << id
	}
	return s
}

// Has reports whether id is in the set.
func (s PropertySet) Has(id Property) bool { return s&(1<<id) != 0 }

// Properties is one property block. Only fields whose bit is in Present count; the Set methods set both,
// and keep the byte slices they are given. Which
// properties a packet may carry is the packet's affair: Decode refuses others, Append leaves them out, Validate names
// them. In versions before 5 there are none.
//
// After Decode the slices alias the packet's bytes (User may alias memory of the struct itself), so all of them are
// valid only until the caller reuses those bytes or the struct.
type Properties struct {
	Present PropertySet

	SessionExpiry     uint32 // seconds; 0xFFFFFFFF: never
	MessageExpiry     uint32 // seconds
	WillDelay         uint32 // seconds
	MaximumPacketSize uint32 // bytes, fixed header included
	ServerKeepAlive   uint16 // seconds
	ReceiveMaximum    uint16
	TopicAliasMaximum uint16
	TopicAlias        uint16

	PayloadFormat                 byte // 1: the payload is UTF-8
	RequestProblemInformation     byte
	RequestResponseInformation    byte
	MaximumQoS                    byte
	RetainAvailable               byte
	WildcardSubscriptionAvailable byte
	SubscriptionIDAvailable       byte
	SharedSubscriptionAvailable   byte

	ContentType          []byte
	ResponseTopic        []byte
	CorrelationData      []byte
	AssignedClientID     []byte
	AuthenticationMethod []byte
	AuthenticationData   []byte
	ResponseInformation  []byte
	ServerReference      []byte
	ReasonString         []byte

	// SubscriptionIDs holds several only in a PUBLISH from a server.
	SubscriptionIDs []uint32
	// User holds the User Properties in their order.
	User UserProperties

	spare []byte // memory for User where the wire has other properties in between
}

// Reset makes the block empty and keeps the memory of its lists.
func (p *Properties) Reset() {
	if p.Present == 0 && len(p.User) == 0 && len(p.SubscriptionIDs) == 0 {
		return
	}
	*p = Properties{SubscriptionIDs: p.SubscriptionIDs[:0], spare: p.spare[:0]}
}

// Remove takes properties out, for example Reason String and User Property from a packet that would be larger
// than its receiver takes. [MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.4.2-2] [MQTT-3.4.2-3]
func (p *Properties) Remove(s PropertySet) {
	p.Present &^= s
	if s.Has(PropUserProperty) {
		p.User = nil
	}
	if s.Has(PropSubscriptionID) {
		p.SubscriptionIDs = p.SubscriptionIDs[:0]
	}
}

// Diagnostics are the properties that a sender has to leave out where they would make a packet too large, and where the
// client asked for none (Request Problem Information 0). [MQTT-3.1.2-29]
const Diagnostics PropertySet = 1<<PropReasonString | 1<<PropUserProperty

// present is what there is to write: lists count by their length, so that filling them is enough.
func (p *Properties) present() PropertySet {
	s := p.Present &^ (1<<PropUserProperty | 1<<PropSubscriptionID)
	if len(p.User) > 0 {
		s |= 1 << PropUserProperty
	}
	if len(p.SubscriptionIDs) > 0 {
		s |= 1 << PropSubscriptionID
	}
	return s
}

// byteField finds the field of a one-byte property.
func (p *Properties) byteField(id Property) *byte {
	switch id {
	case PropPayloadFormat:
		return &p.PayloadFormat
	case PropRequestProblemInformation:
		return &p.RequestProblemInformation
	case PropRequestResponseInformation:
		return &p.RequestResponseInformation
	case PropMaximumQoS:
		return &p.MaximumQoS
	case PropRetainAvailable:
		return &p.RetainAvailable
	case PropWildcardSubscriptionAvailable:
		return &p.WildcardSubscriptionAvailable
	case PropSubscriptionIDAvailable:
		return &p.SubscriptionIDAvailable
	default:
		return &p.SharedSubscriptionAvailable
	}
}

// u16Field finds the field of a two-byte property.
func (p *Properties) u16Field(id Property) *uint16 {
	switch id {
	case PropServerKeepAlive:
		return &p.ServerKeepAlive
	case PropReceiveMaximum:
		return &p.ReceiveMaximum
	case PropTopicAliasMaximum:
		return &p.TopicAliasMaximum
	default:
		return &p.TopicAlias
	}
}

// u32Field finds the field of a four-byte property.
func (p *Properties) u32Field(id Property) *uint32 {
	switch id {
	case PropSessionExpiry:
		return &p.SessionExpiry
	case PropMessageExpiry:
		return &p.MessageExpiry
	case PropWillDelay:
		return &p.WillDelay
	default:
		return &p.MaximumPacketSize
	}
}

// bytesField finds the field of a string or binary property.
func (p *Properties) bytesField(id Property) *[]byte {
	switch id {
	case PropContentType:
		return &p.ContentType
	case PropResponseTopic:
		return &p.ResponseTopic
	case PropCorrelationData:
		return &p.CorrelationData
	case PropAssignedClientID:
		return &p.AssignedClientID
	case PropAuthenticationMethod:
		return &p.AuthenticationMethod
	case PropAuthenticationData:
		return &p.AuthenticationData
	case PropResponseInformation:
		return &p.ResponseInformation
	case PropServerReference:
		return &p.ServerReference
	default:
		return &p.ReasonString
	}
}
