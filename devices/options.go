package devices

import (
	"context"
	"net"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Options say how to connect. The zero value connects with MQTT 5, a client
// identifier of the server's choice and a clean session.
type Options struct {
	Version  packet.Version // 0: MQTT 5
	ClientID string         // "": the server assigns one (MQTT 5) or the session is clean

	Username    string // goes before what the URL says
	Password    []byte
	HasPassword bool
	// AuthMethod has user name and password proven by this method instead of sent
	// (MQTT 5): ScramSHA256 or ScramSHA512; "" sends them.
	AuthMethod string

	// Resume keeps an earlier session (Clean Start 0). Before MQTT 5 it also
	// makes this session outlive the connection.
	Resume bool
	// SessionExpiry is how long the session shall outlive the connection, in
	// seconds (MQTT 5); 0xFFFFFFFF means for ever.
	SessionExpiry uint32
	// Session is what an earlier Client of the same session left; nil for none.
	Session *Session

	KeepAlive time.Duration // whole seconds; 0: 60 s; negative: none
	Will      *Will

	ReceiveMaximum    uint16 // QoS 1 and 2 messages taken unacknowledged (MQTT 5); 0: 65,535
	MaximumPacketSize uint32 // largest packet taken, in bytes; 0: what MQTT can express
	TopicAliasMaximum uint16 // aliases the server may use (MQTT 5)
	// RequestResponseInformation asks for a topic prefix for responses (MQTT 5).
	RequestResponseInformation bool
	User                       []UserProperty // of the CONNECT (MQTT 5)

	// MaxInflight bounds the own QoS 1 and 2 messages under way, where the
	// server allows more; 0: 1024.
	MaxInflight uint16
	// Buffer is how many received messages wait for the caller; 0: 256.
	Buffer int
	// ManualAck leaves acknowledging to Message.Ack; otherwise a message is
	// acknowledged when the caller's channel has it.
	ManualAck bool

	// Retry is the time after which a sensor's datagram is sent again that was not
	// answered; 0: what the protocol advises.
	Retry time.Duration

	// Predefined are the topic ids of MQTT-SN that gateway and client know beforehand.
	Predefined map[uint16]string

	TLS     TLS
	PSK     *PSK          // shared key of DTLS, instead of certificates; nil: none
	Timeout time.Duration // of Dial, and of a packet's write; 0: 10 s
	// DialContext replaces the network, for tests and simulated fleets; nil: net.Dialer.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// TLS says how mqtts and wss connections prove who is who. Files are PEM.
type TLS struct {
	CAFile     string // authorities to trust; "": the system's
	CertFile   string // own certificate chain, with KeyFile
	KeyFile    string
	ServerName string // the name to expect in the certificate; "": the URL's host
	Insecure   bool   // do not check the server's certificate
}

// PSK is a key that client and server share.
type PSK struct {
	Identity string
	Key      []byte
}

// Will is the message the server publishes when the connection ends without a
// DISCONNECT.
type Will struct {
	Message
	Delay uint32 // Will Delay Interval in seconds (MQTT 5)
}

const (
	defaultKeepAlive = 60 * time.Second
	defaultTimeout   = 10 * time.Second
	defaultInflight  = 1024
	defaultBuffer    = 256
)

// withDefaults gives a copy in which every field says what holds.
func (o Options) withDefaults() Options {
	if o.Version == 0 {
		o.Version = packet.V5
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = defaultKeepAlive
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxInflight == 0 {
		o.MaxInflight = defaultInflight
	}
	if o.Buffer <= 0 {
		o.Buffer = defaultBuffer
	}
	if o.ReceiveMaximum == 0 {
		o.ReceiveMaximum = 65535
	}
	if o.Session == nil {
		o.Session = NewSession()
	}
	return o
}

// keepAliveSeconds is what CONNECT says.
func (o *Options) keepAliveSeconds() uint16 {
	if o.KeepAlive < 0 {
		return 0
	}
	return uint16(min((o.KeepAlive+time.Second-1)/time.Second, 65535))
}
