package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/internal/config"
)

// faultCase is a scenario and what Load says of it. The rows of text begin at 1.
type faultCase struct{ name, text, want string }

func (c faultCase) run(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.toml")
	if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, nil)
	got := "no fault"
	var found config.Faults
	if errors.As(err, &found) {
		got = strings.ReplaceAll(err.Error(), filepath.Dir(path)+string(filepath.Separator), "")
	}
	if got != c.want {
		t.Errorf("got\n%s\nwant\n%s", got, c.want)
	}
}

const group = "[groups.g]\n"

const stream = "[groups.g]\n[groups.g.publish.a]\ntopic = \"t\"\n"

func TestFaultsOfScenarios(t *testing.T) {
	for _, c := range []faultCase{
		{"empty", "", "s.toml: groups: there are no devices; begin a group with a row [groups.NAME]"},
		{"key", "titel = \"x\"\n" + group, "s.toml:1:1: titel: unknown key; did you mean \"title\"?"},
		{"key below", group + "protokoll = \"mqtt5\"", "s.toml:2:1: groups.g.protokoll: unknown key; did you mean \"groups.g.protocol\"?"},
		{"broker", "broker = \"http://x\"\n" + group, "s.toml:1:10: broker: \"http://x\" does not begin with mqtt://, mqtts://, ws://, wss://, unix://, mqttsn://, mqttsns://, coap:// or coaps://"},
		{"host", "broker = \"mqtt://\"\n" + group, "s.toml:1:10: broker: \"mqtt:\" names no host; write mqtt://HOST:PORT"},
		{"no time", "duration = \"0s\"\n" + group, "s.toml:1:12: duration: nothing can happen in no time; write a duration such as \"60s\""},
		{"long", "settle = \"400d\"\n" + group, "s.toml:1:10: settle: 9600h0m0s is longer than a year"},
		{"share", "expect.connected = 2.0\n" + group, "s.toml:1:20: expect.connected: 2 is no share; write a number from 0 to 1"},
		{"certificate", "tls.cert_file = \"x\"\n" + group, "s.toml:1:17: tls.cert_file: stands alone; a certificate and its key belong together, give key_file too"},
		{"network", group + "network = \"wifl\"\n[network.wifi]", "s.toml:2:11: groups.g.network: there is no network condition \"wifl\"; did you mean \"wifi\"?"},
		{"no network", group + "network = \"wifi\"", "s.toml:2:11: groups.g.network: there is no network condition \"wifi\"; begin it with a row [network.wifi]"},
		{"half open", group + "[network.a]\nhalf_open = 0.5", "s.toml:3:13: network.a.half_open: is a share of the cuts, and there are none; give cut_every"},
		{"name", "[groups.\"a/b\"]", "s.toml: groups: \"a/b\": names have letters, digits, - and _ only"},
		{"all at once", "duration = \"-1s\"\nseed = -1\n" + group + "count = 0", "s.toml:2:8: seed: -1 is not between 0 and 18446744073709551615\n" +
			"s.toml:1:12: duration: -1s is less than nothing; write 0 or more\ns.toml:4:9: groups.g.count: 0 is not between 1 and 10000000 devices"},
		{"twins", "[groups.a]\nclient_id = \"x-{n}\"\n[groups.b]\ncount = 2\nclient_id = \"x-{n}\"",
			"s.toml:5:13: groups.b.client_id: \"x-1\" is also that of device 1 of group a, and each would end the other's connection; use {group} and {n}, or misbehave.duplicate_client_id if that is meant"},
		{"no n", group + "count = 2\nclient_id = \"x\"", "s.toml:3:13: groups.g.client_id: the 2 devices of the group have no {n} in it to tell them apart"},
		{"long id", group + "protocol = \"mqtt3.1\"\nclient_id = \"abcdefghijklmnopqrst-{n}\"\ncount = 100", "s.toml:3:13: groups.g.client_id: \"abcdefghijklmnopqrst-100\" has 24 bytes, and MQTT 3.1 allows 23"},
		{"misbehaving twins", group + "count = 4\nmisbehave = {share = 0.5, duplicate_client_id = true}", "no fault"},
		{"misbehaving", group + "misbehave = {share = 0.5}", "s.toml:2:22: groups.g.misbehave.share: of nothing: give slow_read, flap_every or duplicate_client_id"},
		{"sleep", group + "sleep = {asleep = \"5s\"}", "s.toml:2:9: groups.g.sleep.awake: a device has to be connected for some time; write a duration such as \"5s\""},
		{"reconnect", group + "reconnect = {min = \"60s\"}", "s.toml:2:13: groups.g.reconnect.max: 30s is shorter than the first wait, 1m0s"},
		{"keep alive", group + "keep_alive = \"1500ms\"", "s.toml:2:14: groups.g.keep_alive: 1.5s: MQTT counts it in whole seconds, 65535 at most"},
		{"expiry", group + "session_expiry = \"1h\"", "s.toml:2:18: groups.g.session_expiry: a session that is not durable ends with its connection; set durable = true"},
		{"ramp", group + "ramp = -1.0", "s.toml:2:8: groups.g.ramp: -1 connections a second; 0 means all at once"},
	} {
		t.Run(c.name, c.run)
	}
}

func TestFaultsOfStreams(t *testing.T) {
	for _, c := range []faultCase{
		{"poisson", stream + "schedule = \"poisson\"", "s.toml:4:12: groups.g.publish.a.schedule: poisson needs every, the time between; write every = \"1s\""},
		{"fixed", stream, "s.toml:2:19: groups.g.publish.a.schedule: fixed needs every, the time between; write every = \"1s\""},
		{"negative", stream + "every = \"-1s\"", "s.toml:4:9: groups.g.publish.a.every: -1s is less than nothing; write 0 or more"},
		{"no topic", group + "[groups.g.publish.a]\nevery = \"1s\"", "s.toml:2:19: groups.g.publish.a.topic: is missing; say where the messages go"},
		{"burst of none", stream + "schedule = \"burst\"\nevery = \"1s\"\ncount = 0", "s.toml:6:9: groups.g.publish.a.count: 0 is not between 1 and 1000000"},
		{"count", stream + "every = \"1s\"\ncount = 3", "s.toml:5:9: groups.g.publish.a.count: has a meaning with schedule = \"burst\" or \"once\" only; the number of messages in all is limit"},
		{"qos", stream + "every = \"1s\"\nqos = 3", "s.toml:5:7: groups.g.publish.a.qos: 3 is no QoS; write 0, 1 or 2"},
		{"mix", stream + "every = \"1s\"\nqos_mix = [0.5, 0.4, 0.2]", "s.toml:5:1: groups.g.publish.a.qos_mix: the shares come to 1.1; they have to come to 1"},
		{"mix of two", stream + "every = \"1s\"\nqos_mix = [0.5, 0.5]", "s.toml:5:1: groups.g.publish.a.qos_mix: has 2 numbers; write three, the shares of QoS 0, 1 and 2"},
		{"mix and qos", stream + "every = \"1s\"\nqos = 1\nqos_mix = [1.0, 0.0, 0.0]", "s.toml:6:1: groups.g.publish.a.qos_mix: stands beside qos = 1; give one of them"},
		{"diurnal", stream + "every = \"1s\"\nschedule = \"diurnal\"", "s.toml:5:12: groups.g.publish.a.schedule: diurnal needs period, the length of the day; write period = \"20s\""},
		{"short day", stream + "every = \"1s\"\nschedule = \"diurnal\"\nperiod = \"1ms\"", "s.toml:6:10: groups.g.publish.a.period: 1ms is no day; write 100ms or more"},
		{"schedule", stream + "every = \"1s\"\nschedule = \"posson\"", "s.toml:5:12: groups.g.publish.a.schedule: \"posson\" is not one of fixed, poisson, burst, diurnal, once, max; did you mean \"poisson\"?"},
		{"max", stream + "every = \"1s\"\nschedule = \"max\"", "s.toml:4:9: groups.g.publish.a.every: has no meaning with schedule = \"max\", which goes as fast as it can"},
		{"away", stream + "schedule = \"once\"\naway = true", "s.toml:5:8: groups.g.publish.a.away: has no meaning with schedule = \"once\", which begins anew with each connection"},
		{"wildcard", group + "[groups.g.publish.a]\ntopic = \"a/#\"\nevery = \"1s\"", "s.toml:3:9: groups.g.publish.a.topic: \"a/#\" holds a wildcard; a message goes to one topic"},
		{"will", group + "will = {topic = \"a/+\"}", "s.toml:2:17: groups.g.will.topic: \"a/+\" holds a wildcard; a message goes to one topic"},
		{"will nowhere", group + "will = {qos = 5}", "s.toml:2:8: groups.g.will.topic: is missing; say where the Will is published\ns.toml:2:15: groups.g.will.qos: 5 is no QoS; write 0, 1 or 2"},
		{"filter", group + "[groups.g.subscribe.s]\nfilter = \"a/#/b\"", "s.toml:3:10: groups.g.subscribe.s.filter: \"a/#/b\": # stands for all that follows and has to be the last level"},
		{"share", group + "[groups.g.subscribe.s]\nfilter = \"$share/a\"", "s.toml:3:10: groups.g.subscribe.s.filter: \"$share/a\" is no shared subscription; write $share/NAME/FILTER"},
		{"no local", group + "[groups.g.subscribe.s]\nfilter = \"$share/a/b\"\nno_local = true", "s.toml:4:12: groups.g.subscribe.s.no_local: a shared subscription with No Local is a protocol error"},
		{"two topics", stream + "every = \"1s\"\n[groups.g.publish.b]\ntopic = \"{pick:t}\"\nevery = \"1s\"", "s.toml: groups.g.publish: two texts become the same topic \"t\"; write both alike, or let them differ"},
		{"old protocol", "[groups.g]\nprotocol = \"mqtt3.1.1\"\n[groups.g.publish.a]\ntopic = \"t\"\nevery = \"1s\"\npayload.mark = \"property\"\nexpiry = \"1s\"",
			"s.toml:6:16: groups.g.publish.a.payload.mark: mqtt3.1.1 has no such thing; leave it out, or set protocol = \"mqtt5\"\n" +
				"s.toml:7:10: groups.g.publish.a.expiry: mqtt3.1.1 has no such thing; leave it out, or set protocol = \"mqtt5\""},
		{"old response", "[groups.g]\nprotocol = \"mqtt3.1.1\"\n[groups.g.subscribe.s]\nfilter = \"a\"\n[groups.g.respond.r]\nfilter = \"a\"",
			"s.toml:1:9: groups.g.respond.r.topic: is missing; mqtt3.1.1 has no Response Topic that could be answered on"},
		{"nothing to answer", group + "[groups.g.respond.r]\nfilter = \"a\"", "s.toml:1:9: groups.g.respond: nothing comes that could be answered; the group has no subscriptions"},
		{"echo", group + "[groups.g.subscribe.s]\nfilter = \"a/#\"\n[groups.g.respond.r]\nfilter = \"a/+\"\ntopic = \"a/b\"",
			"s.toml:6:9: groups.g.respond.r.topic: the answer would be answered again: subscribe.s brings it back; set its no_local, or choose another topic"},
	} {
		t.Run(c.name, c.run)
	}
}

func TestFaultsOfTexts(t *testing.T) {
	with := func(topic, payload string) string {
		return "[groups.g]\n[groups.g.publish.a]\nevery = \"1s\"\ntopic = '" + topic + "'\npayload." + payload
	}
	for _, c := range []faultCase{
		{"unknown", with("{nn}", "size = 99"), "s.toml:4:9: groups.g.publish.a.topic: there is no placeholder {nn}; did you mean {n}?"},
		{"far", with("{identity}", "size = 99"), "s.toml:4:9: groups.g.publish.a.topic: there is no placeholder {identity}; here may stand {group} {n} {N} {seed} {pick} {id} {each} {any} {rand}"},
		{"nowhere near", with("{xyz}", "size = 99"), "s.toml:4:9: groups.g.publish.a.topic: there is no placeholder {xyz}; here may stand {group} {n} {N} {seed} {pick} {id} {each} {any} {rand}"},
		{"open", with("a{n", "size = 99"), "s.toml:4:9: groups.g.publish.a.topic: the placeholder {n has no closing brace; write {{ for a brace that means itself"},
		{"not here", with("{time}", "size = 99"), "s.toml:4:9: groups.g.publish.a.topic: {time} has no meaning here; here may stand {group} {n} {N} {seed} {pick} {id} {each} {any} {rand}"},
		{"nothing to choose", with("{pick}", "size = 99"), "s.toml:4:9: groups.g.publish.a.topic: {pick} says nothing to choose from; write {pick:red,green,blue}"},
		{"too much", with("{n:3}", "size = 99"), "s.toml:4:9: groups.g.publish.a.topic: {n} takes nothing behind it; write {n}"},
		{"no group", with("{each:h}", "size = 99"), "s.toml:4:9: groups.g.publish.a.topic: {each}: \"h\" is neither a number nor a group; write {each:8} for the numbers 1 to 8, or {each:GROUP} for those of a group's devices"},
		{"range", with("{each:0}", "size = 99"), "s.toml:4:9: groups.g.publish.a.topic: {each:0} is not between 1 and 65536"},
		{"twice", with("{each:2}{any:2}", "size = 99"), "s.toml:4:9: groups.g.publish.a.topic: {each:2} and {any:2} both make it another for each message; keep one of them"},
		{"wildcard word", with("{rand:a,+}", "size = 99"), "s.toml:4:9: groups.g.publish.a.topic: \"+\" holds a wildcard; a message goes to one topic"},
		{"to", with("t", "text = '{to}'"), "s.toml:5:16: groups.g.publish.a.payload.text: {to} stands for what {each:…}, {any:…} or {rand:…} became in the topic, and the topic has none"},
		{"two faults", with("t", "text = '{a b} {request}'"), "s.toml:5:16: groups.g.publish.a.payload.text: there is no placeholder {a b}; here may stand {group} {n} {N} {seed} {pick} {id} {any} {rand} {to} {seq} {time} {value}\n" +
			"s.toml:5:16: groups.g.publish.a.payload.text: {request} has no meaning here; here may stand {group} {n} {N} {seed} {pick} {id} {any} {rand} {to} {seq} {time} {value}"},
		{"id of itself", "[groups.g]\nclient_id = \"{id}\"", "s.toml:2:13: groups.g.client_id: {id} has no meaning here; here may stand {group} {n} {N} {seed} {pick}"},
		{"size", with("t", "size = 10"), "s.toml:5:16: groups.g.publish.a.payload.size: 10 bytes have no room for the mark, which takes 35; set mark = \"property\" or \"none\""},
		{"huge", with("t", "size = \"1GiB\""), "s.toml:5:16: groups.g.publish.a.payload.size: 1073741824 is not between 0 and 16777216"},
		{"file", with("t", "file = '.'"), "s.toml:5:16: groups.g.publish.a.payload.file: \".\" is no file of lines"},
		{"walk", with("t", "kind = 'walk'"), "s.toml:5:16: groups.g.publish.a.payload.kind: walk needs low and high"},
		{"bytes", with("t", "kind = 'bytes'"), "s.toml:5:16: groups.g.publish.a.payload.kind: bytes needs size"},
		{"useless", with("t", "kind = 'counter'\npayload.file = 'x'"), "s.toml:6:16: groups.g.publish.a.payload.file: has no meaning with kind = \"counter\""},
		{"high", with("t", "low = 5"), "s.toml:5:1: groups.g.publish.a.payload.high: 0 is less than low, 5"},
		{"range of {value}", with("t", "kind = 'counter'\npayload.high = 5"), "s.toml:6:16: groups.g.publish.a.payload.high: has no meaning with kind = \"counter\""},
	} {
		t.Run(c.name, c.run)
	}
}

func FuzzLoad(f *testing.F) {
	for _, name := range profileNames() {
		text, err := ProfileText(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(stream + "every = \"1ns\"\nschedule = \"diurnal\"\nperiod = \"100ms\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 16<<10 {
			return // the time that the TOML library takes says nothing of ours
		}
		s, err := parse("fuzz.toml", text, nil)
		if err != nil {
			return
		}
		p, err := s.Plan(1)
		if err != nil {
			t.Fatalf("Load took what Plan refuses: %v", err)
		}
		for i := range min(p.Len(), 20) {
			rows := map[string]uint64{}
			p.follow(uint32(i), 50, func(a *action) {
				if a.at < 0 {
					t.Fatalf("%s at %d", a.what, a.at)
				}
				if a.m == nil {
					return
				}
				if validTopic(a.m.Topic) != nil || a.m.Seq != rows[string(a.m.Topic)] {
					t.Fatalf("device %d: %q has number %d, wanted %d", i, a.m.Topic, a.m.Seq, rows[string(a.m.Topic)])
				}
				rows[string(a.m.Topic)]++
			})
		}
	})
}
