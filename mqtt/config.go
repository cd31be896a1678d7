package mqtt

import (
	"errors"
	"fmt"
	"math"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Config says what this adapter grants its clients. Each number stands beside its
// reason; all are settings of the section [mqtt].
type Config struct {
	MaxPacketSize        int    `toml:"max_packet_size" unit:"bytes" doc:"largest packet taken from a client; told to MQTT 5 clients, larger ones end the connection"`
	MaxConnectSize       int    `toml:"max_connect_size" unit:"bytes" doc:"largest CONNECT; strangers may not make the gateway hold more before they are known"`
	TopicAliasMaximum    uint16 `toml:"topic_alias_maximum" doc:"topic aliases a client may use towards the gateway; each holds one topic in memory; 0 turns them off"`
	OutgoingAliasMaximum uint16 `toml:"outgoing_alias_maximum" doc:"topic aliases the gateway uses towards a client that allows them; 0 turns them off"`
	MaxQoS               uint8  `toml:"max_qos" doc:"highest QoS of a PUBLISH from a client and of a delivery: 0, 1 or 2"`

	RetainAvailable         bool `toml:"retain_available" doc:"whether clients may publish retained messages"`
	WildcardAvailable       bool `toml:"wildcard_available" doc:"whether clients may subscribe with + and #"`
	SharedAvailable         bool `toml:"shared_available" doc:"whether clients may subscribe with $share/ and $queue/"`
	SubscriptionIDAvailable bool `toml:"subscription_id_available" doc:"whether MQTT 5 clients may give subscription identifiers"`

	CheckPayloadFormat  bool   `toml:"check_payload_format" doc:"refuse payloads that are marked as UTF-8 and are not; costs a pass over each such payload"`
	ReasonStrings       bool   `toml:"reason_strings" doc:"tell MQTT 5 clients in words why something was refused"`
	ResponseInformation string `toml:"response_information" doc:"topic prefix told to MQTT 5 clients that ask for Response Information, the client identifier is put behind it; empty tells nothing"`
	StrictClientID31    bool   `toml:"strict_client_id_31" doc:"refuse MQTT 3.1 client identifiers of more than 23 characters, as that version demands; most servers do not"`
	AcknowledgeRefused  bool   `toml:"acknowledge_refused" doc:"MQTT 3 cannot say that a PUBLISH was not authorised: true (as mosquitto and EMQ X do) acknowledges and discards it and leaves an explain record, false closes the connection"`

	DrainRedirect      string `toml:"drain_redirect" doc:"server (host:port, several with blanks between) to which MQTT 5 clients are sent when the gateway stops or an administrator asks for it; empty: they are told that the gateway stops"`
	DrainRedirectMoved bool   `toml:"drain_redirect_moved" doc:"whether they are told to stay there (0x9D, Server moved), rather than for this time (0x9C, Use another server)"`

	MaxPropertyBytes  int `toml:"max_property_bytes" unit:"bytes" doc:"bytes of properties in one packet; they are kept with every queued message"`
	MaxUserProperties int `toml:"max_user_properties" doc:"User Properties in one packet"`
	MaxFilters        int `toml:"max_filters" doc:"topic filters in one SUBSCRIBE or UNSUBSCRIBE; bounds the work of one packet"`
}

// DefaultConfig gives the settings of a fresh start.
func DefaultConfig() Config {
	lim := packet.DefaultLimits()
	return Config{
		MaxPacketSize:        1 << 20,
		MaxConnectSize:       64 << 10,
		TopicAliasMaximum:    32,
		OutgoingAliasMaximum: 32,
		MaxQoS:               2,

		RetainAvailable:         true,
		WildcardAvailable:       true,
		SharedAvailable:         true,
		SubscriptionIDAvailable: true,

		ReasonStrings:      true,
		AcknowledgeRefused: true,

		MaxPropertyBytes:  lim.PropertyBytes,
		MaxUserProperties: lim.UserProperties,
		MaxFilters:        lim.Filters,
	}
}

// maxPacket is the largest packet that MQTT can express: fixed header and body.
const maxPacket = packet.MaxRemaining + 5

// Validate reports every setting that is out of its bounds.
func (c *Config) Validate() error {
	var errs []error
	in := func(name string, v, low, high int) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("%s = %d: must be between %d and %d", name, v, low, high))
		}
	}
	in("max_packet_size", c.MaxPacketSize, 128, maxPacket)
	in("max_connect_size", c.MaxConnectSize, 128, maxPacket)
	in("max_qos", int(c.MaxQoS), 0, 2)
	in("max_property_bytes", c.MaxPropertyBytes, 64, maxPacket)
	in("max_user_properties", c.MaxUserProperties, 1, 1<<20)
	in("max_filters", c.MaxFilters, 1, 1<<20)
	if !packet.ValidUTF8([]byte(c.ResponseInformation)) || len(c.ResponseInformation) > math.MaxUint16/2 {
		errs = append(errs, fmt.Errorf("response_information = %q: must be UTF-8 of at most %d bytes", c.ResponseInformation, math.MaxUint16/2))
	}
	if !packet.ValidUTF8([]byte(c.DrainRedirect)) || len(c.DrainRedirect) > maxServerReference {
		errs = append(errs, fmt.Errorf("drain_redirect = %q: must be UTF-8 of at most %d bytes", c.DrainRedirect, maxServerReference))
	}
	if c.DrainRedirectMoved && c.DrainRedirect == "" {
		errs = append(errs, errors.New("drain_redirect_moved = true: needs drain_redirect"))
	}
	return errors.Join(errs...)
}
