package oracle

import (
	"fmt"
	"os"
	"strconv"
	"testing"
)

// play lets the devices do as they please for 20 seconds. The first two are steady:
// device 0 subscribes, 1 publishes, and both stay.
func (w *world) play() {
	for _, d := range w.devs {
		w.after(w.r.Int64N(100*ms), d.connect)
		if d.steady {
			w.after(200*ms, func() { d.begin() })
		} else {
			w.after(300*ms+w.r.Int64N(300*ms), d.live)
		}
	}
	w.run(21 * second)
	for _, d := range w.devs {
		if w.r.IntN(3) > 0 || d.steady {
			d.connect()
			d.stopped = true
		}
	}
	w.run(32 * second)
}

func (d *simDevice) begin() {
	if d.number == 0 {
		d.subscribe("m/#", 2, true, false, false)
		d.subscribe("w/+", 1, true, false, false)
		for i := range int64(3) {
			d.w.after((6+4*i)*second, func() { d.subscribe("q/+", 1, true, false, false) })
		}
		return
	}
	d.durable, d.w.devs[0].durable = false, false
	d.stream()
	d.publishSettled()
}

// publishSettled sets two retained values of two topics, long before anybody asks, and
// clears one of another topic.
func (d *simDevice) publishSettled() {
	w := d.w
	for i := range uint32(3) {
		w.after(int64(i)*second, func() {
			m := d.message("q/1", 1, true)
			d.publish(m)
			if i < 2 {
				w.older = m
			}
			c := d.message("q/2", 1, true)
			if i == 2 {
				c.size, c.hash = 0, 0
			}
			d.publish(c)
		})
	}
}

// stream publishes steadily.
func (d *simDevice) stream() {
	w := d.w
	if w.now > 20*second || !d.up() {
		return
	}
	m := d.message(fmt.Sprint("m/1/", w.r.IntN(2)), uint8(w.r.IntN(3)), false)
	d.publish(m)
	if w.r.IntN(5) == 0 {
		d.publishRetained()
	}
	w.after(30*ms+w.r.Int64N(100*ms), d.stream)
}

// publishRetained changes the values that the prober looks at, at QoS 1 or 2, and lets
// them stand for a while.
func (d *simDevice) publishRetained() {
	w := d.w
	m := d.message(fmt.Sprint("r/", w.r.IntN(3)), uint8(1+w.r.IntN(2)), true)
	if w.r.IntN(4) == 0 {
		m.size, m.hash = 0, 0
	}
	d.publish(m)
}

func (d *simDevice) live() {
	w := d.w
	if w.now > 20*second {
		return
	}
	w.after(w.r.Int64N(200*ms), d.live)
	if d.conn != nil && d.conn == d.doomed {
		return
	}
	if !d.up() {
		if d.conn == nil && w.r.IntN(4) == 0 {
			d.connect()
		}
		return
	}
	switch n := w.r.IntN(100); {
	case n < 3:
		d.cut()
	case n < 5:
		d.leave([]uint8{0, 0, 4}[w.r.IntN(3)])
	case n < 6 && d.conn.broker:
		c := d.conn
		d.doomed = c
		w.brokerCloses(c)
		w.after(w.latency(), func() { d.lose(c, 0x8B, false) })
	case n < 25:
		d.subscribeSomething()
	default:
		d.publishSomething()
	}
}

func (d *simDevice) subscribeSomething() {
	w := d.w
	filter := []string{"m/#", "m/+/0", "m/2/1", "+/3/+", "r/+", "r/0", "#", "w/#", "u/+", "$share/x/m/#", "$share/y/m/+/1", "$share/x/u/#"}[w.r.IntN(12)]
	if d.subs[filter] && w.r.IntN(2) == 0 {
		d.unsubscribe(filter)
		return
	}
	d.subscribe(filter, uint8(w.r.IntN(3)), w.r.IntN(3) > 0, w.r.IntN(4) == 0 && !shared(filter), w.r.IntN(3) == 0)
}

func (d *simDevice) publishSomething() {
	w := d.w
	topic := fmt.Sprintf("m/%d/%d", 2+w.r.IntN(2), w.r.IntN(2))
	switch w.r.IntN(8) {
	case 0:
		topic = fmt.Sprint("r/", w.r.IntN(3))
	case 1:
		topic = fmt.Sprint("u/", w.r.IntN(2))
	case 2:
		topic = "$x/a"
	}
	m := d.message(topic, uint8(w.r.IntN(3)), w.r.IntN(4) == 0)
	if topic[0] == 'u' {
		m.marked = false
	}
	if m.retain && w.r.IntN(4) == 0 {
		m.size, m.hash = 0, 0
	}
	if w.r.IntN(10) == 0 {
		m.expiry = 1
	}
	d.publish(m)
}

func (w *world) judge() *Verdict {
	j := newJudge(w.config().withDefaults())
	for i := range w.events {
		j.step(&w.events[i])
	}
	return j.finish(w.now)
}

func describe(v *Verdict) string {
	text := ""
	for _, e := range v.Examples {
		text += fmt.Sprintf("  %+v\n", e)
	}
	return text
}

// runs is how many random runs a test makes; FAIRLEAD_ORACLE_RUNS asks for more.
func runs(t *testing.T) uint64 {
	if n, err := strconv.ParseUint(os.Getenv("FAIRLEAD_ORACLE_RUNS"), 10, 64); err == nil {
		return n
	}
	if testing.Short() {
		return 40
	}
	return 300
}

func TestPerfectBrokerHasNoFaults(t *testing.T) {
	var sum Counts
	bad := 0
	for seed := range runs(t) {
		w := newWorld(seed)
		w.play()
		v := w.judge()
		sum.Expected += v.Total.Expected
		sum.Optional += v.Total.Optional
		sum.Repeated += v.Total.Repeated
		sum.Received += v.Total.Received
		if len(v.ByFault) > 0 {
			t.Errorf("seed %d: %v skipped %v\n%s", seed, v.ByFault, v.Skipped, describe(v))
			if bad++; bad > 5 {
				break
			}
		}
	}
	t.Logf("%+v", sum)
	if sum.Expected < sum.Received/3 {
		t.Errorf("too little of what came had to come: %+v", sum)
	}
}
