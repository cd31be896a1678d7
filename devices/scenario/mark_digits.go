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
	if !ok1 || !ok2 || !ok3 || !ok4 || device > 1<<32-1 || uint32(check) != checkMark(b[:markCheck]) {
		return Mark{}, false
	}
	return Mark{Device: uint32(device), Seq: seq, Time: int64(time)}, true
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
	for i, c := range b {
		v := digitValue(c)
		if v == markUnknown || i == 0 && len(b) == 11 && v > 15 {
			return 0, false
		}
		number = number<<6 | uint64(v)
	}
	return number, true
}

func digitValue(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c - 'A'
	case 'a' <= c && c <= 'z':
		return c - 'a' + 26
	case '0' <= c && c <= '9':
		return c - '0' + 52
	case c == '-':
		return 62
	case c == '_':
		return 63
	}
	return markUnknown
}

// checkMark is 24 bits of FNV-1a over the mark without its check.
func checkMark(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return (h ^ h>>24) & (1<<24 - 1)
}
