package interop

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// figures reads /metrics of a gateway: the values without labels, by name.
func (g *gateway) figures(ctx context.Context) (map[string]int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics: %s", answer.Status)
	}
	found := map[string]int{}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		name, ours := strings.CutPrefix(name, "fairlead_")
		if f, err := strconv.ParseFloat(value, 64); ok && ours && err == nil {
			found[name] = int(f)
		}
	}
	return found, lines.Err()
}

// unbalanced says what does not agree in the figures of a gateway that nobody
// uses, "" for nothing: what core counted as under way must be what the store
// holds, and nothing may be dropped, damaged or refused by the store.
func unbalanced(f map[string]int) string {
	for _, name := range []string{"restored_total", "matched_total", "delivered_total", "store_queued", "pending"} {
		if _, ok := f[name]; !ok {
			return "/metrics lacks " + name
		}
	}
	came := f["restored_total"] + f["matched_total"] + f["retained_matched_total"]
	left := came - f["delivered_total"] - f["expired_total"] - f["dropped_total"]
	if left != f["store_queued"] || left != f["pending"] {
		return fmt.Sprintf("%d messages came and %d are left by the counters, %d wait in the store: %v", came, left, f["store_queued"], f)
	}
	for _, name := range []string{"dropped_total", "expired_total", "store_damaged_records_total", "store_failures_total"} {
		if f[name] != 0 {
			return fmt.Sprintf("%s is %d", name, f[name])
		}
	}
	return ""
}

// checkRestored compares the figures of a fresh start, which no client has
// reached yet.
func (r *killRun) checkRestored(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f, err := r.gateway.figures(ctx)
	if err != nil {
		t.Fatalf("the figures of a fresh start: %v", err)
	}
	if fault := unbalanced(f); fault != "" {
		t.Errorf("after start %d the ledger does not balance: %s", len(r.restarts), fault)
		return
	}
	if f["restored_total"] != f["store_queued"] {
		t.Errorf("%d queue entries restored, the store holds %d", f["restored_total"], f["store_queued"])
	}
	r.balanced++
	r.restored += f["restored_total"]
}

// checkQuiet compares the figures at the end, once the last acknowledgements of
// the subscribers have reached the store.
func (r *killRun) checkQuiet(ctx context.Context, t *testing.T) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		f, err := r.gateway.figures(ctx)
		fault := "it holds messages that everybody has"
		if err != nil {
			fault = err.Error()
		} else if u := unbalanced(f); u != "" {
			fault = u
		} else if f["store_queued"] == 0 {
			r.balanced++
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Errorf("in the end the ledger does not balance: %s", fault)
			return
		}
	}
}
