package oracle

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The form of a batch: version, length of the body, CRC-32 (IEEE) of the body (4 bytes,
// big-endian), body. The body: 1 if the dictionary begins anew, the watermark, the
// number of events, the events. Numbers are varints, times are differences to the event
// before. A topic is its number in the dictionary plus one; 0 announces a new one, whose
// length and bytes follow; an event without topic has that of 0 bytes.
const (
	batchVersion   = 1
	maxBatchBytes  = 16 << 20
	maxBatchEvents = 1 << 20
	maxDictionary  = 1 << 20  // topics
	maxDictBytes   = 64 << 20 // of all of them
	maxTopicBytes  = 65535
)

// ErrBatch is wrapped by what is wrong with the bytes of a batch.
var ErrBatch = errors.New("oracle: bad batch of events")

// Encoder writes batches for one pipe. It has a dictionary of topics, so that its
// batches have to be read by one Decoder and in their order. The zero value is ready.
type Encoder struct {
	numbers map[string]uint64
	bytes   int
	body    []byte
}

// AppendBatch appends a batch to dst and returns the longer slice: events in the order
// of their times, and the time before which nothing comes any more (see
// Source.Watermark; 0 for none). A batch holds at most 100,000 events of usual topics:
// keep it to some thousands. Topics longer than 65,535 bytes are cut.
func (c *Encoder) AppendBatch(dst []byte, batch []Event, before int64) []byte {
	b := c.body[:0]
	if c.numbers == nil || len(c.numbers)+len(batch) > maxDictionary || c.bytes > maxDictBytes/2 {
		c.numbers, c.bytes = map[string]uint64{}, 0
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.AppendVarint(b, before)
	b = binary.AppendUvarint(b, uint64(len(batch)))
	at := int64(0)
	for i := range batch {
		b = c.appendEvent(b, &batch[i], &at)
	}
	c.body = b
	dst = append(dst, batchVersion)
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	dst = binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(b))
	return append(dst, b...)
}

const (
	bitMarked = 1 << iota
	bitRetain
	bitDup
	bitPresent
	bitClean
	bitSilent
	bitSession // expiry, delay, keep-alive follow
	bitMark    // publisher and time of sending follow
)

func (c *Encoder) appendEvent(b []byte, e *Event, at *int64) []byte {
	flags := byte(0)
	for i, set := range [...]bool{e.Marked, e.Retain, e.Dup, e.Present, e.Clean, e.Silent,
		e.Expiry != 0 || e.Delay != 0 || e.KeepAlive != 0, e.Publisher != 0 || e.Sent != 0} {
		if set {
			flags |= 1 << i
		}
	}
	b = append(b, byte(e.Kind), flags, e.QoS, e.Code)
	b = binary.AppendVarint(b, e.At-*at)
	*at = e.At
	b = binary.AppendUvarint(b, uint64(e.Device))
	b = c.appendTopic(b, e.Topic)
	b = binary.AppendUvarint(b, e.Seq)
	b = binary.BigEndian.AppendUint32(b, e.Hash)
	b = binary.AppendUvarint(b, uint64(e.Size))
	if flags&bitSession != 0 {
		b = binary.AppendUvarint(b, uint64(e.Expiry))
		b = binary.AppendUvarint(b, uint64(e.Delay))
		b = binary.AppendUvarint(b, uint64(e.KeepAlive))
	}
	if flags&bitMark != 0 {
		b = binary.AppendUvarint(b, uint64(e.Publisher))
		b = binary.AppendVarint(b, e.Sent-e.At)
	}
	return b
}

func (c *Encoder) appendTopic(b []byte, topic string) []byte {
	topic = topic[:min(len(topic), maxTopicBytes)]
	if n, ok := c.numbers[topic]; ok {
		return binary.AppendUvarint(b, n+1)
	}
	c.numbers[topic] = uint64(len(c.numbers))
	c.bytes += len(topic)
	b = append(b, 0)
	b = binary.AppendUvarint(b, uint64(len(topic)))
	return append(b, topic...)
}

// Decoder reads the batches of one Encoder. It trusts nothing: a batch that is damaged,
// too large or of another version is an error, and memory is bounded by what came.
type Decoder struct {
	r      *bufio.Reader
	topics []string
	bytes  int
	body   []byte
}

// NewDecoder reads from r, with a buffer of its own.
func NewDecoder(r io.Reader) *Decoder { return &Decoder{r: bufio.NewReaderSize(r, 64<<10)} }

// ReadBatch appends the next batch's events to into, and returns the time before which
// nothing comes any more. It blocks as r does. The error is io.EOF where a batch would
// begin, io.ErrUnexpectedEOF within one, or wraps ErrBatch; after one the decoder is of
// no more use.
func (c *Decoder) ReadBatch(into []Event) (batch []Event, before int64, err error) {
	version, err := c.r.ReadByte()
	if err != nil {
		return into, 0, err
	}
	if version != batchVersion {
		return into, 0, fmt.Errorf("%w: version %d, this program reads %d", ErrBatch, version, batchVersion)
	}
	if err := c.readBody(); err != nil {
		return into, 0, err
	}
	p := parser{b: c.body}
	if p.byte() == 1 {
		c.topics, c.bytes = c.topics[:0], 0
	}
	before = p.varint()
	n := p.uvarint()
	if n > maxBatchEvents || n > uint64(len(p.b)) {
		return into, 0, fmt.Errorf("%w: %d events in %d bytes", ErrBatch, n, len(p.b))
	}
	at := int64(0)
	for range n {
		e := c.event(&p, &at)
		if p.bad {
			return into, 0, fmt.Errorf("%w: it ends within an event, or names a topic that was not announced", ErrBatch)
		}
		into = append(into, e)
	}
	if len(p.b) > 0 || p.bad {
		return into, 0, fmt.Errorf("%w: %d bytes after its last event", ErrBatch, len(p.b))
	}
	return into, before, nil
}

func (c *Decoder) readBody() error {
	size, err := binary.ReadUvarint(c.r)
	if err != nil {
		return unexpected(err)
	}
	if size > maxBatchBytes {
		return fmt.Errorf("%w: %d bytes, allowed are %d", ErrBatch, size, maxBatchBytes)
	}
	var sum [4]byte
	if _, err := io.ReadFull(c.r, sum[:]); err != nil {
		return unexpected(err)
	}
	c.body = c.body[:0]
	for size > 0 { // piece by piece: a length alone allocates nothing
		n := int(min(size, 64<<10))
		at := len(c.body)
		c.body = append(c.body, make([]byte, n)...)
		if _, err := io.ReadFull(c.r, c.body[at:]); err != nil {
			return unexpected(err)
		}
		size -= uint64(n)
	}
	if got, want := crc32.ChecksumIEEE(c.body), binary.BigEndian.Uint32(sum[:]); got != want {
		return fmt.Errorf("%w: checksum %08x instead of %08x", ErrBatch, got, want)
	}
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (c *Decoder) event(p *parser, at *int64) Event {
	var e Event
	e.Kind = Kind(p.byte())
	flags := p.byte()
	e.QoS, e.Code = p.byte(), p.byte()
	*at += p.varint()
	e.At = *at
	e.Device = uint32(p.uvarint())
	e.Topic = c.topic(p)
	e.Seq = p.uvarint()
	if sum := p.take(4); sum != nil {
		e.Hash = binary.BigEndian.Uint32(sum)
	}
	e.Size = uint32(p.uvarint())
	if flags&bitSession != 0 {
		e.Expiry, e.Delay, e.KeepAlive = uint32(p.uvarint()), uint32(p.uvarint()), uint16(p.uvarint())
	}
	if flags&bitMark != 0 {
		e.Publisher = uint32(p.uvarint())
		e.Sent = e.At + p.varint()
	}
	e.Marked, e.Retain, e.Dup = flags&bitMarked != 0, flags&bitRetain != 0, flags&bitDup != 0
	e.Present, e.Clean, e.Silent = flags&bitPresent != 0, flags&bitClean != 0, flags&bitSilent != 0
	return e
}

func (c *Decoder) topic(p *parser) string {
	n := p.uvarint()
	switch {
	case n > uint64(len(c.topics)):
		p.bad = true
		return ""
	case n > 0:
		return c.topics[n-1]
	}
	size := p.uvarint()
	if size > maxTopicBytes || len(c.topics) >= 2*maxDictionary || c.bytes > maxDictBytes {
		p.bad = true
		return ""
	}
	topic := string(p.take(int(size)))
	c.topics = append(c.topics, topic)
	c.bytes += len(topic)
	return topic
}

// parser takes numbers off bytes; bad says that there was something else.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) take(n int) []byte {
	if n < 0 || n > len(p.b) {
		p.bad = true
		p.b = nil
		return nil
	}
	v := p.b[:n]
	p.b = p.b[n:]
	return v
}

func (p *parser) byte() byte {
	if v := p.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.bad = true
		p.b = nil
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) varint() int64 {
	v, n := binary.Varint(p.b)
	if n <= 0 {
		p.bad = true
		p.b = nil
		return 0
	}
	p.b = p.b[n:]
	return v
}
