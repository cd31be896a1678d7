package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// samples are devices of the group that its texts are tried with: the first, and the
// last, whose number is longest.
func (t *texts) samples() []Device {
	devices := []Device{{Group: t.gp}}
	if t.gp.Count > 1 {
		devices = append(devices, Device{Group: t.gp, N: t.gp.Count - 1})
	}
	return devices
}

// checkTopic tries a topic with its longest variant.
func (t *texts) checkTopic(key string, topic *template) {
	if len(topic.parts) == 0 {
		return // reported: left out, or faulty
	}
	for _, d := range t.samples() {
		m := moment{vary: topic.vary}
		if topic.vary != nil {
			m.variant = topic.vary.variants() - 1
		}
		if err := validTopic(topic.appendTo(nil, d, &m)); err != nil {
			t.report(t.key+"."+key, err)
			return
		}
	}
	for i := range topic.parts {
		for _, word := range topic.parts[i].words {
			if strings.ContainsAny(word, "+#\x00") {
				t.report(t.key+"."+key, fmt.Errorf("%q holds a wildcard; a message goes to one topic", shorten(word)))
				return
			}
		}
	}
}

// validTopic says what is wrong with a Topic Name. [MQTT-4.7.1-1] [MQTT-4.7.3-1] to -3.
func validTopic(topic []byte) error {
	switch {
	case len(topic) == 0:
		return errors.New("becomes an empty topic")
	case len(topic) > 65535:
		return errors.New("becomes longer than 65,535 bytes")
	case bytes.ContainsAny(topic, "+#"):
		return fmt.Errorf("%q holds a wildcard; a message goes to one topic", shorten(string(topic)))
	case !utf8.Valid(topic) || bytes.IndexByte(topic, 0) >= 0:
		return errors.New("is not UTF-8, or holds a zero")
	}
	return nil
}

func (t *texts) checkFilter(key string, filter *template, shared bool) {
	if len(filter.parts) == 0 {
		return
	}
	for _, d := range t.samples() {
		if err := validFilter(string(filter.appendTo(nil, d, nil)), shared); err != nil {
			t.report(t.key+"."+key, err)
			return
		}
	}
}

// validFilter says what is wrong with a Topic Filter. [MQTT-4.7.1-1] [MQTT-4.7.1-2]
// [MQTT-4.8.2-1] [MQTT-4.8.2-2]
func validFilter(filter string, shared bool) error {
	shown := shorten(filter)
	if rest, ok := strings.CutPrefix(filter, "$share/"); ok {
		name, below, found := strings.Cut(rest, "/")
		switch {
		case !shared:
			return errors.New("is compared with topics, so $share/NAME/ has no place here; leave it out")
		case !found || name == "" || below == "" || strings.ContainsAny(name, "+#"):
			return fmt.Errorf("%q is no shared subscription; write $share/NAME/FILTER", shown)
		}
		filter = below
	}
	if len(filter) > 65535 || !utf8.ValidString(filter) || strings.ContainsRune(filter, 0) {
		return errors.New("is longer than 65,535 bytes, not UTF-8, or holds a zero")
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		switch {
		case level == "#" && i != len(levels)-1:
			return fmt.Errorf("%q: # stands for all that follows and has to be the last level", shown)
		case len(level) > 1 && strings.ContainsAny(level, "+#"):
			return fmt.Errorf("%q: %q: a wildcard stands alone between the slashes", shown, shorten(level))
		}
	}
	return nil
}

// matches tells whether a filter without $share/ takes a topic.
func matches(filter, topic []byte) bool {
	if len(topic) > 0 && topic[0] == '$' && len(filter) > 0 && (filter[0] == '+' || filter[0] == '#') {
		return false // [MQTT-4.7.2-1]
	}
	for {
		f, restOfFilter, moreFilter := bytes.Cut(filter, []byte("/"))
		if len(f) == 1 && f[0] == '#' {
			return true
		}
		l, restOfTopic, moreTopic := bytes.Cut(topic, []byte("/"))
		if !(len(f) == 1 && f[0] == '+') && !bytes.Equal(f, l) {
			return false
		}
		switch {
		case !moreTopic && !moreFilter:
			return true
		case !moreTopic:
			return string(restOfFilter) == "#" // a/# takes a as well
		case !moreFilter:
			return false
		}
		filter, topic = restOfFilter, restOfTopic
	}
}

// checkEcho refuses answers that the device would answer itself, for ever.
func (t *texts) checkEcho(key string, a *Response) {
	d := Device{Group: t.gp}
	topic := a.topic.appendTo(nil, d, &moment{request: &Request{}})
	if !matches(a.filter.appendTo(nil, d, nil), topic) {
		return
	}
	for i := range t.gp.Subscribes {
		s := &t.gp.Subscribes[i]
		filter := withoutShare(s.filter.appendTo(nil, d, nil))
		if !s.Subscribe.NoLocal && matches(filter, topic) {
			t.report(t.key+"."+key+".topic", fmt.Errorf("the answer would be answered again: subscribe.%s brings it back; set its no_local, or choose another topic", s.Name))
			return
		}
	}
}

func withoutShare(filter []byte) []byte {
	rest, ok := bytes.CutPrefix(filter, []byte("$share/"))
	if !ok {
		return filter
	}
	_, below, _ := bytes.Cut(rest, []byte("/"))
	return below
}

// checkRows refuses topics of one device that are the same though their texts differ:
// their messages could not be counted in one row.
func (b *builder) checkRows(gp *GroupPlan, key string) {
	seen := map[string]bool{}
	var topic []byte
	for i := range gp.blocks {
		k := &gp.blocks[i]
		if len(k.topic.parts) == 0 {
			continue
		}
		for v := range k.count {
			topic = k.topic.appendTo(topic[:0], Device{Group: gp}, &moment{vary: k.topic.vary, variant: v, request: &Request{}})
			if seen[string(topic)] {
				b.report(key, fmt.Errorf("two texts become the same topic %q; write both alike, or let them differ", shorten(string(topic))))
				return
			}
			seen[string(topic)] = true
		}
	}
}

// checkIdentities looks for devices with the same client identifier.
func (b *builder) checkIdentities(p *Plan) {
	const most = 200_000
	type one struct {
		hash uint64
		d    Device
	}
	var all []one
	var id []byte
	for _, gp := range p.Groups {
		key := "groups." + gp.Name + ".client_id"
		if len(gp.clientID.parts) == 0 {
			continue
		}
		if gp.Count > 1 && !gp.clientID.has(partN) {
			b.report(key, fmt.Errorf("the %d devices of the group have no {n} in it to tell them apart", gp.Count))
			continue
		}
		for n := range min(gp.Count, most) {
			d := Device{Group: gp, Index: gp.First + n, N: n}
			if m := gp.Group.Misbehave; m != nil && m.Duplicate && d.Misbehaves() {
				continue
			}
			id = d.AppendClientID(id[:0])
			if !b.checkIdentity(key, gp, id) {
				break
			}
			all = append(all, one{hashText(string(id)), d})
		}
	}
	slices.SortStableFunc(all, func(x, y one) int {
		switch {
		case x.hash < y.hash:
			return -1
		case x.hash > y.hash:
			return 1
		}
		return 0
	})
	for i := 1; i < len(all); i++ {
		x, y := all[i-1].d, all[i].d
		if all[i-1].hash == all[i].hash && x.ClientID() == y.ClientID() {
			b.report("groups."+y.Group.Name+".client_id", fmt.Errorf("%q is also that of device %d of group %s, and each would end the other's connection; use {group} and {n}, or misbehave.duplicate_client_id if that is meant", shorten(y.ClientID()), x.N+1, x.Group.Name))
			return
		}
	}
}

func (b *builder) checkIdentity(key string, gp *GroupPlan, id []byte) bool {
	switch {
	case gp.Group.Protocol == "mqtt3.1" && len(id) > 23:
		b.report(key, fmt.Errorf("%q has %d bytes, and MQTT 3.1 allows 23", shorten(string(id)), len(id)))
	case len(id) > 65535:
		b.report(key, errors.New("becomes longer than 65,535 bytes"))
	case bytes.IndexByte(id, 0) >= 0 || !utf8.Valid(id):
		b.report(key, errors.New("is not UTF-8, or holds a zero"))
	default:
		return true
	}
	return false
}
