package scenario

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// maxProfile is how many devices a profile has at most by default.
const maxProfile = 300

func TestEveryProfilePlansValidMessages(t *testing.T) {
	infos := Profiles()
	if len(infos) != len(profileNames()) || infos[0].Name != "smoke" {
		t.Fatalf("%d of the profiles %v load", len(infos), profileNames())
	}
	for _, name := range profileNames() {
		t.Run(name, func(t *testing.T) {
			s, err := Profile(name, nil)
			if err != nil {
				t.Fatal(err)
			}
			if s.Description == "" || s.Title == "A fleet" || s.Expect.MinPublished == 0 {
				t.Error("it has no title, no description or no expectation that something happens")
			}
			if s.Duration+s.Settle > 30*time.Second {
				t.Errorf("it takes %v", s.Duration+s.Settle)
			}
			p, err := s.Plan(1)
			if err != nil {
				t.Fatal(err)
			}
			if p.Len() > maxProfile+20 {
				t.Errorf("it has %d devices", p.Len())
			}
			checkPlan(t, p)
		})
	}
}

// checkPlan goes through all that all devices do, and reckons what every subscription
// gets.
func checkPlan(t *testing.T, p *Plan) {
	published := uint64(0)
	heard := map[string]bool{}
	for i := range uint32(p.Len()) {
		d := p.Device(i)
		if d.Index != i {
			t.Fatalf("device %d says that it is %d", i, d.Index)
		}
		rows := map[string]uint64{}
		p.follow(i, 5000, func(a *action) {
			if a.m == nil {
				return
			}
			m := a.m
			if err := validTopic(m.Topic); err != nil {
				t.Errorf("%s: %v", d.ClientID(), err)
			}
			if want := rows[string(m.Topic)]; m.Seq != want {
				t.Errorf("%s: message %d of %s, wanted %d", d.ClientID(), m.Seq, m.Topic, want)
			}
			rows[string(m.Topic)]++
			if a.what == "publish" {
				published++
			}
			checkMarked(t, d, m)
			for _, g := range p.Groups {
				for j := range g.Subscribes {
					key := g.Name + "." + g.Subscribes[j].Name
					for n := uint32(0); n < g.Count && !heard[key]; n++ {
						filter := Device{Group: g, Index: g.First + n, N: n}.AppendFilter(nil, j)
						heard[key] = matches(withoutShare(filter), m.Topic)
					}
				}
			}
		})
	}
	if published < p.Scenario.Expect.MinPublished {
		t.Errorf("%d messages are planned, expect.min_published is %d", published, p.Scenario.Expect.MinPublished)
	}
	for _, g := range p.Groups {
		for _, s := range g.Subscribes {
			if key := g.Name + "." + s.Name; !heard[key] && !onlyAnswered(key) {
				t.Errorf("subscription %s never gets a message", key)
			}
		}
	}
}

// onlyAnswered lists the subscriptions for answers, and those to which a person would
// publish.
func onlyAnswered(key string) bool {
	return strings.Contains(" controller.stat console.answers server.progress bridge.get socket.all backend.status ", " "+key+" ")
}

func checkMarked(t *testing.T, d Device, m *Message) {
	mark, ok := FindMark(m.Payload)
	if len(m.Property) > 0 {
		mark, ok = FindMark(m.Property)
	}
	if ok != (len(m.Mark) > 0) {
		t.Errorf("%s: a mark is found: %v, and there is one: %v, in %q", d.ClientID(), ok, len(m.Mark) > 0, m.Payload)
	}
	if looksJSON(m.Payload) && !json.Valid(m.Payload) {
		t.Errorf("%s: this is no JSON: %s", d.ClientID(), m.Payload)
	}
	if ok && (mark.Device != d.Index || mark.Seq != m.Seq) {
		t.Errorf("%s: %q has the mark %+v, wanted %d %d", d.ClientID(), m.Payload, mark, d.Index, m.Seq)
	}
}

func TestUnknownProfile(t *testing.T) {
	for name, want := range map[string]string{
		"huose":  `there is no profile "huose"; did you mean house?`,
		"zigbee": `there is no profile "zigbee"; did you mean zigbee2mqtt?`,
		"bank":   `there is no profile "bank"; there are smoke, coap-meters, commands, field-scale, firmware, house, metering, misbehaving, sensor-field, sensor-fixed, sensors, tasmota, vehicles, zigbee2mqtt`,
		"../x":   `there is no profile "../x"; there are smoke, coap-meters, commands, field-scale, firmware, house, metering, misbehaving, sensor-field, sensor-fixed, sensors, tasmota, vehicles, zigbee2mqtt`,
	} {
		if _, err := Profile(name, nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSetsGoOverAProfile(t *testing.T) {
	s, err := Profile("smoke", []string{"groups.sensor.count=7", "broker=mqtts://example.org"})
	if err != nil || s.Groups["sensor"].Count != 7 || s.Broker != "mqtts://example.org" {
		t.Errorf("%v, %+v", err, s)
	}
	_, err = Profile("smoke", []string{"groups.sensor.publish.temperature.qos=3", "grups.sensor.count=1"})
	want := "--set grups.sensor.count: grups: unknown key; did you mean \"groups\"?\n" +
		"--set groups.sensor.publish.temperature.qos: groups.sensor.publish.temperature.qos: 3 is no QoS; write 0, 1 or 2"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
