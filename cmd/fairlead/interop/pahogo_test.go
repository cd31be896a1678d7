package interop

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// pahoGo drives paho.mqtt.golang, which speaks MQTT 3.1 and 3.1.1.
type pahoGo struct{}

func (pahoGo) open(t *testing.T, at endpoint, o options) client {
	t.Helper()
	c := &pahoClient{inbox: newInbox(o.clientID)}
	opts := mqtt.NewClientOptions().
		AddBroker(at.url()).
		SetClientID(o.clientID).
		SetProtocolVersion(uint(o.version)).
		SetCleanSession(!o.resume).
		SetAutoReconnect(false).
		SetConnectTimeout(patience).
		SetTLSConfig(trust(t, at.ca)).
		SetCustomOpenConnectionFn(c.dial).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			c.messages <- message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retain: m.Retained()}
		})
	if w := o.will; w != nil {
		opts.SetBinaryWill(w.Topic, w.Payload, w.QoS, w.Retain)
	}
	c.client = mqtt.NewClient(opts)
	token := c.client.Connect().(*mqtt.ConnectToken)
	c.finish(t, "CONNACK", token)
	c.present = token.SessionPresent()
	return c
}

func trust(t *testing.T, ca string) *tls.Config {
	t.Helper()
	if ca == "" {
		return nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("%s: no certificate", ca)
	}
	return &tls.Config{RootCAs: roots}
}

type pahoClient struct {
	inbox
	client  mqtt.Client
	conn    net.Conn
	present bool
}

// dial connects as the library would, and keeps the connection so that it can
// be broken.
func (c *pahoClient) dial(to *url.URL, opts mqtt.ClientOptions) (conn net.Conn, err error) {
	switch to.Scheme {
	case "tcp":
		conn, err = opts.Dialer.Dial("tcp", to.Host)
	case "unix":
		conn, err = opts.Dialer.Dial("unix", to.Path)
	case "tls":
		conn, err = tls.DialWithDialer(opts.Dialer, "tcp", to.Host, opts.TLSConfig)
	case "ws", "wss":
		conn, err = mqtt.NewWebsocket(to.String(), opts.TLSConfig, patience, opts.HTTPHeaders, opts.WebsocketOptions)
	default:
		err = fmt.Errorf("dial %s: no such transport", to)
	}
	c.conn = conn
	return conn, err
}

func (c *pahoClient) finish(t *testing.T, what string, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatalf("%s: no %s in %v", c.name, what, patience)
	}
	if err := token.Error(); err != nil {
		t.Fatalf("%s: %s: %v", c.name, what, err)
	}
}

func (c *pahoClient) sessionPresent() bool { return c.present }

func (c *pahoClient) subscribe(t *testing.T, filter string, qos byte) byte {
	t.Helper()
	token := c.client.Subscribe(filter, qos, nil).(*mqtt.SubscribeToken)
	c.finish(t, "SUBACK", token)
	for _, granted := range token.Result() { // by filter, without the prefix of shared subscriptions
		return granted
	}
	t.Fatalf("%s: SUBACK for %q without a code", c.name, filter)
	return 0x80
}

func (c *pahoClient) publish(t *testing.T, all ...message) {
	t.Helper()
	var tokens []mqtt.Token
	for _, m := range all {
		tokens = append(tokens, c.client.Publish(m.Topic, m.QoS, m.Retain, m.Payload))
	}
	for _, token := range tokens {
		c.finish(t, "end of the PUBLISH flow", token)
	}
}

func (c *pahoClient) disconnect(*testing.T) { c.client.Disconnect(250) }

// drop closes the connection below the library, which takes that for its own
// doing and does not report it.
func (c *pahoClient) drop(*testing.T) { c.conn.Close() }
