package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestForeignMatrix: each client publishes with each QoS that it has, and each client hears
// it by its own protocol. Every cell of the matrix that it prints is that many deliveries,
// whose payloads were checked, and their QoS where the client tells it.
func TestForeignMatrix(t *testing.T) {
	all := players()
	g := startMatrix(t)
	ears := make([][]ear, len(all))
	voices := make([]voice, len(all))
	for i, p := range all {
		voices[i], ears[i] = p.open(t, g)
	}
	for i, p := range all {
		for _, qos := range p.sends {
			voices[i](t, matrixTopic(qos), p.payload(qos), qos)
		}
	}
	m := newMatrix(all)
	for i := range all {
		for _, e := range ears[i] {
			m.fill(t, i, e)
		}
	}
	t.Logf("publishers down, subscribers across\n%s", m)
	m.check(t)
}

// matrixTopic is where messages of one QoS go. Without a connection only short names and
// predefined ids can be published to.
func matrixTopic(qos int) string {
	if qos < 0 {
		return "mx"
	}
	return fmt.Sprint("matrix/", qos)
}

// heard is a message as a client received it.
type heard struct {
	payload string
	qos     int
}

// ear hears the messages of certain QoS, each as soon as it comes.
type ear struct {
	qos []int
	c   <-chan heard
}

// voice publishes, and returns when the gateway has acknowledged, or at QoS 0 and -1 when
// the message is sent.
type voice func(t *testing.T, topic, payload string, qos int)

// player is a protocol of the matrix with the clients that speak it.
type player struct {
	name     string
	sends    []int // each QoS that it publishes with
	confirms bool  // CoAP: whatever the message's QoS, its receiver confirms it
	open     func(t *testing.T, g *gateway) (voice, []ear)
}

func (p player) payload(qos int) string { return fmt.Sprintf("%s QoS %d", p.name, qos) }

// arrives is the QoS by which the player receives what was published with qos.
func (p player) arrives(qos int) int {
	if p.confirms {
		return 1
	}
	return max(qos, 0)
}

// matrix says what has come, as [publisher][subscriber] and a set of QoS.
type matrix struct {
	players []player
	cells   [][]map[int]bool
}

func newMatrix(all []player) *matrix {
	m := &matrix{players: all}
	for range all {
		row := make([]map[int]bool, len(all))
		for i := range row {
			row[i] = map[int]bool{}
		}
		m.cells = append(m.cells, row)
	}
	return m
}

// fill enters all that the ear of a subscriber hears, and returns when it has heard
// everything, or nothing comes any more.
func (m *matrix) fill(t *testing.T, subscriber int, e ear) {
	t.Helper()
	type sent struct{ publisher, qos int }
	expected := map[string]sent{}
	for i, p := range m.players {
		for _, qos := range p.sends {
			if slices.Contains(e.qos, qos) {
				expected[p.payload(qos)] = sent{i, qos}
			}
		}
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for len(expected) > 0 {
		select {
		case h, open := <-e.c:
			s, ok := expected[h.payload]
			if !open || !ok {
				t.Errorf("%s hears %q, which nobody said, or too often; open: %t", m.players[subscriber].name, h.payload, open)
				return
			}
			if want := m.players[subscriber].arrives(s.qos); h.qos != want {
				t.Errorf("%s hears %q with QoS %d, want %d", m.players[subscriber].name, h.payload, h.qos, want)
			}
			m.cells[s.publisher][subscriber][s.qos] = true
			delete(expected, h.payload)
		case <-late.C:
			return
		}
	}
}

// check finds the deliveries that are missing.
func (m *matrix) check(t *testing.T) {
	t.Helper()
	for i, p := range m.players {
		for j, s := range m.players {
			for _, qos := range p.sends {
				if !m.cells[i][j][qos] {
					t.Errorf("%s does not hear what %s publishes with QoS %d", s.name, p.name, qos)
				}
			}
		}
	}
}

// String is a table in Markdown, with the columns numbered as the rows are.
func (m *matrix) String() string {
	var b strings.Builder
	head, rule := fmt.Sprintf("| %-34s |", "QoS published and received"), fmt.Sprintf("|%s|", strings.Repeat("-", 36))
	for i := range m.players {
		head += fmt.Sprintf(" %-8d |", i+1)
		rule += strings.Repeat("-", 10) + "|"
	}
	fmt.Fprintf(&b, "%s\n%s\n", head, rule)
	for i, p := range m.players {
		fmt.Fprintf(&b, "| %-34s |", fmt.Sprint(i+1, " ", p.name))
		for j := range m.players {
			var cell []string
			for _, qos := range p.sends {
				if m.cells[i][j][qos] {
					cell = append(cell, fmt.Sprint(qos))
				}
			}
			fmt.Fprintf(&b, " %-8s |", strings.Join(cell, " "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
