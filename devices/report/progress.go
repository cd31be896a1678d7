package report

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// DefaultWidth is how many columns a terminal is taken to have when it does not say.
const DefaultWidth = 80

// Progress shows a run while it goes on: on a terminal as an area that is redrawn in
// its place, elsewhere as a line every few seconds of the run. It is one goroutine's and
// writes only when it is called; its writes may block as the writer does.
type Progress struct {
	out   io.Writer
	width func() int    // nil: not a terminal
	every time.Duration // between plain lines
	drawn []int         // columns of the lines that stand on the terminal
	said  time.Duration // when the last plain line was written
	phase string        // of the last plain line
	begun bool
}

// NewProgress makes a Progress. Width gives a terminal's columns, and is asked before
// each drawing, since people resize windows; 0 is taken for DefaultWidth. If width is
// nil, out is no terminal: then a plain line is written whenever so much time of the run
// went by (5 s if every is 0), and when the phase changes.
func NewProgress(out io.Writer, width func() int, every time.Duration) *Progress {
	if every <= 0 {
		every = 5 * time.Second
	}
	return &Progress{out: out, width: width, every: every}
}

// Show brings the display up to date. The error is the writer's.
func (p *Progress) Show(s *Status) error {
	if p.width == nil {
		return p.line(s)
	}
	width := p.columns()
	lines := StatusLines(s, width-1) // the last column makes some terminals wrap
	text := p.erase(width) + strings.Join(lines, "\r\n") + "\r\n"
	p.drawn = p.drawn[:0]
	for _, line := range lines {
		p.drawn = append(p.drawn, cells(line))
	}
	_, err := io.WriteString(p.out, text)
	return err
}

// Clear takes the status area off the terminal, so that something else can be written;
// the next Show draws it again below. Elsewhere it does nothing.
func (p *Progress) Clear() error {
	if p.width == nil || len(p.drawn) == 0 {
		return nil
	}
	text := p.erase(p.columns())
	p.drawn = p.drawn[:0]
	_, err := io.WriteString(p.out, text)
	return err
}

func (p *Progress) columns() int {
	if width := p.width(); width > 0 {
		return width
	}
	return DefaultWidth
}

// erase moves to the begin of the area and clears what follows. Lines that were drawn
// on a wider terminal have wrapped since.
func (p *Progress) erase(width int) string {
	rows := 0
	for _, n := range p.drawn {
		rows += max(1, (n+width-1)/width)
	}
	if rows == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", rows)
}

func (p *Progress) line(s *Status) error {
	if p.begun && s.Phase == p.phase && s.Elapsed-p.said < p.every {
		return nil
	}
	p.begun, p.phase, p.said = true, s.Phase, s.Elapsed
	_, err := io.WriteString(p.out, StatusLine(s)+"\n")
	return err
}
