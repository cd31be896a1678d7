package admin

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

func (f *fake) Delayed(fn func(core.DelayedInfo) bool) {
	for _, d := range f.delayed {
		if !fn(d) {
			return
		}
	}
}

func (f *fake) DelayedMessage(id uint64) (core.DelayedInfo, bool) {
	for _, d := range f.delayed {
		if d.ID == id {
			return d, true
		}
	}
	return core.DelayedInfo{}, false
}

func (f *fake) CancelDelayed(id uint64) bool {
	if _, ok := f.DelayedMessage(id); !ok || id == 99 { // 99 is sent just then
		return false
	}
	f.cancelled = append(f.cancelled, id)
	return true
}

// pagesOf follows the cursor to the end, and gives what show finds on each page.
func pagesOf(t *testing.T, s *Server, path string, show func(text []byte) (items, next string)) (pages []string) {
	t.Helper()
	for after := ""; ; {
		w := ask(s, "GET", path+"&after="+url.QueryEscape(after), nil)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		var items string
		items, after = show(w.Body.Bytes())
		if pages = append(pages, items); after == "" || len(pages) > 50 {
			return pages
		}
	}
}

func showDelayed(t *testing.T) func(text []byte) (items, next string) {
	return func(text []byte) (items, next string) {
		var p delayedPage
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		for _, d := range p.Delayed {
			items += d.ID + " "
		}
		return strings.TrimSpace(items), p.Next
	}
}

func TestDelayedPages(t *testing.T) {
	f := &fake{}
	for _, d := range []struct {
		id  uint64
		due int64
		who string
	}{{5, 3000, "a"}, {1, 2000, "b"}, {2, 2000, "a"}, {1 << 63, 1000, "a"}, {3, 9000, ""}} {
		f.delayed = append(f.delayed, core.DelayedInfo{ID: d.id, Due: d.due, Topic: "t/" + d.who, Publisher: d.who, QoS: 1, Size: 4, Published: 500})
	}
	s := newTestServer(f, nil)
	for query, want := range map[string]string{
		"limit=2":                         "[9223372036854775808 1|2 5|3]", // those due first; of the same time by number
		"limit=100":                       "[9223372036854775808 1 2 5 3]",
		"limit=1&publisher=a":             "[9223372036854775808|2|5]",
		"limit=5&topic=t/b":               "[1]",
		"limit=5&topic=t/b&publisher=c&x": "",
		"limit=5&publisher=nobody":        "[]",
	} {
		if want == "" {
			if w := ask(s, "GET", "/api/v1/delayed?"+query, nil); w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d", query, w.Code)
			}
			continue
		}
		if got := "[" + strings.Join(pagesOf(t, s, "/api/v1/delayed?"+query, showDelayed(t)), "|") + "]"; got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"limit=0", "limit=1001", "after=x", "after=1", "after=1.2.3", "after=+1.2", "after=1.-2", "id=1"} {
		if w := ask(s, "GET", "/api/v1/delayed?"+url.PathEscape(query), nil); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

// A page holds no more than it is asked for, however many wait.
func TestDelayedPagesOfMany(t *testing.T) {
	f := &fake{}
	const many = 5*maxPage + 7
	for i := range many {
		f.delayed = append(f.delayed, core.DelayedInfo{ID: uint64(i*7919%many + 1), Due: 1000})
	}
	seen, next := 0, uint64(1)
	for _, p := range pagesOf(t, newTestServer(f, nil), "/api/v1/delayed?limit=1000", showDelayed(t)) {
		for _, id := range strings.Fields(p) {
			if id != fmt.Sprint(next) {
				t.Fatalf("%s where %d should be", id, next)
			}
			seen, next = seen+1, next+1
		}
	}
	if seen != many {
		t.Errorf("%d of %d", seen, many)
	}
}

func TestDelayedIsShownAndCancelled(t *testing.T) {
	f := &fake{delayed: []core.DelayedInfo{{ID: 7, Topic: "door/open", Publisher: "c1", QoS: 2, Retain: true, Size: 3, Published: 1_000_000, Due: 2_000_000}, {ID: 99}}}
	var log strings.Builder
	s := newTestServer(f, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	want := `{"id":"7","topic":"door/open","publisher":"c1","qos":2,"retain":true,"payload_bytes":3,"published":"1970-01-01T00:16:40Z","due":"1970-01-01T00:33:20Z"}`
	if w := ask(s, "GET", "/api/v1/delayed/7", nil); w.Code != http.StatusOK || strings.Join(strings.Fields(w.Body.String()), "") != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, c := range []struct {
		method, id string
		want       int
	}{{"GET", "8", 404}, {"GET", "x", 404}, {"GET", "-7", 404}, {"DELETE", "8", 404}, {"DELETE", "x", 404}, {"DELETE", "99", 404}, {"DELETE", "7", 204}, {"POST", "7", 405}} {
		if w := ask(s, c.method, "/api/v1/delayed/"+c.id, nil); w.Code != c.want {
			t.Errorf("%s %s: %d %s", c.method, c.id, w.Code, w.Body)
		}
	}
	if fmt.Sprint(f.cancelled) != "[7]" {
		t.Errorf("cancelled %v", f.cancelled)
	}
	if n := strings.Count(log.String(), "cancelled"); n != 1 || !strings.Contains(log.String(), "user=admin") || !strings.Contains(log.String(), "topic=door/open") {
		t.Errorf("the log says %s", log.String())
	}
}
