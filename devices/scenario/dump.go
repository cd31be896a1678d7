package scenario

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"time"
	"unicode/utf8"
)

// Dump writes what the first devices of each group do, up to so many actions of each,
// as a text for people; connections are taken to stand at once and to last as long as the device
// wants.
func (p *Plan) Dump(w io.Writer, devices, actions int) error {
	out := bufio.NewWriter(w)
	for _, g := range p.Groups {
		for n := range min(uint32(max(devices, 0)), g.Count) {
			d := p.Device(g.First + n)
			fmt.Fprintf(out, "device %d: %s, %s to %s\n", d.Index, shown([]byte(d.ClientID())), g.Group.Protocol, redacted(g.Broker))
			p.follow(d.Index, actions, func(a *action) {
				fmt.Fprintf(out, "  %10s  %s\n", clock(a.at), a.text())
			})
		}
	}
	return out.Flush()
}

// redacted is a broker's URL without its password.
func redacted(broker string) string {
	u, err := url.Parse(broker)
	if err != nil {
		return "?" // Validate has refused it
	}
	return u.Redacted()
}

// action is one thing that a device does.
type action struct {
	at     int64
	what   string // "connect", "publish", "leave"
	stream string
	m      *Message
	detail string
}

func (a *action) text() string {
	if a.m == nil {
		return a.what + "  " + a.detail
	}
	flags := ""
	if a.m.Retain {
		flags = " retained"
	}
	return fmt.Sprintf("%-8s %s #%d QoS %d%s  %s", a.what, shown(a.m.Topic), a.m.Seq, a.m.QoS, flags, shown(a.m.Payload))
}

// clock shows a time since the begin of the run.
func clock(at int64) string { return fmt.Sprintf("%.3fs", time.Duration(at).Seconds()) }

// shown makes of bytes a text that a line of the terminal can hold.
func shown(b []byte) string {
	const most = 100
	if !utf8.Valid(b) {
		return fmt.Sprintf("(%d bytes)", len(b))
	}
	if len(b) > most {
		return shorten(string(b[:most])) + fmt.Sprintf(" (%d bytes)", len(b))
	}
	text := fmt.Sprintf("%q", b)
	return text[1 : len(text)-1]
}

// follow goes through what a device does as if every connection stood at once.
func (p *Plan) follow(i uint32, actions int, visit func(*action)) {
	st := p.NewState(i)
	m := &Message{}
	end := st.ConnectAt() + int64(p.Scenario.Duration)
	do := func(a *action) bool {
		if actions <= 0 || a.at > end {
			return false
		}
		actions--
		visit(a)
		return true
	}
	for at := st.ConnectAt(); ; {
		if !do(&action{at: at, what: "connect", detail: st.ClientID()}) {
			return
		}
		if st.Will(at, m) && !do(&action{at: at, what: "will", m: m}) {
			return
		}
		stay := st.Begin(at)
		if !st.followStay(at, stay, m, do) {
			return
		}
		st.End()
		how := "with DISCONNECT"
		if stay.Abrupt {
			how = "without DISCONNECT"
		}
		if !do(&action{at: stay.Leave, what: "leave", detail: how}) {
			return
		}
		at = stay.Back
	}
}

// followStay goes through one connection; false: there is nothing more to tell.
func (st *State) followStay(begun int64, stay Stay, m *Message, do func(*action) bool) bool {
	now := begun
	for {
		at, stream, ok := st.Next()
		if !ok || stay.Leave > 0 && at >= stay.Leave {
			return stay.Leave > 0
		}
		now = max(now, at)
		if st.Group.Streams[stream].Publish.Schedule == "max" {
			now += int64(time.Millisecond) // as if that were how long an acknowledgement takes
		}
		st.Message(stream, now, m)
		if !do(&action{at: now, what: "publish", stream: st.Group.Streams[stream].Name, m: m}) {
			return false
		}
	}
}
