package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// place says where a template stands, and so which placeholders it may have.
type place uint8

const (
	placeIdentity place = iota // client_id
	placeDevice                // username, password, filters, response topics, Wills
	placeTopic                 // topics of streams
	placeAnswer                // topics of answers
	placePayload               // payloads of streams
	placeReply                 // payloads of answers
)

// placeholder is a word that may stand in braces.
type placeholder struct {
	name   string
	kind   partKind
	places []place
}

func placeholders() []placeholder {
	all := []place{placeIdentity, placeDevice, placeTopic, placeAnswer, placePayload, placeReply}
	messages := []place{placePayload, placeReply}
	return []placeholder{
		{"group", partText, all},
		{"n", partN, all},
		{"N", partText, all},
		{"seed", partText, all},
		{"pick", partPick, all},
		{"id", partID, all[1:]},
		{"each", partEach, []place{placeTopic}},
		{"any", partAny, []place{placeTopic, placePayload, placeReply}},
		{"rand", partRand, []place{placeTopic, placePayload, placeReply}},
		{"to", partTo, []place{placePayload}},
		{"seq", partSeq, messages},
		{"time", partTime, messages},
		{"value", partValue, messages},
		{"request", partRequest, []place{placeReply}},
		{"level", partLevel, []place{placeAnswer, placeReply}},
	}
}

// compiler knows what placeholders become for a group.
type compiler struct {
	group  string
	count  int
	seed   uint64
	counts map[string]int // devices by group, for {each:GROUP}
}

// maxTemplate bounds a template's text, maxVariants what one placeholder of a topic can
// become.
const (
	maxTemplate = 64 << 10
	maxVariants = 1 << 16
)

// compile takes a text apart. vary is the part of the topic that {to} stands for.
func (c *compiler) compile(text string, at place, vary *part) (*template, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("has more than %d bytes", maxTemplate)
	}
	t := &template{}
	var errs []error
	for rest := text; rest != ""; {
		literal, inside, after := cutPlaceholder(rest)
		t.add(part{kind: partText, text: literal})
		if inside != "" {
			p, err := c.part(inside, at)
			if err == nil && p.kind == partTo && vary == nil {
				err = errors.New("{to} stands for what {each:…}, {any:…} or {rand:…} became in the topic, and the topic has none")
			}
			errs = append(errs, err)
			t.add(p)
		}
		rest = after
	}
	if at == placeTopic {
		errs = append(errs, t.findVary())
	}
	return t, errors.Join(errs...)
}

// cutPlaceholder cuts a text at its first placeholder: a brace, then a letter. In JSON no
// letter follows a brace, and doubled braces stand for themselves.
func cutPlaceholder(text string) (literal, inside, after string) {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '{':
		case strings.HasPrefix(text[i:], "{{"):
			i++
		case i+1 < len(text) && isLetter(text[i+1]):
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return text[:i], text[i+1:] + "\x00", ""
			}
			return text[:i], text[i+1 : i+end], text[i+end+1:]
		}
	}
	return text, "", ""
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// add appends a part; what is known beforehand melts into the text before it.
func (t *template) add(p part) {
	last := len(t.parts) - 1
	switch {
	case p.kind != partText || last < 0 || t.parts[last].kind != partText:
		if p.kind != partText || p.text != "" {
			t.parts = append(t.parts, p)
		}
	default:
		t.parts[last].text += p.text
	}
}

// findVary finds the part of a topic that differs from message to message.
func (t *template) findVary() error {
	for i := range t.parts {
		p := &t.parts[i]
		if p.kind != partEach && p.kind != partAny && p.kind != partRand {
			continue
		}
		if t.vary != nil {
			return fmt.Errorf("{%s} and {%s} both make it another for each message; keep one of them", t.vary.text, p.text)
		}
		t.vary = p
	}
	return nil
}

// part makes a part of what stands in braces.
func (c *compiler) part(inside string, at place) (part, error) {
	if rest, open := strings.CutSuffix(inside, "\x00"); open {
		return part{}, fmt.Errorf("the placeholder {%s has no closing brace; write {{ for a brace that means itself", shorten(rest))
	}
	name, argument, has := strings.Cut(inside, ":")
	known := placeholders()
	i := slices.IndexFunc(known, func(p placeholder) bool { return p.name == name })
	if i < 0 {
		return part{}, c.unknown(name, at)
	}
	p := part{kind: known[i].kind, text: inside}
	if !slices.Contains(known[i].places, at) {
		return p, fmt.Errorf("{%s} has no meaning here; here may stand %s", name, allowed(at))
	}
	takes := slices.Contains([]partKind{partPick, partEach, partAny, partRand, partLevel}, p.kind)
	switch {
	case takes && argument == "":
		return p, fmt.Errorf("{%s} says nothing to choose from; write %s", name, usage(name))
	case !takes && has:
		return p, fmt.Errorf("{%s} takes nothing behind it; write {%s}", name, name)
	case takes:
		return p, c.argument(&p, name, argument)
	case p.kind == partText:
		p.text = map[string]string{"group": c.group, "N": strconv.Itoa(c.count), "seed": strconv.FormatUint(c.seed, 10)}[name]
	}
	return p, nil
}

func usage(name string) string {
	switch name {
	case "each", "any":
		return fmt.Sprintf("{%s:8} for the numbers 1 to 8, or {%s:GROUP} for those of a group's devices", name, name)
	case "level":
		return "{level:2} for the second level of the request's topic"
	}
	return fmt.Sprintf("{%s:red,green,blue}", name)
}

// argument reads what stands behind the colon.
func (c *compiler) argument(p *part, name, argument string) error {
	if p.kind == partPick || p.kind == partRand {
		p.words = strings.Split(argument, ",")
		p.key = hashText(argument)
		return nil
	}
	n, err := strconv.Atoi(argument)
	if err != nil {
		count, ok := c.counts[argument]
		if !ok || p.kind == partLevel {
			return fmt.Errorf("{%s}: %q is neither a number nor a group; write %s", name, shorten(argument), usage(name))
		}
		n = count
	}
	if n < 1 || n > maxVariants {
		return fmt.Errorf("{%s:%s} is not between 1 and %d", name, shorten(argument), maxVariants)
	}
	p.count = uint32(n)
	return nil
}

// allowed lists the placeholders of a place.
func allowed(at place) string {
	var names []string
	for _, p := range placeholders() {
		if slices.Contains(p.places, at) {
			names = append(names, "{"+p.name+"}")
		}
	}
	return strings.Join(names, " ")
}

func (c *compiler) unknown(name string, at place) error {
	var names []string
	for _, p := range placeholders() {
		names = append(names, p.name)
	}
	if best := near(name, names); len(best) > 0 {
		return fmt.Errorf("there is no placeholder {%s}; did you mean {%s}?", shorten(name), best[0])
	}
	return fmt.Errorf("there is no placeholder {%s}; here may stand %s", shorten(name), allowed(at))
}

// shorten keeps a text of the user short enough for one line.
func shorten(text string) string {
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "…"
	}
	return strings.Trim(strconv.Quote(text), `"`)
}

// hashText is 64 bits of FNV-1a.
func hashText(text string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return h
}
