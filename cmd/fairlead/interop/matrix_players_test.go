package interop

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// startMatrix runs a gateway that listens by every protocol.
func startMatrix(t *testing.T) *gateway {
	t.Helper()
	folder := shortDir(t)
	ca := newAuthority(t, folder)
	keys := writeKeys(t, folder, "coap-pub", "coap-sub", "sn-pub", "sn-sub")
	args := append(ca.listeners(folder), unconnected()...)
	for _, secure := range []string{"coaps", "mqttsns"} {
		args = append(args, "--set", "listeners."+secure+".address=127.0.0.1:0", "--set", "listeners."+secure+".dtls.psk_file="+keys)
	}
	g := runGateway(t, folder, ca.path, append(args, "--ephemeral")...)
	t.Cleanup(func() { g.stop(t) })
	return g
}

// players are the protocols. QoS -1 exists for publishers of MQTT-SN only, and QoS 2 not for
// subscribers of CoAP: they are sent such messages as confirmable ones.
func players() []player {
	each, unconnected := []int{0, 1, 2}, []int{-1, 0, 1, 2}
	return []player{
		{"MQTT 3.1.1 (mosquitto)", each, false, openMosquitto},
		{"MQTT 5 (paho-mqtt)", each, false, openPaho},
		{"MQTT 5 on WebSocket (MQTT.js)", each, false, openMQTTjs},
		{"MQTT 5 on QUIC (own)", each, false, openQUIC},
		{"MQTT-SN (mqtt-sn-12, mqttsn)", unconnected, false, openSN},
		{"MQTT-SN on DTLS, PSK (own)", each, false, openSNOnDTLS},
		{"CoAP (libcoap)", each, true, openLibcoap},
		{"CoAP (aiocoap)", each, true, openAiocoap},
		{"CoAP on DTLS, PSK (libcoap)", each, true, openLibcoapOnDTLS},
	}
}

// everyQoS is what an ear hears that subscribed to all topics.
func everyQoS() []int { return []int{-1, 0, 1, 2} }

// listen makes an ear of a function that waits for the next message.
func listen(qos []int, next func() (heard, bool)) ear {
	c := make(chan heard, inboxSize)
	go func() {
		defer close(c)
		for {
			h, ok := next()
			if !ok {
				return
			}
			c <- h
		}
	}()
	return ear{qos, c}
}

func openMosquitto(t *testing.T, g *gateway) (voice, []ear) {
	findMosquitto(t)
	sh := shell{at: g.endpoint(t, "tcp"), version: "mqttv311"}
	sub := sh.sub(t, "-q", "2", "-t", "#")
	say := func(t *testing.T, topic, payload string, qos int) {
		sh.pub(t, "-q", fmt.Sprint(qos), "-t", topic, "-m", payload)
	}
	return say, []ear{listen(everyQoS(), func() (heard, bool) {
		select {
		case line := <-sub.lines:
			words := strings.SplitN(line, " ", 4) // topic, QoS, retained, payload
			qos, _ := strconv.Atoi(words[1])
			return heard{words[3], qos}, true
		case <-sub.gone:
			return heard{}, false
		}
	})}
}

func openPaho(t *testing.T, g *gateway) (voice, []ear) {
	return openRemote(t, startPahoPython(t), g.endpoint(t, "tcp"))
}

func openMQTTjs(t *testing.T, g *gateway) (voice, []ear) {
	return openRemote(t, startMQTTjs(t), g.endpoint(t, "ws"))
}

func openRemote(t *testing.T, r *remote, at endpoint) (voice, []ear) {
	pub := r.open(t, at, options{clientID: "pub-" + string(at.transport), version: 5})
	sub := r.open(t, at, options{clientID: "sub-" + string(at.transport), version: 5})
	sub.subscribe(t, "#", 2)
	say := func(t *testing.T, topic, payload string, qos int) {
		pub.publish(t, message{Topic: topic, Payload: []byte(payload), QoS: byte(qos)})
	}
	c := sub.(*remoteClient)
	return say, []ear{listen(everyQoS(), func() (heard, bool) {
		select {
		case m := <-c.messages:
			return heard{string(m.Payload), int(m.QoS)}, true
		case <-c.gone:
			return heard{}, false
		}
	})}
}

func openQUIC(t *testing.T, g *gateway) (voice, []ear) {
	at := g.endpoint(t, "quic")
	dial := func(name string) *devices.Client {
		c, err := devices.Dial(t.Context(), at.deviceURL(), devices.Options{ClientID: name, Version: packet.V5, TLS: devices.TLS{CAFile: at.ca}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	return openOwn(t, dial("quic-pub"), dial("quic-sub"))
}

func openSNOnDTLS(t *testing.T, g *gateway) (voice, []ear) {
	dial := func(name string) *devices.Sensor {
		psk := &devices.PSK{Identity: name, Key: []byte(pskKey)}
		c, err := devices.DialSensor(t.Context(), "mqttsns://"+g.listeners["mqttsns"], devices.Options{ClientID: name, PSK: psk})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	return openOwn(t, dial("sn-pub"), dial("sn-sub"))
}

// ownClient is what clients and sensors of package devices have in common.
type ownClient interface {
	Publish(ctx context.Context, m *devices.Message) (packet.ReasonCode, error)
	Subscribe(ctx context.Context, id uint32, subs ...devices.Subscription) ([]packet.ReasonCode, error)
	Messages() <-chan *devices.Message
}

func openOwn(t *testing.T, pub, sub ownClient) (voice, []ear) {
	if _, err := sub.Subscribe(t.Context(), 0, devices.Subscription{Filter: "#", QoS: 2}); err != nil {
		t.Fatal(err)
	}
	say := func(t *testing.T, topic, payload string, qos int) {
		if _, err := pub.Publish(t.Context(), &devices.Message{Topic: topic, Payload: []byte(payload), QoS: uint8(qos)}); err != nil {
			t.Fatal(err)
		}
	}
	return say, []ear{listen(everyQoS(), func() (heard, bool) {
		m, open := <-sub.Messages()
		if !open {
			return heard{}, false
		}
		return heard{string(m.Payload), int(m.QoS)}, true
	})}
}

// openSN needs one library for what is received with QoS 0 and one for the others.
func openSN(t *testing.T, g *gateway) (voice, []ear) {
	at := g.listeners["mqttsn"]
	pub, stranger := startSN(t, twelve, at, "sn-publisher"), startSN(t, twelve, at, "sn-stranger")
	pub.ask(t, "done", "connect")
	say := func(t *testing.T, topic, payload string, qos int) {
		p := pub
		if qos < 0 {
			p = stranger // without a connection
		}
		p.ask(t, "done", "publish %s %d %s", topic, qos, payload)
	}
	hears := func(l snLibrary, name string, qos ...int) ear {
		p := startSN(t, l, at, name)
		p.ask(t, "done", "connect")
		for _, q := range qos {
			p.ask(t, "done", "subscribe %s %d", matrixTopic(q), max(q, 0))
		}
		return listen(qos, func() (heard, bool) {
			answer, ok := p.say("next")
			words := strings.SplitN(answer, " ", 3) // topic, QoS, payload
			if !ok || len(words) < 3 {
				return heard{}, false
			}
			qos, err := strconv.Atoi(words[1])
			return heard{words[2], qos}, err == nil
		})
	}
	return say, []ear{hears(twelve, "sn-hears-0", -1, 0), hears(rsmb, "sn-hears-12", 1, 2)}
}

func openAiocoap(t *testing.T, g *gateway) (voice, []ear) {
	pub, sub := startAiocoap(t, g.listeners["coap"]), startAiocoap(t, g.listeners["coap"])
	sub.ask(t, "2.05 Content", "observe /ps/%%23")
	say := func(t *testing.T, topic, payload string, qos int) {
		pub.ask(t, "2.04 Changed", "put /ps/%s?q=%d %s", topic, qos, payload)
	}
	return say, []ear{listen(everyQoS(), func() (heard, bool) {
		answer, ok := sub.say("typed")
		kind, payload, _ := strings.Cut(answer, " ")
		return heard{payload, confirmed(kind)}, ok && kind != "fault:"
	})}
}

// confirmed is the QoS behind a notification's type.
func confirmed(kind string) int {
	if kind == "NON" {
		return 0
	}
	return 1
}

func openLibcoap(t *testing.T, g *gateway) (voice, []ear) {
	l := libcoap{findLibcoap(t), "coap://" + g.listeners["coap"], nil}
	return openLibcoapAs(t, l, l)
}

func openLibcoapOnDTLS(t *testing.T, g *gateway) (voice, []ear) {
	as := func(identity string) libcoap {
		return libcoap{findLibcoap(t), "coaps://" + g.listeners["coaps"], []string{"-u", identity, "-k", pskKey}}
	}
	return openLibcoapAs(t, as("coap-pub"), as("coap-sub"))
}

// What libcoap tells of a notification: its type, and in a line of its own the payload.
var (
	notification = regexp.MustCompile(`t:(CON|NON|ACK) c:2\.05 .*Observe:\d+.*\]( ::)?`)
	hexadecimal  = regexp.MustCompile(`^<<([0-9a-f]+)>>$`)
)

// nextNotification reads on to the next one.
func nextNotification(lines *bufio.Scanner) (heard, bool) {
	kind := ""
	for lines.Scan() {
		if m := notification.FindStringSubmatch(lines.Text()); m != nil {
			kind = m[1]
			if m[2] == "" {
				return heard{"", confirmed(kind)}, true
			}
		} else if m := hexadecimal.FindStringSubmatch(lines.Text()); m != nil && kind != "" {
			payload, err := hex.DecodeString(m[1])
			return heard{string(payload), confirmed(kind)}, err == nil
		}
	}
	return heard{}, false
}

func openLibcoapAs(t *testing.T, pub, sub libcoap) (voice, []ear) {
	args := append(append([]string{"-oL", "-eL", sub.path}, sub.more...), "-v", "7", "-s", "120", "-m", "get", sub.base+"/ps/%23")
	cmd := exec.CommandContext(t.Context(), "stdbuf", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	dieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() })
	lines := bufio.NewScanner(out)
	next := func() (heard, bool) { return nextNotification(lines) }
	if h, ok := next(); !ok || h.payload != "" {
		t.Fatalf("%s does not observe: %q, %v", sub.path, h.payload, lines.Err())
	}
	say := func(t *testing.T, topic, payload string, qos int) {
		pub.run(t, "-m", "put", "-e", payload, fmt.Sprintf("/ps/%s?q=%d", topic, qos))
	}
	return say, []ear{listen(everyQoS(), next)}
}
