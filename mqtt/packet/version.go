package packet

// Version is a protocol version as the CONNECT packet's level byte writes it.
type Version byte

// The versions this package speaks.
const (
	V31  Version = 3 // MQTT 3.1, protocol name "MQIsdp" [MQTT31-3.1-1]
	V311 Version = 4 // MQTT 3.1.1
	V5   Version = 5 // MQTT 5.0
)

// Valid reports whether v is one of the three versions of this package.
func (v Version) Valid() bool { return v >= V31 && v <= V5 }

// String gives the version the way the specifications print it, "3.1.1" for V311.
func (v Version) String() string {
	switch v {
	case V31:
		return "3.1"
	case V311:
		return "3.1.1"
	case V5:
		return "5.0"
	}
	return "unknown"
}

// name is the protocol name that goes with the level in a CONNECT packet.
func (v Version) name() string {
	if v == V31 {
		return "MQIsdp"
	}
	return "MQTT"
}

// versionOf finds the version for a protocol name and level, 0 if there is none.
func versionOf(name []byte, level byte) Version {
	v := Version(level)
	if v.Valid() && string(name) == v.name() {
		return v
	}
	return 0
}
