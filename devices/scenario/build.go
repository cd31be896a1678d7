package scenario

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// builder makes a plan of a scenario and reports what is wrong with its texts, each with
// its key. With faults the plan must not be used.
type builder struct {
	s      *Scenario
	report func(key string, err error)
	counts map[string]int
}

func (b *builder) plan(seed uint64) *Plan {
	p := &Plan{Scenario: b.s, Seed: seed, Begun: defaultBegun}
	b.counts = map[string]int{}
	for name, g := range b.s.Groups {
		if g != nil {
			b.counts[name] = g.Count
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.s.Groups)) {
		g := b.s.Groups[name]
		key := "groups." + name
		switch {
		case g == nil:
			b.report("groups", fmt.Errorf("%q is empty", name))
			continue
		case !plainName(name):
			b.report("groups", fmt.Errorf("%q: names have letters, digits, - and _ only", shorten(name)))
			continue
		}
		gp := b.group(p, key, name, g)
		gp.First = p.devices
		p.devices += gp.Count
		p.Groups = append(p.Groups, gp)
	}
	return p
}

// maxGroup bounds the devices of one group.
const maxGroup = 10_000_000

func (b *builder) group(p *Plan, key, name string, g *Group) *GroupPlan {
	gp := &GroupPlan{
		Name: name, Group: g, Broker: brokerOf(b.s.Broker, g), Expiry: g.sessionExpiry(), plan: p,
		Count: uint32(min(max(g.Count, 1), maxGroup)), seed: mix(p.Seed ^ hashText(name)),
	}
	if g.Network != "" {
		gp.Network = b.s.Network[g.Network]
	}
	if gp.guarded = g.guarded(gp.Broker, gp.Count); gp.guarded > 0 {
		gp.DTLSBroker, gp.keys = dtlsBrokerOf(gp.Broker, g), b.s.keys[g.PSKFile]
	}
	if m := g.Misbehave; m != nil {
		share := m.Share
		if share == 0 {
			share = 1
		}
		gp.misfits = min(gp.Count, uint32(max(1, math.Round(share*float64(gp.Count)))))
	}
	t := &texts{builder: b, compiler: compiler{group: name, count: int(gp.Count), seed: p.Seed, counts: b.counts}, gp: gp, key: key}
	t.identity()
	t.streams()
	t.subscriptions()
	t.responses()
	return gp
}

// texts compiles the templates of one group.
type texts struct {
	*builder
	compiler
	gp  *GroupPlan
	key string
}

// text compiles one template, reports its faults, and gives an empty one then.
func (t *texts) text(key, text string, at place, vary *part) *template {
	made, err := t.compile(text, at, vary)
	if err != nil {
		for _, one := range unjoin(err) {
			t.report(t.key+"."+key, one)
		}
		return &template{}
	}
	return made
}

func unjoin(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}

// optional compiles a template that may be left out.
func (t *texts) optional(key, text string, at place) *template {
	if text == "" {
		return nil
	}
	return t.text(key, text, at, nil)
}

func (t *texts) identity() {
	g := t.gp.Group
	t.gp.clientID = t.text("client_id", g.ClientID, placeIdentity, nil)
	t.gp.username = t.optional("username", g.Username, placeDevice)
	t.gp.password = t.optional("password", g.Password, placeDevice)
	if w := g.Will; w != nil {
		t.gp.will = &willText{topic: t.text("will.topic", w.Topic, placeDevice, nil), payload: t.text("will.payload", w.Payload, placeDevice, nil)}
		t.gp.will.slot = t.slot("will.topic", t.gp.will.topic)
		t.checkTopic("will.topic", t.gp.will.topic)
	}
}

func (t *texts) streams() {
	for name, p := range named(t, "publish", t.gp.Group.Publish) {
		key := "publish." + name
		s := Stream{Name: name, Publish: p, topic: t.text(key+".topic", p.Topic, placeTopic, nil)}
		s.response = t.optional(key+".response_topic", p.Response, placeDevice)
		s.slot = t.slot(key+".topic", s.topic)
		s.payload = t.payload(key+".payload", &p.Payload, p.Topic, placePayload, s.topic.vary)
		t.checkTopic(key+".topic", s.topic)
		if s.response != nil {
			t.checkTopic(key+".response_topic", s.response)
		}
		t.gp.Streams = append(t.gp.Streams, s)
	}
}

func (t *texts) subscriptions() {
	for name, s := range named(t, "subscribe", t.gp.Group.Subscribe) {
		key := "subscribe." + name + ".filter"
		sub := Subscription{Name: name, Subscribe: s, filter: t.text(key, s.Filter, placeDevice, nil)}
		t.checkFilter(key, sub.filter, true)
		t.gp.Subscribes = append(t.gp.Subscribes, sub)
	}
}

func (t *texts) responses() {
	for name, r := range named(t, "respond", t.gp.Group.Respond) {
		key := "respond." + name
		a := Response{Name: name, Respond: r, slot: noSlot, filter: t.text(key+".filter", r.Filter, placeDevice, nil)}
		t.checkFilter(key+".filter", a.filter, false)
		if a.topic = t.optional(key+".topic", r.Topic, placeAnswer); a.topic != nil && !a.topic.has(partLevel) {
			a.slot = t.slot(key+".topic", a.topic)
			t.checkTopic(key+".topic", a.topic)
			t.checkEcho(key, &a)
		}
		a.payload = t.payload(key+".payload", &r.Payload, r.Topic, placeReply, nil)
		t.gp.Responds = append(t.gp.Responds, a)
	}
}

// named goes through a table in the order of its names.
func named[T any](t *texts, kind string, table map[string]*T) func(func(string, *T) bool) {
	return func(yield func(string, *T) bool) {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			switch {
			case !plainName(name):
				t.report(t.key+"."+kind, fmt.Errorf("%q: names have letters, digits, - and _ only", shorten(name)))
			case table[name] == nil:
				t.report(t.key+"."+kind, fmt.Errorf("%q is empty", name))
			default:
				if !yield(name, table[name]) {
					return
				}
			}
		}
	}
}

func plainName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

func (t *template) has(kind partKind) bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.kind == kind })
}

// slot gives the slots of a topic: those of an equal topic, or new ones.
func (t *texts) slot(key string, topic *template) uint32 {
	like, count := t.alike(topic), uint32(1)
	if topic.vary != nil {
		count = topic.vary.variants()
	}
	for i := range t.gp.blocks {
		if b := &t.gp.blocks[i]; b.like == like && b.count >= count {
			return b.first
		}
	}
	first := t.gp.Slots
	if uint64(first)+uint64(count) > 4*maxVariants || uint64(t.gp.Count)*uint64(first+count) > maxRows {
		t.report(t.key+"."+key, errors.New("there are too many topics, as devices times topics of each; let the topic differ less, or have fewer devices"))
		return 0
	}
	t.gp.Slots += count
	t.gp.blocks = append(t.gp.blocks, block{topic: topic, like: like, first: first, count: count})
	return first
}

// maxRows bounds the numbers that a group's devices count their messages by.
const maxRows = 1 << 26

// alike is a text that is equal for templates that become the same topic in every
// device.
func (t *texts) alike(of *template) string {
	var b strings.Builder
	for i := range of.parts {
		switch p := &of.parts[i]; {
		case p == of.vary && p.kind != partRand:
			fmt.Fprintf(&b, "\x00%d\x00", p.count)
		case p.kind == partText:
			b.WriteString(p.text)
		case p.kind == partID:
			b.WriteString(t.alike(t.gp.clientID))
		case p.kind == partN && t.gp.Count == 1:
			b.WriteString("1")
		default:
			b.WriteString("\x00" + p.text + "\x00")
		}
	}
	return b.String()
}
