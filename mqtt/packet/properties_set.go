package packet

// SetPayloadFormat states whether the payload is UTF-8.
func (p *Properties) SetPayloadFormat(utf8 bool) { p.setFlag(PropPayloadFormat, utf8) }

// SetMessageExpiry states the Message Expiry Interval in seconds.
func (p *Properties) SetMessageExpiry(seconds uint32) { p.setU32(PropMessageExpiry, seconds) }

// SetContentType states the Content Type, a UTF-8 string.
func (p *Properties) SetContentType(s []byte) { p.setBytes(PropContentType, s) }

// SetResponseTopic states the Response Topic, a Topic Name.
func (p *Properties) SetResponseTopic(name []byte) { p.setBytes(PropResponseTopic, name) }

// SetCorrelationData states the Correlation Data.
func (p *Properties) SetCorrelationData(b []byte) { p.setBytes(PropCorrelationData, b) }

// AddSubscriptionID adds a Subscription Identifier, 1 to MaxRemaining.
func (p *Properties) AddSubscriptionID(id uint32) {
	p.Present |= 1 << PropSubscriptionID
	p.SubscriptionIDs = append(p.SubscriptionIDs, id)
}

// SetSessionExpiry states the Session Expiry Interval in seconds, 0xFFFFFFFF for never.
func (p *Properties) SetSessionExpiry(seconds uint32) { p.setU32(PropSessionExpiry, seconds) }

// SetAssignedClientID states the client identifier that the server chose.
func (p *Properties) SetAssignedClientID(id []byte) { p.setBytes(PropAssignedClientID, id) }

// SetServerKeepAlive states the Keep Alive that the server wants, in seconds.
func (p *Properties) SetServerKeepAlive(seconds uint16) { p.setU16(PropServerKeepAlive, seconds) }

// SetAuthenticationMethod states the name of the authentication method, a UTF-8 string.
func (p *Properties) SetAuthenticationMethod(name []byte) { p.setBytes(PropAuthenticationMethod, name) }

// SetAuthenticationData states one step's Authentication Data.
func (p *Properties) SetAuthenticationData(b []byte) { p.setBytes(PropAuthenticationData, b) }

// SetRequestProblemInformation states whether Reason Strings and User Properties are welcome on all packets.
func (p *Properties) SetRequestProblemInformation(on bool) {
	p.setFlag(PropRequestProblemInformation, on)
}

// SetWillDelay states the Will Delay Interval in seconds.
func (p *Properties) SetWillDelay(seconds uint32) { p.setU32(PropWillDelay, seconds) }

// SetRequestResponseInformation states whether the CONNACK may bring Response Information.
func (p *Properties) SetRequestResponseInformation(on bool) {
	p.setFlag(PropRequestResponseInformation, on)
}

// SetResponseInformation states the Response Information, a UTF-8 string.
func (p *Properties) SetResponseInformation(s []byte) { p.setBytes(PropResponseInformation, s) }

// SetServerReference states the Server Reference, a UTF-8 string.
func (p *Properties) SetServerReference(s []byte) { p.setBytes(PropServerReference, s) }

// SetReasonString states the Reason String, a UTF-8 string for people to read.
func (p *Properties) SetReasonString(s []byte) { p.setBytes(PropReasonString, s) }

// SetReceiveMaximum states the Receive Maximum, at least 1.
func (p *Properties) SetReceiveMaximum(n uint16) { p.setU16(PropReceiveMaximum, n) }

// SetTopicAliasMaximum states the highest Topic Alias that the sender takes, 0 for none.
func (p *Properties) SetTopicAliasMaximum(n uint16) { p.setU16(PropTopicAliasMaximum, n) }

// SetTopicAlias states the Topic Alias, at least 1. [MQTT-3.3.2-8]
func (p *Properties) SetTopicAlias(n uint16) { p.setU16(PropTopicAlias, n) }

// SetMaximumQoS states the server's highest QoS, 0 or 1; a server with QoS 2 leaves it out.
func (p *Properties) SetMaximumQoS(qos byte) { p.setFlag(PropMaximumQoS, qos != 0) }

// SetRetainAvailable states whether the server keeps retained messages.
func (p *Properties) SetRetainAvailable(on bool) { p.setFlag(PropRetainAvailable, on) }

// AddUser adds a User Property; name and value are UTF-8 strings. The pair is copied behind those there are already.
func (p *Properties) AddUser(name, value []byte) {
	p.Present |= 1 << PropUserProperty
	p.User = p.User.Add(name, value)
}

// SetMaximumPacketSize states the largest packet that the sender takes, in bytes, at least 1.
func (p *Properties) SetMaximumPacketSize(bytes uint32) { p.setU32(PropMaximumPacketSize, bytes) }

// SetWildcardSubscriptionAvailable states whether the server takes filters with wildcards.
func (p *Properties) SetWildcardSubscriptionAvailable(on bool) {
	p.setFlag(PropWildcardSubscriptionAvailable, on)
}

// SetSubscriptionIDAvailable states whether the server takes Subscription Identifiers.
func (p *Properties) SetSubscriptionIDAvailable(on bool) { p.setFlag(PropSubscriptionIDAvailable, on) }

// SetSharedSubscriptionAvailable states whether the server takes shared subscriptions.
func (p *Properties) SetSharedSubscriptionAvailable(on bool) {
	p.setFlag(PropSharedSubscriptionAvailable, on)
}

func (p *Properties) setFlag(id Property, on bool) {
	p.Present |= 1 << id
	*p.byteField(id) = bit(on, 1)
}

func (p *Properties) setU16(id Property, v uint16) {
	p.Present |= 1 << id
	*p.u16Field(id) = v
}

func (p *Properties) setU32(id Property, v uint32) {
	p.Present |= 1 << id
	*p.u32Field(id) = v
}

func (p *Properties) setBytes(id Property, b []byte) {
	p.Present |= 1 << id
	*p.bytesField(id) = b
}
