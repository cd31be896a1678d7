package oracle

// connecting begins a connection. What the session was is void from here on if Clean.
// [MQTT-3.1.2-4]
func (j *judge) connecting(d *device, e *Event) {
	if d.state == on {
		j.dropped(d, e.At, int64(j.cfg.WillWithin), lostIt)
	}
	if d.state == left && e.At-d.ended < int64(j.cfg.WillWithin) {
		j.underWay(d, d.ended) // this connection may end the other before it was read
	}
	s := d.session
	d.state, d.asked, d.clean, d.expiry, d.keepAlive, d.version = asking, e.At, e.Clean, e.Expiry, e.KeepAlive, e.Code
	d.will = nil
	for _, w := range s.wills {
		if w.backFrom == 0 {
			w.backFrom, w.backClean = e.At, e.Clean
		}
	}
	if e.Clean {
		if !s.live {
			j.endSession(s)
		}
		s.stands = unknown
	}
}

// connected is the server's word that the connection and the session stand.
func (j *judge) connected(d *device, e *Event) {
	if d.state != asking {
		j.skip("order: Connected without Connecting")
		return
	}
	s := d.session
	d.state, d.since, d.proved = on, e.At, d.asked
	j.tally.connected++
	j.tally.asked++
	j.measureConnect(d, e)
	if s.live && s.owner >= 0 && s.owner != int32(d.number) {
		j.takenOver(&j.devices[s.owner], d)
	}
	kept := e.Present && !d.clean
	if !s.contested {
		j.judgePresent(d, e)
	}
	if !kept {
		j.voidSession(d)
	} else if s.stands != present {
		s.foreign = true
	}
	j.begin(d, e)
	for _, w := range s.wills {
		if w.backBy == 0 {
			if w.backFrom == 0 { // its end was known only after this CONNECT
				w.backFrom, w.backClean = d.asked, d.clean
			}
			w.backBy = e.At
			j.schedule(w)
		}
	}
	if d.will != nil {
		d.will.state = armed
	}
}

func (j *judge) measureConnect(d *device, e *Event) {
	if !d.known {
		j.connect.Record(e.At - d.asked)
	} else {
		j.resume.Record(e.At - d.ended)
	}
	d.known = true
}

// begin makes the session the device's.
func (j *judge) begin(d *device, e *Event) {
	s := d.session
	s.owner, s.live, s.since, s.stands = int32(d.number), true, e.At, present
	s.epoch++
	if d.version >= 5 {
		s.keeps, s.expiry = d.expiry > 0, int64(d.expiry)*second
		if d.expiry == 0xFFFFFFFF {
			s.expiry = never
		}
		return
	}
	s.keeps, s.expiry = !d.clean, never
}

// voidSession begins the session anew, on both sides.
func (j *judge) voidSession(d *device) {
	s := d.session
	j.endSession(s)
	s.subs, s.foreign = nil, s.contested
	j.unansweredOf(d, anew)
}

// judgePresent compares Session Present with what must be.
// [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-4.1.0-2]
func (j *judge) judgePresent(d *device, e *Event) {
	s := d.session
	slack := int64(j.cfg.Slack)
	gone := s.stands == absent && d.asked > s.away+s.notice
	if s.stands == present && !s.live {
		gone = d.asked > s.away+s.notice+s.expiry+int64(j.cfg.WillWithin)
	}
	stands := s.stands == present && (s.live || e.At < s.away+s.expiry-slack)
	example := Example{At: e.At, Device: j.name(d.number)}
	switch {
	case d.clean && e.Present:
		example.Detail = "Session Present 1 after a clean start"
	case d.clean:
		return
	case e.Present && gone:
		example.Detail = "Session Present 1, but the session had ended"
	case !e.Present && stands:
		example.Detail = "Session Present 0, but the session had not ended"
	default:
		return
	}
	j.fault(SessionLost, example)
}

// refused is the end of an attempt. Without an answer the server may have accepted it.
func (j *judge) refused(d *device, e *Event) {
	j.asked++
	if e.Silent {
		j.silent++
	} else {
		j.refusals["connect: "+reason(e.Code)]++
	}
	j.unaccepted(d, e.Code)
}

// unaccepted is the end of a connection before its CONNACK was read; code 0: without one.
func (j *judge) unaccepted(d *device, code uint8) {
	if d.state != asking {
		return
	}
	d.state = off
	s := d.session
	if code == 0 {
		// Its expiry may be another than the session's.
		s.stands = unknown
	}
	if d.will != nil {
		d.will.state, d.will.doubtful = void, code == 0
		d.will = nil
	}
	for _, w := range s.wills {
		if code == 0 {
			w.doubtful = true
		} else if w.backBy == 0 {
			w.backFrom, w.backClean = 0, false
		}
	}
}

func (j *judge) leaving(d *device, e *Event) {
	if d.state != on {
		return
	}
	how := leftWell
	if e.Code == 0x04 {
		how = lostIt
	}
	j.dropped(d, e.At, int64(j.cfg.WillWithin), how)
	d.state = left
}

func (j *judge) lost(d *device, e *Event) {
	switch d.state {
	case asking: // by what the fleet did to the connection: no refusal of the server's
		j.unaccepted(d, 0)
		return
	case left: // its DISCONNECT may not have arrived
		if d.will != nil {
			d.will.doubtful = true
		}
	case on:
		j.dropped(d, e.At, j.notice(d, e), lostIt)
	}
	d.state = off
}

// notice is how long the server may take to know that a connection is gone: at once, but
// one and a half times the keep-alive when nobody tells it. [MQTT-3.1.2-22]
func (j *judge) notice(d *device, e *Event) int64 {
	switch {
	case !e.Silent:
		return int64(j.cfg.WillWithin)
	case d.keepAlive == 0:
		return never
	}
	return int64(d.keepAlive)*second*3/2 + int64(j.cfg.WillWithin)
}

type ending uint8

const (
	lostIt ending = iota
	leftWell
	tookOver
)

// dropped ends a device's connection, and the session's if it is still this one's.
func (j *judge) dropped(d *device, at, notice int64, how ending) {
	s := d.session
	d.ended = at
	j.tally.connected--
	j.publisherGone(d, at, how)
	j.endWill(d, at, notice, how)
	if s.owner == int32(d.number) && s.live {
		j.end(s, at, notice)
	}
	if how == leftWell {
		return
	}
	d.state = off
}

// takenOver ends the connection of another device with the same client identifier. Its
// own Lost is still to come, or came already. [MQTT-3.1.4-3]
func (j *judge) takenOver(old, by *device) {
	if old.state != on {
		return
	}
	j.dropped(old, by.asked, int64(j.cfg.WillWithin), tookOver)
}

// publisherGone notes which of a device's messages may have been lost with its
// connection, and which it may have to send again.
func (j *judge) publisherGone(d *device, at int64, how ending) {
	j.unansweredOf(d, resent)
	if how != leftWell {
		j.underWay(d, at)
	}
}

// underWay marks the QoS 0 messages that may not have been read when a connection ended.
func (j *judge) underWay(d *device, at int64) {
	from := max(d.proved+1, at-int64(j.cfg.Flight))
	for _, i := range d.streams {
		st := &j.streams[i]
		for k := len(st.ring) - 1; k >= 0; k-- {
			if st.ring[k] == 0 {
				continue
			}
			m := &j.messages.all[st.ring[k]]
			if m.at < from {
				break
			}
			if m.qos == 0 {
				m.flags |= uncertain
				st.blurred = true
			}
		}
	}
}

// unansweredOf marks a device's messages that wait for an answer.
func (j *judge) unansweredOf(d *device, flag messageFlags) {
	for _, i := range d.streams {
		st := &j.streams[i]
		for k, left := len(st.ring)-1, st.unacked; k >= 0 && left > 0; k-- {
			if st.ring[k] == 0 {
				continue
			}
			if m := &j.messages.all[st.ring[k]]; !m.done() {
				m.flags |= flag
				st.blurred = true
				left--
			}
		}
	}
}
