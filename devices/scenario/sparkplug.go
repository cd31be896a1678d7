package scenario

import (
	"encoding/binary"
	"math"
)

// Fields of Sparkplug B's Payload and of its Metric, as tags of the protobuf wire format:
// number<<3 | wire type (0 varint, 1 eight bytes, 2 with length); 0 is not written.
const (
	sparkTimestamp = 1 << 3
	sparkMetric    = 2<<3 | 2
	sparkSeq       = 3 << 3
	sparkUUID      = 4<<3 | 2

	metricName      = 1<<3 | 2
	metricAlias     = 2 << 3
	metricTimestamp = 3 << 3
	metricType      = 4 << 3
	metricLong      = 11 << 3
	metricDouble    = 13<<3 | 1
	metricBool      = 14 << 3

	typeInt64   = 4
	typeDouble  = 10
	typeBoolean = 11
)

// sparkplug writes a payload of Sparkplug B. The mark is its uuid, which is there for
// telling payloads apart. A birth certificate begins the row of sequence numbers anew
// and names the metrics; what follows calls them by alias.
func (p *payloadText) sparkplug(st *State, b []byte, m *Message, o *moment, count uint64, mark Mark) []byte {
	if p.spark == sparkNodeBirth {
		st.spark = 0
	}
	ms := uint64(o.now / 1e6)
	birth := p.spark != sparkData
	b = appendVarint(b, sparkTimestamp, ms)
	if p.spark == sparkNodeBirth {
		b = appendMetric(b, metric{name: "bdSeq", time: ms, kind: typeInt64, bits: uint64(uint8(st.stays - 1))})
		b = appendMetric(b, metric{name: "Node Control/Rebirth", time: ms, kind: typeBoolean})
	}
	value, tally := metric{alias: 1, time: ms, kind: typeDouble, bits: math.Float64bits(o.value)}, metric{alias: 2, time: ms, kind: typeInt64, bits: count}
	if birth {
		value.name, tally.name = "value", "count"
	}
	b = appendMetric(b, value)
	b = appendMetric(b, tally)
	b = appendVarint(b, sparkSeq, uint64(st.spark))
	st.spark++
	switch {
	case p.config.marked():
		b = append(b, sparkUUID, MarkSize)
		at := len(b)
		b = AppendMark(b, mark)
		m.Mark = b[at:]
	case p.config.Mark == "property":
		m.markProperty(mark)
	}
	return b
}

// appendDeath appends the payload of the NDEATH that belongs to the next NBIRTH.
func (st *State) appendDeath(b []byte, now int64) []byte {
	ms := uint64((st.Group.plan.Begun + now) / 1e6)
	b = appendVarint(b, sparkTimestamp, ms)
	return appendMetric(b, metric{name: "bdSeq", time: ms, kind: typeInt64, bits: uint64(uint8(st.stays))})
}

// metric is one value of a payload.
type metric struct {
	name  string // "": alias alone
	alias uint64 // 0: none
	time  uint64 // milliseconds since 1970
	kind  uint8
	bits  uint64
}

// appendMetric appends a metric; all of ours are shorter than 128 bytes, so that one
// byte says the length.
func appendMetric(b []byte, m metric) []byte {
	b = append(b, sparkMetric, 0)
	at := len(b)
	if m.name != "" {
		b = append(b, metricName, byte(len(m.name)))
		b = append(b, m.name...)
	}
	if m.alias != 0 {
		b = appendVarint(b, metricAlias, m.alias)
	}
	b = appendVarint(b, metricTimestamp, m.time)
	b = appendVarint(b, metricType, uint64(m.kind))
	switch m.kind {
	case typeDouble:
		b = binary.LittleEndian.AppendUint64(append(b, metricDouble), m.bits)
	case typeBoolean:
		b = appendVarint(b, metricBool, m.bits)
	default:
		b = appendVarint(b, metricLong, m.bits)
	}
	b[at-1] = byte(len(b) - at)
	return b
}

func appendVarint(b []byte, tag byte, x uint64) []byte {
	return binary.AppendUvarint(append(b, tag), x)
}
