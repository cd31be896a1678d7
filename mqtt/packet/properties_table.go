package packet

// dataType is how a property's value is written. [MQTT 5 section 2.2.2.2]
type dataType byte

const (
	noType dataType = iota
	typeByte
	typeU16
	typeU32
	typeVarint
	typeString
	typeBinary
	typePair
)

// block says whose property block it is; a Will has one of its own inside CONNECT.
type block byte

const (
	blockConnect block = iota
	blockWill
	blockConnack
	blockPublish
	blockAck // PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK
	blockSubscribe
	blockUnsubscribe
	blockDisconnect
	blockAuth
	blocks
)

// propNames are the properties in the specification's spelling.
var propNames = [propLast + 1]string{
	PropPayloadFormat: "Payload Format Indicator", PropMessageExpiry: "Message Expiry Interval",
	PropContentType: "Content Type", PropResponseTopic: "Response Topic", PropCorrelationData: "Correlation Data",
	PropSubscriptionID: "Subscription Identifier", PropSessionExpiry: "Session Expiry Interval",
	PropAssignedClientID: "Assigned Client Identifier", PropServerKeepAlive: "Server Keep Alive",
	PropAuthenticationMethod: "Authentication Method", PropAuthenticationData: "Authentication Data",
	PropRequestProblemInformation: "Request Problem Information", PropWillDelay: "Will Delay Interval",
	PropRequestResponseInformation: "Request Response Information", PropResponseInformation: "Response Information",
	PropServerReference: "Server Reference", PropReasonString: "Reason String", PropReceiveMaximum: "Receive Maximum",
	PropTopicAliasMaximum: "Topic Alias Maximum", PropTopicAlias: "Topic Alias", PropMaximumQoS: "Maximum QoS",
	PropRetainAvailable: "Retain Available", PropUserProperty: "User Property",
	PropMaximumPacketSize:             "Maximum Packet Size",
	PropWildcardSubscriptionAvailable: "Wildcard Subscription Available",
	PropSubscriptionIDAvailable:       "Subscription Identifier Available",
	PropSharedSubscriptionAvailable:   "Shared Subscription Available",
}

// String gives the property's name in the specification.
func (id Property) String() string {
	if id <= propLast && propNames[id] != "" {
		return propNames[id]
	}
	return "unknown property"
}

// propTypes gives every property its data type.
var propTypes = [propLast + 1]dataType{
	PropPayloadFormat: typeByte, PropMessageExpiry: typeU32, PropContentType: typeString,
	PropResponseTopic: typeString, PropCorrelationData: typeBinary, PropSubscriptionID: typeVarint,
	PropSessionExpiry: typeU32, PropAssignedClientID: typeString, PropServerKeepAlive: typeU16,
	PropAuthenticationMethod: typeString, PropAuthenticationData: typeBinary, PropRequestProblemInformation: typeByte,
	PropWillDelay: typeU32, PropRequestResponseInformation: typeByte, PropResponseInformation: typeString,
	PropServerReference: typeString, PropReasonString: typeString, PropReceiveMaximum: typeU16,
	PropTopicAliasMaximum: typeU16, PropTopicAlias: typeU16, PropMaximumQoS: typeByte, PropRetainAvailable: typeByte,
	PropUserProperty: typePair, PropMaximumPacketSize: typeU32, PropWildcardSubscriptionAvailable: typeByte,
	PropSubscriptionIDAvailable: typeByte, PropSharedSubscriptionAvailable: typeByte,
}

// blockProps gives every block the properties that may stand in it.
var blockProps = [blocks]PropertySet{
	blockConnect: 1<<PropSessionExpiry | 1<<PropReceiveMaximum | 1<<PropMaximumPacketSize | 1<<PropTopicAliasMaximum |
		1<<PropRequestResponseInformation | 1<<PropRequestProblemInformation | 1<<PropUserProperty |
		1<<PropAuthenticationMethod | 1<<PropAuthenticationData,
	blockWill: 1<<PropWillDelay | 1<<PropPayloadFormat | 1<<PropMessageExpiry | 1<<PropContentType |
		1<<PropResponseTopic | 1<<PropCorrelationData | 1<<PropUserProperty,
	blockConnack: 1<<PropSessionExpiry | 1<<PropReceiveMaximum | 1<<PropMaximumQoS | 1<<PropRetainAvailable |
		1<<PropMaximumPacketSize | 1<<PropAssignedClientID | 1<<PropTopicAliasMaximum | 1<<PropReasonString |
		1<<PropUserProperty | 1<<PropWildcardSubscriptionAvailable | 1<<PropSubscriptionIDAvailable |
		1<<PropSharedSubscriptionAvailable | 1<<PropServerKeepAlive | 1<<PropResponseInformation |
		1<<PropServerReference | 1<<PropAuthenticationMethod | 1<<PropAuthenticationData,
	blockPublish: 1<<PropPayloadFormat | 1<<PropMessageExpiry | 1<<PropTopicAlias | 1<<PropResponseTopic |
		1<<PropCorrelationData | 1<<PropUserProperty | 1<<PropSubscriptionID | 1<<PropContentType,
	blockAck:         1<<PropReasonString | 1<<PropUserProperty,
	blockSubscribe:   1<<PropSubscriptionID | 1<<PropUserProperty,
	blockUnsubscribe: 1 << PropUserProperty,
	blockDisconnect:  1<<PropSessionExpiry | 1<<PropReasonString | 1<<PropUserProperty | 1<<PropServerReference,
	blockAuth: 1<<PropAuthenticationMethod | 1<<PropAuthenticationData | 1<<PropReasonString |
		1<<PropUserProperty,
}
