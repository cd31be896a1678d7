package packet_test

import (
	"errors"
	"fmt"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// A receiver cuts packets from what has arrived so far, and answers a broken one with its reason code.
func Example() {
	wire := (&packet.Publish{Topic: []byte("hall/temp"), Payload: []byte("21.5")}).Append(nil, packet.V5)
	wire = (&packet.Pingreq{}).Append(wire, packet.V5)
	wire = append(wire, 0x37, 0x00) // QoS 3

	var publish packet.Publish // used for every PUBLISH
	for {
		frame, n, err := packet.Next(wire, 64<<10)
		if err == nil && n > 0 && frame.Type == packet.TypePublish {
			err = publish.Decode(packet.V5, frame.Header, frame.Body)
		}
		var fault *packet.Error
		switch {
		case errors.As(err, &fault):
			fmt.Println("refused:", fault.Code, fault.Clause)
			return
		case n == 0:
			return // more has to be read first
		case frame.Type == packet.TypePublish:
			fmt.Printf("%s: %s\n", publish.Topic, publish.Payload)
		default:
			fmt.Println(frame.Type)
		}
		wire = wire[n:]
	}
	// Output:
	// hall/temp: 21.5
	// PINGREQ
	// refused: Malformed Packet MQTT-3.3.1-4
}

// A server tells why it refuses, unless that makes the packet larger than the client takes.
func ExampleProperties_Remove() {
	const clientMaximum = 32
	refusal := packet.Connack{Reason: packet.ReasonNotAuthorized}
	refusal.Properties.SetReasonString([]byte("certificate is for another device"))
	if refusal.Size(packet.V5) > clientMaximum {
		refusal.Properties.Remove(packet.Diagnostics)
	}
	fmt.Printf("% x\n", refusal.Append(nil, packet.V5))
	fmt.Printf("% x\n", refusal.Append(nil, packet.V311))
	// Output:
	// 20 03 00 87 00
	// 20 02 00 05
}
