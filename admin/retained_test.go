package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// shelf is what a fake retains.
type shelf struct {
	kept    []core.RetainedMessage
	removed []string
	stuck   string // a topic that no rule deletes
	asking  error  // of asking
	storing error  // of deleting
	slow    time.Duration
}

func (s *shelf) Retained(_ context.Context, filter, after string, max int) (p core.RetainedPage, err error) {
	if strings.Contains(filter, "#/") {
		return p, core.Errorf(core.TopicFilterInvalid, "no filter")
	}
	from, err := strconv.Atoi("0" + after)
	if err != nil {
		return p, core.ErrPlace
	}
	for i, m := range s.kept {
		if m.Message == nil || i < from || !topic.Match(filter, m.Topic) {
			continue
		}
		if len(p.Messages) == max {
			p.Next = fmt.Sprint(i)
			break
		}
		p.Messages = append(p.Messages, m)
	}
	<-time.After(s.slow)
	return p, s.asking
}

func (s *shelf) RetainedMessage(ctx context.Context, name string) (core.RetainedMessage, bool, error) {
	p, err := s.Retained(ctx, name, "", 1)
	if err != nil || len(p.Messages) == 0 {
		return core.RetainedMessage{}, false, err
	}
	return p.Messages[0], true, nil
}

func (s *shelf) DeleteRetained(_ context.Context, topics []string, about string) error {
	s.removed = append(s.removed, fmt.Sprintf("%s:%d", about, len(topics)))
	for i, m := range s.kept {
		for _, name := range topics {
			if m.Message != nil && m.Topic == name && name != s.stuck {
				s.kept[i].Message = nil // the others stay where they are
			}
		}
	}
	return s.storing
}

// add puts count messages there, from t/0 on.
func (s *shelf) add(count int, elsewhere bool) {
	for i := range count {
		s.kept = append(s.kept, core.RetainedMessage{Message: &core.Message{Topic: fmt.Sprintf("t/%d", i), Payload: []byte("x")}, Elsewhere: elsewhere})
	}
}

func TestRetainedPages(t *testing.T) {
	f := &fake{}
	f.add(5, false)
	s := newTestServer(f, nil)
	show := func(text []byte) (items, next string) {
		var p retainedPage
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		for _, m := range p.Retained {
			items += m.Topic + " "
		}
		return strings.TrimSpace(items), p.Next
	}
	for query, want := range map[string]string{
		"limit=2": "t/0 t/1|t/2 t/3|t/4", "limit=9&topic=t/%2B": "t/0 t/1 t/2 t/3 t/4", "topic=t/3": "t/3", "topic=none": "",
	} {
		if got := strings.Join(pagesOf(t, s, "/api/v1/retained?"+query, show), "|"); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"limit=0", "limit=1001", "after=x", "topic=%23/", "filter=a", "topic=a&topic=b"} {
		for _, method := range []string{"GET", "DELETE"} {
			if w := ask(s, method, "/api/v1/retained?topic=t/%2B&"+query, nil); query != "limit=1001" || method == "GET" {
				if w.Code != http.StatusBadRequest {
					t.Errorf("%s %s: %d %s", method, query, w.Code, w.Body)
				}
				checkProblem(t, w)
			}
		}
	}
	if w := ask(s, "DELETE", "/api/v1/retained", nil); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "topic=%23") {
		t.Errorf("all are deleted by mistake: %d %s", w.Code, w.Body)
	}
}

func TestRetainedIsShown(t *testing.T) {
	f := &fake{shelf: shelf{kept: []core.RetainedMessage{
		{Message: &core.Message{Topic: "a/b c", Payload: []byte{0, 255}, Publisher: "c1", Username: "u", QoS: 1, Published: 1000, Properties: &core.Properties{
			PayloadFormat: 1, ContentType: "text/plain", ResponseTopic: "r", CorrelationData: []byte{1}, User: []core.UserProperty{{Name: "n", Value: "v"}, {Name: "n", Value: "w"}}}}, Lapses: 3_600_000},
		{Message: &core.Message{Topic: ".."}, Elsewhere: true},
	}}}
	s := newTestServer(f, nil)
	const head = `{"topic":"a/bc","kept_by":"gateway","publisher":"c1","username":"u","qos":1,"payload_bytes":2,"published":"1970-01-01T00:00:01.000Z","expires":"1970-01-01T01:00:00.000Z"`
	for path, want := range map[string]string{
		"":             `{"retained":[` + head + `},{"topic":"..","kept_by":"database","qos":0,"payload_bytes":0}]}`,
		"/a%2Fb%20c":   head + `,"payload":"AP8=","payload_format":1,"content_type":"text/plain","response_topic":"r","correlation_data":"AQ==","user_properties":[{"name":"n","value":"v"},{"name":"n","value":"w"}]}`,
		"/%2E%2E":      `{"topic":"..","kept_by":"database","qos":0,"payload_bytes":0,"payload":"","payload_format":0}`,
		"/none":        "404",
		"/%23%2F":      "400",
		"/a%2Fb%20c/x": "404",
	} {
		w := ask(s, "GET", "/api/v1/retained"+path, nil)
		if got := strings.Join(strings.Fields(w.Body.String()), ""); got != want && fmt.Sprint(w.Code) != want {
			t.Errorf("%s: %d %s", path, w.Code, got)
		}
	}
}

func TestRetainedIsDeleted(t *testing.T) {
	f := &fake{}
	f.add(3, true)
	f.stuck = "t/2"
	var log strings.Builder
	s := newTestServer(f, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for _, c := range []struct {
		topic string
		want  int
	}{{"t%2F1", 204}, {"t%2F1", 404}, {"t%2F2", 409}, {"none", 404}} {
		if w := ask(s, "DELETE", "/api/v1/retained/"+c.topic, nil); w.Code != c.want {
			t.Errorf("%s: %d %s", c.topic, w.Code, w.Body)
		}
	}
	if got := strings.Join(f.removed, " "); got != "t/1:1 t/2:1" {
		t.Errorf("deleted %s", got)
	}
	if n := strings.Count(log.String(), "deleted by the administrator"); n != 2 || !strings.Contains(log.String(), "topic=t/1 messages=1 user=admin peer=127.0.0.1:5000") {
		t.Errorf("the log says %s", log.String())
	}
}

func TestRetainedIsDeletedByFilter(t *testing.T) {
	f := &fake{}
	f.add(1000, true)
	f.stuck = "t/700"
	var log strings.Builder
	s := newTestServer(f, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for _, c := range []struct{ query, want, removed string }{
		{"topic=none", `{"deleted":0}`, ""},
		{"topic=t/%2B&limit=300", `{"deleted":300,"next":"300"}`, "t/+:256 t/+:44"},
		{"topic=t/%2B&limit=100000&after=300", `{"deleted":699,"left":1}`, "t/+:256 t/+:256 t/+:188"},
	} {
		f.removed = nil
		w := ask(s, "DELETE", "/api/v1/retained?"+c.query, nil)
		if got := strings.Join(strings.Fields(w.Body.String()), ""); w.Code != 200 || got != c.want || strings.Join(f.removed, " ") != c.removed {
			t.Errorf("%s: %d %s, %v", c.query, w.Code, got, f.removed)
		}
	}
	if n := strings.Count(log.String(), "deleted by the administrator"); n != 2 || !strings.Contains(log.String(), "messages=300") {
		t.Errorf("the log says %s", log.String())
	}
	f.add(1000, false)
	f.slow = 2 * time.Millisecond
	s = newTestServer(f, func(o *Options) { o.Config.RequestTimeout = time.Millisecond })
	if w := ask(s, "DELETE", "/api/v1/retained?topic=t/%2B", nil); w.Code != 200 || !strings.Contains(w.Body.String(), `"next"`) {
		t.Errorf("it takes longer than it may: %d %s", w.Code, w.Body)
	}
}

func TestRetainedFaults(t *testing.T) {
	away := &core.Error{Reason: core.ServerUnavailable, Detail: "not known", Err: errors.New("unplugged")}
	for _, c := range []struct {
		asking, storing error
		method, path    string
		code            string
	}{
		{away, nil, "GET", "", "database_away"}, {away, nil, "GET", "/t%2F1", "database_away"}, {away, nil, "DELETE", "/t%2F1", "database_away"},
		{away, nil, "DELETE", "?topic=t/1", "database_away"}, {nil, core.ErrStoreFull, "DELETE", "/t%2F1", "not_stored"}, {nil, core.ErrStoreFull, "DELETE", "?topic=t/1", "not_stored"},
	} {
		f := &fake{shelf: shelf{asking: c.asking, storing: c.storing}}
		f.add(2, true)
		w := ask(newTestServer(f, nil), c.method, "/api/v1/retained"+c.path, nil)
		if p := checkProblem(t, w); w.Code != http.StatusServiceUnavailable || p.Code != c.code {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
}
