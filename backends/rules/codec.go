package rules

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"strings"
)

// codecVersion begins each entry of a queue: entries outlive the program that wrote them.
const codecVersion = 1

// Flags of an entry.
const (
	hasMessage = 1 << iota
	retained
	topicOfMessage // the message's topic is the job's
	senderIsClient // the message's sender is the job's client
	knownFlags     = 1<<iota - 1
)

// entry is a job as it waits.
type entry struct {
	Job
	rule uint64 // ruleID
	run  uint64 // of the engine that took it
	seq  uint64 // its number in that run
}

// ruleID names a rule over restarts: by what it does, not by its place.
func ruleID(r *Rule) uint64 {
	h := fnv.New64a()
	for _, s := range []string{string(r.Hook), string(r.Function), r.Topic, strings.Join(r.Statements, "\x00")} {
		h.Write([]byte(s))
		h.Write([]byte{1})
	}
	return h.Sum64()
}

// encode appends the entry. The job's rule is named by e.rule, its node is the engine's.
func (e *entry) encode(b []byte) []byte {
	m, flags := e.Message, byte(0)
	if m != nil {
		flags |= hasMessage
		if m.Retain {
			flags |= retained
		}
		if m.Topic == e.Topic {
			flags |= topicOfMessage
		}
		if m.Sender == e.ClientID {
			flags |= senderIsClient
		}
	}
	b = append(b, codecVersion, flags, e.QoS)
	b = binary.BigEndian.AppendUint64(b, e.rule)
	b = binary.BigEndian.AppendUint64(b, e.run)
	b = binary.AppendUvarint(b, e.seq)
	b = binary.AppendVarint(b, e.Time)
	for _, s := range []string{e.ClientID, e.Username, e.Protocol, e.Peer, e.Topic} {
		b = appendText(b, s)
	}
	if m == nil {
		return b
	}
	b = append(b, m.QoS)
	b = binary.AppendVarint(b, m.Arrived)
	b = binary.AppendVarint(b, m.Expires)
	b = appendText(b, m.MsgID)
	if flags&topicOfMessage == 0 {
		b = appendText(b, m.Topic)
	}
	if flags&senderIsClient == 0 {
		b = appendText(b, m.Sender)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Payload)))
	return append(b, m.Payload...)
}

// size is not less than what encode appends.
func (e *entry) size() int {
	n := 64 + len(e.ClientID) + len(e.Username) + len(e.Protocol) + len(e.Peer) + len(e.Topic)
	if m := e.Message; m != nil {
		n += 48 + len(m.MsgID) + len(m.Topic) + len(m.Sender) + len(m.Payload)
	}
	return n
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

var errEntry = errors.New("the entry is damaged, or of a later release")

// decode reads what encode wrote. The payload stays b's.
func (e *entry) decode(b []byte) error {
	r := cutter{rest: b}
	version, flags := r.byte(), r.byte()
	if version != codecVersion || flags&^knownFlags != 0 {
		return errEntry
	}
	e.QoS, e.rule, e.run = r.byte(), r.uint64(), r.uint64()
	e.seq, e.Time = r.uvarint(), r.varint()
	for _, s := range []*string{&e.ClientID, &e.Username, &e.Protocol, &e.Peer, &e.Topic} {
		*s = string(r.bytes())
	}
	if flags&hasMessage != 0 {
		m := &Message{QoS: r.byte(), Arrived: r.varint(), Expires: r.varint(), MsgID: string(r.bytes()),
			Topic: e.Topic, Sender: e.ClientID, Retain: flags&retained != 0}
		if flags&topicOfMessage == 0 {
			m.Topic = string(r.bytes())
		}
		if flags&senderIsClient == 0 {
			m.Sender = string(r.bytes())
		}
		m.Payload, e.Message = r.bytes(), m
	}
	if r.short || len(r.rest) > 0 {
		return errEntry
	}
	return nil
}

// cutter takes values off the front; short says that there were too few bytes.
type cutter struct {
	rest  []byte
	short bool
}

func (r *cutter) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.short, r.rest = true, nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *cutter) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *cutter) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *cutter) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.short, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *cutter) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.short, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *cutter) bytes() []byte { return r.take(r.uvarint()) }
