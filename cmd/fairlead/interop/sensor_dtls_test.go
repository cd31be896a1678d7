package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/devices"
)

// roaming is a device's socket, whose address can change as behind a NAT. What waits on
// the old one is lost.
type roaming struct {
	now   atomic.Pointer[net.UDPConn]
	dials int
}

func (r *roaming) dial(_ context.Context, _, address string) (net.Conn, error) {
	r.dials++
	return r, r.take(address)
}

func (r *roaming) take(address string) error {
	to, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return err
	}
	c, err := net.DialUDP("udp", nil, to)
	if err != nil {
		return err
	}
	if old := r.now.Swap(c); old != nil {
		old.Close()
	}
	return nil
}

// move takes another port.
func (r *roaming) move(t *testing.T) {
	t.Helper()
	before := r.LocalAddr().String()
	if err := r.take(r.RemoteAddr().String()); err != nil {
		t.Fatal(err)
	}
	if r.LocalAddr().String() == before {
		t.Fatalf("it is still at %s", before)
	}
}

func (r *roaming) Read(b []byte) (int, error) {
	for {
		c := r.now.Load()
		if n, err := c.Read(b); err == nil || r.now.Load() == c {
			return n, err
		}
	}
}

func (r *roaming) Write(b []byte) (int, error)        { return r.now.Load().Write(b) }
func (r *roaming) Close() error                       { return r.now.Load().Close() }
func (r *roaming) LocalAddr() net.Addr                { return r.now.Load().LocalAddr() }
func (r *roaming) RemoteAddr() net.Addr               { return r.now.Load().RemoteAddr() }
func (r *roaming) SetDeadline(t time.Time) error      { return r.now.Load().SetDeadline(t) }
func (r *roaming) SetReadDeadline(t time.Time) error  { return r.now.Load().SetReadDeadline(t) }
func (r *roaming) SetWriteDeadline(t time.Time) error { return nil }

// secured is a gateway for MQTT-SN over DTLS, whose clients may use topics below their own
// user name only.
type secured struct {
	coapGateway
	folder string
	ca     authority
	args   []string // of the gateway
}

func startSecured(t *testing.T) *secured {
	t.Helper()
	folder := shortDir(t)
	ca := newAuthority(t, folder)
	keys := writeKeys(t, folder, "key-id", "key-noid", "key-refused")
	rules := filepath.Join(folder, "acl")
	if err := os.WriteFile(rules, []byte("allow listener mqtt pubsub #\nallow user * pubsub own/%u/#\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--ephemeral", "--set", "auth.acl_file=" + rules, "--set", "node.data_dir=" + filepath.Join(folder, "data")}
	names := []string{"key-id", "key-noid", "cert-id", "cert-noid"}
	ports := freePorts(t, len(names))
	for i, name := range names {
		set := func(key, value string) { args = append(args, "--set", "listeners."+name+"."+key+"="+value) }
		set("protocol", "mqttsn")
		set("transport", "dtls")
		set("address", fmt.Sprint("127.0.0.1:", ports[i]))
		if strings.HasPrefix(name, "key") {
			set("dtls.psk_file", keys)
		} else {
			set("tls.cert_file", ca.cert)
			set("tls.key_file", ca.key)
			set("tls.client_ca_file", ca.path)
			set("tls.client_auth", "require")
			set("tls.identity", "cn")
		}
		if strings.HasSuffix(name, "-noid") {
			set("dtls.no_connection_id", "true")
		}
	}
	s := &secured{folder: folder, ca: ca, args: args}
	s.start(t)
	return s
}

func (s *secured) start(t *testing.T) {
	t.Helper()
	g := runGateway(t, s.folder, "", s.args...)
	s.gateway = g
	t.Cleanup(func() {
		if s.gateway == g { // else it was killed
			g.stop(t)
		}
	})
}

// options are those of the client called name on the listener of that name.
func (s *secured) options(t *testing.T, name string) devices.Options {
	t.Helper()
	o := devices.Options{ClientID: name, Resume: true, Retry: time.Second, Buffer: 64, Timeout: patience}
	if strings.HasPrefix(name, "key") {
		o.PSK = &devices.PSK{Identity: name, Key: []byte(pskKey)}
		return o
	}
	o.TLS.CAFile = s.ca.path
	o.TLS.CertFile, o.TLS.KeyFile = s.ca.issue(t, s.folder, name)
	return o
}

func (s *secured) url(listener string) string { return "mqttsns://" + s.listeners[listener] }

// TestSensorsOverDTLS: sensors known by shared key or certificate publish, subscribe, sleep
// and wake from another address. With a connection id their connection goes on there; without
// one they make a new one, and find their queue.
func TestSensorsOverDTLS(t *testing.T) {
	s := startSecured(t)
	for _, name := range []string{"key-id", "key-noid", "cert-id", "cert-noid"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &roaming{}
			o := s.options(t, name)
			o.DialContext = r.dial
			c := s.sensor(t, name, o)
			s.talks(t, c, name)
			if strings.HasSuffix(name, "-noid") {
				s.gathers(t, c, name)
				r.move(t)
				s.connectsAnew(t, c, name, o)
				return
			}
			r.move(t)
			s.talks(t, c, name)
			for range 2 {
				s.gathers(t, c, name)
				r.move(t)
				s.wakes(t, c, name)
			}
			if r.dials != 1 {
				t.Errorf("%d connections", r.dials)
			}
		})
	}
}

// connectsAnew lets a sensor wake whose connection the gateway does not know any more.
func (s *secured) connectsAnew(t *testing.T, c *devices.Sensor, name string, o devices.Options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Wake(ctx); !errors.Is(err, devices.ErrNoAnswer) {
		t.Fatalf("it woke without a connection: %v", err)
	}
	o.Session, o.DialContext = c.Session(), nil
	c = s.sensor(t, name, o)
	for i := range 10 {
		hears(t, c, "own/"+name+"/down", fmt.Sprint("gathered ", i))
	}
	s.talks(t, c, name)
}

// TestSensorsOverDTLSKilled: DTLS connections do not survive the gateway, the sensor's
// session does.
func TestSensorsOverDTLSKilled(t *testing.T) {
	s := startSecured(t)
	o := s.options(t, "key-id")
	c := s.sensor(t, "key-id", o)
	s.talks(t, c, "key-id")
	s.gathers(t, c, "key-id")
	s.kill()
	s.start(t)
	s.connectsAnew(t, c, "key-id", o)
}

func (s *secured) sensor(t *testing.T, listener string, o devices.Options) *devices.Sensor {
	t.Helper()
	c, err := devices.DialSensor(t.Context(), s.url(listener), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// hears waits for a sensor's next message.
func hears(t *testing.T, c *devices.Sensor, topic, payload string) {
	t.Helper()
	select {
	case m := <-c.Messages():
		if m == nil || m.Topic != topic || string(m.Payload) != payload {
			t.Fatalf("received %+v (%v), want %q at %s", m, c.Err(), payload, topic)
		}
	case <-time.After(patience):
		t.Fatalf("nothing came, want %q at %s", payload, topic)
	}
}

// talks publishes and receives with each QoS, and tries what is not allowed.
func (s *secured) talks(t *testing.T, c *devices.Sensor, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	up, down := "own/"+name+"/up", "own/"+name+"/down"
	if _, err := c.Subscribe(ctx, 0, devices.Subscription{Filter: down, QoS: 2}); err != nil {
		t.Fatal(err)
	}
	watch := s.device(t, "own/#")
	for qos := range uint8(3) {
		payload := fmt.Sprintf("%s with QoS %d", name, qos)
		if _, err := c.Publish(ctx, &devices.Message{Topic: up, Payload: []byte(payload), QoS: qos}); err != nil {
			t.Fatal(err)
		}
		for m := range watch.Messages() { // of all sensors
			if m.Topic == up && string(m.Payload) == payload {
				break
			}
		}
		say(t, watch, down, payload, qos, false)
		hears(t, c, down, payload)
	}
	if _, err := c.Publish(ctx, &devices.Message{Topic: "own/somebody/up", Payload: []byte("x"), QoS: 1}); err == nil {
		t.Error("it may publish below another user's name")
	}
	if _, err := c.Subscribe(ctx, 0, devices.Subscription{Filter: "own/somebody/up", QoS: 1}); err == nil {
		t.Error("it may subscribe below another user's name")
	}
}

// gathers lets the sensor sleep and messages wait for it.
func (s *secured) gathers(t *testing.T, c *devices.Sensor, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Sleep(ctx, time.Minute); err != nil {
		t.Fatal(err)
	}
	pub := s.device(t, "")
	for i := range 10 {
		say(t, pub, "own/"+name+"/down", fmt.Sprint("gathered ", i), uint8(1+i%2), false)
	}
}

// wakes fetches what has gathered.
func (s *secured) wakes(t *testing.T, c *devices.Sensor, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Wake(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		hears(t, c, "own/"+name+"/down", fmt.Sprint("gathered ", i))
	}
}

// TestSensorsOverDTLSRefused: a wrong key, an identity that nobody knows, a certificate of
// somebody else's authority or none do not come in, and nobody under another's client id.
func TestSensorsOverDTLSRefused(t *testing.T) {
	s := startSecured(t)
	asleep := s.sensor(t, "key-id", s.options(t, "key-id"))
	s.talks(t, asleep, "key-id")
	s.gathers(t, asleep, "key-id")
	other := newAuthority(t, shortDir(t))
	defer s.wakes(t, asleep, "key-id") // its messages are its own
	for name, c := range map[string]struct {
		listener string
		change   func(*devices.Options)
	}{
		"wrong key":           {"key-id", func(o *devices.Options) { o.PSK.Key = []byte("something else") }},
		"another's id":        {"key-id", func(o *devices.Options) { o.PSK.Identity = "key-refused" }},
		"unknown identity":    {"key-id", func(o *devices.Options) { o.PSK.Identity = "nobody" }},
		"certificate's other": {"cert-id", func(o *devices.Options) { o.TLS.CertFile, o.TLS.KeyFile = other.issue(t, shortDir(t), "cert-id") }},
		"no certificate":      {"cert-id", func(o *devices.Options) { o.TLS.CertFile, o.TLS.KeyFile = "", "" }},
		"gateway's other":     {"cert-id", func(o *devices.Options) { o.TLS.CAFile = other.path }},
	} {
		t.Run(name, func(t *testing.T) {
			o := s.options(t, c.listener)
			o.Timeout = 2 * time.Second // of those that are answered by silence
			c.change(&o)
			if sensor, err := devices.DialSensor(t.Context(), s.url(c.listener), o); err == nil {
				sensor.Close()
				t.Fatal("it came in")
			} else {
				t.Log(err)
			}
		})
	}
}
