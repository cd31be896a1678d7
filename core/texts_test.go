package core_test

import (
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// TestLongFiltersAreCut where no rule makes shorter ones of them: what is left shows that
// they were too long.
func TestLongFiltersAreCut(t *testing.T) {
	long := []byte(strings.Repeat("a/", 5000))
	for _, rules := range [][]core.RewriteRule{nil, {{Action: "all", Source: "a/#", Re: "^(a)/.*$", Dest: "$1"}}} {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.Rewrite = rules })
		turn := g.NewTurn()
		defer turn.Close()
		got, most := len(turn.FilterText(long)), core.DefaultConfig().MaxTopicLength
		if whole := got == len(long); whole != (rules != nil) || got <= most {
			t.Errorf("%d rules: %d bytes of %d are left, of at most %d", len(rules), got, len(long), most)
		}
	}
}
