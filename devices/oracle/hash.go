package oracle

import "hash/crc32"

// Hash32 is how a payload is known to the oracle: CRC-32 (IEEE) of all its bytes.
func Hash32(payload []byte) uint32 { return crc32.ChecksumIEEE(payload) }
