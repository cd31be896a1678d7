package sessions

// The bounds of a Pager.
const (
	pageBytes   = 4 << 20 // of keys and values that lie in memory
	pageBegins  = 16      // rows
	pageHighest = 4096    // rows: more save no time
)

// Pager says how many rows to read at once where the database counts rows and not bytes,
// so that a page is of some MiB. The zero value begins with a few.
type Pager struct{ rows int }

// Rows is the length of the next page.
func (p *Pager) Rows() int {
	if p.rows == 0 {
		p.rows = pageBegins
	}
	return p.rows
}

// Read tells how large a page was.
func (p *Pager) Read(rows, bytes int) {
	if rows == 0 {
		return
	}
	fit := max(1, pageBytes/max(1, bytes/rows))
	p.rows = min(fit, 2*p.Rows(), pageHighest)
}
