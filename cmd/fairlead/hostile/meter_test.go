package hostile

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// sampling is how often the memory of the process is looked at.
const sampling = 5 * time.Millisecond

// looking is how often it is asked which processes it has begun: that takes all there are.
const looking = 100 * time.Millisecond

// meter watches the resident memory of a process, and of those that it has begun. Of these
// counts what they have for themselves: the pages of the program are the same ones.
type meter struct {
	pid  int
	kids []int
	next time.Time // when to look for kids
	stop chan struct{}
	wg   sync.WaitGroup
	mu   sync.Mutex
	peak int64
	base int64
}

// rebase forgets what the process has grown by: it was no part of the attack.
func (m *meter) rebase() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.base = m.now()
	m.peak = m.base
}

// now gives the bytes of this moment.
func (m *meter) now() int64 {
	if now := time.Now(); now.After(m.next) {
		m.kids, m.next = children(m.pid), now.Add(looking)
	}
	bytes := resident(m.pid, "VmRSS:")
	for _, kid := range m.kids {
		bytes += resident(kid, "RssAnon:")
	}
	return bytes
}

// startMeter notes the memory of now and looks on until done.
func startMeter(pid int) *meter {
	m := &meter{pid: pid, stop: make(chan struct{})}
	m.rebase()
	m.wg.Go(func() {
		tick := time.NewTicker(sampling)
		defer tick.Stop()
		for {
			m.mu.Lock()
			m.peak = max(m.peak, m.now())
			m.mu.Unlock()
			select {
			case <-tick.C:
			case <-m.stop:
				return
			}
		}
	})
	return m
}

// done gives by how many bytes the process grew at most. 0: this system does not
// tell.
func (m *meter) done() int64 {
	close(m.stop)
	m.wg.Wait()
	return max(0, m.peak-m.base)
}

// children gives the processes that pid has begun and that live, none where the system
// has no /proc.
func children(pid int) (kids []int) {
	all, _ := os.ReadDir("/proc")
	for _, entry := range all {
		kid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", kid))
		if err != nil {
			continue
		}
		// The name, in brackets, may hold anything.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			kids = append(kids, kid)
		}
	}
	return kids
}

// resident gives bytes of a process by their name in its status, 0 where the system has no
// /proc or the process is gone.
func resident(pid int, name string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), name)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kb << 10
}

// metrics reads /metrics: figures by name and labels, as they are written.
func (g *gateway) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(string(g.get(t, "/metrics", ""))) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("metrics: %q", line)
		}
		all[name] = v
	}
	return all
}

// reason gives the counter of one reason.
func (g *gateway) reason(t *testing.T, name string) float64 {
	t.Helper()
	return g.metrics(t)[fmt.Sprintf("fairlead_reason_total{reason=%q}", name)]
}

// explanation is the part of an explain record that the tests use.
type explanation struct {
	Reason   string `json:"reason"`
	ClientID string `json:"client_id"`
	Topic    string `json:"topic"`
	Detail   string `json:"detail"`
	Listener string `json:"listener"`
	Peer     string `json:"peer"`
}

// explain gives the newest records of one reason.
func (g *gateway) explain(t *testing.T, reason string) []explanation {
	t.Helper()
	var answer struct {
		Records []explanation `json:"records"`
	}
	text := g.get(t, "/api/v1/explain?limit=20&reason="+url.QueryEscape(reason), g.administrator(t))
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("explain: %v\n%s", err, text)
	}
	return answer.Records
}

// administrator reads the password off the banner of the first start.
func (g *gateway) administrator(t *testing.T) string {
	t.Helper()
	if g.password == "" {
		banner := regexp.MustCompile(`the password is\s+([A-Z2-7]{26})\s`)
		g.password = g.awaitLog(t, "the administrator's password", func(text string) string {
			if found := banner.FindStringSubmatch(text); found != nil {
				return found[1]
			}
			return ""
		})
	}
	return g.password
}

func (g *gateway) get(t *testing.T, path, password string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.ready.Admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		r.SetBasicAuth("admin", password)
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %v\n%s", path, answer.Status, err, text[:min(len(text), 500)])
	}
	return text
}
