// Package devices holds what stands on the other side of the wire: the MQTT client
// that `fairlead pub` and `fairlead sub` use, made of the codec alone. It knows
// nothing of core, so that a fault in the gateway cannot hide in its own client. What
// it says and when is the affair of [github.com/fairlead-iot/fairlead/devices/machine],
// which simulated fleets use, too; here are connections, waiting and words.
//
// [Dial] opens a connection by URL (mqtt, mqtts, ws, wss, unix) and returns a
// [Client] once the server accepted it. A client has two goroutines, one that
// reads and one that writes; both end with the connection, and [Client.Done] and
// [Client.Err] say when and why.
//
// [DialSensor] does the same for MQTT-SN and CoAP: a [Sensor] is made of
// [github.com/fairlead-iot/fairlead/devices/snmachine] or
// [github.com/fairlead-iot/fairlead/devices/coapmachine], and sends again what gets lost.
//
// # Who owns the state
//
// A [Client] is one connection. What outlives a connection (messages that wait for
// their acknowledgement, identifiers of QoS 2 messages received) is a [Session],
// which the next Dial may take over; unacknowledged messages are then sent again
// with DUP. A [Message] from the server belongs to the caller; one that is
// handed in is copied before Send and Publish return.
//
// # Back pressure
//
// Received messages wait in a channel of bounded length. A caller that does not
// take them stops the reading, and so in the end the server: nothing is dropped.
// That also holds acknowledgements back: a caller that waits for its own publish
// in the loop that takes messages can wait for ever.
package devices
