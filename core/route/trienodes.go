package route

// node stands for a path that wildcard filters share. It is found by the hash
// of the path, never 0. Its counts are of filters, not of children, so that
// they stay right even where two paths have the same hash.
type node struct {
	hash  uint64
	lit   uint32 // filters that go on with a literal level; or onlyTail
	plus  uint32 // filters that go on with '+'; or the depth where the only one passes
	end   uint32 // Entry of the filter that ends here; or the only one from here on
	multi uint32 // Entry of the filter that goes on with '#'
}

// onlyTail in lit marks a node that a single filter passes: its entry stands in
// end, and the rest of its path has no nodes.
const onlyTail = ^uint32(0)

func (n *node) unused() bool { return n.lit|n.plus|n.end|n.multi == 0 }

// branch returns the count of filters that go on with the level.
func (n *node) branch(level string) *uint32 {
	if level == "+" {
		return &n.plus
	}
	return &n.lit
}

const (
	groveNodes = 341                // with its head, a grove has 8 KiB
	groveFull  = groveNodes * 7 / 8 // nodes in use that make it split
)

// grove is an open addressing table of fixed size for the nodes whose hashes
// agree in their lowest depth bits. A node's place comes from the highest bits.
type grove struct {
	used  uint32
	depth uint32
	nodes [groveNodes]node
}

// trieNodes finds nodes by their hashes. It is built like index, but the nodes
// themselves stand in the table: one look into memory instead of two. So they
// move: a pointer to one is valid until the next add or remove.
type trieNodes struct {
	dir    []*grove // by the lowest bits of the hash; length 1<<depth
	depth  uint32
	groves int
	used   int
}

func newTrieNodes() *trieNodes {
	return &trieNodes{dir: []*grove{new(grove)}, groves: 1}
}

func (t *trieNodes) bytes() int { return t.groves*8192 + len(t.dir)*8 }

func (t *trieNodes) grove(hash uint64) *grove { return t.dir[hash&uint64(len(t.dir)-1)] }

// nodeHome returns where in its grove the search for a hash begins.
func nodeHome(hash uint64) int { return int(hash >> 32 * groveNodes >> 32) }

func nodeAfter(i int) int {
	if i++; i == groveNodes {
		return 0
	}
	return i
}

// find returns the node with the hash, nil for none.
func (t *trieNodes) find(hash uint64) *node {
	g := t.grove(hash)
	for i := nodeHome(hash); ; i = nodeAfter(i) {
		n := &g.nodes[i]
		if n.hash == hash {
			return n
		}
		if n.hash == 0 {
			return nil
		}
	}
}

// add puts a node into the table, which has none with its hash.
func (t *trieNodes) add(n node) {
	g := t.grove(n.hash)
	for g.used >= groveFull && g.depth < maxDepth {
		t.split(g, n.hash)
		g = t.grove(n.hash)
	}
	if g.used == groveNodes-1 {
		panic("route: trie is full") // above a billion nodes
	}
	g.put(n)
	t.used++
}

// put stores a node; there is room.
func (g *grove) put(n node) {
	i := nodeHome(n.hash)
	for g.nodes[i].hash != 0 {
		i = nodeAfter(i)
	}
	g.nodes[i] = n
	g.used++
}

// split moves the nodes of g, where hash belongs, into two new groves by one
// more bit of their hashes. The directory doubles when g was its only entry.
func (t *trieNodes) split(g *grove, hash uint64) {
	if g.depth == t.depth {
		t.dir = append(t.dir, t.dir...)
		t.depth++
	}
	halves := [2]*grove{{depth: g.depth + 1}, {depth: g.depth + 1}}
	t.groves++
	for i := range g.nodes {
		if n := &g.nodes[i]; n.hash != 0 {
			halves[n.hash>>g.depth&1].put(*n)
		}
	}
	step := uint64(1) << g.depth
	for i := hash & (step - 1); i < uint64(len(t.dir)); i += step {
		t.dir[i] = halves[i>>g.depth&1]
	}
}

// remove takes the node with the hash out; it is there.
func (t *trieNodes) remove(hash uint64) {
	g := t.grove(hash)
	i := nodeHome(hash)
	for g.nodes[i].hash != hash {
		i = nodeAfter(i)
	}
	t.used--
	g.used--
	// Close the gap: a later node moves into it unless its home lies behind.
	for j := nodeAfter(i); g.nodes[j].hash != 0; j = nodeAfter(j) {
		h := nodeHome(g.nodes[j].hash)
		if (j-h+groveNodes)%groveNodes >= (j-i+groveNodes)%groveNodes {
			g.nodes[i] = g.nodes[j]
			i = j
		}
	}
	g.nodes[i] = node{}
}
