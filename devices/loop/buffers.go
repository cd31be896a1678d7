package loop

// What a loop keeps of buffers and extras for the next who needs one.
const (
	firstBuffer = 512      // bytes of a new buffer
	keepBuffer  = 64 << 10 // larger ones go to the garbage collector
	keepBytes   = 4 << 20  // of all buffers that lie idle
	keepExtras  = 1024     // extras that lie idle
)

// buffers are output and held input that came free.
type buffers struct {
	free  [][]byte
	bytes int
}

func (b *buffers) get() []byte {
	n := len(b.free)
	if n == 0 {
		return make([]byte, 0, firstBuffer)
	}
	buf := b.free[n-1]
	b.free[n-1] = nil
	b.free = b.free[:n-1]
	b.bytes -= cap(buf)
	return buf
}

func (b *buffers) put(buf []byte) {
	size := cap(buf)
	if size == 0 || size > keepBuffer || b.bytes+size > keepBytes {
		return
	}
	b.bytes += size
	b.free = append(b.free, buf[:0])
}

// extra is what a connection has only while it is opened or ended, or with TLS,
// WebSocket, conditions or a slow reader.
type extra struct {
	c     *Conn
	limit Timer // until opened, written or ended
	pace  Timer // of what is delayed
	slow  Timer // until the slow reader reads on
	cut   Timer // of the network condition

	try     int // which address is dialled
	network *networkSeed
	tls     *tlsWire
	ws      *webSocket
	shape   *shaper
	rate    int    // bytes a second, 0 for as many as come
	wire    []byte // as the transport takes it
	ended   error  // the server's end, told once the line is empty

	onLimit, onPace, onSlow, onCut func(int64)
}

func (l *Loop) takeExtra(c *Conn) *extra {
	n := len(l.extras)
	if n == 0 {
		x := &extra{c: c}
		x.onLimit = func(int64) { l.late(x.c) }
		x.onPace = func(int64) { l.paced(x.c) }
		x.onSlow = func(int64) { l.stop(x.c, stopRate, false) }
		x.onCut = func(int64) { l.strike(x.c) }
		return x
	}
	x := l.extras[n-1]
	l.extras[n-1] = nil
	l.extras = l.extras[:n-1]
	x.c = c
	return x
}

// dropExtra takes back what c has beyond itself.
func (l *Loop) dropExtra(c *Conn) {
	x := c.x
	if x == nil {
		return
	}
	c.x = nil
	for _, t := range [...]*Timer{&x.limit, &x.pace, &x.slow, &x.cut} {
		l.timers.stop(t)
	}
	l.buffers.put(x.wire)
	*x = extra{onLimit: x.onLimit, onPace: x.onPace, onSlow: x.onSlow, onCut: x.onCut}
	if len(l.extras) < keepExtras {
		l.extras = append(l.extras, x)
	}
}

// extraOf is c's extra, made if it has none.
func (l *Loop) extraOf(c *Conn) *extra {
	if c.x == nil {
		c.x = l.takeExtra(c)
	}
	return c.x
}
