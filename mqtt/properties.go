package mqtt

import (
	"bytes"
	"math"
	"unsafe"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// carried are the properties of a message that core hands on to receivers.
const carried = 1<<packet.PropPayloadFormat | 1<<packet.PropContentType | 1<<packet.PropResponseTopic |
	1<<packet.PropCorrelationData | 1<<packet.PropUserProperty

// properties copies what core keeps of a message's properties; nil if there is
// nothing to keep.
func properties(p *packet.Properties) *core.Properties {
	if p.Present&carried == 0 {
		return nil
	}
	out := &core.Properties{
		PayloadFormat:   p.PayloadFormat,
		ContentType:     string(p.ContentType),
		ResponseTopic:   string(p.ResponseTopic),
		CorrelationData: bytes.Clone(p.CorrelationData),
	}
	if n := p.User.Len(); n > 0 {
		out.User = make([]core.UserProperty, 0, n)
		for name, value := range p.User.All() { // [MQTT-3.3.2-18] [MQTT-3.1.3-10]
			out.User = append(out.User, core.UserProperty{Name: string(name), Value: string(value)})
		}
	}
	return out
}

// shared gives the property bytes that are equal for all MQTT 5 receivers of msg,
// encoded once and kept with it. [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16]
// [MQTT-3.3.2-17] [MQTT-3.3.2-20]
func shared(msg *core.Message) []byte {
	if msg.Properties == nil {
		return nil
	}
	if b := msg.Encoded.Load(); b != nil {
		return *b
	}
	var p packet.Properties
	from := msg.Properties
	if from.PayloadFormat != 0 {
		p.SetPayloadFormat(true)
	}
	// Messages of other protocols come here too: what no MQTT field can hold is left
	// out, for the codec has no words for it.
	if from.ContentType != "" && sayable(len(from.ContentType)) {
		p.SetContentType(borrow(from.ContentType))
	}
	if from.ResponseTopic != "" && sayable(len(from.ResponseTopic)) {
		p.SetResponseTopic(borrow(from.ResponseTopic))
	}
	if from.CorrelationData != nil && sayable(len(from.CorrelationData)) {
		p.SetCorrelationData(from.CorrelationData)
	}
	for _, u := range from.User {
		if sayable(len(u.Name)) && sayable(len(u.Value)) {
			p.AddUser(borrow(u.Name), borrow(u.Value))
		}
	}
	b := p.AppendShared(make([]byte, 0, p.SharedSize()))
	msg.Encoded.Store(&b) // two that come at once store the same bytes
	return b
}

// sayable says whether a string or binary field can have n bytes. [MQTT 5 section 1.5.4]
func sayable(n int) bool { return n <= math.MaxUint16 }

// text gives b as a string without copying: it lasts as long as nobody writes to b.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// borrow gives the bytes of s without copying; they must not be written.
func borrow(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
