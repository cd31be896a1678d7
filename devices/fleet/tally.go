package fleet

import (
	"errors"
	"strings"

	"github.com/fairlead-iot/fairlead/devices/loop"
	"github.com/fairlead-iot/fairlead/devices/report"
)

// maxReasons bounds the different reasons that are told apart.
const maxReasons = 100

// tallies count by reason.
type tallies map[string]*report.Shortfall

func (t tallies) add(reason, advice string) {
	s := t[reason]
	if s == nil && len(t) >= maxReasons {
		reason, advice = "other reasons", "look at the ones named here first"
		s = t[reason]
	}
	if s == nil {
		s = &report.Shortfall{Reason: reason, Advice: advice}
		t[reason] = s
	}
	s.Count++
}

// addError is add for an error, with its advice if it has one.
func (t tallies) addError(what string, err error) {
	var dial *loop.DialError
	switch {
	case errors.As(err, &dial):
		t.add(what+": "+dial.Problem, dial.Hint)
	case err == nil:
		t.add(what, "")
	default:
		t.add(what+": "+strings.TrimPrefix(err.Error(), "loop: "), "")
	}
}

func (t tallies) list() (out []report.Shortfall) {
	for _, s := range t {
		out = append(out, *s)
	}
	return out
}
