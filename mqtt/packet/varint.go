package packet

// readVarint reads a Variable Byte Integer [MQTT 5 section 1.5.5]. n == 0 without an error means that b ends
// inside it.
func readVarint(b []byte) (v uint32, n int, err *Error) {
	for i := 0; i < len(b) && i < 4; i++ {
		c := b[i]
		v |= uint32(c&0x7F) << (7 * i)
		if c < 0x80 {
			if c == 0 && i > 0 {
				return 0, 0, errVarintPadded // [MQTT-1.5.5-1]
			}
			return v, i + 1, nil
		}
	}
	if len(b) >= 4 {
		return 0, 0, errVarintLong
	}
	return 0, 0, nil
}

// appendVarint writes v, at most MaxRemaining, in its shortest form. [MQTT-1.5.5-1]
func appendVarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// varintSize is the number of bytes that appendVarint writes.
func varintSize(v uint32) int {
	switch {
	case v < 1<<7:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<21:
		return 3
	}
	return 4
}

// packetSize is the length of a packet whose body takes remaining bytes.
func packetSize(remaining int) int { return 1 + varintSize(uint32(remaining)) + remaining }
