package coap

import (
	"bytes"
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
	"github.com/fairlead-iot/fairlead/protocols"
)

// The collection of draft-ietf-core-coap-pubsub-21. A topic resource is a retained message
// at COLLECTION/NAME, so that it lasts, and that access rules speak of it; the value of its
// topic data is the retained message of the MQTT topic that it names.

// topicConf is a topic resource. [PubSub-2.1-1]
type topicConf struct {
	Name           string     `cbor:"0,keyasint,omitempty"` // the MQTT topic
	Data           string     `cbor:"1,keyasint,omitempty"`
	ResourceType   string     `cbor:"2,keyasint,omitempty"`
	Format         *uint16    `cbor:"3,keyasint,omitempty"`
	Type           string     `cbor:"4,keyasint,omitempty"`
	Expires        *time.Time `cbor:"5,keyasint,omitempty"`
	MaxSubscribers *uint32    `cbor:"6,keyasint,omitempty"`
	ObserverCheck  *uint32    `cbor:"7,keyasint,omitempty"`
	Initialize     []byte     `cbor:"8,keyasint,omitempty"`
}

// resourceData is the resource type of topic data.
const resourceData = "core.ps.data"

// cborModes are how topic resources are coded.
type cborModes struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

func newCBOR() (c cborModes) {
	c.enc, _ = cbor.EncOptions{Sort: cbor.SortCanonical, Time: cbor.TimeUnix, TimeTag: cbor.EncTagRequired}.EncMode()
	c.dec, _ = cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels: 4, MaxArrayElements: 64, MaxMapPairs: 64, IndefLength: cbor.IndefLengthForbidden,
	}.DecMode()
	return c
}

// pubsub serves the collection and what is in it.
func (m *Machine) pubsub(t *core.Turn, s *scratch, a *protocols.Actions, q *request, x asking, at place) {
	if at.surface == collection {
		m.collection(t, a, q, x)
		return
	}
	conf, r, ready := m.topicConf(t, at.name)
	switch {
	case !ready:
	case conf == nil:
		m.reply(t, a, x, r)
	case at.surface == topicData:
		m.topicData(t, s, a, q, x, conf)
	case q.code == codes.GET:
		m.reply(t, a, x, m.represent(codes.Content, q, conf))
	case q.code == codes.FETCH:
		m.fetchConf(t, a, q, x, conf)
	case q.code == codes.DELETE: // [PubSub-2.3-4] [PubSub-3.2-5]
		m.removeConf(t, a, q, x, conf, publication{topic: m.confTopic(at.name), retain: true, qos: 1, expiry: none, reply: answer(codes.Deleted)})
	default:
		m.changeConf(t, a, q, x, conf, at.name)
	}
}

func (m *Machine) confTopic(name string) string { return m.adapter.cfg.Collection + "/" + name }

// confName is the path segment of a topic's resource.
func confName(name string) string {
	h := fnv.New64a()
	h.Write([]byte(name))
	return strconv.FormatUint(h.Sum64(), 36)
}

// topicConf reads the topic resource of a path segment; without one r is the answer. Not
// ready: as read.
func (m *Machine) topicConf(t *core.Turn, name string) (c *topicConf, r response, ready bool) {
	msg, reason, ready := m.read(t, m.confTopic(name))
	switch {
	case !ready:
		return nil, r, false
	case reason == core.TopicNameInvalid, reason == core.Success && msg == nil:
		return nil, failure(codes.NotFound, "there is no such topic"), true
	case reason != core.Success:
		return nil, m.refusal(reason, ""), true
	}
	c = &topicConf{}
	if err := m.adapter.cbor.dec.Unmarshal(msg.Payload, c); err != nil || c.Name == "" {
		return nil, failure(codes.InternalServerError, "what is kept of this topic cannot be read"), true
	}
	return c, r, true
}

// represent is an answer that shows a topic resource.
func (m *Machine) represent(code codes.Code, q *request, c *topicConf) response {
	b, err := m.adapter.cbor.enc.Marshal(c)
	if err != nil {
		return failure(codes.InternalServerError, err.Error())
	}
	r := answer(code)
	r.format = int64(m.adapter.cfg.PubSubCT)
	return m.cut(r, b, q.block2)
}

// collection serves the collection itself.
func (m *Machine) collection(t *core.Turn, a *protocols.Actions, q *request, x asking) {
	if q.code == codes.POST {
		m.createTopic(t, a, q, x)
		return
	}
	var filter map[int]cbor.RawMessage
	if q.code == codes.FETCH { // [PubSub-2.2-3]
		if r, bad := m.parse(q, m.adapter.cfg.PubSubCT, &filter); bad {
			m.reply(t, a, x, r)
			return
		}
	}
	// [PubSub-2.2-1]
	found, reason, ready := m.list(t, m.adapter.cfg.Collection+"/+")
	if !ready {
		return
	}
	if reason != core.Success {
		m.reply(t, a, x, m.refusal(reason, ""))
		return
	}
	filters := q.filters()
	slices.SortFunc(found, func(a, b *core.Message) int { return cmp.Compare(a.Topic, b.Topic) })
	var out []byte
	for _, msg := range found {
		var c topicConf
		if m.adapter.cbor.dec.Unmarshal(msg.Payload, &c) != nil || !m.passes(&c, filter) {
			continue
		}
		for _, l := range []link{{href: "/" + msg.Topic, rt: []string{"core.ps.conf"}}, {href: c.Data, rt: []string{resourceData}, obs: true}} {
			if !slices.ContainsFunc(filters, func(f string) bool { return !l.matches(f) }) && (len(filters) > 0 || l.rt[0] != resourceData) {
				out = l.append(out)
			}
		}
	}
	r := answer(codes.Content)
	r.format = formatLinks
	m.reply(t, a, x, m.cut(r, out, q.block2))
}

// passes says that c has everything that filter asks for.
func (m *Machine) passes(c *topicConf, filter map[int]cbor.RawMessage) bool {
	have := m.fields(c)
	for key, want := range filter {
		if !bytes.Equal(have[key], want) {
			return false
		}
	}
	return true
}

// fields takes c apart.
func (m *Machine) fields(c *topicConf) (out map[int]cbor.RawMessage) {
	b, err := m.adapter.cbor.enc.Marshal(c)
	if err == nil {
		err = m.adapter.cbor.dec.Unmarshal(b, &out)
	}
	if err != nil {
		return nil
	}
	return out
}

// parse reads a CBOR payload of the type want into to.
func (m *Machine) parse(q *request, want int, to any) (r response, bad bool) {
	if q.format != int64(want) {
		return failure(codes.UnsupportedMediaType, "the payload must be of Content-Format "+strconv.Itoa(want)), true
	}
	if err := m.adapter.cbor.dec.Unmarshal(q.payload, to); err != nil { // [PubSub-2.2-4]
		return failure(codes.BadRequest, "the payload cannot be understood"), true
	}
	return r, false
}

// createTopic makes a topic resource. [PubSub-2.2-2]
func (m *Machine) createTopic(t *core.Turn, a *protocols.Actions, q *request, x asking) {
	c := &topicConf{}
	if r, bad := m.parse(q, m.adapter.cfg.PubSubCT, c); bad {
		m.reply(t, a, x, r)
		return
	}
	if why := c.fault(); why != "" {
		m.reply(t, a, x, failure(codes.BadRequest, why))
		return
	}
	name := confName(c.Name)
	gw, l := m.adapter.gw, *m.link.Load()
	kept, reason, ready := m.read(t, m.confTopic(name))
	switch {
	case !ready:
		return
	case reason != core.Success:
		m.reply(t, a, x, m.refusal(reason, ""))
		return
	case kept != nil:
		m.reply(t, a, x, failure(codes.BadRequest, "there is a topic of this name"))
		return
	}
	switch all, _, ready := m.list(t, m.adapter.cfg.Collection+"/+"); {
	case !ready:
		return
	case len(all) >= m.adapter.cfg.MaxTopics:
		m.refuse(t, core.QuotaExceeded, "max_topics are in the collection")
		m.reply(t, a, x, m.busy("the collection is full"))
		return
	}
	c.Data = "/" + m.confTopic(name) + "/data"
	if c.Initialize != nil { // [PubSub-2.2-5]
		data := core.Publish{Topic: c.Name, Payload: c.Initialize, Retain: true, Properties: &core.Properties{ContentType: m.adapter.formats.name(int64(*c.Format))}}
		if reason, _ := gw.Allowed(t, l, &data); reason != core.Success {
			m.reply(t, a, x, m.refusal(reason, ""))
			return
		}
		gw.Publish(t, l, &data) // kept in the same write as the resource
		c.Initialize = nil
	}
	r := m.represent(codes.Created, q, c)
	r.location = []string{m.adapter.cfg.Collection, name}
	m.putConf(t, a, q, x, c, name, r)
}

// fault says what is wrong with a topic resource that is to be made, "" for nothing.
func (c *topicConf) fault() string {
	switch {
	case c.Name == "" || c.ResourceType == "":
		return "topic-name and resource-type are required"
	case c.ResourceType != resourceData:
		return "resource-type must be " + resourceData
	case c.Data != "":
		return "topic-data is the broker's to give"
	case c.Initialize != nil && c.Format == nil:
		return "initialize needs topic-content-format"
	}
	if _, err := topic.ParseName(c.Name); err != nil {
		return "topic-name is no valid topic"
	}
	return ""
}

// putConf keeps a topic resource; r is the answer once it is kept.
func (m *Machine) putConf(t *core.Turn, a *protocols.Actions, q *request, x asking, c *topicConf, name string, r response) {
	p := publication{topic: m.confTopic(name), retain: true, qos: 1, expiry: none, reply: r}
	if c.Expires != nil { // [PubSub-2.1-2]
		p.expiry = max(c.Expires.Unix()-t.Now()/1000, 0)
	}
	q.payload, _ = m.adapter.cbor.enc.Marshal(c)
	q.format = int64(m.adapter.cfg.PubSubCT)
	if most := c.MaxSubscribers; most != nil { // [PubSub-2.3-5]
		p.after = func(t *core.Turn) {
			m.adapter.gw.LimitSubscribers(t, *m.link.Load(), c.Name, *most)
		}
	}
	m.publish(t, a, q, x, p)
}

// changeConf overwrites a topic resource, or with iPATCH parts of it. [PubSub-2.3-2]
// [PubSub-2.3-3]
func (m *Machine) changeConf(t *core.Turn, a *protocols.Actions, q *request, x asking, old *topicConf, name string) {
	c := &topicConf{Name: old.Name, ResourceType: old.ResourceType, Data: old.Data}
	if q.code == codes.IPATCH {
		*c = *old
	}
	if r, bad := m.parse(q, m.adapter.cfg.PubSubCT, c); bad {
		m.reply(t, a, x, r)
		return
	}
	if c.Name != old.Name || c.ResourceType != old.ResourceType || c.Data != old.Data || c.Initialize != nil {
		m.reply(t, a, x, failure(codes.BadRequest, "topic-name, topic-data, resource-type and initialize cannot be changed"))
		return
	}
	m.putConf(t, a, q, x, c, name, m.represent(codes.Changed, q, c))
}

// fetchConf shows the properties that are asked for. [PubSub-2.3-1]
func (m *Machine) fetchConf(t *core.Turn, a *protocols.Actions, q *request, x asking, c *topicConf) {
	var keys []int
	if r, bad := m.parse(q, formatCBOR, &keys); bad {
		m.reply(t, a, x, r)
		return
	}
	have, shown := m.fields(c), map[int]cbor.RawMessage{}
	for _, k := range keys {
		if v, ok := have[k]; ok {
			shown[k] = v
		}
	}
	b, err := m.adapter.cbor.enc.Marshal(shown)
	if err != nil {
		m.reply(t, a, x, failure(codes.InternalServerError, err.Error()))
		return
	}
	r := answer(codes.Content)
	r.format = int64(m.adapter.cfg.PubSubCT)
	m.reply(t, a, x, m.cut(r, b, q.block2))
}

// topicData serves the data of a topic.
func (m *Machine) topicData(t *core.Turn, s *scratch, a *protocols.Actions, q *request, x asking, c *topicConf) {
	at := place{surface: topicData, topic: c.Name}
	if c.MaxSubscribers != nil {
		at.most = *c.MaxSubscribers
	}
	if q.code == codes.GET && q.observe == observeOff {
		m.deregister(t, s, a, q, x, at)
		return
	}
	kept, reason, ready := m.read(t, c.Name)
	switch {
	case !ready:
	case q.code == codes.PUT:
		m.publishData(t, a, q, x, c, kept)
	case reason != core.Success:
		m.reply(t, a, x, m.refusal(reason, ""))
	case kept == nil: // half created [PubSub-3.1-1]
		m.reply(t, a, x, failure(codes.NotFound, "nothing was published there yet"))
	case q.code == codes.DELETE: // [PubSub-3.2-4]
		m.publish(t, a, q, x, publication{topic: c.Name, retain: true, qos: 1, expiry: none, reply: answer(codes.Deleted)})
	case q.observe == observeOn && c.MaxSubscribers != nil && at.most == 0: // [PubSub-3.2-6]
		m.tell(t, a, q, x, at)
	case q.observe == observeOn: // [PubSub-3.2-2]
		m.register(t, s, a, q, x, at)
	default: // [PubSub-3.2-3]
		m.get(t, a, q, x, at)
	}
}

// publishData publishes to a topic: the first time it is created. [PubSub-3.2-1]
func (m *Machine) publishData(t *core.Turn, a *protocols.Actions, q *request, x asking, c *topicConf, kept *core.Message) {
	if c.Format != nil && q.format != int64(*c.Format) {
		m.reply(t, a, x, failure(codes.UnsupportedMediaType, "the topic's Content-Format is "+strconv.Itoa(int(*c.Format))))
		return
	}
	p := publication{topic: c.Name, retain: true, qos: 1, expiry: none, reply: answer(codes.Changed)}
	if kept == nil {
		p.reply.code = codes.Created
	}
	if q.maxAge >= 0 {
		p.expiry = q.maxAge
	}
	m.publish(t, a, q, x, p)
}

// removeConf takes a topic's resource away with its data: both, or none.
func (m *Machine) removeConf(t *core.Turn, a *protocols.Actions, q *request, x asking, c *topicConf, p publication) {
	removal := m.outgoing(q, p)
	// core says later that a publication was not allowed, when the data would be gone.
	reason, late := m.adapter.gw.Allowed(t, *m.link.Load(), &removal)
	if late {
		p.after = func(t *core.Turn) { m.forgetData(t, c.Name) }
	}
	if m.publish(t, a, q, x, p) && reason == core.Success && !late {
		m.forgetData(t, c.Name)
	}
}

// forgetData takes a topic's value away, in the same write as what went before.
func (m *Machine) forgetData(t *core.Turn, name string) {
	m.adapter.gw.Publish(t, *m.link.Load(), &core.Publish{Topic: name, Retain: true})
}
