package mqttsn

import (
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// What comes beyond the listener's rates is refused as congestion, at every QoS, and goes
// nowhere; everything else goes on. [SN-6.6-5]
func TestPublishBeyondTheRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &stage{t: t, store: coretest.NewMemStore(), actors: map[string]*actor{}, marks: map[string]string{}}
		st.start()
		left := 1
		st.field.rate = &left
		for _, line := range []string{
			`a > 04 04 01 003c "c1"`, `a < 05 00`,
			`a > 12 20 0001 "zz"`, `a < 13 20 0001 0001 00`,
			`a > 0c 22 7879 0002 "one"`, `a < 0d 7879 0002 00`,
			`a > 0c 22 7879 0003 "two"`, `a < 0d 7879 0003 01`,
			`a > 0c 42 7879 0004 "three"`, `a < 0d 7879 0004 01`,
			`a > 0c 02 7879 0000 "four"`, `a < 0d 7879 0000 01`,
			`a > 16`, `a < 17`,
			`seen xy=one`,
		} {
			st.at = line
			st.act(line)
		}
		if n := st.gw.Stats().Reasons[core.MessageRateTooHigh]; n != 3 {
			t.Errorf("%d refusals counted", n)
		}
		left = 1
		st.act(`a > 0c 22 7879 0003 "two"`) // a while later
		st.act(`a < 0d 7879 0003 00`)
		st.act(`seen xy=two`)
		st.end()
	})
}
