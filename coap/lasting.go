package coap

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Observations of a session that lasts are attached to it, so that notifications go on
// where the client is heard of again: after a restart of the gateway, and from another
// address.

// attachedPrefix begins the keys; the token in hexadecimal follows.
const attachedPrefix = "coap/observe/"

// attachedVersion begins the values.
const attachedVersion = 1

const (
	attachedLatest = 1 << iota
	attachedNon
	attachedData
)

// keep attaches o to the session.
func (m *Machine) keep(t *core.Turn, o *observation) {
	if !m.durable {
		return
	}
	flags := byte(0)
	if o.latest {
		flags |= attachedLatest
	}
	if o.non {
		flags |= attachedNon
	}
	if o.data {
		flags |= attachedData
	}
	v := []byte{attachedVersion, flags}
	v = binary.BigEndian.AppendUint32(v, o.interest.subID)
	v = binary.AppendVarint(v, o.accept)
	v = binary.AppendVarint(v, o.format)
	v = append(v, o.interest.filter...)
	m.adapter.gw.Attach(t, *m.link.Load(), core.Attachment{Key: o.key(), Value: v})
}

// unkeep takes o off the session.
func (m *Machine) unkeep(t *core.Turn, o *observation) {
	if m.durable {
		m.adapter.gw.Attach(t, *m.link.Load(), core.Attachment{Key: o.key()})
	}
}

func (o *observation) key() string { return attachedPrefix + hex.EncodeToString(o.token.bytes()) }

// restore takes up the observations that are attached to the session. What cannot be
// understood is left alone: a later version may have put it there.
func (m *Machine) restore(t *core.Turn) {
	if !m.durable {
		return
	}
	kept := m.adapter.gw.Attachments(*m.link.Load())
	slices.SortFunc(kept, func(a, b core.Attachment) int { return strings.Compare(a.Key, b.Key) })
	for _, a := range kept {
		digits, ours := strings.CutPrefix(a.Key, attachedPrefix)
		if !ours || len(m.observations) >= m.adapter.cfg.MaxObservations {
			continue
		}
		o, in, err := readAttached(digits, a.Value)
		if err != nil {
			m.refuse(t, core.UnspecifiedError, "the kept observation "+a.Key+" cannot be read: "+err.Error())
			continue
		}
		m.subID = max(m.subID, in.subID)
		if known := m.interestIn(in.filter); known != nil {
			in = known
		} else {
			m.interests = append(m.interests, in)
		}
		o.interest = in
		in.users++
		m.observations = append(m.observations, o)
	}
}

var errAttached = errors.New("it is damaged, or of another version")

// readAttached reads what keep wrote.
func readAttached(digits string, v []byte) (*observation, *interest, error) {
	tok, err := hex.DecodeString(digits)
	if err != nil || len(tok) > message.MaxTokenSize || len(v) < 6 || v[0] != attachedVersion {
		return nil, nil, errAttached
	}
	o := &observation{token: tokenOf(tok), latest: v[1]&attachedLatest != 0, non: v[1]&attachedNon != 0, data: v[1]&attachedData != 0}
	in := &interest{subID: binary.BigEndian.Uint32(v[2:])}
	rest := v[6:]
	for _, n := range []*int64{&o.accept, &o.format} {
		value, used := binary.Varint(rest)
		if used <= 0 {
			return nil, nil, errAttached
		}
		*n, rest = value, rest[used:]
	}
	in.filter = string(rest)
	if in.whole() {
		return o, in, nil
	}
	sub, err := topic.ParseSubscription(in.filter, topic.Limits{})
	if err != nil {
		return nil, nil, err
	}
	in.plain = sub.Filter
	return o, in, nil
}
