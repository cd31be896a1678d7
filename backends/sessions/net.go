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
func Net(ws []Write) []Change {
	type place struct {
		part int
		key  string
	}
	var all []Change
	parts := make(map[string]int, 1)
	seen := make(map[place]struct{}, len(ws))
	for _, w := range slices.Backward(ws) { // of two writes to one place the later counts
		i, known := parts[string(w.Part)]
		if !known {
			i = len(all)
			parts[string(w.Part)] = i
			all = append(all, Change{Part: filled(w.Part)})
		}
		c := &all[i]
		if c.Clear {
			continue
		}
		if w.Kind == DeletePart {
			c.Clear, c.Deletes = true, nil
			continue
		}
		at := place{i, string(w.Key)}
		if _, later := seen[at]; later {
			continue
		}
		seen[at] = struct{}{}
		if w.Kind == Delete {
			c.Deletes = append(c.Deletes, w.Key)
		} else {
			c.Sets = append(c.Sets, Pair{w.Key, filled(w.Value)})
		}
	}
	return all
}

// filled: nil is no value to many drivers.
func filled(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
