package scenario

import (
	"fmt"
	"math"
	"time"
)

// Validate judges a group, and what in its sections needs the protocol.
func (g *Group) Validate() error {
	var f faults
	if g.Count < 1 || g.Count > maxGroup {
		f.add("count", "%d is not between 1 and %d devices", g.Count, maxGroup)
	}
	if g.Broker != "" {
		f.broker("broker", g.Broker)
	}
	f.times("start", g.Start, "keep_alive", g.KeepAlive, "session_expiry", g.Expiry)
	f.between("receive_maximum", g.Receive, 0, 65535)
	f.between("inflight", g.Inflight, 0, 65535)
	if !(g.Ramp >= 0) || notFinite(g.Ramp) {
		f.add("ramp", "%v connections a second; 0 means all at once", g.Ramp)
	}
	if g.KeepAlive%time.Second != 0 || g.KeepAlive > 65535*time.Second {
		f.add("keep_alive", "%v: MQTT counts it in whole seconds, 65535 at most", g.KeepAlive)
	}
	if g.Expiry > 0 && !g.Durable {
		f.add("session_expiry", "a session that is not durable ends with its connection; set durable = true")
	}
	if len(g.Respond) > 0 && len(g.Subscribe) == 0 {
		f.add("respond", "nothing comes that could be answered; the group has no subscriptions")
	}
	g.checkSensor(&f)
	if g.Protocol != "mqtt5" {
		g.onlyMQTT5(&f)
	}
	return f.join()
}

// onlyMQTT5 finds what older versions cannot say.
func (g *Group) onlyMQTT5(f *faults) {
	no := func(given bool, key string, values ...any) {
		if given {
			f.add(fmt.Sprintf(key, values...), "%s has no such thing; leave it out, or set protocol = \"mqtt5\"", g.Protocol)
		}
	}
	no(g.Expiry != 0 && !g.Sensor(), "session_expiry")
	no(g.Receive != 0, "receive_maximum")
	if g.Will != nil {
		no(g.Will.Delay != 0, "will.delay")
	}
	for name, s := range g.Subscribe {
		if s != nil && plainName(name) {
			no(s.NoLocal, "subscribe.%s.no_local", name)
			no(s.RetainAs, "subscribe.%s.retain_as_published", name)
			no(s.RetainHandling != 0, "subscribe.%s.retain_handling", name)
		}
	}
	for name, p := range g.Publish {
		if p != nil && plainName(name) {
			no(p.Expiry != 0 && g.Protocol != "coap", "publish.%s.expiry", name)
			no(p.Response != "", "publish.%s.response_topic", name)
			no(p.Payload.Mark == "property", "publish.%s.payload.mark", name)
		}
	}
	for name, r := range g.Respond {
		if r != nil && plainName(name) {
			no(r.Payload.Mark == "property", "respond.%s.payload.mark", name)
			if r.Topic == "" {
				f.add("respond."+name+".topic", "is missing; %s has no Response Topic that could be answered on", g.Protocol)
			}
		}
	}
}

// Validate judges a Will.
func (w *Will) Validate() error {
	var f faults
	f.qos("qos", w.QoS)
	f.times("delay", w.Delay)
	if w.Topic == "" {
		f.add("topic", "is missing; say where the Will is published")
	}
	if w.Sparkplug && w.Payload != "" {
		f.add("payload", "has no meaning with sparkplug = true")
	}
	return f.join()
}

// Validate judges a subscription.
func (s *Subscribe) Validate() error {
	var f faults
	f.qos("qos", s.QoS)
	f.times("after", s.After, "every", s.Every)
	f.between("retain_handling", s.RetainHandling, 0, 2)
	switch {
	case s.Filter == "":
		f.add("filter", "is missing; say which messages are wanted")
	case len(s.Filter) > 7 && s.Filter[:7] == "$share/" && s.NoLocal:
		f.add("no_local", "a shared subscription with No Local is a protocol error")
	}
	return f.join()
}

// Validate judges a stream.
func (p *Publish) Validate() error {
	var f faults
	if p.Topic == "" {
		f.add("topic", "is missing; say where the messages go")
	}
	f.qos("qos", p.QoS)
	f.times("expiry", p.Expiry, "every", p.Every, "period", p.Period)
	if p.After != nil {
		f.times("after", *p.After)
	}
	f.shares("low", p.Low)
	p.checkMix(&f)
	p.checkSchedule(&f)
	return f.join()
}

func (p *Publish) checkMix(f *faults) {
	if len(p.Mix) == 0 {
		return
	}
	sum := 0.0
	for _, share := range p.Mix {
		sum += share
		if !(share >= 0 && share <= 1) {
			f.add("qos_mix", "%v is no share; write numbers from 0 to 1", share)
			return
		}
	}
	switch {
	case len(p.Mix) != 3:
		f.add("qos_mix", "has %d numbers; write three, the shares of QoS 0, 1 and 2", len(p.Mix))
	case math.Abs(sum-1) > 0.001:
		f.add("qos_mix", "the shares come to %.4g; they have to come to 1", sum)
	case p.QoS != 0:
		f.add("qos_mix", "stands beside qos = %d; give one of them", p.QoS)
	}
}

// shortestDay is the shortest period of schedule diurnal.
const shortestDay = 100 * time.Millisecond

func (p *Publish) checkSchedule(f *faults) {
	switch p.Schedule {
	case "fixed", "poisson", "burst", "diurnal":
		if p.Every == 0 {
			f.add("schedule", "%s needs every, the time between; write every = \"1s\"", p.Schedule)
		}
	case "once":
	case "max":
		if p.Every != 0 {
			f.add("every", "has no meaning with schedule = \"max\", which goes as fast as it can")
		}
	default:
		f.add("schedule", "%q is none; there are fixed, poisson, burst, diurnal, once and max", shorten(p.Schedule))
	}
	many := p.Schedule == "burst" || p.Schedule == "once"
	switch {
	case p.Count < 1 || p.Count > 1_000_000:
		f.add("count", "%d is not between 1 and 1000000", p.Count)
	case p.Count > 1 && !many:
		f.add("count", "has a meaning with schedule = \"burst\" or \"once\" only; the number of messages in all is limit")
	}
	if p.Limit < 0 {
		f.add("limit", "%d messages; 0 means not limited", p.Limit)
	}
	if p.Schedule == "diurnal" && p.Period == 0 {
		f.add("schedule", "diurnal needs period, the length of the day; write period = \"20s\"")
	}
	if p.Period > 0 && p.Period < shortestDay {
		f.add("period", "%v is no day; write %v or more", p.Period, shortestDay)
	}
	if p.Schedule != "diurnal" && (p.Period != 0 || p.Low != 0) {
		f.add("schedule", "period and low belong to schedule = \"diurnal\"")
	}
	if p.Away && (p.Schedule == "once" || p.Schedule == "max") {
		f.add("away", "has no meaning with schedule = %q, which begins anew with each connection", p.Schedule)
	}
}

// Validate judges an answer.
func (r *Respond) Validate() error {
	var f faults
	f.qos("qos", r.QoS)
	f.times("delay", r.Delay)
	if r.Filter == "" {
		f.add("filter", "is missing; say which messages are answered")
	}
	return f.join()
}

// maxSize bounds a payload, in bytes.
const maxSize = 16 << 20

// Validate judges what messages hold.
func (p *Payload) Validate() error {
	var f faults
	kind := p.kindOf()
	f.between("size", p.Size, 0, maxSize)
	if notFinite(p.Low) || notFinite(p.High) || notFinite(p.Step) || math.Abs(p.Low) > 1e15 || math.Abs(p.High) > 1e15 {
		f.add("low", "low, high and step have to be numbers below 10^15")
	}
	if p.Step < 0 {
		f.add("step", "%v is less than nothing", p.Step)
	}
	if p.High < p.Low {
		f.add("high", "%v is less than low, %v", p.High, p.Low)
	}
	if p.marked() && p.Size > 0 && p.Size <= MarkSize {
		f.add("size", "%d bytes have no room for the mark, which takes %d; set mark = \"property\" or \"none\"", p.Size, MarkSize+1)
	}
	if kind == "sparkplug" && p.Size > 0 {
		f.add("size", "has no meaning with kind = \"sparkplug\"")
	}
	p.checkKind(&f, kind)
	return f.join()
}

// checkKind finds what the kind needs and what it has no use for.
func (p *Payload) checkKind(f *faults, kind string) {
	useless := func(given bool, key string) {
		if given {
			f.add(key, "has no meaning with kind = %q", kind)
		}
	}
	useless(p.Text != "" && kind != "template" && kind != "text", "text")
	useless(len(p.Values) > 0 && kind != "text", "values")
	useless(p.File != "" && kind != "file", "file")
	useless(p.High > p.Low && kind != "walk" && kind != "template" && kind != "sparkplug", "high")
	switch {
	case kind == "template" && p.Text == "":
		f.add("kind", "template needs text")
	case kind == "file" && p.File == "":
		f.add("kind", "file needs file, its path")
	case kind == "bytes" && p.Size == 0:
		f.add("kind", "bytes needs size")
	case kind == "walk" && p.High <= p.Low:
		f.add("kind", "walk needs low and high")
	case kind == "text" && p.Text != "" && len(p.Values) > 0:
		f.add("values", "stands beside text; give one of them")
	}
}
