package fairlead

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/internal/simnet"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	sn "github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// spoof is what somebody sends in the name of a victim, who answers nothing.
type spoof struct {
	name   string
	port   int // of the listener
	send   [][]byte
	queue  string         // client for which messages wait
	then   func(*victims) // what happens meanwhile; nil: nothing
	silent bool           // the gateway must not answer at all
}

// TestAmplification counts the bytes that a victim gets for those that were sent in its
// name, over all the time until the gateway has given up: three times as many at most,
// whatever is asked. [CoAP-11.3-1] [SN-0-2]
func TestAmplification(t *testing.T) {
	keys := pskFile(t)
	synctest.Test(t, func(t *testing.T) {
		s := &edgeStage{t: t, protocol: "mqtt", version: packet.V5, net: simnet.New(1), options: subscribeVictims, change: func(cfg *protocols.Config) { spoofable(cfg, keys) }}
		s.start(nil)
		v := &victims{
			t: t, host: "10.128.0.1", dial: s.net.Dialer(""), alive: time.Minute, doze: 18 * time.Hour,
			listen: func(n int) (net.PacketConn, error) { return s.net.ListenPacket(fmt.Sprintf("192.0.2.%d:0", n)) },
			settle: func() { <-time.After(3 * time.Hour) }, // the bubble's
		}
		v.suffer()
		s.stop()
		synctest.Wait()
	})
}

func pskFile(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("meter-1:000102030405060708090a0b0c0d0e0f\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// subscribeVictims gives those that are told to be called so what they did not ask for.
func subscribeVictims(o *core.Options) {
	for _, filter := range []string{"large", "many/+", "come/#"} {
		o.Config.Subscriptions = append(o.Config.Subscriptions, core.ProxySubscription{Filter: filter, QoS: 1, ClientID: "^proxied"})
	}
}

// spoofable adds what can be attacked.
func spoofable(cfg *protocols.Config, keys string) {
	cfg.Listeners["mqttsn"].AddressChange = true
	for listener, protocol := range map[string]string{"mqttsns": "mqttsn", "coaps": "coap"} {
		cfg.Listeners[listener] = &protocols.ListenerConfig{Protocol: protocol, Transport: protocols.DTLS, Given: true, DTLS: protocols.DTLSConfig{PSKFile: keys}}
	}
}

// victims are those who are attacked through a gateway.
type victims struct {
	t      *testing.T
	host   string // of the gateway
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	listen func(n int) (net.PacketConn, error) // at the nth address, from 2 on
	settle func()                              // returns when the gateway has given up everything
	alive  time.Duration                       // keep alive of MQTT-SN
	doze   time.Duration                       // how long a sensor sleeps
	mqtt   *devices.Client
}

// victim counts what one of them gets.
type victim struct {
	socket net.PacketConn
	in     int
	out    atomic.Int64
	closed chan struct{}
}

func (v *victim) read() {
	defer close(v.closed)
	b := make([]byte, 1<<16)
	for {
		n, _, err := v.socket.ReadFrom(b)
		if err != nil {
			return
		}
		v.out.Add(int64(n))
	}
}

// suffer plays every attack, and prints what it cost whom.
func (v *victims) suffer() {
	v.t.Helper()
	v.prepare()
	all := append(append(v.snSpoofs(), coapSpoofs()...), dtlsSpoofs()...)
	each := make([]*victim, len(all))
	for i, s := range all {
		each[i] = v.attack(i, s)
	}
	v.settle()
	table := fmt.Sprintf("| %-66s | %8s | %9s | %6s |\n|%s|%s|%s|%s|\n", "request in somebody's name", "bytes in", "bytes out", "factor",
		strings.Repeat("-", 68), strings.Repeat("-", 9)+":", strings.Repeat("-", 10)+":", strings.Repeat("-", 7)+":")
	for i, s := range all {
		each[i].socket.Close()
		<-each[i].closed
		in, out := each[i].in, int(each[i].out.Load())
		table += fmt.Sprintf("| %-66s | %8d | %9d | %6.2f |\n", s.name, in, out, float64(out)/float64(in))
		switch {
		case out > protocols.AmplificationFactor*in:
			v.t.Errorf("%s: %d bytes for %d", s.name, out, in)
		case s.silent != (out == 0):
			v.t.Errorf("%s: %d bytes, and silent is %t", s.name, out, s.silent)
		}
	}
	v.t.Logf("what victims get\n%s", table)
	v.mqtt.Close()
}

// prepare gives the gateway something to tell: retained messages, large and many.
func (v *victims) prepare() {
	v.t.Helper()
	c, err := devices.Dial(v.t.Context(), fmt.Sprintf("mqtt://%s:1883", v.host), devices.Options{ClientID: "mqtt", Version: packet.V5, KeepAlive: time.Hour, DialContext: v.dial})
	if err != nil {
		v.t.Fatal(err)
	}
	v.mqtt = c
	v.publish("large", 3000, true)
	v.publish("lg", 1200, true)
	for i := range 20 {
		v.publish(fmt.Sprint("many/", i), 100, true)
	}
}

func (v *victims) publish(topic string, size int, retain bool) {
	v.t.Helper()
	m := &devices.Message{Topic: topic, Payload: bytes.Repeat([]byte{'x'}, size), QoS: 1, Retain: retain}
	if _, err := v.mqtt.Publish(v.t.Context(), m); err != nil {
		v.t.Fatal(err)
	}
}

// come publishes small messages, then large ones.
func (v *victims) come() {
	for _, size := range []int{4, 500} {
		for range 20 {
			v.publish("come/in", size, false)
		}
	}
}

// wait lets messages gather for a sensor.
func (v *victims) wait(name string) {
	v.t.Helper()
	o := devices.Options{ClientID: name, Resume: true, DialContext: v.dial}
	c, err := devices.DialSensor(v.t.Context(), fmt.Sprintf("mqttsn://%s:1884", v.host), o)
	if err == nil {
		_, err = c.Subscribe(v.t.Context(), 0, devices.Subscription{Filter: name + "/#", QoS: 1})
	}
	if err == nil && strings.HasPrefix(name, "asleep") {
		err = c.Sleep(v.t.Context(), v.doze)
	}
	if err == nil && strings.HasPrefix(name, "away") {
		err = c.Disconnect(v.t.Context())
	}
	if err != nil {
		v.t.Fatal(err)
	}
	c.Close()
	for i := range 20 {
		v.publish(fmt.Sprint(name, "/", i), 200, false)
	}
}

// attack sends what s says, one datagram after the other.
func (v *victims) attack(i int, s spoof) *victim {
	v.t.Helper()
	if s.queue != "" {
		v.wait(s.queue)
	}
	c, err := v.listen(2 + i)
	if err != nil {
		v.t.Fatal(err)
	}
	one := &victim{socket: c, closed: make(chan struct{})}
	go one.read()
	for _, b := range s.send {
		one.in += len(b)
		if _, err := c.WriteTo(b, &net.UDPAddr{IP: net.ParseIP(v.host), Port: s.port}); err != nil {
			v.t.Fatal(err)
		}
		v.publish("pause", 1, false) // time enough to take it
	}
	if s.then != nil {
		s.then(v)
	}
	return one
}

func (v *victims) snSpoofs() (all []spoof) {
	connect := func(id string, clean, will bool) []byte {
		return (&sn.Connect{ClientID: []byte(id), CleanSession: clean, Will: will, Duration: uint16(v.alive / time.Second)}).Append(nil)
	}
	subscribe := func(filter string, qos uint8) []byte {
		return (&sn.Subscribe{Type: sn.TypeSubscribe, QoS: qos, MessageID: 1, Topic: []byte(filter)}).Append(nil)
	}
	add := func(name string, silent bool, then func(*victims), send ...[]byte) {
		all = append(all, spoof{name: "MQTT-SN: " + name, port: 1884, send: send, then: then, silent: silent})
	}
	capsule := (&sn.Forwarded{Node: []byte{1}}).Append(nil)
	search := (&sn.SearchGW{}).Append(nil)
	add("SEARCHGW", false, nil, search)
	add("SEARCHGW, forwarded", false, nil, append(capsule, search...))
	add("CONNECT", false, nil, connect("a", true, false))
	add("CONNECT, forwarded", false, nil, append(capsule, connect("A", true, false)...))
	add("CONNECT with a Will", false, nil, connect("b", true, true))
	add("CONNECT with a Will, WILLTOPIC", false, nil, connect("B", true, true), (&sn.WillTopic{Topic: []byte("w")}).Append(nil))
	add("CONNECT, proxy subscriptions, messages come", false, (*victims).come, connect("proxied", true, false))
	add("CONNECT, protocol id unknown", false, nil, []byte{7, 4, 4, 9, 0, 60, 'c'})
	add("CONNECT, client id too long", false, nil, connect(strings.Repeat("c", 24), true, false))
	for _, name := range []string{"asleep", "away"} {
		for what, b := range []string{"CONNECT", "PINGREQ"} {
			id := fmt.Sprint(name, what)
			add(fmt.Sprintf("%s of a client that is %s, with a queue", b, name), false, nil, [][]byte{connect(id, false, false), (&sn.Pingreq{ClientID: []byte(id)}).Append(nil)}[what])
			all[len(all)-1].queue = id
		}
	}
	add("PINGREQ of nobody", false, nil, (&sn.Pingreq{ClientID: []byte("nobody")}).Append(nil))
	add("PINGREQ", false, nil, (&sn.Pingreq{}).Append(nil))
	for qos := range uint8(3) {
		name := fmt.Sprintf(", SUBSCRIBE with QoS %d", qos)
		add("CONNECT"+name+" to large retained messages", false, nil, connect(fmt.Sprint("d", qos), true, false), subscribe("lg", qos))
		add("CONNECT"+name+" to many retained messages", false, nil, connect(fmt.Sprint("e", qos), true, false), subscribe("many/#", qos))
		add("CONNECT"+name+", messages come", false, (*victims).come, connect(fmt.Sprint("f", qos), true, false), subscribe("come/#", qos))
		p := &sn.Publish{QoS: qos, IDType: sn.ShortName, TopicID: 'z'<<8 | 'z', MessageID: 2, Data: make([]byte, 1000)}
		add(fmt.Sprintf("CONNECT, SUBSCRIBE, PUBLISH with QoS %d to itself", qos), false, nil, connect(fmt.Sprint("g", qos), true, false), subscribe("zz", qos), p.Append(nil))
	}
	add("REGISTER", false, nil, (&sn.Register{MessageID: 1, Topic: []byte("x")}).Append(nil))
	add("PUBLISH", false, nil, (&sn.Publish{TopicID: 1, Data: []byte("x")}).Append(nil))
	add("PUBLISH with QoS -1", true, nil, (&sn.Publish{QoS: sn.QoSMinusOne, IDType: sn.ShortName, TopicID: 'z'<<8 | 'z', Data: []byte("x")}).Append(nil))
	add("SUBSCRIBE", false, nil, subscribe("#", 1))
	add("DISCONNECT", true, nil, (&sn.Disconnect{}).Append(nil))
	add("an acknowledgement", true, nil, (&sn.Bare{Type: sn.TypePingresp}).Append(nil))
	add("garbage", true, nil, []byte{3, 0xEE, 1})
	return all
}

// coapRequest encodes a request as RFC 7252 says; observe is -1 without the option.
func coapRequest(kind, code byte, target string, observe int, payload string) []byte {
	b := []byte{0x40 | kind<<4 | 1, code, 0, 7, 0xAA}
	last := 0
	option := func(number int, value string) {
		delta := number - last
		last = number
		switch {
		case len(value) < 13:
			b = append(b, byte(delta<<4|len(value)))
		default:
			b = append(b, byte(delta<<4|13), byte(len(value)-13))
		}
		b = append(b, value...)
	}
	switch observe {
	case 0:
		option(6, "")
	case 1:
		option(6, "\x01")
	}
	path, query, _ := strings.Cut(target, "?")
	for _, segment := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		option(11, segment)
	}
	for _, q := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' }) {
		option(15, q)
	}
	if payload != "" {
		b = append(append(b, 0xFF), payload...)
	}
	return b
}

func coapSpoofs() (all []spoof) {
	const con, non, get, post, put, del = 0, 1, 1, 2, 3, 4
	add := func(name string, silent bool, then func(*victims), send ...[]byte) {
		all = append(all, spoof{name: "CoAP: " + name, port: 5683, send: send, then: then, silent: silent})
	}
	for kind := range byte(2) {
		name := []string{con: "CON ", non: "NON "}[kind]
		add(name+"GET /.well-known/core", false, nil, coapRequest(kind, get, "/.well-known/core", -1, ""))
		add(name+"GET of a large retained message", false, nil, coapRequest(kind, get, "/ps/large", -1, ""))
		add(name+"GET of what is not there", false, nil, coapRequest(kind, get, "/ps/none", -1, ""))
		add(name+"GET of no surface", false, nil, coapRequest(kind, get, "/x", -1, ""))
		add(name+"GET of wildcards", false, nil, coapRequest(kind, get, "/ps/#", -1, ""))
		add(name+"GET with Observe of a large retained message", false, (*victims).come, coapRequest(kind, get, "/ps/large", 0, ""))
		add(name+"GET with Observe of many", false, (*victims).come, coapRequest(kind, get, "/ps/many/+", 0, ""))
		add(name+"GET with Observe, messages come", false, (*victims).come, coapRequest(kind, get, "/ps/come/in", 0, ""))
		add(name+"GET with Observe, QoS 0, messages come", false, (*victims).come, coapRequest(kind, get, "/ps/come/in?q=0", 0, ""))
		add(name+"GET with Observe, the newest, messages come", false, (*victims).come, coapRequest(kind, get, "/ps/come/in?n=latest", 0, ""))
		add(name+"GET with Observe of the connection, proxy subscriptions", false, (*victims).come, coapRequest(kind, get, fmt.Sprint("/mqtt/connection?c=proxied", kind), 0, ""))
		add(name+"PUT", false, nil, coapRequest(kind, put, "/ps/p", -1, "x"))
		add(name+"PUT that waits for a response", false, nil, coapRequest(kind, put, "/ps/p?w=5", -1, "x"))
		add(name+"PUT to what it observes", false, nil, coapRequest(kind, get, fmt.Sprint("/ps/me", kind), 0, ""), coapRequest(kind, put, fmt.Sprint("/ps/me", kind), -1, strings.Repeat("x", 500)))
		add(name+"POST /mqtt/connection", false, nil, coapRequest(kind, post, "/mqtt/connection?c=h", -1, ""))
		add(name+"GET /pubsub", false, nil, coapRequest(kind, get, "/pubsub", -1, ""))
		add(name+"DELETE", false, nil, coapRequest(kind, del, "/ps/none", -1, ""))
	}
	same := coapRequest(con, get, "/ps/none", -1, "")
	add("CON GET, repeated", false, nil, same, same, same, same)
	add("CON, empty (ping)", false, nil, []byte{0x40, 0, 0, 7})
	add("NON, empty", true, nil, []byte{0x50, 0, 0, 7})
	add("CON, method unknown", false, nil, coapRequest(con, 31, "/ps/a", -1, ""))
	add("CON, a response", false, nil, []byte{0x40, 0x45, 0, 7})
	add("CON, option unknown and critical", false, nil, []byte{0x40, 1, 0, 7, 0x90})
	add("CON, token too long", false, nil, []byte{0x4F, 1, 0, 7})
	add("ACK", true, nil, []byte{0x60, 0, 0, 7})
	add("CON, malformed", false, nil, []byte("GET / HTTP/1.1\r\n\r\n"))
	add("garbage", true, nil, []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	return all
}

func dtlsSpoofs() (all []spoof) {
	for _, port := range []int{5684, 8884} {
		name := map[int]string{5684: "CoAP", 8884: "MQTT-SN"}[port]
		add := func(what string, silent bool, send ...[]byte) {
			all = append(all, spoof{name: "DTLS, " + name + ": " + what, port: port, send: send, silent: silent})
		}
		add("hello without cookie", false, dtlsHello(0, nil))
		add("hello with a wrong cookie", false, dtlsHello(1, make([]byte, 20)))
		add("hello without cookie, four times", false, dtlsHello(0, nil), dtlsHello(0, nil), dtlsHello(0, nil), dtlsHello(0, nil))
		add("data without a handshake", true, append([]byte{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 20}, make([]byte, 20)...))
		add("data with an unknown connection id", true, append([]byte{25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 20}, make([]byte, 20)...))
		add("an alert", true, []byte{21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40})
	}
	return all
}

// dtlsHello is the shortest ClientHello that offers anything.
func dtlsHello(message byte, cookie []byte) []byte {
	body := append([]byte{0xfe, 0xfd}, bytes.Repeat([]byte{7}, 32)...)
	body = append(body, 0, byte(len(cookie)))
	body = append(append(body, cookie...), 0, 2, 0xc0, 0xa8, 1, 0)
	head := []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, message, 0, byte(12 + len(body))}
	head = append(head, 1, 0, 0, byte(len(body)), 0, message, 0, 0, 0, 0, 0, byte(len(body)))
	return append(head, body...)
}
