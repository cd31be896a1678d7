package mqttsn

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"time"

	"github.com/fairlead-iot/fairlead/core/topic"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
)

// Config says what this adapter grants its clients; all are settings of the section
// [mqttsn].
type Config struct {
	GatewayID uint8 `toml:"gateway_id" doc:"the gateway's id in ADVERTISE and GWINFO"`

	AdvertiseInterval time.Duration `toml:"advertise_interval" doc:"how often the gateway announces itself (ADVERTISE) to the addresses of the listener's udp.announce (Tadv; the specification advises more than 15m)"`

	RetryInterval  time.Duration `toml:"retry_interval" doc:"time after which a message to a client that was not answered is sent again (Tretry; the specification advises 10s to 15s)"`
	Retries        int           `toml:"retries" doc:"how often it is sent again until the client is taken for lost (Nretry; the specification advises 3 to 5)"`
	CongestionWait time.Duration `toml:"congestion_wait" doc:"time after which what a client refused for congestion is sent again (Twait; the specification asks for more than 5m)"`

	MaxClientIDLength int    `toml:"max_client_id_length" doc:"characters a client id may have, token included; the specification allows 23"`
	TokenSeparator    string `toml:"token_separator" doc:"what parts the client id from a token of the device: with \":\" the client id \"pump7:secret\" is client pump7, whose user name is pump7 and whose password is secret; empty: no tokens"`
	MaxPacketSize     int    `toml:"max_packet_size" unit:"bytes" doc:"largest message to a client; larger ones are dropped as too_large_for_receiver; 1,400 passes most networks without fragments"`

	Predefined       map[string]string `toml:"predefined" doc:"topic ids that clients know beforehand: the id, 1 to 65534, and its topic name"`
	PredefinedNormal bool              `toml:"predefined_normal" doc:"look a topic id that the client did not register up among the predefined ones, too, as some client libraries send them"`

	UnconnectedTopics   []string       `toml:"unconnected_topics" doc:"topics that QoS -1 may publish to: the names of predefined ids, and short names of two characters; none: QoS -1 is off"`
	UnconnectedNetworks []netip.Prefix `toml:"unconnected_networks" doc:"networks that QoS -1 may come from; none: QoS -1 is off"`

	Clients []ClientRule `toml:"clients" doc:"clients known by client id and network, where neither DTLS nor a token tells who they are: the first rule that names the client id decides"`
}

// ClientRule lets clients in by client id and network.
type ClientRule struct {
	ClientID string         `toml:"client_id" doc:"client ids, with * for any characters and ? for one"`
	Networks []netip.Prefix `toml:"networks" doc:"networks that they must come from"`
	Username string         `toml:"username" doc:"user name that they have for access rules; empty: the client id"`
}

// DefaultConfig gives the settings of a fresh start.
func DefaultConfig() Config {
	return Config{
		GatewayID:         1,
		AdvertiseInterval: 20 * time.Minute,
		RetryInterval:     10 * time.Second, // [SN-7.2-1]
		Retries:           3,
		CongestionWait:    5 * time.Minute,
		MaxClientIDLength: packet.MaxClientID, // [SN-5.3.1-1]
		MaxPacketSize:     1400,
	}
}

// Validate reports every setting that is out of its bounds.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.AdvertiseInterval < time.Second || c.AdvertiseInterval > 18*time.Hour {
		bad("advertise_interval: %s must be between 1s and 18h", c.AdvertiseInterval)
	}
	if c.RetryInterval < 100*time.Millisecond || c.RetryInterval > time.Hour {
		bad("retry_interval: %s must be between 100ms and 1h", c.RetryInterval)
	}
	if c.Retries < 0 || c.Retries > 100 {
		bad("retries: %d must be between 0 and 100", c.Retries)
	}
	if c.CongestionWait < time.Second || c.CongestionWait > 24*time.Hour {
		bad("congestion_wait: %s must be between 1s and 24h", c.CongestionWait)
	}
	if c.MaxClientIDLength < packet.MaxClientID || c.MaxClientIDLength > 65000 {
		bad("max_client_id_length: %d must be between 23 and 65000", c.MaxClientIDLength)
	}
	if c.MaxPacketSize < 64 || c.MaxPacketSize > 65000 {
		bad("max_packet_size: %d must be between 64 and 65000", c.MaxPacketSize)
	}
	if _, err := c.predefined(); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, c.validateUnconnected(), c.validateClients())
	return errors.Join(errs...)
}

// limits are those of every valid topic; core has narrower ones.
func limits() topic.Limits { return topic.Limits{Levels: topic.MaxLength, Length: topic.MaxLength} }

// predefined reads the table of predefined topic ids.
func (c *Config) predefined() (map[uint16]string, error) {
	out := map[uint16]string{}
	var errs []error
	for key, name := range c.Predefined {
		id, err := strconv.ParseUint(key, 10, 16)
		switch {
		case err != nil || uint16(id) == packet.NoTopicID || uint16(id) == packet.ReservedTopicID:
			errs = append(errs, fmt.Errorf("predefined: %q is no topic id; ids are 1 to 65534", key))
			continue
		}
		if _, err := limits().ParseName(name); err != nil {
			errs = append(errs, fmt.Errorf("predefined: id %s: topic %q: %w", key, name, err))
			continue
		}
		out[uint16(id)] = name
	}
	return out, errors.Join(errs...)
}

func (c *Config) validateUnconnected() error {
	if (len(c.UnconnectedTopics) == 0) != (len(c.UnconnectedNetworks) == 0) {
		return errors.New("unconnected_topics: QoS -1 needs unconnected_topics and unconnected_networks, or neither")
	}
	names := map[string]bool{}
	for _, name := range c.Predefined {
		names[name] = true
	}
	for _, name := range c.UnconnectedTopics {
		if _, err := limits().ParseName(name); err != nil || len(name) != 2 && !names[name] {
			return fmt.Errorf("unconnected_topics: %q is neither the topic of a predefined id nor a name of two characters", name)
		}
	}
	return nil
}

func (c *Config) validateClients() error {
	for i, r := range c.Clients {
		switch _, err := path.Match(r.ClientID, ""); {
		case r.ClientID == "" || err != nil:
			return fmt.Errorf("clients: number %d: client_id %q is no pattern", i+1, r.ClientID)
		case len(r.Networks) == 0:
			return fmt.Errorf("clients: number %d, %q: networks is empty; 0.0.0.0/0 and ::/0 are all", i+1, r.ClientID)
		}
	}
	return nil
}
