package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"
)

// said makes the first n messages of one device as "topic payload-without-mark".
func said(p *Plan, device uint32, n int) []string {
	st := p.NewState(device)
	st.Begin(0)
	var m Message
	var out []string
	for range n {
		at, stream, ok := st.Next()
		if !ok {
			break
		}
		st.Message(stream, at, &m)
		text := string(m.Payload)
		if len(m.Mark) > 0 && len(m.Property) == 0 {
			text = strings.TrimSuffix(strings.Replace(text, string(m.Mark), "", 1), " ")
		}
		out = append(out, string(m.Topic)+" "+text)
	}
	return out
}

func TestPayloads(t *testing.T) {
	for name, c := range map[string]struct{ stream, want string }{
		"counter":    {``, "t 0|t 1|t 2"},
		"text":       {`payload.kind = "text"` + "\n" + `payload.text = "as {it} stands"`, "t as {it} stands|t as {it} stands|t as {it} stands"},
		"values":     {`payload.values = ["ON", "OFF"]`, "t ON|t OFF|t ON"},
		"json":       {`payload.text = '{"a":{seq}}'`, `t {"a":0,"_":""}|t {"a":1,"_":""}|t {"a":2,"_":""}`},
		"empty json": {`payload.text = '{ }'`, `t {"_":""}|t {"_":""}|t {"_":""}`},
		"unmarked":   {`payload = {text = "{group}/{n}/{N}/{id}/{seq}", mark = "none"}`, "t g/1/1/g-1/0|t g/1/1/g-1/1|t g/1/1/g-1/2"},
		"braces":     {`payload.text = "{{ value_json.x }} {{n}} {n}"`, "t {{ value_json.x }} {{n}} 1|t {{ value_json.x }} {{n}} 1|t {{ value_json.x }} {{n}} 1"},
		"time":       {`payload.text = "{time}"`, "t 2026-01-01T00:00:00.000Z|t 2026-01-01T00:00:01.000Z|t 2026-01-01T00:00:02.000Z"},
		"in turn":    {`payload.text = "{to}"`, "t 1|t 2|t 1"},
		"padded":     {`payload = {text = '{"a":1}', size = 60}`, `t {"a":1            ,"_":""}|t {"a":1            ,"_":""}|t {"a":1            ,"_":""}`},
		"cleared":    {`payload = {kind = "text", mark = "none"}` + "\nretain = true", "t |t |t "},
	} {
		t.Run(name, func(t *testing.T) {
			topic := "t"
			if strings.Contains(c.stream, "{to}") {
				topic = "t{each:2}"
			}
			p := planOf(t, "[groups.g]\n[groups.g.publish.a]\ntopic = \""+topic+"\"\nevery = \"1s\"\nafter = \"0s\"\n"+c.stream, 1)
			got := strings.Join(said(p, 0, 3), "|")
			if topic != "t" {
				got = strings.NewReplacer("t1 ", "t ", "t2 ", "t ").Replace(got)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSizesAreExact(t *testing.T) {
	for _, payload := range []string{
		`{size = 500}`, `{size = 500, mark = "none"}`, `{size = 500, mark = "property"}`, `{size = 35}`, `{kind = "counter", size = 60}`,
		`{text = "{seq}", size = 61}`, `{text = '{"a":1}', size = 100}`, `{text = '{}', size = 100}`, `{kind = "text", size = 50}`,
	} {
		p := planOf(t, "[groups.g]\n[groups.g.publish.a]\ntopic = \"t\"\nevery = \"1s\"\npayload = "+payload, 1)
		st := p.NewState(0)
		st.Begin(0)
		var m Message
		st.Message(0, 5, &m)
		if want := p.Groups[0].Group.Publish["a"].Payload.Size; len(m.Payload) != want {
			t.Errorf("%s: %d bytes %q", payload, len(m.Payload), m.Payload)
		}
		if looksJSON(m.Payload) && !json.Valid(m.Payload) {
			t.Errorf("%s: no JSON: %s", payload, m.Payload)
		}
	}
}

func TestWalkStaysBetween(t *testing.T) {
	p := planOf(t, oneStream+"every = \"1s\"\npayload = {low = -5, high = 5, step = 2, mark = \"none\"}\n", 1)
	last, least, most := 0.0, 9.0, -9.0
	for i, text := range said(p, 0, 5000) {
		var x float64
		if _, err := fmt.Sscan(strings.Fields(text)[1], &x); err != nil {
			t.Fatal(err)
		}
		if x < -5 || x > 5 || i > 0 && (x-last > 2.01 || last-x > 2.01) {
			t.Fatalf("message %d: from %v to %v", i, last, x)
		}
		last, least, most = x, min(least, x), max(most, x)
	}
	if least > -4.5 || most < 4.5 {
		t.Errorf("it stays between %v and %v", least, most)
	}
}

func TestFileOfLines(t *testing.T) {
	folder := t.TempDir()
	os.WriteFile(filepath.Join(folder, "lines.txt"), []byte("one\n\ntwo\r\nthree"), 0o600)
	os.WriteFile(filepath.Join(folder, "s.toml"), []byte("[groups.g]\n[groups.g.publish.a]\ntopic = \"t\"\nevery = \"1s\"\npayload.file = \"lines.txt\""), 0o600)
	s, err := Load(filepath.Join(folder, "s.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan(1)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(said(p, 0, 4), "|"); got != "t one|t two|t three|t one" {
		t.Error(got)
	}
}

func TestOneRowForEachTopic(t *testing.T) {
	p := planOf(t, `
[groups.g]
will = {topic = "state/{id}", payload = "off", qos = 1, retain = true, delay = "3s"}
[groups.g.subscribe.ask]
filter = "ask/#"
[groups.g.publish.state]
topic = "state/{group}-{n}"
every = "1s"
[groups.g.publish.many]
topic = "many/{each:3}"
every = "1s"
[groups.g.respond.fixed]
filter = "ask/state"
topic = "state/g-1"
[groups.g.respond.level]
filter = "ask/many/+"
topic = "many/{level:3}"
payload.text = "{request}"
[groups.g.respond.told]
filter = "ask/told"
`, 1)
	st := p.NewState(0)
	rows := map[string]uint64{}
	slots := map[uint32]string{}
	var m Message
	seen := func() {
		t.Helper()
		if topic := string(m.Topic); m.Seq != rows[topic] {
			t.Errorf("%s has number %d, wanted %d", topic, m.Seq, rows[topic])
		}
		rows[string(m.Topic)]++
		if old, ok := slots[m.Slot]; ok && old != string(m.Topic) {
			t.Errorf("slot %d is %s and %s", m.Slot, old, m.Topic)
		}
		slots[m.Slot] = string(m.Topic)
	}
	for round := range 4 {
		if !st.Will(0, &m) || m.QoS != 1 || !m.Retain || m.Delay != 3 || string(m.Payload) != "off" {
			t.Fatalf("the Will: %+v", m)
		}
		seen()
		st.Begin(0)
		for i := range 2 {
			st.Message(i, int64(round)*1e9, &m)
			seen()
		}
		for i, r := range []Request{{Topic: []byte("ask/state")}, {Topic: []byte("ask/many/2"), Payload: AppendMark([]byte(`say "x" `), Mark{1, 2, 3})},
			{Topic: []byte("ask/told"), Response: []byte("to/me"), Data: []byte("77")}} {
			for k := range p.Groups[0].Responds {
				if st.Answers(k, r.Topic, &m) != (k == i) {
					t.Errorf("response %s is asked for by %s", p.Groups[0].Responds[k].Name, r.Topic)
				}
			}
			if !st.Answer(i, &r, 5, &m) {
				t.Fatalf("no answer to %s", r.Topic)
			}
			seen()
			if i == 1 && !strings.HasPrefix(string(m.Payload), `say \"x\" ~`) {
				t.Errorf("the answer to %q is %q", r.Payload, m.Payload)
			}
			if i == 2 && (string(m.Topic) != "to/me" || string(m.Data) != "77") {
				t.Errorf("the answer went to %s with %s", m.Topic, m.Data)
			}
		}
		st.End()
	}
	for _, bad := range []string{"", "a/+", "#"} {
		if st.Answer(2, &Request{Response: []byte(bad)}, 5, &m) {
			t.Errorf("an answer went to %q", bad)
		}
	}
	if st.Unanswered != 3 {
		t.Errorf("%d requests are counted as not answered", st.Unanswered)
	}
	for i := range 2 * maxAsked {
		st.Answer(2, &Request{Response: fmt.Appendf(nil, "r/%d", i)}, 5, &m)
	}
	if len(st.asked) > maxAsked || st.Unanswered < maxAsked {
		t.Errorf("a device remembers %d topics of requests", len(st.asked))
	}
}

func TestMessagesDoNotAllocate(t *testing.T) {
	for _, payload := range []string{`{}`, `{size = 200}`, `{low = 1, high = 2}`, `{text = '{"v":{value},"t":"{time}","r":{rand:1,2}}', low = 1, high = 2}`,
		`{kind = "sparkplug", low = 0, high = 9}`, `{values = ["a", "b"], mark = "property"}`} {
		p := planOf(t, "[groups.g]\n[groups.g.publish.a]\ntopic = \"t/{id}/{any:9}\"\nschedule = \"poisson\"\nevery = \"1s\"\nqos_mix = [0.5, 0.3, 0.2]\npayload = "+payload, 1)
		st := p.NewState(0)
		st.Begin(0)
		var m Message
		once := func() {
			at, stream, _ := st.Next()
			st.Message(stream, at, &m)
		}
		for range 100 {
			once()
		}
		if n := testing.AllocsPerRun(200, once); n != 0 {
			t.Errorf("%s: %v allocations a message", payload, n)
		}
	}
}

func TestIdleDevicesAreSmall(t *testing.T) {
	p := planOf(t, "[groups.g]\nwill = {topic = \"w/{id}\"}\n[groups.g.publish.a]\ntopic = \"a/{id}\"\nevery = \"1s\"\n[groups.g.publish.b]\ntopic = \"b/{id}\"\nevery = \"1s\"\n", 1)
	st := p.NewState(0)
	size := int(unsafe.Sizeof(*st)) + cap(st.rows)*int(unsafe.Sizeof(st.rows[0])) + cap(st.streams)*int(unsafe.Sizeof(st.streams[0]))
	if size > 250 {
		t.Errorf("a device with a Will and two streams takes %d bytes", size)
	}
}

func TestQoSMix(t *testing.T) {
	p := planOf(t, oneStream+"every = \"1s\"\nqos_mix = [0.5, 0.3, 0.2]\n", 1)
	st := p.NewState(0)
	st.Begin(0)
	var m Message
	var counts [3]int
	for range 10_000 {
		st.Message(0, 0, &m)
		counts[m.QoS]++
	}
	for i, want := range []int{5000, 3000, 2000} {
		if counts[i] < want-200 || counts[i] > want+200 {
			t.Errorf("of 10,000 messages QoS 0, 1 and 2 have %v", counts)
		}
	}
}

func TestPropertyMark(t *testing.T) {
	p := planOf(t, oneStream+"every = \"1s\"\npayload = {text = \"on\", mark = \"property\"}\nresponse_topic = \"r/{id}\"\nexpiry = \"1500ms\"\n", 1)
	st := p.NewState(2)
	st.Begin(0)
	var m Message
	st.Message(0, 0, &m)
	st.Message(0, 44, &m)
	PutMarkTime(m.Mark, 45)
	mark, ok := FindMark(m.Property)
	if !ok || mark != (Mark{2, 1, 45}) || string(m.Payload) != "on" {
		t.Errorf("%+v %v %q", mark, ok, m.Payload)
	}
	if string(m.Response) != "r/g-3" || !bytes.Equal(m.Data, []byte("1")) || m.Expiry != 2 {
		t.Errorf("%s %s %d", m.Response, m.Data, m.Expiry)
	}
}

func BenchmarkMessage(b *testing.B) {
	s, err := parse("b.toml", []byte(oneStream+"schedule = \"poisson\"\nevery = \"1s\"\npayload = {text = '{\"v\":{value}}', low = 1, high = 2}"), nil)
	if err != nil {
		b.Fatal(err)
	}
	p, err := s.Plan(1)
	if err != nil {
		b.Fatal(err)
	}
	st := p.NewState(0)
	st.Begin(0)
	var m Message
	b.ReportAllocs()
	for b.Loop() {
		at, stream, _ := st.Next()
		st.Message(stream, at, &m)
	}
}
