package fairlead

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/coap"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/internal/simnet"
	"github.com/fairlead-iot/fairlead/mqtt"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/mqttsn"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto"
)

// TestScenarios plays the scenarios of core/coretest through every adapter, over a
// network in memory, with the trace that core alone leaves.
func TestScenarios(t *testing.T) {
	for _, version := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		t.Run("mqtt "+version.String(), func(t *testing.T) {
			coretest.RunScenarios(t, func(t *testing.T) coretest.Stage { return newEdgeStage(t, "mqtt", version) })
		})
	}
	for _, protocol := range []string{"mqttsn", "coap", "exproto", "exproto ws", "exproto udp", "exproto dtls", "mixed"} {
		t.Run(protocol, func(t *testing.T) {
			coretest.RunScenarios(t, func(t *testing.T) coretest.Stage { return newEdgeStage(t, protocol, packet.V5) })
		})
	}
}

// edgeStage is a gateway's core and edge on a network in memory.
type edgeStage struct {
	t        *testing.T
	protocol string         // of devices that do not say another
	version  packet.Version // of MQTT
	net      *simnet.Network
	core     *coretest.Gateway
	change   func(*protocols.Config) // nil, or what is special about the edge
	options  func(*core.Options)     // nil, or what is special about core
	stop     func()
}

func newEdgeStage(t *testing.T, protocol string, version packet.Version) *edgeStage {
	s := newUnstarted(t)
	s.protocol, s.version = protocol, version
	s.start(nil)
	return s
}

// newUnstarted is a stage that may still be changed.
func newUnstarted(t *testing.T) *edgeStage { return &edgeStage{t: t, net: simnet.New(1)} }

// start opens the gateway on a store.
func (s *edgeStage) start(store *coretest.MemStore) {
	s.core = coretest.Start(s.t, store, s.options)
	cfg := protocols.DefaultConfig()
	for _, protocol := range []string{"mqtt", "mqttsn", "coap"} {
		cfg.Listeners[protocol] = &protocols.ListenerConfig{Protocol: protocol, Transport: protocols.UDP, Given: true}
	}
	cfg.Listeners["mqtt"].Transport = protocols.TCP
	private := s.privateListener()
	cfg.Listeners[protocols.Exproto] = private
	handler := serveRelay(must(s.net.Listen("127.0.0.1:9000")))
	handlers := must(exproto.New(exproto.Options{Listeners: cfg.Listeners, Dial: func(ctx context.Context, handler string) (net.Conn, error) {
		return s.net.Dialer("")(ctx, "tcp", handler)
	}}, s.core.Gateway))
	if s.change != nil {
		s.change(&cfg)
	}
	gw := s.core.Gateway
	heartbeat := coap.DefaultConfig()
	heartbeat.KeepAlive = noticed
	sensors := mqttsn.DefaultConfig()
	sensors.Predefined = map[string]string{"1": "plant/temperature"}
	server, err := protocols.NewServer(cfg, gw, []protocols.Adapter{mqtt.New(mqtt.DefaultConfig(), gw), mqttsn.New(sensors, gw), coap.New(heartbeat, gw), handlers}, nil)
	if err == nil {
		err = server.Open()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2+len(cfg.Listeners))
	go func() { ended <- handlers.Run(ctx) }()
	synctest.Wait() // until the handler is there
	go func() { ended <- server.Run(ctx) }()
	if private.Datagrams() {
		go func() { ended <- server.ServePacket(must(s.net.ListenPacket("gateway:7000")), protocols.Exproto) }()
	} else {
		go func() { ended <- server.Serve(must(s.net.Listen("gateway:7000")), protocols.Exproto) }()
	}
	go func() { ended <- server.Serve(must(s.net.Listen("gateway:1883")), "mqtt") }()
	for name, port := range map[string]string{"mqttsn": "1884", "coap": "5683", "mqttsns": "8884", "coaps": "5684"} {
		if cfg.Listeners[name] != nil {
			go func() { ended <- server.ServePacket(must(s.net.ListenPacket("gateway:"+port)), name) }()
		}
	}
	s.stop = sync.OnceFunc(func() {
		s.core.Stopping()
		if err := server.Drain(ctx, nil); err != nil {
			s.t.Error(err)
		}
		cancel()
		for range cap(ended) {
			if err := <-ended; err != nil {
				s.t.Error(err)
			}
		}
		handler()
		s.core.Stop()
	})
	s.t.Cleanup(s.stop)
	synctest.Wait() // until it runs
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (s *edgeStage) Name() string {
	if s.protocol == "mqtt" {
		return "mqtt " + s.version.String()
	}
	return s.protocol
}

func (s *edgeStage) Has(what string) bool {
	protocol, _, _ := strings.Cut(s.protocol, " ")
	switch protocol {
	case "mqttsn":
		return slices.Contains([]string{"durable", "qos1", "qos2", "will", "retain", "dup", "sleep", "topic"}, what)
	case "coap":
		return slices.Contains([]string{"durable", "qos1", "expiry"}, what)
	case protocols.Exproto:
		return slices.Contains([]string{"durable", "qos1", "qos2", "will", "expiry", "window", "topic", "retain", "dup", "resumed"}, what)
	case "mixed": // what all of them have; each tells messages as CoAP does
		return slices.Contains([]string{"durable", "qos1", "via mqtt", "via mqttsn", "via coap", "via exproto"}, what)
	}
	switch what {
	case "durable", "qos1", "qos2", "will", "window", "topic", "retain", "dup":
		return true
	case "resumed":
		return s.version != packet.V31
	case "expiry":
		return s.version == packet.V5
	}
	return false
}

// arrival is the event of a message, in the words that the stage has.
func (s *edgeStage) arrival(m *devices.Message) string {
	if s.Has("topic") {
		return coretest.Arrival(m.Topic, string(m.Payload), m.QoS, m.Retain, m.Dup)
	}
	return strconv.Quote(string(m.Payload))
}

func (s *edgeStage) Restart() {
	s.stop()
	s.start(s.core.Store)
}

func (s *edgeStage) Device(name, protocol string) coretest.Device {
	protocol, _, _ = strings.Cut(cmp.Or(protocol, s.protocol), " ")
	switch protocol {
	case "mqttsn":
		return newSensorDevice(s, name, "mqttsn://gateway:1884")
	case "coap":
		return newSensorDevice(s, name, "coap://gateway:5683")
	case protocols.Exproto:
		return newPrivateDevice(s, name)
	}
	return &mqttDevice{stage: s, name: name}
}

// mqttDevice is a client of MQTT.
type mqttDevice struct {
	stage *edgeStage
	name  string
	c     *devices.Client // nil while disconnected
	old   *devices.Session
	held  []*devices.Message
	hold  bool
}

func (d *mqttDevice) Connect(o coretest.Connecting) string {
	d.held, d.hold = nil, false
	opt := devices.Options{Version: d.stage.version, ClientID: d.name, Resume: o.Durable, Session: d.old, KeepAlive: o.KeepAlive,
		ManualAck: true, DialContext: d.stage.net.Dialer("127.0.0.1:0")}
	if o.Durable {
		opt.SessionExpiry = core.NeverExpires
	}
	if o.Expiry > 0 {
		opt.SessionExpiry = uint32(o.Expiry / time.Second)
	}
	if o.WillTopic != "" {
		opt.Will = &devices.Will{Message: devices.Message{Topic: o.WillTopic, Payload: []byte(o.WillText)}}
	}
	c, err := devices.Dial(d.stage.t.Context(), "mqtt://gateway:1883", opt)
	if err != nil {
		return "refused"
	}
	d.c, d.old = c, c.Session()
	if c.Accepted().SessionPresent && d.stage.protocol == "mqtt" {
		return "resumed"
	}
	return "new"
}

func (d *mqttDevice) Subscribe(filter string, qos uint8) string {
	codes, err := d.c.Subscribe(d.stage.t.Context(), 0, devices.Subscription{Filter: filter, QoS: qos})
	if err != nil || codes[0].Failed() {
		return "refused"
	}
	return ""
}

func (d *mqttDevice) Unsubscribe(filter string) string {
	if _, err := d.c.Unsubscribe(d.stage.t.Context(), filter); err != nil {
		return "refused"
	}
	return ""
}

func (d *mqttDevice) Publish(p coretest.Publishing) string {
	m := &devices.Message{Topic: p.Topic, Payload: []byte(p.Text), QoS: p.QoS, Retain: p.Retain}
	if p.Expires > 0 {
		m.Expiry, m.HasExpiry = uint32(p.Expires/time.Second), true
	}
	if code, err := d.c.Publish(d.stage.t.Context(), m); err != nil || code.Failed() {
		return "refused"
	}
	return ""
}

func (d *mqttDevice) Hold(on bool) {
	d.hold = on
	for _, m := range d.held {
		if err := m.Ack(); err != nil {
			d.stage.t.Error(err)
		}
	}
	d.held = nil
}

func (d *mqttDevice) Sleep(time.Duration) string { return "" }
func (d *mqttDevice) Wake() string               { return "" }

func (d *mqttDevice) Disconnect() {
	if err := d.c.Disconnect(d.stage.t.Context()); err != nil {
		d.stage.t.Error(err)
	}
	d.c = nil
}

func (d *mqttDevice) Cut() {
	d.c.Close()
	d.c = nil
}

func (d *mqttDevice) Events() (events []string) {
	for d.c != nil {
		select {
		case m, open := <-d.c.Messages():
			if !open {
				d.c = nil
				return append(events, "closed")
			}
			events = append(events, d.stage.arrival(m))
			if d.hold {
				d.held = append(d.held, m)
			} else if err := m.Ack(); err != nil {
				d.stage.t.Error(err)
			}
		default:
			return events
		}
	}
	return events
}
