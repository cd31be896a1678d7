package pebble

import (
	"encoding/binary"
	"fmt"
)

// Keys begin with a byte for their family. Everything of a session shares the
// prefix family ‖ sid, in the order in which Load wants it, so that one scan
// reads all sessions and one range deletion removes one.
const (
	familySession  = 'S' // ‖ sid (8) ‖ kind ‖ …
	familyBody     = 'b' // ‖ body id (8)
	familyDelayed  = 'd' // ‖ message id (8)
	familyMeta     = 'm' // ‖ name
	familyRetained = 't' // ‖ Topic Name
)

// The kinds of records below a session.
const (
	kindRecord       = 0 // ‖ ClientID
	kindReserved     = 1 // sequence numbers that may have been used
	kindSubscription = 2 // ‖ Topic Filter
	kindReceived     = 3 // ‖ packet identifier (2)
	kindEntry        = 4 // ‖ sequence number (8)
	kindProxy        = 5 // ‖ Topic Filter: a proxy subscription, since format 2
	kindRegistration = 6 // ‖ number (2), since format 2
	kindAttachment   = 7 // ‖ key, since format 2
)

const sessionPrefix = 9 // bytes of family and sid

func appendSession(dst []byte, sid uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, familySession), sid)
}

func appendRecordKey(dst []byte, sid uint64, clientID string) []byte {
	return append(append(appendSession(dst, sid), kindRecord), clientID...)
}

func appendReservedKey(dst []byte, sid uint64) []byte {
	return append(appendSession(dst, sid), kindReserved)
}

func appendSubscriptionKey(dst []byte, sid uint64, filter string, proxy bool) []byte {
	kind := byte(kindSubscription)
	if proxy {
		kind = kindProxy
	}
	return append(append(appendSession(dst, sid), kind), filter...)
}

func appendReceivedKey(dst []byte, sid uint64, packetID uint16) []byte {
	return binary.BigEndian.AppendUint16(append(appendSession(dst, sid), kindReceived), packetID)
}

func appendRegistrationKey(dst []byte, sid uint64, number uint16) []byte {
	return binary.BigEndian.AppendUint16(append(appendSession(dst, sid), kindRegistration), number)
}

func appendEntryKey(dst []byte, sid, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(appendSession(dst, sid), kindEntry), seq)
}

func appendAttachmentKey(dst []byte, sid uint64, key string) []byte {
	return append(append(appendSession(dst, sid), kindAttachment), key...)
}

func appendBodyKey(dst []byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, familyBody), id)
}

func appendDelayedKey(dst []byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, familyDelayed), id)
}

func appendRetainedKey(dst []byte, topic string) []byte {
	return append(append(dst, familyRetained), topic...)
}

// groupKey holds the number of the last group that was stored.
func groupKey() []byte { return []byte{familyMeta, 'g'} }

// sessionKey is a key below a session, taken apart.
type sessionKey struct {
	sid  uint64
	kind byte
	rest []byte // of the key; valid as long as the key is
}

// parseSessionKey takes a key of familySession apart; ok is false when its
// length does not fit its kind.
func parseSessionKey(key []byte) (k sessionKey, ok bool) {
	if len(key) <= sessionPrefix || key[0] != familySession {
		return k, false
	}
	k = sessionKey{sid: binary.BigEndian.Uint64(key[1:]), kind: key[sessionPrefix], rest: key[sessionPrefix+1:]}
	switch k.kind {
	case kindRecord, kindSubscription, kindProxy, kindAttachment:
		return k, true
	case kindReserved:
		return k, len(k.rest) == 0
	case kindReceived, kindRegistration:
		return k, len(k.rest) == 2
	case kindEntry:
		return k, len(k.rest) == 8
	}
	return k, false
}

func (k sessionKey) seq() uint64 { return binary.BigEndian.Uint64(k.rest) }

// describeKey names a key for logs.
func describeKey(key []byte) string {
	if k, ok := parseSessionKey(key); ok {
		switch k.kind {
		case kindRecord:
			return fmt.Sprintf("session %q", k.rest)
		case kindReserved:
			return fmt.Sprintf("sequence numbers of session #%d", k.sid)
		case kindSubscription:
			return fmt.Sprintf("subscription %q of session #%d", k.rest, k.sid)
		case kindProxy:
			return fmt.Sprintf("proxy subscription %q of session #%d", k.rest, k.sid)
		case kindReceived:
			return fmt.Sprintf("packet identifier %d of session #%d", binary.BigEndian.Uint16(k.rest), k.sid)
		case kindRegistration:
			return fmt.Sprintf("registration %d of session #%d", binary.BigEndian.Uint16(k.rest), k.sid)
		case kindAttachment:
			return fmt.Sprintf("attachment %q of session #%d", k.rest, k.sid)
		default:
			return fmt.Sprintf("queue entry %d of session #%d", k.seq(), k.sid)
		}
	}
	switch {
	case len(key) == sessionPrefix && key[0] == familySession:
		return fmt.Sprintf("session #%d", binary.BigEndian.Uint64(key[1:]))
	case len(key) == 9 && key[0] == familyBody:
		return fmt.Sprintf("message body %d", binary.BigEndian.Uint64(key[1:]))
	case len(key) == 9 && key[0] == familyDelayed:
		return fmt.Sprintf("delayed message %d", binary.BigEndian.Uint64(key[1:]))
	case len(key) > 0 && key[0] == familyRetained:
		return fmt.Sprintf("retained message of %q", key[1:])
	}
	return fmt.Sprintf("key %q", key)
}
