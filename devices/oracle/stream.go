package oracle

// stream is what one device publishes on one topic.
type stream struct {
	topic     *topic
	device    uint32
	first     uint64  // number of the message of ring[0]
	ring      []int32 // messages that are remembered, by number; 0 for those that are not
	next      uint64  // number after the highest that was published
	latest    [3]uint64
	unordered bool // numbers did not rise, so order is not judged
	blurred   bool // its device lost the connection with messages under way
	unacked   int32
}

// message is one that was published. It is remembered while something may come of it.
type message struct {
	seq     uint64
	at      int64
	settled int64 // the server surely had it: its acknowledgement; 0 not yet
	hash    uint32
	expiry  uint32
	stream  int32
	open    int32 // deliveries that have to come yet
	qos     uint8
	flags   messageFlags
}

type messageFlags uint8

const (
	withRetain messageFlags = 1 << iota
	refused                 // answered with a failure
	uncertain               // QoS 0, and the connection was lost meanwhile
	resent                  // QoS 1 or 2, and unanswered when the connection ended
	anew                    // the same, and the server did not keep the session
	aged                    // older than Keep: forgotten once nothing is open
	inUse
)

// settledNow tells whether nothing more is to come from its publisher.
func (m *message) done() bool { return m.qos == 0 || m.settled != 0 || m.flags&refused != 0 }

// demanded tells whether subscribers must get it.
func (m *message) demanded() bool {
	if m.qos == 0 {
		return m.flags&uncertain == 0
	}
	return m.settled != 0 && m.flags&refused == 0
}

// accepted is since when the server surely had it.
func (m *message) accepted() int64 { return max(m.at, m.settled) }

// expired tells whether the server may have dropped it by then. [MQTT-3.3.2-5]
func (m *message) expired(at, slack int64) bool {
	return m.expiry > 0 && m.at+int64(m.expiry)*second < at+slack
}

// delivery is one that has to come. Those of a row are a list in the order in which
// they were published.
type delivery struct {
	message    int32
	row        int32
	next, prev int32
	qos        uint8
}

// maxSpan bounds the ring of a stream: 4 bytes for each number from the oldest message
// that is remembered to the newest.
const maxSpan = 1 << 20

// slab keeps records by number, from 1, and uses freed ones again.
type slab[T any] struct {
	all  []T
	free []int32
}

func (s *slab[T]) add(v T) int32 {
	if len(s.all) == 0 {
		s.all = make([]T, 1, 64)
	}
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		s.all[i] = v
		return i
	}
	s.all = append(s.all, v)
	return int32(len(s.all) - 1)
}

func (s *slab[T]) remove(i int32) {
	var zero T
	s.all[i] = zero
	s.free = append(s.free, i)
}

func (s *slab[T]) used() int { return max(len(s.all)-1, 0) - len(s.free) }

// stream gives the stream of a device and topic, if there is one.
func (j *judge) stream(device uint32, t *topic) (int32, bool) {
	i, ok := j.streamOf[uint64(device)<<32|uint64(t.id)]
	return i, ok
}

func (j *judge) openStream(device uint32, t *topic) int32 {
	key := uint64(device)<<32 | uint64(t.id)
	if i, ok := j.streamOf[key]; ok {
		return i
	}
	i := int32(len(j.streams))
	j.streams = append(j.streams, stream{topic: t, device: device})
	j.streamOf[key] = i
	t.streams = append(t.streams, i)
	j.devices[device].streams = append(j.devices[device].streams, i)
	return i
}

// find gives the message of a number, 0 if it is not remembered.
func (s *stream) find(seq uint64) int32 {
	if seq < s.first || seq-s.first >= uint64(len(s.ring)) {
		return 0
	}
	return s.ring[seq-s.first]
}

// place puts a message at its number; false if the number is too far from the others,
// or taken.
func (s *stream) place(seq uint64, id int32) bool {
	if len(s.ring) == 0 {
		s.first = seq
	}
	if seq < s.first || seq-s.first >= maxSpan {
		return false
	}
	at := int(seq - s.first)
	for len(s.ring) <= at {
		s.ring = append(s.ring, 0)
	}
	if s.ring[at] != 0 {
		return false
	}
	s.ring[at] = id
	return true
}

func (s *stream) drop(seq uint64) {
	s.ring[seq-s.first] = 0
	n := 0
	for n < len(s.ring) && s.ring[n] == 0 {
		n++
	}
	s.ring = s.ring[n:]
	s.first += uint64(n)
}

// forget frees a message of which nothing more can come.
func (j *judge) forget(id int32) {
	m := &j.messages.all[id]
	j.streams[m.stream].drop(m.seq)
	j.messages.remove(id)
}

// forgetAged lets go of messages that are older than Keep, and marks those of which
// something is still to come.
func (j *judge) forgetAged() {
	for j.agedNext < len(j.ages) && j.ages[j.agedNext].at+int64(j.cfg.Keep) < j.now {
		a := j.ages[j.agedNext]
		j.agedNext++
		m := &j.messages.all[a.message]
		if m.settled-a.at > int64(j.cfg.Slack) { // its answer came late: count from there
			j.ages = append(j.ages, age{at: j.now, message: a.message})
			continue
		}
		m.flags |= aged
		j.forgetIfDone(a.message)
	}
	if j.agedNext > 1024 && j.agedNext > len(j.ages)/2 {
		n := copy(j.ages, j.ages[j.agedNext:])
		j.ages, j.agedNext = j.ages[:n], 0
	}
}

func (j *judge) forgetIfDone(id int32) {
	m := &j.messages.all[id]
	if m.flags&aged != 0 && m.open == 0 && m.done() {
		j.forget(id)
	}
}

// age is when a message was published; the oldest are looked at first.
type age struct {
	at      int64
	message int32
}
