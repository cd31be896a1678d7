package route

import "sync"

// Topics is a tree of topic names, each with a number of 32 bits, made for
// finding the names that a filter matches. Its memory has the same shape as a
// Table's: no pointers, pieces of fixed size. It may be used from any number of
// goroutines; one lock inside orders changes and scans. Names are taken as they
// are: their owner has validated them and bounded their levels, each of which
// costs some 50 bytes unless another name shares it.
type Topics struct {
	mu    sync.RWMutex
	nodes slab[place, *place]
	index *index // places by parent and level
	texts *heap[byte]
	kids  lists
	hash  *hasher
	root  uint32
	count int
}

// place is a node of the tree: a name, or where names go on.
type place struct {
	parent uint32 // 0: free, or the root
	text   ref    // the last level of its name: length in two bytes, then the text
	word   uint32 // numbers of its children, a list in kids
	value  uint32
	kind   kind // of word
	named  bool // is a name that was put, so value counts
}

func (p *place) link() *uint32  { return &p.word }
func (p *place) children() list { return list{p.kind, p.word} }

func (p *place) setChildren(l list) { p.kind, p.word = l.kind, l.word }

// NewTopics returns an empty tree.
func NewTopics() *Topics {
	t := &Topics{index: newIndex(), texts: newHeap[byte](4), kids: newLists()}
	t.hash = newHasher(Options{}.Seed)
	t.root = t.nodes.alloc()
	return t
}

// Len returns how many names there are.
func (t *Topics) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.count
}

// Bytes returns the memory of all parts.
func (t *Topics) Bytes() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.nodes.bytes() + t.index.bytes() + t.texts.bytes + t.kids.bytes
}

// Get returns the value of a name.
func (t *Topics) Get(topic string) (uint32, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	p := t.nodes.at(t.lookup(topic))
	return p.value, p.named
}

// Put gives a name its value; old is the one it replaced. A name above 65,535
// bytes is refused, as if it were put and deleted.
func (t *Topics) Put(topic string, v uint32) (old uint32, replaced bool) {
	if len(topic) > maxFilter {
		return 0, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	id := t.root
	for rest, more := topic, true; more; {
		var text string
		text, rest, more = cut(rest)
		kid := t.child(id, text)
		if kid == 0 {
			kid = t.grow(id, text)
		}
		id = kid
	}
	p := t.nodes.at(id)
	old, replaced = p.value, p.named
	p.value, p.named = v, true
	if !replaced {
		t.count++
	}
	return old, replaced
}

// Delete takes a name out and returns its value; ok tells whether it was there.
func (t *Topics) Delete(topic string) (old uint32, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := t.lookup(topic)
	p := t.nodes.at(id)
	if !p.named {
		return 0, false
	}
	old = p.value
	p.value, p.named = 0, false
	t.count--
	for id != t.root && !p.named && p.kind == none {
		parent := p.parent
		t.prune(id)
		id, p = parent, t.nodes.at(parent)
	}
	return old, true
}

// lookup returns the place of a name, or the root, which is no name.
func (t *Topics) lookup(topic string) uint32 {
	id := t.root
	for rest, more := topic, true; more; {
		var text string
		text, rest, more = cut(rest)
		if id = t.child(id, text); id == 0 {
			return t.root
		}
	}
	return id
}

// tag returns where in the index the child of a place stands.
func (t *Topics) tag(parent uint32, text string) uint32 {
	return tag(t.hash.step(uint64(parent), t.hash.text(text)))
}

// child returns the child of a place by the text of its level, 0 for none.
func (t *Topics) child(parent uint32, text string) uint32 {
	p := t.index.probe(t.tag(parent, text))
	for id := p.next(); id != 0; id = p.next() {
		if t.nodes.at(id).parent == parent && string(t.text(id)) == text {
			return id
		}
	}
	return 0
}

// text returns the last level of a place's name; the bytes are the heap's own.
func (t *Topics) text(id uint32) []byte { return textAt(t.texts, t.nodes.at(id).text) }

// grow makes a new child.
func (t *Topics) grow(parent uint32, text string) uint32 {
	id := t.nodes.alloc()
	p := t.nodes.at(id)
	p.parent, p.text = parent, storeText(t.texts, text)
	t.index.add(t.tag(parent, text), id)
	up := t.nodes.at(parent)
	l, _ := t.kids.add(up.children(), id)
	up.setChildren(l)
	return id
}

// prune removes a place that has no children and is no name.
func (t *Topics) prune(id uint32) {
	p := t.nodes.at(id)
	t.index.remove(t.tag(p.parent, string(t.text(id))), id)
	up := t.nodes.at(p.parent)
	l, _ := t.kids.remove(up.children(), id)
	up.setChildren(l)
	t.texts.release(p.text)
	t.nodes.release(id)
}
