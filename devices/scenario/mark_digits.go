package scenario

import "bytes"

// locateMark tells where the mark begins that FindMark finds.
func locateMark(payload []byte) (at int, ok bool) {
	if at := len(payload) - MarkSize; at >= 0 {
		if _, ok := markAt(payload, at); ok {
			return at, true
		}
	}
	return scanMark(payload)
}

// scanMark looks through the whole payload for a mark.
func scanMark(payload []byte) (at int, ok bool) {
	for at <= len(payload)-MarkSize {
		i := bytes.IndexByte(payload[at:len(payload)-MarkSize+1], markEdge)
		if i < 0 {
			return 0, false
		}
		at += i
		if _, ok := markAt(payload, at); ok {
			return at, true
		}
		at++
	}
	return 0, false
}

// markAt reads the mark that begins at this place, if one does.
func markAt(payload []byte, at int) (Mark, bool) {
	if at < 0 || at+MarkSize > len(payload) {
		return Mark{}, false
	}
	b := payload[at : at+MarkSize]
	if b[0] != markEdge || b[MarkSize-1] != markEdge {
		return Mark{}, false
	}
	device, ok1 := readDigits(b[1:markSeq])
	seq, ok2 := readDigits(b[markSeq:markTime])
	time, ok3 := readDigits(b[markTime:markCheck])
	check, ok4 := readDigits(b[markCheck : MarkSize-1])
	m := Mark{Device: uint32(device), Seq: seq, Time: int64(time)}
	if !ok1 || !ok2 || !ok3 || !ok4 || device > 1<<32-1 || check != m.check() {
		return Mark{}, false
	}
	return m, true
}

// appendDigits appends a number in base 64 with so many digits.
func appendDigits(b []byte, number uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, markDigits[number>>(6*i)&63])
	}
	return b
}

// readDigits reads what appendDigits wrote, and only that: eleven digits could hold
// 66 bits, so the first must not say more than a uint64 can.
func readDigits(b []byte) (number uint64, ok bool) {
	var all byte
	for _, c := range b {
		v := digitValues[c]
		all |= v
		number = number<<6 | uint64(v)
	}
	return number, all < 64 && (len(b) < 11 || digitValues[b[0]] < 16)
}

// digitValues is the value of each digit, and markUnknown for what is none.
var digitValues = func() (values [256]byte) {
	for i := range values {
		values[i] = markUnknown
	}
	for i, c := range []byte(markDigits) {
		values[c] = byte(i)
	}
	return values
}()

// check is 24 bits that depend on all of the mark.
func (m Mark) check() uint64 { return mix(uint64(m.Device)^mix(m.Seq^mix(uint64(m.Time)))) >> 40 }
