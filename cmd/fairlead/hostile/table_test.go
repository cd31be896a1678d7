package hostile

import (
	"strings"
	"testing"
	"time"
)

// TestTable: a run replaces its own rows and leaves the others.
func TestTable(t *testing.T) {
	first := together().table("", []figure{{Name: "b", Does: "old"}, {Name: "c", Does: "stays"}})
	got := together().table(first, []figure{{Name: "b", Does: "new", Grown: 40 << 20, During: service{Messages: latency{time.Millisecond, 2 * time.Millisecond}}}, {Name: "a", Fault: "core: it does"}})
	want := together().head +
		"| a |  |  | 0.0, **a fault**: core: it does | 0.00/0.00 | 0.00/0.00 | 0.00/0.00 |\n" +
		"| b | new |  | **40.0** | 0.00/0.00 | 0.00/0.00 | 1.00/2.00 |\n" +
		"| c | stays |  | 0.0 | 0.00/0.00 | 0.00/0.00 | 0.00/0.00 |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if strings.Count(got, "| b |") != 1 {
		t.Error("the row is there twice")
	}
}
