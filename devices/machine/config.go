package machine

import (
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Config is what many machines have in common. It is never changed once a machine has
// it. A zero field means what its comment says.
type Config struct {
	Version packet.Version // 0: MQTT 5
	// Clean asks for a new session: Clean Start, before MQTT 5 Clean Session.
	Clean bool
	// SessionExpiry is how long the session outlives the connection, in seconds (MQTT
	// 5); 0xFFFFFFFF: for ever. 0: not at all.
	SessionExpiry uint32
	// KeepAlive in seconds; the server may overrule it (MQTT 5). 0: none.
	KeepAlive uint16
	// ReceiveMaximum is how many QoS 1 and 2 messages are taken unacknowledged (MQTT
	// 5), 0: 65,535.
	ReceiveMaximum uint16
	// MaxPacketSize is the largest packet taken, in bytes. 0: what MQTT can express.
	MaxPacketSize uint32
	// TopicAliasMaximum is how many aliases the server may use (MQTT 5). 0: none.
	TopicAliasMaximum uint16
	// RequestResponseInformation asks for a topic prefix for responses (MQTT 5).
	RequestResponseInformation bool

	// MaxInflight bounds the own QoS 1 and 2 messages under way where the server's
	// Receive Maximum allows more. 0: 16.
	MaxInflight uint16
	// MaxQueue bounds the own QoS 1 and 2 messages that wait for room under
	// MaxInflight, or for a connection. 0: 1000. Those under way and those that wait are
	// 65,535 at most together, by the packet identifiers.
	MaxQueue uint16
	// ManualAck leaves acknowledging received messages to Machine.Ack; otherwise they
	// are acknowledged when Handler.Message returns.
	ManualAck bool
	// ConnackTimeout is how long Timer waits for the CONNACK. 0: for ever.
	ConnackTimeout time.Duration
}

const (
	defaultInflight = 16
	defaultQueue    = 1000
	// maxConnack is the largest CONNACK that is taken, in bytes: the peer has not yet
	// shown that it speaks MQTT at all.
	maxConnack = 1 << 20
)

func (c *Config) version() packet.Version {
	if c.Version == 0 {
		return packet.V5
	}
	return c.Version
}

func (c *Config) receiveMaximum() uint16 {
	if c.ReceiveMaximum == 0 {
		return 65535
	}
	return c.ReceiveMaximum
}

func (c *Config) maxInflight() uint16 {
	if c.MaxInflight == 0 {
		return defaultInflight
	}
	return c.MaxInflight
}

func (c *Config) maxQueue() int {
	if c.MaxQueue == 0 {
		return defaultQueue
	}
	return int(c.MaxQueue)
}

// Identity is what CONNECT says of one client. The machine keeps nothing of it.
type Identity struct {
	ClientID    []byte // empty: the server assigns one (MQTT 5), or the session is clean
	HasUsername bool
	Username    []byte
	HasPassword bool
	Password    []byte
	Will        *packet.Will          // nil: none; its properties count in MQTT 5 only
	User        packet.UserProperties // of the CONNECT (MQTT 5)
	Method      []byte                // authentication method (MQTT 5), needs an Authenticator; empty: none
	Data        []byte                // what the client says first by the method
}

// connect fills p with what c and id say.
func (c *Config) connect(p *packet.Connect, id *Identity) {
	*p = packet.Connect{
		CleanStart: c.Clean, KeepAlive: c.KeepAlive, ClientID: id.ClientID,
		HasUsername: id.HasUsername, Username: id.Username, HasPassword: id.HasPassword, Password: id.Password,
	}
	if id.Will != nil {
		p.HasWill, p.Will = true, *id.Will
	}
	f := &p.Properties
	f.User = id.User
	if len(id.Method) > 0 {
		f.SetAuthenticationMethod(id.Method)
		if len(id.Data) > 0 {
			f.SetAuthenticationData(id.Data)
		}
	}
	if c.SessionExpiry != 0 {
		f.SetSessionExpiry(c.SessionExpiry)
	}
	if m := c.receiveMaximum(); m != 65535 {
		f.SetReceiveMaximum(m)
	}
	if c.MaxPacketSize != 0 {
		f.SetMaximumPacketSize(c.MaxPacketSize)
	}
	if c.TopicAliasMaximum != 0 {
		f.SetTopicAliasMaximum(c.TopicAliasMaximum)
	}
	if c.RequestResponseInformation {
		f.SetRequestResponseInformation(true)
	}
}
