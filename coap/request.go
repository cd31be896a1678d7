package coap

import (
	"bytes"
	"slices"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// place is what a request's path names.
type place struct {
	surface surface
	topic   string // of topicSurface and bridgeSurface: a Topic Name or Filter
	name    string // of the collection's topics
	most    uint32 // clients that may observe it, 0 for any number
}

type surface uint8

const (
	nowhere surface = iota
	discovery
	topicSurface  // /ps/{topic}
	bridgeSurface // /mqtt/{topic}
	connection    // /mqtt/connection
	collection    // /pubsub
	topicConfig   // /pubsub/{name}
	topicData     // /pubsub/{name}/data
)

// locate finds what path names. Segments are levels of the topic; one that holds a '/'
// is several.
func (c *Config) locate(path []string) place {
	if len(path) == 0 {
		return place{}
	}
	rest := strings.Join(path[1:], "/")
	switch {
	case path[0] == ".well-known" && rest == "core":
		return place{surface: discovery}
	case path[0] == c.Bridge && rest == "connection":
		return place{surface: connection}
	case path[0] == c.Bridge && len(path) > 1:
		return place{surface: bridgeSurface, topic: rest}
	case path[0] == c.Topics && len(path) > 1:
		return place{surface: topicSurface, topic: rest}
	case c.Collection != "" && path[0] == c.Collection:
		return c.locateInCollection(path[1:])
	}
	return place{}
}

func (c *Config) locateInCollection(rest []string) place {
	switch {
	case len(rest) == 0:
		return place{surface: collection}
	case len(rest) == 1 && rest[0] != "":
		return place{surface: topicConfig, name: rest[0]}
	case len(rest) == 2 && rest[1] == "data":
		return place{surface: topicData, name: rest[0]}
	}
	return place{}
}

// longestTopic is the longest topic that is told with its message, in bytes, and
// longestSegment that of one of its levels. [CoAP-5.4.3-1]
const (
	longestTopic   = 256
	longestSegment = 255
)

// location is the path of a topic; false where it is too long to be told.
func (c *Config) location(name string) (path []string, ok bool) {
	path = append([]string{c.Topics}, strings.Split(name, "/")...)
	tooLong := func(segment string) bool { return len(segment) > longestSegment }
	return path, len(name) <= longestTopic && !slices.ContainsFunc(path, tooLong)
}

// serve deals with a new request; raw is its datagram.
func (m *Machine) serve(t *core.Turn, s *scratch, a *protocols.Actions, q *request, raw []byte) {
	s.raw = raw
	if m.adapter.echoes(t.Now(), m.info.Peer, q.echo) { // [Echo-2.3-2]
		m.prove(a)
	}
	x := q.asking()
	at := m.adapter.cfg.locate(q.path)
	if r, bad := m.admissible(q, at); bad {
		m.reply(t, a, x, r)
		return
	}
	if at.surface == discovery {
		m.discover(t, a, q, x)
		return
	}
	if !m.identified(t, s, a, q, x, at) {
		return
	}
	if q.block1.there && !m.gather(t, a, q, &x) {
		return
	}
	m.perform(t, s, a, q, x, at)
}

// admissible checks what needs no identity.
func (m *Machine) admissible(q *request, at place) (r response, bad bool) {
	switch {
	case q.proxied: // [CoAP-5.7-1]
		return failure(codes.ProxyingNotSupported, "this is no proxy"), true
	case m.group() && at.surface != discovery: // [CoAP-8.2-1]
		return failure(codes.MethodNotAllowed, "only discovery is for groups"), true
	case at.surface == nowhere:
		return failure(codes.NotFound, "there is nothing at this path; GET /.well-known/core tells what is"), true
	case !allowed(at.surface, q.code): // [CoAP-5.8-1]
		return failure(codes.MethodNotAllowed, "this method is not for this resource"), true
	case q.block1.bad || q.block2.bad: // [Block-2.2-2]
		return failure(codes.BadRequest, "block size exponent 7"), true
	case q.block1.there && q.safe() && q.code == codes.GET:
		return failure(codes.BadOption, "Block1 in a GET"), true
	}
	return response{}, false
}

// allowed says which methods a surface has.
func allowed(s surface, method codes.Code) bool {
	switch s {
	case discovery:
		return method == codes.GET
	case topicSurface:
		return method == codes.GET || method == codes.PUT || method == codes.POST || method == codes.DELETE
	case bridgeSurface:
		return method == codes.GET || method == codes.PUT
	case connection:
		return method == codes.GET || method == codes.POST || method == codes.PUT || method == codes.DELETE
	case collection:
		return method == codes.GET || method == codes.FETCH || method == codes.POST
	case topicConfig:
		return method == codes.GET || method == codes.FETCH || method == codes.POST || method == codes.IPATCH || method == codes.DELETE
	case topicData:
		return method == codes.GET || method == codes.PUT || method == codes.DELETE
	}
	return false
}

// perform does what an admitted and complete request asks for.
func (m *Machine) perform(t *core.Turn, s *scratch, a *protocols.Actions, q *request, x asking, at place) {
	if !q.safe() && at.surface != connection && m.tooFast(t, a) {
		m.reply(t, a, x, m.refusal(core.MessageRateTooHigh, ""))
		return
	}
	m.act(t, s, a, q, x, at)
}

// act does it, once or, after it waited for what it reads, again.
func (m *Machine) act(t *core.Turn, s *scratch, a *protocols.Actions, q *request, x asking, at place) {
	s.x = x
	switch {
	case at.surface == connection && q.code != codes.GET:
		m.connection(t, a, q, x)
	case at.surface == collection, at.surface == topicConfig, at.surface == topicData:
		m.pubsub(t, s, a, q, x, at)
	default:
		switch {
		case q.code == codes.GET && q.observe == observeOn:
			m.register(t, s, a, q, x, at)
		case q.code == codes.GET && q.observe == observeOff:
			m.deregister(t, s, a, q, x, at)
		case q.code == codes.GET:
			m.get(t, a, q, x, at)
		case q.code == codes.DELETE:
			m.publish(t, a, q, x, publication{topic: at.topic, retain: true, qos: 1, expiry: none, reply: answer(codes.Deleted)})
		default:
			m.put(t, s, a, q, x, at)
		}
	}
}

// tooFast counts a message against the rates of the listener, and says that it is one too
// many. Over TCP reading stops instead.
func (m *Machine) tooFast(t *core.Turn, a *protocols.Actions) bool {
	if a.Limited && a.Messages <= 0 && m.stream == nil {
		m.refuse(t, core.MessageRateTooHigh, "a message beyond the message or byte rates of the listener")
		return true
	}
	a.Messages--
	return false
}

// held is a request that waits for core, as far as it was done.
type held struct {
	raw    []byte // its datagram; nil for none
	asking asking
	body   []byte // its payload, where it completed a transfer
}

// hold keeps the request of s until core has answered, then it is done anew; x is what its
// answer comes back to.
func (m *Machine) hold(s *scratch, x asking, w waiting) {
	m.held = held{raw: bytes.Clone(s.raw), asking: x}
	if x.block1.there && x.block1.num > 0 { // else the datagram has all of it
		m.held.body = s.request.payload
		m.adapter.transfers.Add(int64(len(m.held.body)))
	}
	m.waiting = w
}

// unhold gives the request that was held, in s, and what its answer comes back to.
func (m *Machine) unhold(s *scratch) (q *request, ok bool) {
	h := m.held
	m.dropHeld()
	if h.raw == nil || m.decode(h.raw, &s.message) != nil {
		return nil, false
	}
	q = &s.request
	q.read(&s.message, len(h.raw))
	if h.body != nil {
		q.payload = h.body
	}
	s.raw, s.x = h.raw, h.asking
	return q, true
}

func (m *Machine) dropHeld() {
	m.adapter.transfers.Add(-int64(len(m.held.body)))
	m.held = held{}
}

// actAnew does the request that was held; up to there it has changed nothing.
func (m *Machine) actAnew(t *core.Turn, s *scratch, a *protocols.Actions) {
	if q, ok := m.unhold(s); ok {
		m.act(t, s, a, q, s.x, m.adapter.cfg.locate(q.path))
	}
}
