package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// defaultURL names the address and not localhost: the gateway of a fresh start
// listens on 127.0.0.1, and localhost may mean ::1.
const defaultURL = "mqtt://127.0.0.1:1883"

// connection is the flags that pub and sub share: where to, and who.
type connection struct {
	url, host      string
	port           uint16
	id, user       string
	password       string
	passwordFile   string
	authMethod     string
	version        string
	keepAlive      uint16
	keep           bool // -c
	clean          bool
	sessionExpiry  string
	willTopic      string
	willPayload    string
	willQoS        uint8
	willRetain     bool
	willDelay      time.Duration
	ca, cert, key  string
	serverName     string
	insecure       bool
	psk            string
	pskIdentity    string
	pskFile        string
	connectTimeout time.Duration
	properties     []string
	quiet, verbose bool
}

func (c *connection) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Bool("help", false, "help for "+cmd.Name()) // -h is the host here
	f.StringVarP(&c.url, "url", "L", "", "server: mqtt://, mqtts://, ws://, wss://, quic://, unix:///PATH, mqttsn://, mqttsns://, coap:// or coaps://, user and password may stand in it (default "+defaultURL+")")
	f.StringVarP(&c.host, "host", "h", "", "server's host, instead of --url")
	f.Uint16VarP(&c.port, "port", "p", 0, "server's port, with --host (default 1883, with TLS 8883)")
	f.StringVarP(&c.id, "id", "i", "", "client identifier; none: the server assigns one")
	f.StringVarP(&c.user, "username", "u", "", "user name")
	f.StringVarP(&c.password, "password", "P", "", "password; others on this machine may see it, so rather --password-file")
	f.StringVar(&c.passwordFile, "password-file", "", "file whose first line is the password")
	f.StringVar(&c.authMethod, "auth-method", "", "prove the password by this method instead of sending it: SCRAM-SHA-256 or SCRAM-SHA-512 (MQTT 5)")
	f.StringVarP(&c.version, "protocol-version", "V", "5", "3.1, 3.1.1 or 5")
	f.Uint16VarP(&c.keepAlive, "keepalive", "k", 60, "keep alive in seconds; 0 turns it off")
	f.BoolVarP(&c.keep, "disable-clean-session", "c", false, "keep the session of an earlier connection; needs --id")
	f.BoolVar(&c.clean, "clean", true, "begin with a clean session; --clean=false is -c")
	f.StringVarP(&c.sessionExpiry, "session-expiry", "x", "", "how long the session outlives the connection: 90, 1h30m, never (MQTT 5)")
	f.StringVar(&c.willTopic, "will-topic", "", "topic of the Will, which the server publishes when this client is lost")
	f.StringVar(&c.willPayload, "will-payload", "", "payload of the Will")
	f.Uint8Var(&c.willQoS, "will-qos", 0, "QoS of the Will")
	f.BoolVar(&c.willRetain, "will-retain", false, "the Will is retained")
	f.DurationVar(&c.willDelay, "will-delay", 0, "how long the server waits before it publishes the Will (MQTT 5)")
	f.StringVar(&c.ca, "cafile", "", "authorities that may have signed the server's certificate, PEM; makes --host mean TLS")
	f.StringVar(&c.cert, "cert", "", "own certificate, PEM")
	f.StringVar(&c.key, "key", "", "own private key, PEM")
	f.StringVar(&c.serverName, "servername", "", "name to expect in the server's certificate")
	f.BoolVar(&c.insecure, "insecure", false, "do not check the server's certificate")
	f.StringVar(&c.pskFile, "psk-file", "", "file whose first line is IDENTITY:KEY, the shared key of DTLS in hexadecimal")
	f.StringVar(&c.pskIdentity, "psk-identity", "", "identity of the shared key, with --psk")
	f.StringVar(&c.psk, "psk", "", "shared key of DTLS in hexadecimal; others on this machine may see it, so rather --psk-file")
	f.DurationVar(&c.connectTimeout, "connect-timeout", 10*time.Second, "time for the connection to come about")
	f.StringArrayVarP(&c.properties, "property", "D", nil, "MQTT 5 property: user=NAME=VALUE, content-type=…, response-topic=…, correlation=…, expiry=SECONDS, utf8=true; for the CONNECT or the Will with connect. or will. before it")
	f.BoolVar(&c.quiet, "quiet", false, "say nothing but errors")
	f.SortFlags = false
}

// contradictions refuses what the shared flags say twice.
func contradictions(f *pflag.FlagSet) error {
	return errors.Join(onlyOne(f, "url", "host"), onlyOne(f, "password", "password-file"), onlyOne(f, "psk", "psk-file"))
}

// onlyOne refuses flags that say the same in different ways.
func onlyOne(f *pflag.FlagSet, names ...string) error {
	first := ""
	for _, name := range names {
		switch {
		case !f.Changed(name):
		case first != "":
			return usagef("--%s and --%s cannot be given together", first, name)
		default:
			first = name
		}
	}
	return nil
}

// address is the URL of the server.
func (c *connection) address() (string, error) {
	if c.host == "" {
		if c.port != 0 && c.url != "" {
			return "", usagef("--port goes with --host; the port of --url stands in the URL")
		}
		if c.url != "" {
			return c.url, nil
		}
		if c.port == 0 {
			return defaultURL, nil
		}
		return "mqtt://127.0.0.1:" + strconv.Itoa(int(c.port)), nil
	}
	scheme, port := "mqtt", uint16(1883)
	if c.ca != "" || c.cert != "" || c.insecure || c.port == 8883 {
		scheme, port = "mqtts", 8883
	}
	if c.port != 0 {
		port = c.port
	}
	u := url.URL{Scheme: scheme, Host: net.JoinHostPort(c.host, strconv.Itoa(int(port)))}
	return u.String(), nil
}

// options are what the client is made with.
func (c *connection) options(t *terminal) (devices.Options, error) {
	o := devices.Options{
		ClientID: c.id, Username: c.user, AuthMethod: c.authMethod, Resume: c.keep || !c.clean,
		KeepAlive: time.Duration(c.keepAlive) * time.Second, Timeout: c.connectTimeout,
		TLS: devices.TLS{CAFile: c.ca, CertFile: c.cert, KeyFile: c.key, ServerName: c.serverName, Insecure: c.insecure},
	}
	if c.keepAlive == 0 {
		o.KeepAlive = -1
	}
	if err := c.credentials(t, &o); err != nil {
		return o, err
	}
	var err error
	if o.Version, err = parseVersion(c.version); err != nil {
		return o, err
	}
	if o.SessionExpiry, err = parseExpiry(c.sessionExpiry); err != nil {
		return o, err
	}
	if o.Resume && c.id == "" {
		return o, hint(usagef("a session that is kept needs a client identifier"), "give one with --id")
	}
	if o.Version == packet.V31 && o.ClientID == "" {
		o.ClientID = "fl-" + rand.Text()[:20] // this version has no empty one, and allows 23 characters
	}
	// The session must outlive this command, or -c would mean nothing with MQTT 5.
	if o.Resume && c.sessionExpiry == "" && o.Version == packet.V5 {
		o.SessionExpiry = math.MaxUint32
	}
	if scheme := sensorScheme(c.url); scheme != "" {
		if err := c.sensor(scheme, &o); err != nil {
			return o, err
		}
	}
	return o, c.will(&o)
}

func (c *connection) credentials(t *terminal, o *devices.Options) error {
	switch {
	case c.passwordFile != "":
		secret, err := t.password(c.passwordFile, "", false)
		if err != nil {
			return err
		}
		o.Password, o.HasPassword = secret, true
	case c.password != "":
		o.Password, o.HasPassword = []byte(c.password), true
	}
	return nil
}

// will fills in the Will and the properties of CONNECT.
func (c *connection) will(o *devices.Options) error {
	if c.willTopic != "" {
		if c.willQoS > 2 {
			return usagef("--will-qos %d: there are 0, 1 and 2", c.willQoS)
		}
		o.Will = &devices.Will{
			Message: devices.Message{Topic: c.willTopic, Payload: []byte(c.willPayload), QoS: c.willQoS, Retain: c.willRetain},
			Delay:   uint32(c.willDelay / time.Second),
		}
	}
	var connect devices.Message
	if err := applyProperties(c.properties, "connect", &connect); err != nil {
		return err
	}
	o.User = connect.User
	if o.Will == nil {
		return nil
	}
	return applyProperties(c.properties, "will", &o.Will.Message)
}

func parseVersion(text string) (packet.Version, error) {
	switch text {
	case "5", "5.0", "mqttv5":
		return packet.V5, nil
	case "3.1.1", "311", "4", "mqttv311":
		return packet.V311, nil
	case "3.1", "31", "3", "mqttv31":
		return packet.V31, nil
	}
	return 0, usagef("--protocol-version %q: there are 3.1, 3.1.1 and 5", text)
}

// parseExpiry reads seconds, a duration, or never.
func parseExpiry(text string) (uint32, error) {
	switch text {
	case "":
		return 0, nil
	case "never", "max", "∞":
		return math.MaxUint32, nil
	}
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return uint32(n), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d/time.Second >= math.MaxUint32 {
		return 0, usagef("%q is no time: write seconds, 1h30m or never", text)
	}
	return uint32(d / time.Second), nil
}

// say tells a person what goes on, unless --quiet.
func (t *terminal) say(c *connection, format string, a ...any) {
	if !c.quiet {
		fmt.Fprintf(t.err, "fairlead: "+format+"\n", a...)
	}
}

var errNoMessage = errors.New("what is to be published? nothing was given")
