package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// client is what pub and sub need of a connection: a devices.Client speaks MQTT, a
// devices.Sensor MQTT-SN and CoAP.
type client interface {
	Accepted() devices.Accepted
	Session() *devices.Session
	Messages() <-chan *devices.Message
	Err() error
	Subscribe(ctx context.Context, id uint32, subs ...devices.Subscription) ([]packet.ReasonCode, error)
	Send(ctx context.Context, m *devices.Message) (*devices.Pending, error)
	Wait(ctx context.Context, p *devices.Pending) (packet.ReasonCode, error)
	Disconnect(ctx context.Context) error
	Close() error
}

// dial connects by the protocol of the URL. What is no DialError is a URL that cannot be
// read.
func dial(ctx context.Context, address string, o devices.Options) (c client, err error) {
	if sensorScheme(address) != "" {
		var s *devices.Sensor
		if s, err = devices.DialSensor(ctx, address, o); err == nil {
			return s, nil
		}
	} else {
		var m *devices.Client
		if m, err = devices.Dial(ctx, address, o); err == nil {
			return m, nil
		}
	}
	var failed *devices.DialError
	if !errors.As(err, &failed) && ctx.Err() == nil {
		err = usageError{err}
	}
	return nil, err
}

// sensorScheme is the scheme of a URL whose protocol is one of sensors, "" for others.
func sensorScheme(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	switch s := strings.ToLower(u.Scheme); s {
	case "mqttsn", "mqttsns", "coap", "coaps":
		return s
	}
	return ""
}

// notSaid are the flags that a protocol of sensors has no words for.
func notSaid(scheme string) []string {
	flags := []string{"auth-method", "protocol-version", "will-delay", "property"}
	if strings.HasPrefix(scheme, "mqttsn") {
		flags = append(flags, "username", "password", "password-file", "session-expiry")
	} else {
		flags = append(flags, "will-topic", "will-payload", "will-qos", "will-retain", "retained-only", "no-retained")
	}
	if scheme == "mqttsn" || scheme == "coap" {
		flags = append(flags, dtlsFlags()...)
		flags = append(flags, pskFlags()...)
	}
	return flags
}

func dtlsFlags() []string { return []string{"cafile", "cert", "key", "servername", "insecure"} }
func pskFlags() []string  { return []string{"psk", "psk-identity", "psk-file"} }

// sayable refuses, by name, flags that the URL's protocol has no words for.
func sayable(f *pflag.FlagSet, address string) error {
	scheme := sensorScheme(address)
	refused := pskFlags()
	where := "MQTT"
	if scheme != "" {
		refused, where = notSaid(scheme), scheme+"://"
	}
	var faults []error
	f.Visit(func(flag *pflag.Flag) {
		if slices.Contains(refused, flag.Name) {
			faults = append(faults, usagef("--%s has no meaning with %s", flag.Name, where))
		}
	})
	return errors.Join(faults...)
}

// sensor fits the options to a protocol of sensors.
func (c *connection) sensor(scheme string, o *devices.Options) (err error) {
	o.Version = 0
	if c.sessionExpiry == "" && strings.HasPrefix(scheme, "mqttsn") {
		o.SessionExpiry = 0 // what is not clean lasts
	}
	o.PSK, err = c.sharedKey()
	return err
}

// sharedKey is the key of --psk or --psk-file, nil for none.
func (c *connection) sharedKey() (*devices.PSK, error) {
	identity, key := c.pskIdentity, c.psk
	if c.pskFile != "" {
		content, err := readLimited(c.pskFile, maxSecret)
		if err != nil {
			return nil, err
		}
		line := string(firstLine(content))
		at := strings.LastIndexByte(line, ':')
		if at < 0 {
			return nil, usagef("--psk-file %s: its first line must be IDENTITY:KEY, the key in hexadecimal", c.pskFile)
		}
		identity, key = line[:at], line[at+1:]
	}
	if identity == "" && key == "" {
		return nil, nil
	}
	b, err := hex.DecodeString(key)
	if err != nil || len(b) == 0 || identity == "" {
		return nil, hint(usagef("the shared key needs an identity, and hexadecimal digits"), "give --psk-file FILE, or --psk-identity and --psk")
	}
	return &devices.PSK{Identity: identity, Key: b}, nil
}

// sensorHelp says it in the help of pub and sub.
func sensorHelp() string {
	return fmt.Sprintf(`With %s URLs the command speaks as a sensor does;
flags that the protocol has no words for are refused.
`, "mqttsn://, mqttsns://, coap:// and coaps://")
}
