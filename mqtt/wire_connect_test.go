package mqtt

func connectScenes() []scene {
	return []scene{
		{name: "MQTT-3.1.4-5 MQTT-3.2.0-1 MQTT-3.1.3-3 a client is accepted", script: `
			a > @c 'c1'
			a < @ok
			a > c0 00
			a < d0 00`},
		{name: "MQTT-3.1.0-2 MQTT-3.2.0-2 a second CONNECT", script: `
			a > @c 'c1'
			a < @ok
			a > @c 'c1'
			5: a closed e0 .. 82
			34: a closed`},
	}
}
