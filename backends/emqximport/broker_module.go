package emqximport

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-iot/fairlead/core"
)

// sortTable puts aside module.subscription.N.KEY and module.rewrite.rule.N.
func (b *broker) sortTable(e *entry) {
	at := strings.LastIndexByte(e.key, '.')
	row, key := e.key[:at], e.key[at+1:]
	if strings.HasPrefix(e.key, "module.rewrite.") {
		row, key = e.key, ""
	}
	if b.tables[row] == nil {
		b.tables[row] = map[string]*entry{}
		b.rows = append(b.rows, row)
	}
	b.tables[row][key] = e
}

// modules takes over topic rewriting, and what every client subscribes to.
func (b *broker) modules() {
	on := func(module string) bool {
		e := b.global[module]
		return e == nil || e.value != "off" && e.value != "false"
	}
	slices.SortStableFunc(b.rows, func(x, y string) int { return placeOf(x) - placeOf(y) })
	for _, row := range b.rows {
		if strings.HasPrefix(row, "module.rewrite.") && on("module.rewrite") {
			b.rewrite(row, b.tables[row][""])
		}
		if strings.HasPrefix(row, "module.subscription.") && on("module.subscription") {
			b.subscription(b.tables[row])
		}
	}
}

// placeOf is the number at the end of a key.
func placeOf(key string) int {
	n, err := strconv.Atoi(key[strings.LastIndexByte(key, '.')+1:])
	if err != nil {
		return 1 << 30
	}
	return n
}

// rewrite takes over FILTER REGULAR-EXPRESSION TOPIC.
func (b *broker) rewrite(row string, e *entry) {
	action := "all"
	for word, ours := range map[string]string{".pub.": "publish", ".sub.": "subscribe"} {
		if strings.Contains(row, word) {
			action = ours
		}
	}
	parts := strings.Fields(e.value)
	if len(parts) != 3 {
		b.note(e, "is no FILTER EXPRESSION TOPIC", "write [[core.rewrite]] by docs/topics.md")
		return
	}
	rule := core.RewriteRule{Action: action, Source: parts[0], Re: parts[1], Dest: parts[2]}
	if err := rule.Validate(); err != nil {
		b.note(e, "cannot be a rule here: "+oneLine(err), "write [[core.rewrite]] by docs/topics.md")
		return
	}
	b.r.Tables = append(b.r.Tables, Section{"core.rewrite", []Setting{{"action", action}, {"source", rule.Source}, {"re", rule.Re}, {"dest", rule.Dest}}})
}

func oneLine(err error) string {
	return strings.NewReplacer("\n", ", ", "; ", ", ").Replace(err.Error())
}

// subscription takes over a subscription of every client.
func (b *broker) subscription(lines map[string]*entry) {
	topic, qos := lines["topic"], lines["qos"]
	for key, e := range lines {
		if key != "topic" && key != "qos" {
			b.note(e, noPlace, leave)
		}
	}
	const byHand = "write [[core.subscriptions]] by docs/topics.md"
	if topic == nil {
		if qos != nil {
			b.note(qos, "there is no topic to subscribe to", byHand)
		}
		return
	}
	if err := (&core.ProxySubscription{Filter: topic.value}).Validate(); err != nil {
		b.note(topic, "cannot be subscribed to here: "+oneLine(err), byHand)
		return
	}
	settings := []Setting{{"filter", topic.value}}
	if qos != nil {
		n, why := whole(0, 2)(qos.value)
		if why != "" {
			b.note(qos, why, "set qos of [[core.subscriptions]]; it is 0 until then")
		} else {
			settings = append(settings, Setting{"qos", n})
		}
	}
	b.r.Tables = append(b.r.Tables, Section{"core.subscriptions", settings})
}
