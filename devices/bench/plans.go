package bench

import (
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// These build the measurements' scenarios. All topics and client identifiers hold the
// seed, so that nothing that an earlier run left meets a later one.

// How long a run waits at most for what is under way at its end. A run that was quiet
// before has nothing under way.
const (
	settle = 10 * time.Second
	calm   = time.Second
)

// plan is a scenario without groups.
func plan(p *Parameters, lasts time.Duration) *scenario.Scenario {
	s := &scenario.Scenario{
		Duration: lasts, Settle: settle, Groups: map[string]*scenario.Group{},
		Expect: scenario.Expect{Connected: 1, WillWithin: 2 * time.Second},
	}
	if p.flood() {
		s.Expect.LossQoS0 = 1 // more is offered than any broker can keep
	}
	return s
}

// group is a kind of device that only connects.
func group(p *Parameters, count int) *scenario.Group {
	g := &scenario.Group{}
	g.SetDefaults("")
	g.Count, g.Protocol, g.ClientID = count, p.Protocol, "b{seed}-{group}-{n}"
	return g
}

// listeners are devices that subscribe before the others come.
func listeners(p *Parameters, count int, filter string) *scenario.Group {
	g := group(p, count)
	g.WarmUp = true
	g.Subscribe = map[string]*scenario.Subscribe{"all": {Filter: filter, QoS: p.QoS}}
	return g
}

// talkers are devices that publish, paced or as fast as it goes.
func talkers(p *Parameters, count int, topic string) *scenario.Group {
	g := group(p, count)
	g.Inflight = inflight(p, count)
	m := message(p, topic)
	if p.Rate == 0 {
		m.Schedule = "max"
	} else {
		m.Every = max(time.Duration(float64(count)*float64(time.Second)/p.Rate), 1)
	}
	g.Publish = map[string]*scenario.Publish{"stream": m}
	return g
}

// inflight is a publisher's share of the window.
func inflight(p *Parameters, publishers int) int { return min(max(p.Window/publishers, 1), 65535) }

func message(p *Parameters, topic string) *scenario.Publish {
	m := &scenario.Publish{}
	m.SetDefaults("")
	m.Topic, m.QoS = topic, p.QoS
	m.Payload.Kind, m.Payload.Size = "bytes", p.Payload
	return m
}

// flow is a stream's scenario: its talkers are the group pub.
func flow(p *Parameters, pub *scenario.Group) *scenario.Scenario {
	s := plan(p, p.warmUp(pub.Count)+p.seconds())
	s.Groups["pub"] = pub
	return s
}

func manyToOne(p Parameters) *scenario.Scenario {
	s := flow(&p, talkers(&p, p.Devices, "bench/{seed}/in/{n}"))
	s.Groups["sub"] = listeners(&p, 1, "bench/{seed}/in/+")
	return s
}

func oneToMany(p Parameters) *scenario.Scenario {
	s := flow(&p, talkers(&p, 1, "bench/{seed}/out"))
	s.Groups["sub"] = listeners(&p, p.Devices, "bench/{seed}/out")
	return s
}

func pairs(p Parameters) *scenario.Scenario {
	s := flow(&p, talkers(&p, p.Devices/2, "bench/{seed}/pair/{n}"))
	s.Groups["sub"] = listeners(&p, p.Devices/2, "bench/{seed}/pair/{n}")
	return s
}

// sharing is how many subscribers the shared subscription has.
const sharing = 10

func sharers(p Parameters) *scenario.Scenario {
	s := flow(&p, talkers(&p, p.Devices, "bench/{seed}/work/{n}"))
	s.Groups["sub"] = listeners(&p, sharing, "$share/bench/bench/{seed}/work/+")
	return s
}

// wild has a # subscriber for each publisher, and a + subscriber for each of the topics
// that every publisher has.
func wild(p Parameters) *scenario.Scenario {
	publishers := min(max(p.Devices/2, 1), 100)
	topics := p.Devices - publishers
	s := flow(&p, talkers(&p, publishers, fmt.Sprintf("bench/{seed}/wild/{n}/{any:%d}", topics)))
	s.Groups["hash"] = listeners(&p, publishers, "bench/{seed}/wild/{n}/#")
	s.Groups["plus"] = listeners(&p, topics, "bench/{seed}/wild/+/{n}")
	return s
}

// idleStart is when devices begin to connect: before that the broker's memory is looked
// at.
const idleStart = 500 * time.Millisecond

// idle has its devices in the warm-up: it lasts until all stand.
func idle(p Parameters) *scenario.Scenario {
	s := plan(&p, p.seconds())
	s.Settle = calm
	g := listeners(&p, p.Devices, "bench/{seed}/idle/{n}")
	g.Start, g.Ramp = idleStart, p.Rate
	s.Groups["idle"] = g
	return s
}

// keepers is how many devices publish the retained messages: as many prefixes there are.
const keepers = 10

// kept gives the devices that publish retained messages, and how many each has.
func kept(p *Parameters) (g *scenario.Group, each int) {
	each = max(p.Topics/keepers, 1)
	g = group(p, min(keepers, p.Topics))
	g.Inflight = inflight(p, g.Count)
	m := message(p, fmt.Sprintf("bench/{seed}/kept/{n}/{each:%d}", each))
	m.Schedule, m.Count, m.Retain, m.QoS = "once", each, true, max(p.QoS, 1)
	g.Publish = map[string]*scenario.Publish{"state": m}
	return g, each
}

// storing is how long the retained messages may take before the subscribers come.
func storing(p *Parameters) time.Duration { return roundUp(p.Topics, 2000) }

// retained has the keepers in the warm-up, so that they begin; the subscribers come
// later.
func retained(p Parameters) *scenario.Scenario {
	s := plan(&p, storing(&p)+p.seconds())
	s.Settle = calm
	keeper, _ := kept(&p)
	keeper.WarmUp = true
	s.Groups["keeper"] = keeper
	add := func(name string, count int, filter string) {
		if count == 0 {
			return
		}
		g := listeners(&p, count, filter)
		g.WarmUp, g.Start = false, storing(&p)
		s.Groups[name] = g
	}
	var prefixes []string
	for n := range keeper.Count {
		prefixes = append(prefixes, fmt.Sprint(n+1))
	}
	add("all", (p.Devices+1)/2, "bench/{seed}/kept/#")
	add("some", p.Devices/2, "bench/{seed}/kept/{pick:"+strings.Join(prefixes, ",")+"}/+")
	return s
}

// retainedExpected is how many retained messages the subscribers have to get.
func retainedExpected(p *Parameters) float64 {
	keeper, each := kept(p)
	return float64((p.Devices+1)/2*keeper.Count*each + p.Devices/2*each)
}

// clearRetained publishes an empty message over each retained one.
func clearRetained(p Parameters) *scenario.Scenario {
	s := plan(&p, storing(&p))
	s.Settle = calm
	keeper, _ := kept(&p)
	keeper.Publish["state"].Payload = scenario.Payload{Kind: "text", Mark: "none"}
	s.Groups["keeper"] = keeper
	return s
}

// awake is how long the storm's devices are connected before they are cut off, and
// feeding when messages for them begin, after the last of them stood.
const (
	awake   = time.Second
	feeding = awake + 500*time.Millisecond
)

// storm has its devices cut their connections and stay away longer than the run: its end
// brings back whoever is away, all at the same moment, for what waits for them.
func storm(p Parameters) *scenario.Scenario {
	s := plan(&p, feeding+p.seconds())
	s.Settle = 30 * time.Second
	g := listeners(&p, p.Devices, "bench/{seed}/storm/{n}")
	g.Durable = true
	if p.Protocol == "mqtt5" {
		g.Expiry = (s.Duration + s.Settle + 2*time.Minute).Round(time.Second)
	}
	g.Sleep = &scenario.Sleep{Awake: awake, Asleep: s.Duration + time.Hour, Abrupt: 1}
	s.Groups["device"] = g
	feeders := feedersOf(p.Queued)
	f := group(&p, feeders)
	f.Start, f.Inflight = feeding, inflight(&p, feeders)
	m := message(&p, fmt.Sprintf("bench/{seed}/storm/{each:%d}", p.Devices))
	m.Schedule, m.Count = "once", p.Devices*p.Queued/feeders
	f.Publish = map[string]*scenario.Publish{"feed": m}
	s.Groups["feeder"] = f
	return s
}

// feedersOf is how many devices share the feeding so that each serves all alike.
func feedersOf(queued int) int {
	for n := min(queued, 10); n > 1; n-- {
		if queued%n == 0 {
			return n
		}
	}
	return 1
}

// endSessions connects the storm's devices with Clean Start, which ends their sessions.
func endSessions(p Parameters) *scenario.Scenario {
	s := plan(&p, roundUp(p.Devices, 2000))
	s.Settle = calm
	s.Groups["device"] = group(&p, p.Devices)
	return s
}
