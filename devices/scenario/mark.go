package scenario

// A mark is 34 bytes of ASCII that stand for themselves in JSON and in UTF-8:
//
//	~ DDDDDD SSSSSSSSSSS TTTTTTTTTTT CCCC ~      (without the blanks)
//
// D is the publisher's number, S the message's number, T the time, each in base 64
// with the highest digit first, C a check of all of it.
const (
	// MarkSize is the length of a mark in bytes.
	MarkSize = 34
	// MarkProperty is the name of the user property that holds a mark.
	MarkProperty = "fleet"

	markEdge    = '~'
	markSeq     = 1 + 6
	markTime    = markSeq + 11
	markCheck   = markTime + 11
	markDigits  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	markUnknown = 0xFF
)

// Mark is by what the oracle knows a message.
type Mark struct {
	Device uint32 // who sent it: its number within the fleet
	Seq    uint64 // number within (device, topic)
	Time   int64  // when: nanoseconds on the run's clock
}

// AppendMark appends the mark to b.
func AppendMark(b []byte, m Mark) []byte {
	b = append(b, markEdge)
	b = appendDigits(b, uint64(m.Device), 6)
	b = appendDigits(b, m.Seq, 11)
	b = appendDigits(b, uint64(m.Time), 11)
	b = appendDigits(b, m.check(), 4)
	return append(b, markEdge)
}

// PutMarkTime sets the time of the mark that begins at b. What is shorter than a mark
// is left alone.
func PutMarkTime(b []byte, t int64) {
	if len(b) < MarkSize {
		return
	}
	device, _ := readDigits(b[1:markSeq])
	seq, _ := readDigits(b[markSeq:markTime])
	appendDigits(b[:markTime], uint64(t), 11)
	appendDigits(b[:markCheck], Mark{Device: uint32(device), Seq: seq, Time: t}.check(), 4)
}

// FindMark finds the mark of a payload or property value: at the end, where the fleet
// writes it, or else anywhere. It does not allocate.
func FindMark(payload []byte) (Mark, bool) {
	if m, ok := markAt(payload, len(payload)-MarkSize); ok {
		return m, true
	}
	if m, ok := markAt(payload, len(payload)-MarkSize-len(`"}`)); ok {
		return m, true
	}
	at, ok := scanMark(payload)
	if !ok {
		return Mark{}, false
	}
	return markAt(payload, at)
}
