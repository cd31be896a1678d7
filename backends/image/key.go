package image

import (
	"encoding/binary"
	"fmt"
)

// Keys begin with a byte for their family. Everything of a session shares the
// prefix family ‖ sid, in the order in which Load wants it, so that one scan
// reads all sessions and one range deletion removes one.
const (
	FamilySession  = 'S' // ‖ sid (8) ‖ kind ‖ …
	FamilyBody     = 'b' // ‖ body id (8)
	FamilyDelayed  = 'd' // ‖ message id (8)
	FamilyMeta     = 'm' // ‖ name
	FamilyRetained = 't' // ‖ Topic Name
)

// The kinds of records below a session, those that stores ask for by name.
const (
	kindRecord       = 0 // ‖ ClientID
	KindReserved     = 1 // sequence numbers that may have been used
	kindSubscription = 2 // ‖ Topic Filter
	kindReceived     = 3 // ‖ packet identifier (2)
	KindEntry        = 4 // ‖ sequence number (8)
	kindProxy        = 5 // ‖ Topic Filter: a proxy subscription, since format 2
	kindRegistration = 6 // ‖ number (2), since format 2
	kindAttachment   = 7 // ‖ key, since format 2
)

// SessionPrefix is the bytes of family and sid.
const SessionPrefix = 9

// AppendSession appends what all keys below a session begin with.
func AppendSession(dst []byte, sid uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, FamilySession), sid)
}

func appendRecordKey(dst []byte, sid uint64, clientID string) []byte {
	return append(append(AppendSession(dst, sid), kindRecord), clientID...)
}

func appendReservedKey(dst []byte, sid uint64) []byte {
	return append(AppendSession(dst, sid), KindReserved)
}

func appendSubscriptionKey(dst []byte, sid uint64, filter string, proxy bool) []byte {
	kind := byte(kindSubscription)
	if proxy {
		kind = kindProxy
	}
	return append(append(AppendSession(dst, sid), kind), filter...)
}

func appendReceivedKey(dst []byte, sid uint64, packetID uint16) []byte {
	return binary.BigEndian.AppendUint16(append(AppendSession(dst, sid), kindReceived), packetID)
}

func appendRegistrationKey(dst []byte, sid uint64, number uint16) []byte {
	return binary.BigEndian.AppendUint16(append(AppendSession(dst, sid), kindRegistration), number)
}

// AppendEntryKey appends the key of a queue entry.
func AppendEntryKey(dst []byte, sid, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(AppendSession(dst, sid), KindEntry), seq)
}

func appendAttachmentKey(dst []byte, sid uint64, key string) []byte {
	return append(append(AppendSession(dst, sid), kindAttachment), key...)
}

// AppendBodyKey appends the key of a body.
func AppendBodyKey(dst []byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, FamilyBody), id)
}

func appendDelayedKey(dst []byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, FamilyDelayed), id)
}

func appendRetainedKey(dst []byte, topic string) []byte {
	return append(append(dst, FamilyRetained), topic...)
}

// SessionKey is a key below a session, taken apart.
type SessionKey struct {
	SID  uint64
	Kind byte
	Rest []byte // of the key; valid as long as the key is
}

// ParseSessionKey takes a key of FamilySession apart; ok is false when its
// length does not fit its kind.
func ParseSessionKey(key []byte) (k SessionKey, ok bool) {
	if len(key) <= SessionPrefix || key[0] != FamilySession {
		return k, false
	}
	k = SessionKey{SID: binary.BigEndian.Uint64(key[1:]), Kind: key[SessionPrefix], Rest: key[SessionPrefix+1:]}
	switch k.Kind {
	case kindRecord, kindSubscription, kindProxy, kindAttachment:
		return k, true
	case KindReserved:
		return k, len(k.Rest) == 0
	case kindReceived, kindRegistration:
		return k, len(k.Rest) == 2
	case KindEntry:
		return k, len(k.Rest) == 8
	}
	return k, false
}

// Seq is the number of the entry, of KindEntry.
func (k SessionKey) Seq() uint64 { return binary.BigEndian.Uint64(k.Rest) }

// DescribeKey names a key for logs.
func DescribeKey(key []byte) string {
	if k, ok := ParseSessionKey(key); ok {
		switch k.Kind {
		case kindRecord:
			return fmt.Sprintf("session %q", k.Rest)
		case KindReserved:
			return fmt.Sprintf("sequence numbers of session #%d", k.SID)
		case kindSubscription:
			return fmt.Sprintf("subscription %q of session #%d", k.Rest, k.SID)
		case kindProxy:
			return fmt.Sprintf("proxy subscription %q of session #%d", k.Rest, k.SID)
		case kindReceived:
			return fmt.Sprintf("packet identifier %d of session #%d", binary.BigEndian.Uint16(k.Rest), k.SID)
		case kindRegistration:
			return fmt.Sprintf("registration %d of session #%d", binary.BigEndian.Uint16(k.Rest), k.SID)
		case kindAttachment:
			return fmt.Sprintf("attachment %q of session #%d", k.Rest, k.SID)
		default:
			return fmt.Sprintf("queue entry %d of session #%d", k.Seq(), k.SID)
		}
	}
	switch {
	case len(key) == SessionPrefix && key[0] == FamilySession:
		return fmt.Sprintf("session #%d", binary.BigEndian.Uint64(key[1:]))
	case len(key) == 9 && key[0] == FamilyBody:
		return fmt.Sprintf("message body %d", binary.BigEndian.Uint64(key[1:]))
	case len(key) == 9 && key[0] == FamilyDelayed:
		return fmt.Sprintf("delayed message %d", binary.BigEndian.Uint64(key[1:]))
	case len(key) > 0 && key[0] == FamilyRetained:
		return fmt.Sprintf("retained message of %q", key[1:])
	}
	return fmt.Sprintf("key %q", key)
}
