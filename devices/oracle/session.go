package oracle

// device is one of the fleet, as far as its connection goes.
type device struct {
	number  uint32
	session *session
	state   connState
	streams []int32
	will    *will // of this connection

	asked     int64 // Connecting
	since     int64 // Connected
	ended     int64 // Lost or Leaving after Connected
	proved    int64 // what was sent on this connection before it was surely read
	unproved  int   // retained QoS 0 messages of which that is not known
	clean     bool
	version   uint8
	expiry    uint32
	keepAlive uint16
	known     bool // was connected before
}

type connState uint8

const (
	off connState = iota
	asking
	on
	left // sent DISCONNECT
)

// session is what the server holds for a client identifier.
type session struct {
	number    int32
	owner     int32 // device whose connection it has, or had last
	live      bool  // connected
	contested bool  // several devices use the identifier: nothing is demanded
	slow      bool
	foreign   bool // may have subscriptions of which nothing is known
	stands    standing
	keeps     bool  // outlives its connection
	since     int64 // live since
	away      int64 // not live since
	notice    int64 // how long after away the server may have noticed
	expiry    int64 // nanoseconds
	epoch     uint32
	life      uint32 // counts sessions of this identifier
	subs      []*sub
	rows      int32
	waits     []*wait
	early     []*topic // whose retained message came before SUBACK
	wills     []*will  // of ended connections, not decided
	stamp     uint64   // serial of the last message that a plain subscription matched
}

// standing is what is known of the server's session while there is no connection.
type standing uint8

const (
	unknown standing = iota
	absent
	present
)

// sub is one subscription, also after its end.
type sub struct {
	filter   *filter
	session  *session
	state    subState
	pending  int   // SUBSCRIBE without SUBACK
	asked    int64 // the last Subscribing
	since    int64 // active with these options since
	until    int64 // of one that has ended
	retained int64 // the last Subscribing that wanted retained messages, 0 for none
	wants    bool
	qos      uint8
	noLocal  bool
	unsure   bool  // whether No Local holds
	leaving  bool  // the last request was UNSUBSCRIBE
	asIs     bool  // Retain As Published
	wasAsIs  int64 // until when it had that, if it has it no more
}

type subState uint8

const (
	ended subState = iota
	may            // something of SUBSCRIBE or UNSUBSCRIBE is under way
	active
)

// takes tells whether the subscription allows messages that were published at a time:
// one that was may still come after the end.
func (s *sub) takes(published int64) bool { return s.state != ended || s.until >= published }

// group is the members of a shared subscription.
type group struct {
	number   int32
	filter   *filter
	rows     int32
	disturbs int64 // when a member last went away
	unsure   int64 // until when a lost member may be taken to be there
	mixed    int64 // when a message last matched another subscription of a member too
}

// rowsOf is the begin of a receiver's list of rows.
func (j *judge) rowsOf(receiver int32) *int32 {
	if n := int(receiver) - len(j.sessions); n >= 0 {
		return &j.groups[n].rows
	}
	return &j.sessions[receiver].rows
}

// end is the end of a connection for its session.
func (j *judge) end(s *session, at, notice int64) {
	if !s.live {
		return
	}
	s.live, s.away, s.notice = false, at, notice
	if notice <= int64(j.cfg.WillWithin) { // else the end may be older than it is known to be
		j.overdue(s, at, func(*wait) bool { return true })
	}
	s.waits, s.early = nil, nil
	for _, b := range s.subs {
		b.pending = 0
		j.disturb(b)
		if g := b.filter.group; g != nil { // the server may still take it for a member
			g.unsure = max(g.unsure, min(at+notice, never))
		}
	}
	if s.keeps {
		j.closeSession(s, true)
		return
	}
	j.endSession(s)
	s.stands = absent
}

// overdue finds those of the retained messages that a session waits for that had time
// enough to come.
func (j *judge) overdue(s *session, at int64, those func(*wait) bool) {
	for _, w := range s.waits {
		if those(w) && at-w.at > int64(j.cfg.Flight) {
			j.retainedMissing(s, w)
		}
	}
}

// endSession ends all that the server held: it may still deliver what was under way.
func (j *judge) endSession(s *session) {
	j.closeSession(s, false)
	s.waits = nil
	s.life++
	for _, b := range s.subs {
		j.endSub(b)
	}
}

func (j *judge) endSub(b *sub) {
	if b.state == ended {
		return
	}
	b.state, b.until, b.pending, b.wants, b.retained = ended, j.now, 0, false, 0
	j.disturb(b)
	for i, have := range b.filter.subs {
		if have == b {
			last := len(b.filter.subs) - 1
			b.filter.subs[i] = b.filter.subs[last]
			b.filter.subs[last] = nil
			b.filter.subs = b.filter.subs[:last]
			return
		}
	}
}

// closeSession decides what a session still had to get: all of it, or what is of QoS 0.
func (j *judge) closeSession(s *session, onlyQoS0 bool) {
	at := j.now
	if !s.live {
		at = s.away
	}
	for r := s.rows; r != 0; r = j.rows.all[r].sibling {
		j.closeRow(r, s, at, onlyQoS0)
	}
}

func (j *judge) closeRow(at int32, s *session, when int64, onlyQoS0 bool) {
	for i := j.rows.all[at].head; i != 0; {
		d := &j.deliveries.all[i]
		next := d.next
		if d.qos == 0 || !onlyQoS0 {
			if j.missed(d, s, when) {
				j.lose(d, s)
			}
			j.strike(i)
		}
		i = next
	}
}

// missed tells whether a delivery that has not come by the end of a connection or
// subscription is lost: later messages came, or there was time enough.
func (j *judge) missed(d *delivery, s *session, at int64) bool {
	m := &j.messages.all[d.message]
	if !m.demanded() || m.expired(at, int64(j.cfg.Slack)) {
		return false
	}
	return j.overtaken(d, m) || !s.slow && at-max(m.accepted(), s.since) > int64(j.cfg.Flight)
}

// overtaken tells whether a later message of the same row and QoS came: then this one
// does not come any more in good order. [MQTT-4.6.0-5]
func (j *judge) overtaken(d *delivery, m *message) bool {
	r := &j.rows.all[d.row]
	return r.last[m.qos] > m.seq+1 && r.lastQoS[m.qos] == d.qos && !j.streams[m.stream].unordered
}

// missedAtEnd decides what has not come when the run is over.
func (j *judge) missedAtEnd(s *session) {
	for r := s.rows; r != 0; r = j.rows.all[r].sibling {
		for i := j.rows.all[r].head; i != 0; i = j.deliveries.all[i].next {
			if d := &j.deliveries.all[i]; j.missedNow(d, s) {
				j.lose(d, s)
			}
		}
	}
	for _, w := range s.waits {
		j.retainedMissing(s, w)
	}
}

func (j *judge) missedNow(d *delivery, s *session) bool {
	m := &j.messages.all[d.message]
	switch {
	case !s.live || s.slow:
		at := s.away
		if s.live {
			at = j.now
		}
		return j.missed(d, s, at)
	case m.demanded() && m.expired(j.now, int64(j.cfg.Slack)):
		j.skip("expired: messages with an expiry that did not come")
		return false
	}
	return m.demanded()
}

// lose counts a delivery that did not come.
func (j *judge) lose(d *delivery, s *session) {
	m := &j.messages.all[d.message]
	e := Example{Device: j.deviceName(s), Detail: "did not arrive"}
	j.loseOne(m, d.qos, uint32(max(s.owner, 0)), e)
}

func (j *judge) loseOne(m *message, qos uint8, device uint32, e Example) {
	st := &j.streams[m.stream]
	if st.blurred && st.topic.unmarked && j.alike(m).many {
		j.skip("unmarked messages of one content, some of which the publisher's lost connection may have swallowed")
		return
	}
	e.At, e.Publisher, e.Topic, e.Seq = m.at, j.name(st.device), st.topic.name, m.seq
	j.count(qos, device, func(c *Counts) *uint64 { return &c.Expected })
	if qos > 0 {
		j.fault(LostMessage, e)
		return
	}
	j.count(0, device, func(c *Counts) *uint64 { return &c.LostQoS0 })
	if len(j.lost0) < maxExamples {
		e.At -= j.begun
		e.Fault, e.Kind = LostMessage, LostMessage.String()
		e.Detail += " (QoS 0)"
		j.lost0 = append(j.lost0, e)
	}
}

// deviceName is the client identifier of a session.
func (j *judge) deviceName(s *session) string {
	if s.owner < 0 {
		return ""
	}
	return j.name(uint32(s.owner))
}
