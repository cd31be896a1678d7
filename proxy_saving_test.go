package fairlead

import (
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

const wakingDevice = "sensor-7"

// wakingFilters are what the device is subscribed to, by itself or by proxy.
func wakingFilters() []string { return []string{"cmd/" + wakingDevice, "conf/" + wakingDevice} }

// waking is a device at one wake-up, on a network in memory.
type waking struct {
	*edgeStage
	r       record
	self    bool // it subscribes itself
	command bool // there is something for it to read
}

// wakeUps are the ways to begin, each with all that the device says and hears.
func wakeUps() []struct {
	name string
	play func(*waking)
} {
	return []struct {
		name string
		play func(*waking)
	}{
		{"MQTT-SN, CONNECT", (*waking).sensorConnects},
		{"MQTT-SN, PINGREQ after the gateway has lost the session", (*waking).sensorIsForgotten},
		{"MQTT-SN, PINGREQ of a session that lasts", (*waking).sensorWakes},
		{"MQTT 5, CONNECT", func(w *waking) { w.connects(false) }},
		{"MQTT 5, CONNECT of a session that lasts", func(w *waking) { w.connects(true) }},
		{"CoAP, POST `/mqtt/connection` and Observe", func(w *waking) { w.observes(false) }},
		{"CoAP, POST `/mqtt/connection` of a session that lasts", func(w *waking) { w.observes(true) }},
		{"CoAP, one GET with Observe for each filter, or of `/mqtt/connection`", (*waking).asks},
	}
}

// TestProxySaving counts what a device says and hears at a wake-up, with and without
// having to subscribe itself. docs/topics.md has the table.
func TestProxySaving(t *testing.T) {
	var b strings.Builder
	b.WriteString("| the device begins with | to read | it subscribes itself | by proxy | saved |\n|---|---|---|---|---|\n")
	for _, u := range wakeUps() {
		for _, command := range []bool{false, true} {
			var cost [2]wakeCost
			for i, self := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%v/%v", u.name, command, self), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { cost[i] = wakeUpCost(t, u.play, self, command) })
				})
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", u.name, map[bool]string{true: "a command", false: "nothing"}[command], cost[0], cost[1], cost[0].less(cost[1]))
		}
	}
	t.Log("\n" + b.String())
	update := flag.Lookup("update").Value.(flag.Getter).Get().(bool)
	rulestest.Guide(t, "docs/topics.md", "TestProxySaving", b.String(), "go test . -run ProxySaving -update", update)
}

func wakeUpCost(t *testing.T, play func(*waking), self, command bool) wakeCost {
	w := &waking{edgeStage: newUnstarted(t), self: self, command: command}
	if !self {
		w.options = func(o *core.Options) {
			for _, f := range wakingFilters() {
				o.Config.Subscriptions = append(o.Config.Subscriptions, core.ProxySubscription{Filter: strings.Replace(f, wakingDevice, "%c", 1), QoS: 1})
			}
		}
	}
	w.start(nil)
	play(w)
	synctest.Wait()
	return costOf(w.r.take())
}

// wakeCost is what went over the network: of a stream, what was written at once counts as
// a datagram.
type wakeCost struct{ datagrams, bytes, turns int }

func costOf(packets []recorded) (c wakeCost) {
	for i, p := range packets {
		c.datagrams++
		c.bytes += len(p.b)
		if i > 0 && !p.up && packets[i-1].up {
			c.turns++
		}
	}
	return c
}

func (c wakeCost) String() string {
	return fmt.Sprintf("%d / %d / %d", c.datagrams, c.bytes, c.turns)
}

func (c wakeCost) less(o wakeCost) string {
	if c == o {
		return "nothing"
	}
	return fmt.Sprintf("%s (%d %% of the bytes)", wakeCost{c.datagrams - o.datagrams, c.bytes - o.bytes, c.turns - o.turns}, 100*(c.bytes-o.bytes)/c.bytes)
}

// say publishes a command for the device.
func (w *waking) say() {
	w.t.Helper()
	c, err := devices.Dial(w.t.Context(), "mqtt://gateway:1883", devices.Options{ClientID: "controller", DialContext: w.net.Dialer("")})
	if err == nil {
		_, err = c.Publish(w.t.Context(), &devices.Message{Topic: wakingFilters()[0], Payload: []byte("open"), QoS: 1})
	}
	if err == nil {
		err = c.Disconnect(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// sayIf publishes it while the device is awake, which it is for the time of the count.
func (w *waking) sayIf() {
	if w.command {
		w.say()
	}
}

func (w *waking) read(messages <-chan *devices.Message, n int) {
	w.t.Helper()
	<-time.After(10 * time.Millisecond) // of the bubble: timers of the edge
	synctest.Wait()
	for range n {
		select {
		case m := <-messages:
			if m == nil || string(m.Payload) != "open" {
				w.t.Fatalf("read %+v", m)
			}
		default:
			w.t.Fatal("nothing to read")
		}
	}
	synctest.Wait()
	if len(messages) > 0 {
		w.t.Fatal("too much to read")
	}
}

func (w *waking) commands() int {
	if w.command {
		return 1
	}
	return 0
}

// dialSensor connects by a protocol of datagrams; what the device subscribes to itself
// is subscribed to.
func (w *waking) dialSensor(url string, o devices.Options, subscribes bool) *devices.Sensor {
	w.t.Helper()
	o.ClientID, o.KeepAlive, o.DialContext = wakingDevice, time.Minute, w.r.dialer(w.net.Dialer(""))
	c, err := devices.DialSensor(w.t.Context(), url, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	var filters []string
	switch {
	case !subscribes:
	case w.self:
		filters = wakingFilters()
	case strings.HasPrefix(url, "coap"):
		filters = []string{""} // the connection
	}
	for _, f := range filters {
		if _, err := c.Subscribe(w.t.Context(), 0, devices.Subscription{Filter: f, QoS: 1}); err != nil {
			w.t.Fatal(err)
		}
	}
	synctest.Wait()
	return c
}

const wakingSN, wakingCoAP = "mqttsn://gateway:1884", "coap://gateway:5683"

func (w *waking) sensorConnects() {
	c := w.dialSensor(wakingSN, devices.Options{}, true)
	w.sayIf()
	w.read(c.Messages(), w.commands())
}

func (w *waking) sensorIsForgotten() {
	c := w.dialSensor(wakingSN, devices.Options{}, true)
	if err := c.Sleep(w.t.Context(), time.Minute); err != nil {
		w.t.Fatal(err)
	}
	w.stop()
	synctest.Wait()
	w.r.take()
	w.start(nil) // with nothing in the store
	if err := c.Wake(w.t.Context()); err == nil {
		w.t.Fatal("the session goes on")
	}
	c.Close()
	c = w.dialSensor(wakingSN, devices.Options{Session: c.Session()}, true)
	w.sayIf()
	w.read(c.Messages(), w.commands())
}

func (w *waking) sensorWakes() {
	c := w.dialSensor(wakingSN, devices.Options{Resume: true}, true)
	w.say() // the topic has its id
	w.read(c.Messages(), 1)
	if err := c.Sleep(w.t.Context(), time.Hour); err != nil {
		w.t.Fatal(err)
	}
	w.sayIf()
	w.r.take()
	if err := c.Wake(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.read(c.Messages(), w.commands())
}

// dialMQTT connects; what the device subscribes to itself goes in one SUBSCRIBE.
func (w *waking) dialMQTT(o devices.Options, subscribes bool) *devices.Client {
	w.t.Helper()
	o.ClientID, o.Version, o.DialContext = wakingDevice, packet.V5, w.r.dialer(w.net.Dialer(""))
	c, err := devices.Dial(w.t.Context(), "mqtt://gateway:1883", o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	if w.self && subscribes {
		var subs []devices.Subscription
		for _, f := range wakingFilters() {
			subs = append(subs, devices.Subscription{Filter: f, QoS: 1})
		}
		if _, err := c.Subscribe(w.t.Context(), 0, subs...); err != nil {
			w.t.Fatal(err)
		}
	}
	synctest.Wait()
	return c
}

func (w *waking) connects(lasts bool) {
	o := devices.Options{}
	if lasts {
		o.Resume, o.SessionExpiry = true, 3600
	}
	c := w.dialMQTT(o, true)
	if lasts {
		if err := c.Disconnect(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		synctest.Wait()
		w.r.take()
		o.Session = c.Session()
		c = w.dialMQTT(o, false)
	}
	w.sayIf()
	w.read(c.Messages(), w.commands())
}

func (w *waking) observes(lasts bool) {
	o := devices.Options{}
	if lasts {
		o.SessionExpiry = 3600
	}
	c := w.dialSensor(wakingCoAP, o, true)
	if lasts {
		c.Close()
		synctest.Wait()
		w.r.take()
		o.Session = c.Session()
		c = w.dialSensor(wakingCoAP, o, false)
	}
	w.sayIf()
	w.read(c.Messages(), w.commands())
}

// asks is the shortest way that CoAP has: requests that carry the client's name.
func (w *waking) asks() {
	c, err := w.r.dialer(w.net.Dialer(""))(w.t.Context(), "udp", "gateway:5683")
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	paths := [][]string{{"mqtt", "connection"}}
	if w.self {
		paths = nil
		for _, f := range wakingFilters() {
			paths = append(paths, append([]string{"ps"}, strings.Split(f, "/")...))
		}
	}
	for i, path := range paths {
		w.exchange(c, observation(byte(i+1), path))
	}
	if w.command {
		w.say()
		b := w.exchange(c, nil)
		if b[0]>>4 != 4 || b[1] != 0x45 { // confirmable, 2.05
			w.t.Fatalf("got % x", b)
		}
		if _, err := c.Write([]byte{0x60, 0, b[2], b[3]}); err != nil { // acknowledged
			w.t.Fatal(err)
		}
		synctest.Wait()
	}
}

// exchange sends a datagram, if there is one, and gives the next that comes.
func (w *waking) exchange(c net.Conn, b []byte) []byte {
	w.t.Helper()
	if b != nil {
		if _, err := c.Write(b); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		w.t.Fatal(err)
	}
	in := make([]byte, 1500)
	n, err := c.Read(in)
	if err != nil {
		w.t.Fatal(err)
	}
	return in[:n]
}

// observation is GET with Observe 0, confirmable, with a token of one byte.
func observation(token byte, path []string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x41, 0x01}, uint16(token))
	b = append(b, token, 0x60) // option 6, Observe, empty
	delta := byte(11 - 6)      // Uri-Path
	for _, p := range path {
		b = append(append(b, delta<<4|byte(len(p))), p...)
		delta = 0
	}
	query := "c=" + wakingDevice
	return append(append(b, 4<<4|byte(len(query))), query...) // option 15, Uri-Query
}
