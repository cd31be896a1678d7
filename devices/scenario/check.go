package scenario

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"
)

// faults collects what is wrong with a section. Each begins with its key, as
// internal/config wants it.
type faults []error

func (f *faults) add(key, format string, values ...any) {
	*f = append(*f, fmt.Errorf(key+": "+format, values...))
}

// join is all faults as one error, or nil.
func (f faults) join() error { return errors.Join(f...) }

// longest is the longest time that a scenario may name. It keeps sums of times far from
// overflow.
const longest = 366 * 24 * time.Hour

func (f *faults) times(pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		switch key, d := pairs[i].(string), pairs[i+1].(time.Duration); {
		case d < 0:
			f.add(key, "%v is less than nothing; write 0 or more", d)
		case d > longest:
			f.add(key, "%v is longer than a year", d)
		}
	}
}

// shares checks shares of a whole.
func (f *faults) shares(pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		if key, x := pairs[i].(string), pairs[i+1].(float64); !(x >= 0 && x <= 1) {
			f.add(key, "%v is no share; write a number from 0 to 1", x)
		}
	}
}

func (f *faults) qos(key string, qos int) {
	if qos < 0 || qos > 2 {
		f.add(key, "%d is no QoS; write 0, 1 or 2", qos)
	}
}

func (f *faults) between(key string, x, low, high int) {
	if x < low || x > high {
		f.add(key, "%d is not between %d and %d", x, low, high)
	}
}

func (f *faults) broker(key, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		f.add(key, "%q is no URL; write mqtt://HOST:PORT", shorten(text))
	case !slices.Contains([]string{"mqtt", "mqtts", "ws", "wss", "unix", "mem", "mqttsn", "mqttsns", "coap", "coaps"}, strings.ToLower(u.Scheme)):
		f.add(key, "%q does not begin with mqtt://, mqtts://, ws://, wss://, unix://, mqttsn://, mqttsns://, coap:// or coaps://", shorten(u.Redacted()))
	case u.Host == "" && u.Path == "":
		f.add(key, "%q names no host; write %s://HOST:PORT", shorten(u.Redacted()), u.Scheme)
	}
}

// Validate judges the scenario as a whole: all that needs more than one section. It
// reads the files of payloads.
func (s *Scenario) Validate() error {
	var f faults
	f.broker("broker", s.Broker)
	f.times("duration", s.Duration, "settle", s.Settle)
	if s.Duration == 0 {
		f.add("duration", "nothing can happen in no time; write a duration such as \"60s\"")
	}
	if len(s.Groups) == 0 {
		f.add("groups", "there are no devices; begin a group with a row [groups.NAME]")
	}
	for name := range s.Network {
		if !plainName(name) {
			f.add("network", "%q: names have letters, digits, - and _ only", shorten(name))
		}
	}
	s.readFiles(&f)
	b := &builder{s: s, report: func(key string, err error) { f.add(key, "%w", err) }}
	p := b.plan(1)
	for _, gp := range p.Groups {
		b.checkNetwork(gp)
		b.checkKeys(gp)
		b.checkRows(gp, "groups."+gp.Name+".publish")
	}
	if total := s.total(); total > maxDevices {
		f.add("groups", "%d devices are more than %d", total, maxDevices)
	} else {
		b.checkIdentities(p)
	}
	return f.join()
}

// maxDevices bounds all groups together.
const maxDevices = 1 << 24

func (s *Scenario) total() (devices int) {
	for _, g := range s.Groups {
		if g != nil {
			devices += min(max(g.Count, 0), maxGroup)
		}
	}
	return devices
}

func (b *builder) checkNetwork(gp *GroupPlan) {
	if name := gp.Group.Network; name != "" && gp.Network == nil {
		var names []string
		for known := range b.s.Network {
			names = append(names, known)
		}
		slices.Sort(names)
		hint := "begin it with a row [network." + name + "]"
		if best := near(name, names); len(best) > 0 {
			hint = fmt.Sprintf("did you mean %q?", best[0])
		} else if len(names) > 0 {
			hint = "there are " + strings.Join(names, ", ")
		}
		b.report("groups."+gp.Name+".network", fmt.Errorf("there is no network condition %q; %s", shorten(name), hint))
	}
}

// Validate judges the expectations.
func (e *Expect) Validate() error {
	var f faults
	f.shares("connected", e.Connected, "loss_qos0", e.LossQoS0, "unanswered", e.Unanswered)
	f.times("latency_p50", e.Latency50, "latency_p99", e.Latency99, "latency_max", e.LatencyMax, "connect_p99", e.Connect99, "will_within", e.WillWithin)
	return f.join()
}

// Validate judges the files' names.
func (t *TLS) Validate() error {
	var f faults
	if (t.CertFile == "") != (t.KeyFile == "") {
		key, other := "cert_file", "key_file"
		if t.CertFile == "" {
			key, other = other, key
		}
		f.add(key, "stands alone; a certificate and its key belong together, give %s too", other)
	}
	return f.join()
}

// Validate judges a network condition.
func (n *Network) Validate() error {
	var f faults
	f.times("latency", n.Latency, "jitter", n.Jitter, "cut_every", n.CutEvery, "rebind", n.Rebind)
	f.shares("loss", n.Loss, "duplicate", n.Duplicate, "reorder", n.Reorder, "half_open", n.HalfOpen)
	if n.Bandwidth < 0 {
		f.add("bandwidth", "%d is less than nothing; 0 means not limited", n.Bandwidth)
	}
	if n.HalfOpen > 0 && n.CutEvery == 0 {
		f.add("half_open", "is a share of the cuts, and there are none; give cut_every")
	}
	return f.join()
}

// Validate judges a reconnection.
func (r *Reconnect) Validate() error {
	var f faults
	f.times("min", r.Min, "max", r.Max)
	f.shares("jitter", r.Jitter)
	if r.Max < r.Min {
		f.add("max", "%v is shorter than the first wait, %v", r.Max, r.Min)
	}
	if r.Limit < 0 {
		f.add("limit", "%d tries; 0 means that it never gives up", r.Limit)
	}
	return f.join()
}

// Validate judges how devices sleep.
func (s *Sleep) Validate() error {
	var f faults
	f.times("awake", s.Awake, "asleep", s.Asleep)
	f.shares("jitter", s.Jitter, "abrupt", s.Abrupt)
	if s.Awake == 0 {
		f.add("awake", "a device has to be connected for some time; write a duration such as \"5s\"")
	}
	return f.join()
}

// Validate judges a misbehaviour.
func (m *Misbehave) Validate() error {
	var f faults
	f.shares("share", m.Share)
	f.times("flap_every", m.FlapEvery)
	if m.SlowRead < 0 {
		f.add("slow_read", "%d is less than nothing; 0 means as fast as it comes", m.SlowRead)
	}
	if m.SlowRead == 0 && m.FlapEvery == 0 && !m.Duplicate {
		f.add("share", "of nothing: give slow_read, flap_every or duplicate_client_id")
	}
	return f.join()
}

// notFinite tells NaN and infinities, which TOML can write.
func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
