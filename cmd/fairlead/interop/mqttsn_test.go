package interop

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
)

// snLibrary is a client of MQTT-SN that testdata/mqttsn_client.py drives.
type snLibrary string

const (
	// twelve is the package mqtt-sn-12 1.0.9. It publishes with each QoS, has a Will,
	// searches gateways and sleeps. It receives QoS 0 and 1; QoS 2 it does not answer.
	twelve snLibrary = "mqtt-sn-12"
	// rsmb is the package mqttsn 0.0.4. It publishes and receives QoS 1 and 2, cannot say
	// goodbye, and answers no REGISTER, so that wildcards are not for it.
	rsmb snLibrary = "mqttsn"
)

// startSN runs a client of MQTT-SN against the gateway at address.
func startSN(t *testing.T, l snLibrary, address, clientID string) puppet {
	t.Helper()
	python := pythonWith(t, "mqttsn", map[snLibrary]string{twelve: "mqttsn12.client.MqttSnClient", rsmb: "mqttsn.client"}[l])
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return startPuppet(t, python, filepath.Join("testdata", "mqttsn_client.py"), string(l), host, port, clientID)
}

// snScene is a gateway with predefined topics and QoS -1 for some.
type snScene struct {
	coapGateway
	address string // of MQTT-SN
}

func TestForeignMQTTSN(t *testing.T) {
	g := runGateway(t, shortDir(t), "", append(unconnected(), "--ephemeral")...)
	t.Cleanup(func() { g.stop(t) })
	s := snScene{coapGateway{gateway: g}, g.listeners["mqttsn"]}
	for _, c := range []struct {
		name string
		play func(*testing.T, snScene)
	}{
		{"publish", snPublish}, {"publish without a connection", snUnconnected}, {"subscribe", snSubscribe}, {"QoS 1 and 2", snAcknowledged},
		{"sleep", snSleep}, {"session", snSession}, {"will", snWill},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.play(t, s)
		})
	}
}

// unconnected are settings that allow QoS -1 from this machine.
func unconnected() []string {
	return []string{
		"--set", "mqttsn.predefined.7=predefined/seven", "--set", "mqttsn.predefined.8=predefined/eight", "--set", `mqttsn.unconnected_networks=["127.0.0.0/8"]`,
		"--set", `mqttsn.unconnected_topics=["mx", "predefined/seven"]`,
	}
}

func snPublish(t *testing.T, s snScene) {
	word := shorten(t.Name())
	p := startSN(t, twelve, s.address, word)
	p.ask(t, "done", "search")
	p.ask(t, "done", "connect")
	for topic, name := range map[string]string{word + "/level": word + "/level", "zz": "zz", "=8": "predefined/eight"} {
		c := s.device(t, name)
		for qos := range 3 {
			p.ask(t, "done", "publish %s %d value-%d", topic, qos, qos)
			expect(t, c, name, fmt.Sprint("value-", qos))
		}
	}
	p.ask(t, "done", "retain %s/kept 1 kept", word)
	expect(t, s.device(t, word+"/kept"), word+"/kept", "kept")
	p.ask(t, "done", "bye")
}

func snUnconnected(t *testing.T, s snScene) {
	p := startSN(t, twelve, s.address, shorten(t.Name()))
	for topic, name := range map[string]string{"mx": "mx", "=7": "predefined/seven"} {
		c := s.device(t, name)
		p.ask(t, "done", "publish %s -1 hello", topic)
		expect(t, c, name, "hello")
	}
}

func snSubscribe(t *testing.T, s snScene) {
	word := shorten(t.Name())
	c := s.device(t, "")
	p := startSN(t, twelve, s.address, word)
	p.ask(t, "done", "connect")
	for qos := range 2 { // this library does not answer QoS 2
		exact, many := fmt.Sprintf("%s/exact/%d", word, qos), fmt.Sprintf("%s/many/%d", word, qos)
		p.ask(t, "done", "subscribe %s %d", exact, qos)
		say(t, c, exact, "one", 2, false)
		p.ask(t, fmt.Sprintf("%s %d one", exact, qos), "next")
		p.ask(t, "done", "subscribe %s/# %d", many, qos)
		for i := range 3 { // each topic is registered first
			say(t, c, fmt.Sprintf("%s/%d", many, i), fmt.Sprint("message-", i), 2, false)
			p.ask(t, fmt.Sprintf("%s/%d %d message-%d", many, i, qos, i), "next")
		}
		p.ask(t, "done", "unsubscribe %s", exact)
		say(t, c, exact, "nobody's", 1, false)
	}
	p.ask(t, "done", "subscribe ab 1")
	say(t, c, "ab", "short", 1, false)
	p.ask(t, fmt.Sprintf("=%d 1 short", 'a'<<8|'b'), "next")
	p.ask(t, "done", "bye")
}

func snAcknowledged(t *testing.T, s snScene) {
	word := shorten(t.Name())
	c := s.device(t, word+"/up/#")
	p := startSN(t, rsmb, s.address, word)
	p.ask(t, "done", "connect")
	for qos := 1; qos <= 2; qos++ {
		topic := fmt.Sprintf("%s/%d", word, qos)
		p.ask(t, "done", "subscribe %s %d", topic, qos)
		for i := range 5 {
			say(t, c, topic, fmt.Sprint("message-", i), uint8(qos), false)
		}
		for i := range 5 {
			p.ask(t, fmt.Sprintf("? %d message-%d", qos, i), "next")
		}
		p.ask(t, "done", "publish %s/up/%d %d hello", word, qos, qos)
		expect(t, c, fmt.Sprintf("%s/up/%d", word, qos), "hello")
	}
}

func snSleep(t *testing.T, s snScene) {
	word := shorten(t.Name())
	c := s.device(t, "")
	p := startSN(t, twelve, s.address, word)
	p.ask(t, "done", "resume")
	p.ask(t, "done", "subscribe %s 1", word)
	for range 2 {
		p.ask(t, "done", "sleep 60")
		for i := range 5 {
			say(t, c, word, fmt.Sprint("message-", i), 1, false)
		}
		p.ask(t, "done", "wake") // until PINGRESP
		for i := range 5 {
			p.ask(t, fmt.Sprintf("%s 1 message-%d", word, i), "next")
		}
	}
	p.ask(t, "done", "resume")
	p.ask(t, "done", "bye")
}

func snSession(t *testing.T, s snScene) {
	word := shorten(t.Name())
	c := s.device(t, "")
	p := startSN(t, twelve, s.address, word)
	p.ask(t, "done", "resume")
	p.ask(t, "done", "subscribe %s/# 1", word)
	p.ask(t, "done", "bye")
	for i := range 5 {
		say(t, c, word+"/a", fmt.Sprint("message-", i), 1, false)
	}
	p.ask(t, "done", "resume")
	for i := range 5 {
		p.ask(t, fmt.Sprintf("%s/a 1 message-%d", word, i), "next")
	}
	p.ask(t, "done", "bye")
}

func snWill(t *testing.T, s snScene) {
	word := shorten(t.Name())
	c := s.device(t, word)
	p := startSN(t, twelve, s.address, word)
	p.ask(t, "done", "will %s 1 gone-without-a-word", word)
	p.ask(t, "done", "alive 1")
	p.ask(t, "done", "connect")
	expect(t, c, word, "gone-without-a-word")
}
