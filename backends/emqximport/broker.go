package emqximport

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Options say what the texts alone do not.
type Options struct {
	// Root is the directory that paths in the files begin from; "" where it is not known.
	Root string
	// Missing says that a file is not there; nil: what has no whole path is taken for missing.
	Missing func(path string) bool
}

// whole is a path as the gateway needs it; there says that it leads to a file.
func (o *Options) whole(name string) (whole string, there bool) {
	if !path.IsAbs(name) && o.Root != "" {
		name = path.Join(o.Root, name)
	}
	if o.Missing == nil {
		return name, path.IsAbs(name)
	}
	return name, !o.Missing(name)
}

// brokerFile says whether a file holds settings of the broker itself.
func brokerFile(name string) bool {
	return slices.Contains([]string{mainFile, "emqx_modules.conf", "emqx_retainer.conf", "emqx_sn.conf", "emqx_coap.conf"}, name)
}

// broker works on emqx.conf and the files of what belongs to the broker.
type broker struct {
	r     *Result
	main  bool // emqx.conf is among the files
	notes []Note

	global    map[string]*entry            // by the names of zones' settings
	zones     map[string]map[string]*entry // by zone
	zoneNames []string                     // as they come
	listeners []*listener
	tables    map[string]map[string]*entry // of modules, by PREFIX.N and what follows
	rows      []string                     // keys of tables, as they come
}

// readBroker takes over what the files of the broker say together.
func (r *Result) readBroker(files []File) {
	b := &broker{r: r, global: map[string]*entry{}, zones: map[string]map[string]*entry{}, tables: map[string]map[string]*entry{}}
	for _, f := range files {
		if !brokerFile(f.Name) {
			continue
		}
		b.main = b.main || f.Name == mainFile
		entries, notes := parse(f)
		b.notes = append(b.notes, notes...)
		for i := range entries {
			b.sort(&entries[i])
		}
	}
	b.policies()
	b.modules()
	if b.main {
		b.listen()
	}
	slices.SortStableFunc(b.notes, func(x, y Note) int {
		return cmp.Or(strings.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line))
	})
	r.Notes = append(r.Notes, slices.Compact(b.notes)...) // listeners of one zone say the same
}

func (b *broker) note(e *entry, why, do string) { b.notes = append(b.notes, e.note(why, do)) }

// sort puts a setting where it is looked for.
func (b *broker) sort(e *entry) {
	first, below, _ := strings.Cut(e.key, ".")
	switch {
	case first == "listener":
		b.sortListener(e, below)
	case first == "zone":
		zone, key, _ := strings.Cut(below, ".")
		if b.zones[zone] == nil {
			b.zones[zone] = map[string]*entry{}
			b.zoneNames = append(b.zoneNames, zone)
		}
		b.zones[zone][key] = e
	case strings.HasPrefix(e.key, "module.subscription.") || strings.HasPrefix(e.key, "module.rewrite."):
		b.sortTable(e)
	default:
		b.global[globalName(e.key)] = e
	}
}

// globalName is what a setting is called in a zone, or its own name: 2.4 has one zone, which
// has no name.
func globalName(key string) string {
	rest := key
	for _, prefix := range []string{"mqtt.session.", "mqtt.mqueue.", "mqtt.client.", "mqtt."} {
		if below, ok := strings.CutPrefix(key, prefix); ok {
			rest = below
			break
		}
	}
	switch key {
	case "mqtt.session.expiry_interval":
		return "session_expiry_interval"
	case "mqtt.mqueue.max_length":
		return "max_mqueue_len"
	case "mqtt.mqueue.type", "mqtt.mqueue.store_qos0":
		return "mqueue_" + rest
	case "mqtt.mqueue.priority":
		return "mqueue_priorities"
	}
	return rest
}

// mainZone is the zone whose settings hold for all here.
func (b *broker) mainZone() string {
	if b.zones["external"] == nil && len(b.zoneNames) > 0 {
		return b.zoneNames[0]
	}
	return "external"
}

// policies takes over what holds for all clients.
func (b *broker) policies() {
	main := b.mainZone()
	for _, name := range slices.Sorted(maps.Keys(b.global)) {
		if over := b.zones[main][name]; over != nil {
			if over.value != b.global[name].value {
				b.note(b.global[name], over.key+" says otherwise, and counts", "nothing, if that is meant")
			}
			continue
		}
		b.policy(name, b.global[name])
	}
	for _, zone := range b.zoneNames {
		for _, name := range slices.Sorted(maps.Keys(b.zones[zone])) {
			e := b.zones[zone][name]
			switch {
			case ofListeners(name) || name == "allow_anonymous" && zone != main:
			case zone == main:
				b.policy(name, e)
			case b.effective(main, name) == e.value || silent(name, e.value):
			default:
				b.note(e, "holds for the listeners of one zone there, and for all here: what zone."+main+" says was taken", "run a gateway of its own for that zone, if the difference matters")
			}
		}
	}
}

// effective is what a setting is in a zone; "" where nothing is said.
func (b *broker) effective(zone, name string) string {
	if e := b.setting(zone, name); e != nil {
		return e.value
	}
	return ""
}

func (b *broker) setting(zone, name string) *entry {
	if e := b.zones[zone][name]; e != nil {
		return e
	}
	return b.global[name]
}

// policy takes over one setting, or says why not.
func (b *broker) policy(name string, e *entry) {
	if silent(name, e.value) || ofListeners(name) && b.main {
		return
	}
	if b.special(name, e) || b.sensor(name, e) {
		return
	}
	p, known := policies()[name]
	if !known {
		why, do := unknownOfBroker(name)
		b.note(e, why, do)
		return
	}
	value, why := p.read(e.value)
	switch {
	case why != "":
		b.note(e, why, "set "+p.section+"."+p.key+" by hand; it has its default until then")
	case value != nil:
		b.r.Set(p.section, p.key, value)
	}
}

// special takes over what becomes more than one setting, or needs a word.
func (b *broker) special(name string, e *entry) bool {
	switch name {
	case "allow_anonymous":
		b.anonymous(e)
	case "acl_nomatch":
		b.r.noMatch = e
		if e.value != "allow" && e.value != "deny" {
			b.note(e, "is neither allow nor deny", "end the file of access rules as you mean it")
			b.r.noMatch = nil
		}
	case "log.level", "log.console.level":
		b.logLevel(e)
	case "acl_file":
		if path.Base(e.value) != aclFile {
			b.note(e, "the file was not read: only acl.conf is", "call it acl.conf, in the directory that you name, and import again")
		}
	case "mqueue_priorities":
		b.priorities(e)
	case "flapping_detect_policy", "flapping_threshold", "flapping_banned_expiry_interval":
		b.flapping(name, e)
	case "mqueue_type":
		if e.value == "priority" && b.setting(b.mainZone(), "mqueue_priorities") == nil {
			b.note(e, "there are no priorities without mqtt.mqueue.priority", "set core.priorities")
		}
	default:
		return false
	}
	return true
}

func (b *broker) anonymous(e *entry) {
	on, why := readFlag(e.value)
	switch {
	case why != "":
		b.note(e, why, "set auth.allow_anonymous")
	case on == true:
		b.r.Set("auth", "allow_anonymous", "always")
		b.note(e, "was taken: whoever reaches a listener may connect without a password, as before", "set auth.allow_anonymous = \"never\" once every client has one")
	default:
		b.r.Set("auth", "allow_anonymous", "never")
	}
}

// logLevel takes over what is logged. Less than warnings would hide that a database is away.
func (b *broker) logLevel(e *entry) {
	switch e.value {
	case "debug", "info":
		b.r.Set("log", "level", e.value)
	case "notice":
		b.r.Set("log", "level", "info")
	case "warning":
		b.r.Set("log", "level", "warn")
	case "error", "critical", "alert", "emergency":
		b.r.Set("log", "level", "warn")
		b.note(e, "was taken as warn: with less the gateway would not say that a database is away", "set log.level = \"error\", if that is meant")
	default:
		b.note(e, "is no level", "set log.level")
	}
}

// priorities are TOPIC=N,TOPIC=N there.
func (b *broker) priorities(e *entry) {
	if e.value == "none" || e.value == "disabled" {
		return
	}
	var list []string
	for one := range strings.SplitSeq(e.value, ",") {
		name, text, found := strings.Cut(strings.TrimSpace(one), "=")
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if name = strings.TrimSpace(name); !found || err != nil || n < 0 || n > 255 || !filter(name) {
			b.note(e, "holds what is no TOPIC=PRIORITY with a number from 0 to 255", "set core.priorities")
			return
		}
		if n > 0 { // 0 is what no rule names
			list = append(list, fmt.Sprintf("%s = %d", name, n))
		}
	}
	b.r.Set("core", "priorities", list)
}

// flapping takes over who is banned for connecting again and again, if anybody is.
func (b *broker) flapping(name string, e *entry) {
	if on, _ := readFlag(b.effective(b.mainZone(), "enable_flapping_detect")); on != true {
		return
	}
	fields := strings.Split(e.value, ",")
	keys := []string{"flapping_count", "flapping_window", "flapping_ban"}
	if name == "flapping_banned_expiry_interval" {
		keys = keys[2:]
	}
	values := make([]any, len(fields))
	for i, f := range fields {
		var why string
		if i < len(keys) {
			values[i], why = flappingPart(keys[i], strings.TrimSpace(f))
		}
		if why != "" || i >= len(keys) {
			b.note(e, cmp.Or(why, "has more parts than are known"), "set core.flapping_count, flapping_window and flapping_ban")
			return
		}
	}
	for i := range fields {
		b.r.Set("core", keys[i], values[i])
	}
}

func flappingPart(key, s string) (any, string) {
	switch key {
	case "flapping_count":
		return whole(1, 1_000_000)(s)
	case "flapping_window":
		return timeBetween("1s", "24h")(s)
	}
	return timeBetween("1s", "876000h")(s)
}

// Set puts one setting into a section.
func (r *Result) Set(section, key string, value any) {
	i := slices.IndexFunc(r.Sections, func(s Section) bool { return s.Name == section })
	if i < 0 {
		i = len(r.Sections)
		r.Sections = append(r.Sections, Section{Name: section})
	}
	s := &r.Sections[i]
	if at := slices.IndexFunc(s.Settings, func(x Setting) bool { return x.Key == key }); at >= 0 {
		s.Settings[at].Value = value
		return
	}
	s.Settings = append(s.Settings, Setting{key, value})
}
