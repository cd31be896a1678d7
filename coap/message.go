package coap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	tcp "github.com/plgd-dev/go-coap/v3/tcp/coder"
	udp "github.com/plgd-dev/go-coap/v3/udp/coder"
)

// maxOptions is how many options of one message are read; more are a format error.
const maxOptions = 64

// none stands for an option that is not there, where its value is a number.
const none = -1

// header is the fixed part of a datagram.
type header struct {
	kind  message.Type
	code  codes.Code
	id    uint16
	known bool // the version is ours
}

// readHeader looks at the first four bytes, which are there even where the rest is not
// understood.
func readHeader(b []byte) (h header, ok bool) {
	if len(b) < 4 {
		return h, false
	}
	return header{
		kind:  message.Type(b[0] >> 4 & 3),
		code:  codes.Code(b[1]),
		id:    binary.BigEndian.Uint16(b[2:]),
		known: b[0]>>6 == 1,
	}, true
}

var (
	errReserved = errors.New("a reserved code class [CoAP-3-4]")
	errNotEmpty = errors.New("something behind an empty message [CoAP-4.1-1]")
)

// decode reads a datagram into m, whose options alias b.
func decode(b []byte, m *message.Message) error {
	if cap(m.Options) == 0 {
		m.Options = make(message.Options, 0, maxOptions)
	}
	if _, err := udp.DefaultCoder.Decode(b, m); err != nil {
		return err // [CoAP-3-2] [CoAP-3-3] [CoAP-3.1-1]
	}
	switch class := m.Code >> 5; {
	case class == 1, class == 6, class == 7: // [CoAP-3-4]
		return errReserved
	case m.Code == codes.Empty && len(b) != 4: // [CoAP-4.1-1]
		return errNotEmpty
	}
	return nil
}

// decode reads a message of the peer's transport.
func (m *Machine) decode(b []byte, msg *message.Message) error {
	if m.stream == nil {
		return decode(b, msg)
	}
	if cap(msg.Options) == 0 {
		msg.Options = make(message.Options, 0, maxOptions)
	}
	*msg = message.Message{Options: msg.Options[:0], Type: message.Confirmable}
	_, err := tcp.DefaultCoder.Decode(b, msg)
	return err
}

// appendMessage encodes m behind dst.
func appendMessage(dst []byte, m *message.Message) []byte {
	size, err := udp.DefaultCoder.Size(*m)
	if err != nil {
		return dst // a token of a peer's, which was decoded, always fits
	}
	at := len(dst)
	dst = slices.Grow(dst, size)[:at+size]
	if _, err := udp.DefaultCoder.Encode(*m, dst[at:]); err != nil {
		return dst[:at]
	}
	return dst
}

// appendEmpty encodes an empty message: an acknowledgement, a reset or a ping.
func appendEmpty(dst []byte, kind message.Type, id uint16) []byte {
	return append(dst, 1<<6|byte(kind)<<4, 0, byte(id>>8), byte(id))
}

// request is a decoded request. Its slices alias the datagram, but for the body of a
// block-wise transfer.
type request struct {
	kind  message.Type
	id    uint16
	token []byte
	code  codes.Code
	size  int // of the datagram, in bytes

	path  []string
	query []string

	observe    int64 // none, or the option's value
	format     int64 // Content-Format, or none
	accept     int64
	maxAge     int64
	etags      [][]byte
	ifMatch    [][]byte
	ifNone     bool
	block1     block
	block2     block
	size1      int64
	tag        []byte // Request-Tag
	echo       []byte
	noResponse uint8
	proxied    bool
	payload    []byte
}

// read takes the options of m. bad is an option that must be understood and is not, or 0.
func (q *request) read(m *message.Message, size int) (bad message.OptionID) {
	*q = request{
		kind: m.Type, id: uint16(m.MessageID), token: m.Token, code: m.Code, size: size, payload: m.Payload,
		observe: none, format: none, accept: none, maxAge: none, size1: none,
		path: q.path[:0], query: q.query[:0], etags: q.etags[:0], ifMatch: q.ifMatch[:0],
	}
	last := message.OptionID(0)
	for _, o := range m.Options {
		again := o.ID == last
		last = o.ID
		if !q.option(o, again) && o.ID%2 == 1 {
			return o.ID // [CoAP-5.4.1-1]
		}
	}
	return 0
}

// option takes one option; false says that it is not understood: it is unknown, has a
// length that it must not have [CoAP-5.4.3-1], or stands there a second time
// [CoAP-5.4.5-1].
func (q *request) option(o message.Option, again bool) bool {
	def, ok := message.CoapOptionDefs[o.ID]
	if !ok || len(o.Value) < int(def.MinLen) || len(o.Value) > int(def.MaxLen) {
		return false
	}
	switch o.ID {
	case message.URIPath:
		q.path = append(q.path, string(o.Value))
		return true
	case message.URIQuery:
		q.query = append(q.query, string(o.Value))
		return true
	case message.ETag:
		q.etags = append(q.etags, o.Value)
		return true
	case message.IfMatch:
		q.ifMatch = append(q.ifMatch, o.Value)
		return true
	}
	return !again && q.single(o)
}

// single takes an option that may stand there once.
func (q *request) single(o message.Option) bool {
	n := number(o.Value)
	switch o.ID {
	case message.URIHost, message.URIPort: // this host, whatever it is called
	case message.Observe:
		q.observe = n
	case message.ContentFormat:
		q.format = n
	case message.Accept:
		q.accept = n
	case message.MaxAge:
		q.maxAge = n
	case message.IfNoneMatch:
		q.ifNone = true
	case message.Block1:
		q.block1 = readBlock(n)
	case message.Block2:
		q.block2 = readBlock(n)
	case message.Size1:
		q.size1 = n
	case message.Echo:
		q.echo = o.Value
	case message.NoResponse:
		q.noResponse = uint8(n)
	case message.RequestTag:
		q.tag = o.Value
	case message.ProxyURI, message.ProxyScheme: // [CoAP-5.7-1]
		q.proxied = true
	default:
		return false // Q-Block and what else only responses carry
	}
	return true
}

// number reads a uint option of at most four bytes.
func number(b []byte) int64 {
	n := int64(0)
	for _, c := range b {
		n = n<<8 | int64(c)
	}
	return n
}

// param gives the value of the first query parameter that has one of the names; ok says
// that it is there.
func (q *request) param(names ...string) (value string, ok bool) {
	for _, p := range q.query {
		name, value, _ := strings.Cut(p, "=")
		if slices.Contains(names, name) {
			return value, true
		}
	}
	return "", false
}

// safe says that the request changes nothing, so that it may be done again.
// [CoAP-5.1-1]
func (q *request) safe() bool { return q.code == codes.GET || q.code == codes.FETCH }

// response is an answer to be encoded.
type response struct {
	code     codes.Code
	etag     []byte
	observe  int64
	location []string
	format   int64
	maxAge   int64
	block1   block
	block2   block
	size1    int64
	size2    int64
	echo     []byte
	payload  []byte
}

// answer makes a response without options.
func answer(code codes.Code) response {
	return response{code: code, observe: none, format: none, maxAge: none, size1: none, size2: none}
}

// failure makes a response with a diagnostic payload. [CoAP-5.5.2-1]
func failure(code codes.Code, text string) response {
	r := answer(code)
	r.payload = []byte(text)
	return r
}

// options gives r's options, in order; the values lie in one buffer of their own.
func (r *response) options(dst message.Options) message.Options {
	dst = dst[:0]
	add := func(id message.OptionID, v []byte) { dst = append(dst, message.Option{ID: id, Value: v}) }
	num := func(id message.OptionID, n int64) {
		if n >= 0 {
			add(id, uintBytes(uint32(n)))
		}
	}
	if r.etag != nil {
		add(message.ETag, r.etag)
	}
	num(message.Observe, r.observe)
	for _, segment := range r.location {
		add(message.LocationPath, []byte(segment))
	}
	num(message.ContentFormat, r.format)
	num(message.MaxAge, r.maxAge)
	if r.block2.there {
		add(message.Block2, uintBytes(r.block2.value()))
	}
	if r.block1.there {
		add(message.Block1, uintBytes(r.block1.value()))
	}
	num(message.Size2, r.size2)
	num(message.Size1, r.size1)
	if r.echo != nil {
		add(message.Echo, r.echo)
	}
	return dst
}

// uintBytes is the shortest form of a uint option; 0 is empty. [CoAP-3.2-1]
func uintBytes(n uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, n)
	return bytes.TrimLeft(b, "\x00")
}
