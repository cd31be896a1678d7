package coap

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
)

// TestScenarios: CoAP plays what every protocol plays.
func TestScenarios(t *testing.T) {
	coretest.RunScenarios(t, func(t *testing.T) coretest.Stage {
		s := &coapStage{t: t, store: coretest.NewMemStore()}
		s.start()
		return s
	})
}

// coapStage is a gateway with CoAP devices.
type coapStage struct {
	t       *testing.T
	store   *coretest.MemStore
	gw      *coretest.Gateway
	adapter *Adapter
	devices []*coapDevice
	ports   uint16
}

func (s *coapStage) start() {
	s.gw = coretest.Start(s.t, s.store, nil)
	s.adapter = New(DefaultConfig(), s.gw.Gateway)
}

func (s *coapStage) Name() string { return "coap" }

func (s *coapStage) Has(what string) bool {
	return what == "durable" || what == "qos1" || what == "expiry"
}

func (s *coapStage) Device(name, _ string) coretest.Device {
	d := &coapDevice{stage: s, name: name}
	s.devices = append(s.devices, d)
	s.t.Cleanup(func() {
		if d.e != nil {
			d.e.lose()
		}
	})
	return d
}

func (s *coapStage) Restart() {
	s.gw.Stopping()
	for _, d := range s.devices {
		if d.e != nil {
			d.e.run(func(a *protocols.Actions) { d.e.m.Stop(d.e.turn, core.ServerShuttingDown, a) })
			d.e = nil
		}
	}
	synctest.Wait()
	s.start()
}

// coapDevice is a device with a connection and its token.
type coapDevice struct {
	stage    *coapStage
	name     string
	e        *end
	id       uint16
	login    string // query
	tokens   int
	observed map[string]string // token of a filter
	hold     bool
	held     []uint16
	events   []string
	answers  map[uint16]message.Message

	lastTag, lastToken string // of the last notification
}

// ask sends a request and gives its answer.
func (d *coapDevice) ask(format string, args ...any) message.Message {
	d.id++
	line := fmt.Sprintf(format, args...)
	kind, rest, _ := strings.Cut(line, " ")
	d.e.send(build(d.stage.t, fmt.Sprintf("CON %s %d %s", kind, d.id, rest)))
	synctest.Wait()
	d.listen()
	m := d.answers[d.id]
	delete(d.answers, d.id)
	return m
}

// listen reads what came.
func (d *coapDevice) listen() {
	for d.e != nil {
		b := d.e.take()
		if b == nil {
			return
		}
		var m message.Message
		if err := decode(b, &m); err != nil {
			d.stage.t.Fatal(err)
		}
		switch m.Type {
		case message.Acknowledgement:
			d.answers[uint16(m.MessageID)] = m
		case message.Confirmable:
			// A message that several observations are for is told to each: one event.
			tag, _ := m.Options.GetBytes(message.ETag)
			again := string(tag) == d.lastTag && string(m.Token) != d.lastToken
			d.lastTag, d.lastToken = string(tag), string(m.Token)
			if m.Code == codes.Content && !again {
				d.events = append(d.events, fmt.Sprintf("%q", m.Payload))
			}
			d.held = append(d.held, uint16(m.MessageID))
			d.confirm()
		}
	}
}

// confirm acknowledges what it has not yet, unless it holds that back.
func (d *coapDevice) confirm() {
	for !d.hold && len(d.held) > 0 {
		id := d.held[0]
		d.held = d.held[1:]
		d.e.send(appendEmpty(nil, message.Acknowledgement, id))
		synctest.Wait()
	}
}

func (d *coapDevice) Connect(o coretest.Connecting) string {
	s := d.stage
	s.ports++
	info := &protocols.ConnInfo{Peer: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 1000+s.ports)}
	old := d.e
	d.e = &end{t: s.t, gw: s.gw, adapter: s.adapter, info: info, turn: s.gw.NewTurn()}
	d.answers, d.held, d.hold = map[uint16]message.Message{}, nil, false
	if d.observed == nil || !o.Durable && o.Expiry == 0 {
		d.observed = map[string]string{}
	}
	query := "c=" + d.name
	switch {
	case o.Expiry > 0:
		query += fmt.Sprintf("&expiry=%d", int(o.Expiry.Seconds()))
	case o.Durable:
		query += "&expiry=never"
	}
	m := d.ask("POST /mqtt/connection?%s", query)
	if old != nil {
		old.lose()
	}
	if m.Code != codes.Created {
		return "refused"
	}
	d.login = "c=" + d.name + "&t=" + string(m.Payload)
	return "new"
}

func (d *coapDevice) Subscribe(filter string, qos uint8) string {
	d.tokens++
	d.observed[filter] = fmt.Sprintf("%02x", d.tokens)
	query := d.login
	m := d.ask("GET /ps/%s?%s tok=%s obs=0", filter, query, d.observed[filter])
	if m.Code != codes.Content {
		return "refused"
	}
	if len(m.Payload) > 0 { // the first answer shows what is retained
		d.events = append([]string{fmt.Sprintf("%q", m.Payload)}, d.events...)
	}
	return ""
}

func (d *coapDevice) Unsubscribe(filter string) string {
	d.ask("GET /ps/%s?%s tok=%s obs=1", filter, d.login, d.observed[filter])
	return ""
}

func (d *coapDevice) Publish(p coretest.Publishing) string {
	line := fmt.Sprintf("PUT /ps/%s?%s&q=%d", p.Topic, d.login, p.QoS)
	if p.Retain {
		line += "&r=true"
	}
	if p.Expires > 0 {
		line += fmt.Sprintf("&e=%d", int(p.Expires.Seconds()))
	}
	if p.Text != "" {
		line += " '" + p.Text + "'"
	}
	if m := d.ask("%s", line); m.Code != codes.Changed {
		return "refused"
	}
	return ""
}

func (d *coapDevice) Hold(on bool) {
	d.hold = on
	d.confirm()
}

func (d *coapDevice) Sleep(time.Duration) string { return "" }

func (d *coapDevice) Wake() string { return "" }

func (d *coapDevice) Disconnect() {
	d.ask("DELETE /mqtt/connection?%s", d.login)
	d.e.lose()
	d.e = nil
}

func (d *coapDevice) Cut() {
	d.e.lose()
	d.e = nil
}

func (d *coapDevice) Events() []string {
	d.listen()
	out := d.events
	d.events = nil
	return out
}
