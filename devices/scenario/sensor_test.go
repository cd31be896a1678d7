package scenario

import (
	"strings"
	"testing"
)

func TestSensorsFindTheirGateway(t *testing.T) {
	for _, c := range []struct{ broker, own, protocol, want string }{
		{"mqtt://127.0.0.1:1883", "", "mqttsn", "mqttsn://127.0.0.1:1884"},
		{"mqtts://gateway:8883", "", "coap", "coap://gateway:5683"},
		{"mem://10.0.0.1:1883", "", "coap", "mem://10.0.0.1:5683"},
		{"mqtt://127.0.0.1:1883", "coap://10.0.0.7:99", "coap", "coap://10.0.0.7:99"},
		{"mqtt://127.0.0.1:1883", "", "mqtt5", "mqtt://127.0.0.1:1883"},
		{"mqtt://[::1]:1883", "", "mqttsn", "mqttsn://[::1]:1884"},
	} {
		if got := brokerOf(c.broker, &Group{Protocol: c.protocol, Broker: c.own}); got != c.want {
			t.Errorf("%s for %s: %s, wanted %s", c.broker, c.protocol, got, c.want)
		}
	}
}

func TestWhatSensorsCannotSay(t *testing.T) {
	for want, g := range map[string]*Group{
		"will":                      {Protocol: "coap", Will: &Will{}},
		"username":                  {Protocol: "mqttsn", Username: "u"},
		"a clean session would be":  {Protocol: "mqttsn", Sleep: &Sleep{}},
		"a filter without wildcard": {Protocol: "coap", Subscribe: map[string]*Subscribe{"x": {Filter: "a/#"}}},
		"does not go with protocol": {Protocol: "coap", Broker: "mqtt://h"},
		"CoAP knows 16, 32":         {Protocol: "coap", Block: 100},
		`retry: has no meaning`:     {Protocol: "mqtt5", Retry: 1},
		"unconnected: has no":       {Protocol: "coap", Unconnected: true},
		"predefined: has no":        {Protocol: "mqtt5", Predefined: map[string]string{"1": "a"}},
		"ids are 1 to 65534":        {Protocol: "mqttsn", Predefined: map[string]string{"65535": "a"}},
		"durable: has no meaning":   {Protocol: "mqttsn", Unconnected: true, Durable: true},
		"publish.x.qos: has no":     {Protocol: "mqttsn", Unconnected: true, Publish: map[string]*Publish{"x": {QoS: 1}}},
	} {
		var f faults
		if g.checkSensor(&f); f.join() == nil || !strings.Contains(f.join().Error(), want) {
			t.Errorf("%q is not found in %v", want, f.join())
		}
	}
}
