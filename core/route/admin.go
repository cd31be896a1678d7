package route

// A Walk holds the writer's lock for so much at a time.
const (
	walkEntries = 256
	walkValues  = 16384
)

// Walk calls fn with each filter, its values in ascending order and the mask of
// its nodes 0 to 63, until fn returns false. It is meant for administration:
// it looks at the table in pieces, between which writers may change it, and
// never hinders readers. A filter that is there all the time is reported once;
// one that comes or goes meanwhile may be reported or not. fn runs without any
// lock; values are valid until it returns.
func (t *Table) Walk(fn func(filter string, values []uint32, nodes uint64) bool) {
	var b batch
	for next, more := ref(0), true; more; {
		next, more = t.collect(&b, next)
		for _, it := range b.items {
			if !fn(it.filter, b.values[it.from:it.to], it.nodes) {
				return
			}
		}
	}
}

// batch is what Walk copies under one lock.
type batch struct {
	items  []walked
	values []uint32
}

type walked struct {
	filter   string
	from, to int // its values
	nodes    uint64
}

// collect fills the batch from the cell next on; it returns where the following
// batch begins, and whether there can be one.
func (t *Table) collect(b *batch, next ref) (ref, bool) {
	t.writer.Lock()
	defer t.writer.Unlock()
	b.items, b.values = b.items[:0], b.values[:0]
	es := t.entries
	for looked := 0; ; next++ {
		next = es.cells.cellFrom(next)
		if next == 0 {
			return 0, false
		}
		if looked++; looked > walkEntries || len(b.values) > walkValues {
			return next, true
		}
		r := es.live(Entry(next))
		if r == nil {
			continue
		}
		from := len(b.values)
		var it Iter
		for it.set(es.values, r.list()); ; {
			piece, ok := it.Next()
			if !ok {
				break
			}
			b.values = append(b.values, piece...)
		}
		mask, _ := es.nodes(r)
		b.items = append(b.items, walked{string(es.text(Entry(next))), from, len(b.values), mask})
	}
}
