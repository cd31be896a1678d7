package fairlead_test

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
	"github.com/fairlead-iot/fairlead/protocols"
)

// lines is the example of docs/adapters.md: a protocol of lines of text.
//
//	hello ID · sub FILTER · pub TOPIC TEXT
type lines struct{ g *core.Gateway }

func newLines(g *core.Gateway) protocols.Adapter { return &lines{g} }

func (a *lines) Name() string { return "lines" }

func (a *lines) NewMachine(info *protocols.ConnInfo, conn core.Conn) protocols.Machine {
	return &lineMachine{g: a.g, conn: conn, info: info}
}

const longestLine = 4096

// lineMachine is the state of one connection.
type lineMachine struct {
	g      *core.Gateway
	conn   core.Conn
	info   *protocols.ConnInfo
	link   core.Link
	open   bool // link is valid
	paused bool // core owes a Complete
	gone   bool
}

func (m *lineMachine) Input(t *core.Turn, b []byte, a *protocols.Actions) (used int) {
	t.Allot()
	for !m.paused && !a.Close {
		end := bytes.IndexByte(b[used:], '\n')
		if end > longestLine || end < 0 && len(b)-used > longestLine {
			m.end(a, core.PacketTooLarge)
			break
		}
		if end < 0 {
			break // the rest of the line comes later
		}
		if a.Again = t.Spent(); a.Again {
			break // the others first
		}
		line := string(bytes.TrimRight(b[used:used+end], "\r"))
		used += end + 1
		t.Spend(1)
		m.line(t, line, a)
	}
	a.Pause = m.paused
	return used
}

func (m *lineMachine) line(t *core.Turn, line string, a *protocols.Actions) {
	verb, rest, _ := strings.Cut(line, " ")
	name, text, _ := strings.Cut(rest, " ")
	switch {
	case verb == "hello" && !m.open:
		m.hello(t, name, a)
	case verb == "sub" && m.open:
		_, reasons, pending := m.g.Subscribe(t, m.link, &core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: name}}})
		if m.paused = pending; !pending {
			m.subscribed(reasons, a)
		}
	case verb == "pub" && m.open:
		if topic.ValidateName([]byte(name)) != nil { // core takes valid names only
			m.end(a, core.TopicNameInvalid)
			return
		}
		pause, err := m.g.Publish(t, m.link, &core.Publish{Topic: name, Payload: []byte(text)})
		m.paused = pause
		if err != nil {
			m.end(a, err.Reason)
		}
	default:
		m.end(a, core.ProtocolError)
	}
}

func (m *lineMachine) hello(t *core.Turn, id string, a *protocols.Actions) {
	listener := m.info.Listener.Name()
	res, pending := m.g.Connect(t, &core.ConnectRequest{
		Conn: m.conn, Protocol: "lines", Version: 1, Listener: listener, CleanStart: true,
		Credentials: core.Credentials{ClientID: id, Peer: m.info.Peer, Listener: listener, Protocol: "lines"},
	})
	if m.paused = pending; !pending {
		m.connected(t, res, a)
	}
}

func (m *lineMachine) connected(t *core.Turn, res *core.ConnectResult, a *protocols.Actions) {
	switch {
	case res.Reason != core.Success:
		m.end(a, res.Reason)
	case m.gone: // the client left meanwhile: give back what core granted
		m.g.Disconnect(t, res.Link, core.ConnectionLost, nil)
	default:
		m.link, m.open = res.Link, true
		a.Accepted, a.SetTimer = true, true // no timeout from here on
		a.Out = append(a.Out, "welcome "+res.ClientID+"\n"...)
		m.g.Resume(t, m.link)
	}
}

func (m *lineMachine) subscribed(reasons []core.Reason, a *protocols.Actions) {
	a.Out = append(a.Out, "sub "+reasons[0].String()+"\n"...)
}

func (m *lineMachine) Complete(t *core.Turn, c core.Completion, a *protocols.Actions) {
	m.paused = false
	switch c.Op {
	case core.OpConnect:
		m.connected(t, c.Connect, a)
	case core.OpSubscribe:
		m.subscribed(c.Reasons, a)
	}
}

func (m *lineMachine) Output(t *core.Turn, o *protocols.Out) (more bool) {
	var few [16]core.Delivery
	for more = true; more && o.Len() < o.Limit; {
		var batch []core.Delivery
		batch, more = m.g.Take(t, m.link, few[:0], len(few))
		for _, d := range batch {
			if d.Kind == core.DeliverMessage {
				o.Buf = fmt.Appendf(o.Buf, "msg %s %s\n", d.Msg.Topic, d.Msg.Payload)
			}
		}
		if len(batch) == 0 {
			break
		}
	}
	return more
}

func (m *lineMachine) end(a *protocols.Actions, r core.Reason) {
	a.Out = append(a.Out, "bye "+r.String()+"\n"...)
	a.Close, a.Reason = true, r
}

func (m *lineMachine) Tick(t *core.Turn, a *protocols.Actions) { m.end(a, core.ConnectTimeout) }

func (m *lineMachine) Stop(t *core.Turn, r core.Reason, a *protocols.Actions) { m.end(a, r) }

func (m *lineMachine) Closed(t *core.Turn, r core.Reason) {
	m.gone = true
	if m.open {
		m.open = false
		m.g.Disconnect(t, m.link, r, nil)
	}
}
