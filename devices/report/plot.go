package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// The canvas, in units of the drawing; the page scales it. Margins leave room for the
// larger letters of small screens.
const (
	plotWidth, plotHeight = 640, 270
	plotLeft, plotRight   = 88, 622
	plotTop, plotBottom   = 16, 226
	plotColumns           = 400 // of points: more samples than this are thinned
	plotHovers            = 120 // fields that show figures under the pointer
)

// curve is one line of a plot. Value gives no figure where nothing was measured.
type curve struct {
	name  string
	value func(*Sample) (float64, bool)
	style int // colour and dashes: 1 to 3; the same thing looks the same in each plot
}

// plot says what to draw of a timeline.
type plot struct {
	title  string
	curves []curve
	write  func(float64) string
	axis   func(least, most float64) axis
	area   bool    // fill below the first curve
	limit  float64 // a line across, 0: none
	mark   string  // the line's name
}

// drawing is a plot in the canvas's units, as the page's template wants it.
type drawing struct {
	ID, Title, Desc          string
	Dense                    bool // thinned: dashes would be noise
	Left, Right, Top, Bottom int
	X, Y                     []drawnMark
	Lines                    []drawnLine
	Limit                    *drawnMark
	Hovers                   []drawnHover
}

type drawnMark struct {
	At    string
	Label string
	Odd   bool // every second mark, left out where room is scarce
}

type drawnLine struct {
	Name, Class, Path, Area string
	Dots                    []drawnDot
}

type drawnDot struct{ X, Y string }

type drawnHover struct{ X, Width, Text string }

// inOrder is the timeline by time, without what lies before the begin.
func inOrder(timeline []Sample) []Sample {
	s := slices.Clone(timeline)
	slices.SortStableFunc(s, func(a, b Sample) int { return int(min(max(a.At-b.At, -1), 1)) })
	for len(s) > 0 && s[0].At < 0 {
		s = s[1:]
	}
	return s
}

// draw draws a plot of samples in the order of time.
func (p *plot) draw(id string, samples []Sample) drawing {
	d := drawing{ID: id, Title: p.title, Dense: len(samples) > plotColumns, Left: plotLeft, Right: plotRight, Top: plotTop, Bottom: plotBottom}
	var end time.Duration
	if len(samples) > 0 {
		end = samples[len(samples)-1].At
	}
	least, most := p.reach(samples)
	x, y := timeAxis(end), p.axis(least, max(most, p.limit))
	for i, m := range x.marks {
		d.X = append(d.X, drawnMark{across(&x, m.at), m.label, i%2 == 1})
	}
	for _, m := range y.marks {
		d.Y = append(d.Y, drawnMark{At: upward(&y, m.at), Label: m.label})
	}
	if p.limit > 0 {
		d.Limit = &drawnMark{At: upward(&y, p.limit), Label: p.mark}
	}
	var words []string
	for i, c := range p.curves {
		line := drawCurve(samples, c, &x, &y)
		line.Name, line.Class = c.name, fmt.Sprintf("c%d", c.style)
		if !p.area || i > 0 {
			line.Area = ""
		}
		d.Lines = append(d.Lines, line)
		words = append(words, c.name+" "+p.extent(samples, c))
	}
	d.Desc = fmt.Sprintf("Over %s: %s.", span(end), strings.Join(words, "; "))
	d.Hovers = p.hovers(samples, &x)
	return d
}

// reach is the smallest and the largest figure of all curves.
func (p *plot) reach(samples []Sample) (least, most float64) {
	least = math.Inf(1)
	for _, c := range p.curves {
		for i := range samples {
			if f, ok := c.value(&samples[i]); ok {
				f = finite(f)
				least, most = min(least, f), max(most, f)
			}
		}
	}
	return min(least, most), most
}

// extent says in words between what a curve moves.
func (p *plot) extent(samples []Sample, c curve) string {
	one := plot{curves: []curve{c}}
	least, most := one.reach(samples)
	if least == most {
		return p.write(most)
	}
	return p.write(least) + " to " + p.write(most)
}

func across(x *axis, f float64) string {
	return place(plotLeft + x.place(f)*(plotRight-plotLeft))
}

func upward(y *axis, f float64) string {
	return place(plotBottom - y.place(f)*(plotBottom-plotTop))
}

func place(f float64) string { return trimZeros(fmt.Sprintf("%.1f", f)) }

// drawCurve draws at most two points for each of plotColumns parts of the samples: the
// smallest and the largest figure in it, so that a spike of one sample stays visible.
func drawCurve(samples []Sample, c curve, x, y *axis) drawnLine {
	var line drawnLine
	var path, area strings.Builder
	var part []drawnDot // since the last gap
	finish := func() {
		if len(part) == 1 {
			line.Dots = append(line.Dots, part[0])
		} else if len(part) > 1 {
			writePath(&path, part)
			writePath(&area, part)
			fmt.Fprintf(&area, "V%d H%sZ", plotBottom, part[0].X)
		}
		part = nil
	}
	for chunk := range slices.Chunk(samples, max(1, (len(samples)+plotColumns-1)/plotColumns)) {
		points := extremes(chunk, c)
		if len(points) == 0 {
			finish()
		}
		for _, s := range points {
			f, _ := c.value(s)
			part = append(part, drawnDot{across(x, s.At.Seconds()), upward(y, finite(f))})
		}
	}
	finish()
	line.Path, line.Area = path.String(), area.String()
	return line
}

func writePath(b *strings.Builder, points []drawnDot) {
	for i, p := range points {
		letter := "L"
		if i == 0 {
			letter = "M"
		}
		fmt.Fprintf(b, "%s%s %s", letter, p.X, p.Y)
	}
}

// extremes are the samples with the smallest and the largest figure, in their order.
func extremes(chunk []Sample, c curve) []*Sample {
	var low, high *Sample
	var least, most float64
	for i := range chunk {
		f, ok := c.value(&chunk[i])
		if !ok {
			continue
		}
		f = finite(f)
		if low == nil || f < least {
			low, least = &chunk[i], f
		}
		if high == nil || f > most {
			high, most = &chunk[i], f
		}
	}
	switch {
	case low == nil:
		return nil
	case low == high:
		return []*Sample{low}
	case low.At <= high.At:
		return []*Sample{low, high}
	}
	return []*Sample{high, low}
}

// hovers are fields side by side over the whole plot that tell the figures below them.
func (p *plot) hovers(samples []Sample, x *axis) []drawnHover {
	var fields []drawnHover
	left := float64(plotLeft)
	from := time.Duration(0)
	for chunk := range slices.Chunk(samples, max(1, (len(samples)+plotHovers-1)/plotHovers)) {
		to := chunk[len(chunk)-1].At
		right := plotLeft + x.place(to.Seconds())*(plotRight-plotLeft)
		words := []string{clock(from) + " to " + clock(to)}
		if to-from < 2*time.Second {
			words[0] = "at " + span(to)
		}
		for _, c := range p.curves {
			if len(extremes(chunk, c)) > 0 {
				words = append(words, c.name+": "+p.extent(chunk, c))
			}
		}
		fields = append(fields, drawnHover{place(left), place(max(right-left, 0.5)), strings.Join(words, "\n")})
		left, from = right, to
	}
	return fields
}
