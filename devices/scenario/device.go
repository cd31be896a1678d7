package scenario

// Device is one device, as far as it never changes. It is a small value.
type Device struct {
	Group *GroupPlan
	Index uint32 // within the fleet, from 0
	N     uint32 // within the group, from 0; {n} is one more
}

// Device is the device with this number, which is below Len.
func (p *Plan) Device(i uint32) Device {
	for _, g := range p.Groups {
		if i < g.First+g.Count {
			return Device{Group: g, Index: i, N: i - g.First}
		}
	}
	panic("scenario: no such device")
}

// NewState is the state of a device that has not done anything.
func (p *Plan) NewState(i uint32) *State {
	st := &State{}
	p.InitState(st, i)
	return st
}

// InitState makes of st the state of a device that has not done anything.
func (p *Plan) InitState(st *State, i uint32) {
	d := p.Device(i)
	*st = State{Device: d}
	if n := len(d.Group.Streams); n > 0 {
		st.streams = make([]streamState, n)
	}
	if d.Group.Slots > 0 {
		st.rows = make([]uint32, d.Group.Slots)
	}
}

// ConnectAt is when the device first connects: nanoseconds from when its group may
// begin (the begin of the run, or for groups without warm_up once the groups with it
// stand).
func (d Device) ConnectAt() int64 {
	at := int64(d.Group.Group.Start)
	if ramp := d.Group.Group.Ramp; ramp > 0 {
		at += int64(float64(d.N) / ramp * 1e9)
	}
	return at
}

// Misbehaves tells whether the group's misbehaviour is this device's: the last ones of
// the group do so.
func (d Device) Misbehaves() bool { return d.N >= d.Group.Count-d.Group.misfits }

// ClientID is the client identifier.
func (d Device) ClientID() string { return string(d.AppendClientID(nil)) }

// AppendClientID appends the client identifier.
func (d Device) AppendClientID(b []byte) []byte {
	if m := d.Group.Group.Misbehave; m != nil && m.Duplicate && d.Misbehaves() {
		d = Device{Group: d.Group, Index: d.Group.First}
	}
	return d.Group.clientID.appendTo(b, d, nil)
}

// Username gives the user name; false: none.
func (d Device) Username() (string, bool) {
	if d.Group.username == nil {
		return "", false
	}
	return string(d.Group.username.appendTo(nil, d, nil)), true
}

// Password gives the password; false: none.
func (d Device) Password() ([]byte, bool) {
	if d.Group.password == nil {
		return nil, false
	}
	return d.Group.password.appendTo(nil, d, nil), true
}

// AppendFilter appends the filter of subscription i of the group, with its $share/
// prefix.
func (d Device) AppendFilter(b []byte, i int) []byte {
	return d.Group.Subscribes[i].filter.appendTo(b, d, nil)
}
