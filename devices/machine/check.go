package machine

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// publishProps are the properties that a client may send in a PUBLISH; aliases are the
// machine's affair. [MQTT-3.3.4-6]
const publishProps packet.PropertySet = 1<<packet.PropPayloadFormat | 1<<packet.PropMessageExpiry | 1<<packet.PropContentType |
	1<<packet.PropResponseTopic | 1<<packet.PropCorrelationData | 1<<packet.PropUserProperty

// Check says why p cannot be published, nil if it can: what MQTT has no words for, and what
// the present server does not take. What its content is to blame for is a *packet.Error, as
// the codec has it. Without an error it does not allocate.
func (m *Machine) Check(p *packet.Publish) error {
	if p.QoS > 2 {
		return fmt.Errorf("QoS %d does not exist", p.QoS)
	}
	if err := checkTopic(p.Topic, "topic name"); err != nil {
		return err
	}
	v := m.cfg.version()
	if v == packet.V5 {
		if err := checkProperties(&p.Properties); err != nil {
			return err
		}
	}
	size := p.Size(v)
	if size > packet.MaxRemaining {
		return errors.New("the message is larger than MQTT can express")
	}
	return m.refuses(size, p.QoS, p.Retain)
}

// refuses says why the present server does not take a message, nil if it does.
func (m *Machine) refuses(size int, qos byte, retain bool) error {
	switch {
	case qos > m.maxQoS:
		return tooGood(m.maxQoS)
	case retain && m.noRetain:
		return noRetain()
	case m.maxPacket != 0 && uint64(size) > uint64(m.maxPacket):
		return tooLarge(size, m.maxPacket)
	}
	return nil
}

// checkTopic demands a Topic Name. [MQTT-3.3.2-2] [MQTT-4.7.3-1] [MQTT-4.7.3-3]
func checkTopic(b []byte, what string) error {
	switch {
	case len(b) == 0:
		return fault(packet.ReasonTopicNameInvalid, "MQTT-4.7.3-1", "empty "+what)
	case bytes.IndexByte(b, '+') >= 0 || bytes.IndexByte(b, '#') >= 0:
		return fault(packet.ReasonTopicNameInvalid, "MQTT-3.3.2-2", "wildcard in a "+what)
	}
	return checkText(b, what)
}

// checkText demands what may stand in a UTF-8 string. [MQTT-1.5.4-1] [MQTT-1.5.4-2]
func checkText(b []byte, what string) error {
	if err := checkLength(b, what); err != nil {
		return err
	}
	if !packet.ValidUTF8(b) {
		return fault(packet.ReasonMalformedPacket, "MQTT-1.5.4-1", what+" that is not well-formed UTF-8, or holds the null character")
	}
	return nil
}

func checkLength(b []byte, what string) error {
	if len(b) > 65535 {
		return fault(packet.ReasonPacketTooLarge, "1.5.4", what+" of more than 65,535 bytes")
	}
	return nil
}

// checkProperties demands what a client may say beside topic and payload.
func checkProperties(p *packet.Properties) error {
	if p.Present&^publishProps != 0 || len(p.SubscriptionIDs) > 0 {
		return fault(packet.ReasonProtocolError, "2.2.2.2", "property that a client does not send in a PUBLISH")
	}
	if p.Present.Has(packet.PropPayloadFormat) && p.PayloadFormat > 1 {
		return fault(packet.ReasonProtocolError, "2.2.2.2", "Payload Format Indicator other than 0 and 1")
	}
	if p.Present.Has(packet.PropContentType) {
		if err := checkText(p.ContentType, "Content Type"); err != nil {
			return err
		}
	}
	if p.Present.Has(packet.PropResponseTopic) {
		if err := checkTopic(p.ResponseTopic, "Response Topic"); err != nil {
			return err
		}
	}
	if p.Present.Has(packet.PropCorrelationData) {
		if err := checkLength(p.CorrelationData, "Correlation Data"); err != nil {
			return err
		}
	}
	return checkUser(p.User)
}

// checkUser demands a list of whole pairs. [MQTT-1.5.7-1]
func checkUser(list packet.UserProperties) error {
	taken := 0
	for name, value := range list.All() {
		if list[taken] != byte(packet.PropUserProperty) {
			return errUserList
		}
		taken += 5 + len(name) + len(value)
		if !packet.ValidUTF8(name) || !packet.ValidUTF8(value) {
			return fault(packet.ReasonMalformedPacket, "MQTT-1.5.4-1", "user property that is not well-formed UTF-8, or holds the null character")
		}
	}
	if taken != len(list) {
		return errUserList
	}
	return nil
}

var errUserList = fault(packet.ReasonMalformedPacket, "MQTT-1.5.7-1", "list of user properties that is not made of whole pairs")

// faultCode is how a server is told of its fault; false for ends that are none.
func faultCode(err error) (packet.ReasonCode, bool) {
	var wire *packet.Error
	switch {
	case errors.Is(err, ErrDisconnected), errors.Is(err, ErrRefused):
		return 0, false
	case errors.As(err, &wire) && wire.Code.ValidIn(packet.TypeDisconnect):
		return wire.Code, true
	}
	return packet.ReasonProtocolError, true
}
