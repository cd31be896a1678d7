package fleet

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/fairlead-iot/fairlead/devices/oracle"
)

// A process that holds a part of the fleet gets orders as lines of JSON and answers
// with frames: a byte that says what it is, a byte for the worker, four bytes for the
// length, the content.
type instruction struct {
	Do    string `json:"do"` // "start", "hush", "cut", "leave", "finish"
	Warm  bool   `json:"warm,omitempty"`
	Begun int64  `json:"begun,omitempty"`
	Now   int64  `json:"now,omitempty"`
}

type frameKind byte

const (
	frameReady     frameKind = 'r' // the devices are made
	frameFailed    frameKind = 'f' // they are not: a text for people
	frameEvents    frameKind = 'e' // oracle.AppendBatch
	frameWatermark frameKind = 'w' // eight bytes
	frameClose     frameKind = 'c' // of a worker
	frameStatus    frameKind = 's' // JSON
	frameHarvest   frameKind = 'h' // JSON, the last
)

// maxFrame bounds a frame, in bytes.
const maxFrame = 64 << 20

// framer writes frames; any goroutine.
type framer struct {
	mu  sync.Mutex
	out *bufio.Writer
	err error
}

func newFramer(w io.Writer) *framer { return &framer{out: bufio.NewWriterSize(w, 256<<10)} }

// write sends a frame; flush hands it to the reader at once.
func (f *framer) write(k frameKind, worker int, content []byte, flush bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	head := [6]byte{byte(k), byte(worker)}
	binary.BigEndian.PutUint32(head[2:], uint32(len(content)))
	_, err := f.out.Write(head[:])
	f.err = errors.Join(f.err, err)
	_, err = f.out.Write(content)
	if f.err = errors.Join(f.err, err); flush && f.err == nil {
		f.err = f.out.Flush()
	}
}

func (f *framer) json(k frameKind, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only our own plain structs
	}
	f.write(k, 0, b, true)
}

// frame is what came.
type frame struct {
	kind    frameKind
	worker  int
	content []byte // until the next read
}

func readFrame(r *bufio.Reader, buf []byte) (frame, error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(head[2:])
	if n > maxFrame {
		return frame{}, fmt.Errorf("a frame of %d bytes from a process of the fleet", n)
	}
	if cap(buf) < int(n) {
		buf = make([]byte, n)
	}
	f := frame{kind: frameKind(head[0]), worker: int(head[1]), content: buf[:n]}
	_, err := io.ReadFull(r, f.content)
	return f, err
}

// piped is the sink of a worker whose events are judged in another process.
type piped struct {
	worker int
	to     *framer
	coder  oracle.Encoder
	buf    []byte
}

func (p *piped) add(batch []oracle.Event) {
	p.buf = p.coder.AppendBatch(p.buf[:0], batch, 0)
	p.to.write(frameEvents, p.worker, p.buf, false)
}

func (p *piped) watermark(before int64) {
	p.to.write(frameWatermark, p.worker, binary.BigEndian.AppendUint64(nil, uint64(before)), true)
}

// unpiped reads what one worker of another process sends.
type unpiped struct {
	*judged
	decoder *oracle.Decoder
	content chunk
	batch   []oracle.Event
}

// chunk is the content of a frame, to be read once.
type chunk []byte

// Read implements io.Reader.
func (c *chunk) Read(b []byte) (int, error) {
	if len(*c) == 0 {
		return 0, io.EOF
	}
	n := copy(b, *c)
	*c = (*c)[n:]
	return n, nil
}

func newUnpiped(to *judged) *unpiped {
	u := &unpiped{judged: to}
	u.decoder = oracle.NewDecoder(&u.content)
	return u
}

// take judges a batch.
func (u *unpiped) take(content []byte) (err error) {
	u.content = content
	clear(u.batch)
	if u.batch, _, err = u.decoder.ReadBatch(u.batch[:0]); err == nil {
		u.add(u.batch)
	}
	return err
}

func (p *piped) close() { p.to.write(frameClose, p.worker, nil, true) }
