package sessions

import "slices"

// Change is what a list of writes comes to in one part. Each key stands in it once.
type Change struct {
	Part    []byte
	Clear   bool     // all that stood in Part goes first; there are no Deletes then
	Deletes [][]byte // keys
	Sets    []Pair
}

// Pair is a key and its value.
type Pair struct{ Key, Value []byte }

// Net gives what ws comes to: a [Change] for each part, in which the order of keys, like
// that of the parts, does not matter any more. It refers to the bytes of ws; a Part or a
// Value that was nil is empty.
func Net(ws []Write) []Change { return net(ws, false) }

// NetByKey is Net for databases in which keys that are known go with less effort than all
// of a part: a DeletePart that names the last key becomes Deletes.
func NetByKey(ws []Write) []Change { return net(ws, true) }

func net(ws []Write, byKey bool) []Change {
	n := netting{parts: make(map[string]int, 1), seen: make(map[keyOf]struct{}, len(ws))}
	for _, w := range slices.Backward(ws) { // of two writes to one place the later counts
		i := n.part(w.Part)
		switch c := &n.all[i]; {
		case c.Clear:
		case w.Kind == DeletePart && (!byKey || w.Key == nil):
			c.Clear, c.Deletes = true, nil
		case w.Kind == DeletePart:
			n.swept[i] = true
			n.delete(i, w.Key)
		case w.Kind == Delete || n.swept[i]:
			n.delete(i, w.Key)
		case n.first(i, w.Key):
			c.Sets = append(c.Sets, Pair{w.Key, filled(w.Value)})
		}
	}
	return n.all
}

// netting is one net.
type netting struct {
	all   []Change
	swept []bool         // by part: what is written before is gone afterwards
	parts map[string]int // where they stand
	seen  map[keyOf]struct{}
}

// keyOf is a key of a part.
type keyOf struct {
	part int
	key  string
}

func (n *netting) part(part []byte) int {
	i, known := n.parts[string(part)]
	if !known {
		i = len(n.all)
		n.parts[string(part)] = i
		n.all, n.swept = append(n.all, Change{Part: filled(part)}), append(n.swept, false)
	}
	return i
}

// first says whether nothing was said of the key yet.
func (n *netting) first(part int, key []byte) bool {
	at := keyOf{part, string(key)}
	if _, later := n.seen[at]; later {
		return false
	}
	n.seen[at] = struct{}{}
	return true
}

func (n *netting) delete(part int, key []byte) {
	if n.first(part, key) {
		n.all[part].Deletes = append(n.all[part].Deletes, key)
	}
}

// filled: nil is no value to many drivers.
func filled(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
