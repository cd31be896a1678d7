package fairlead

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/passwd"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	sn "github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// TestServiceProxyMatrix: a row in the user's table subscribes a device, whatever it
// speaks, and the device never says so. The matrix that it prints tells how each got its
// message.
func TestServiceProxyMatrix(t *testing.T) {
	databases := []string{"redis", "postgres", "mysql", "mariadb", "mongodb", "cassandra"}
	cells := map[string][]string{}
	var mu sync.Mutex
	t.Run("all", func(t *testing.T) {
		for _, name := range databases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := startProxySite(t, proxyTables()[name](t))
				for _, c := range proxyColumns() {
					t.Run(c.name, func(t *testing.T) {
						cell := c.get(&proxySite{site{s.running, t}, s.table, s.publisher})
						mu.Lock()
						defer mu.Unlock()
						cells[name] = append(cells[name], cell)
					})
				}
				t.Run("filters", func(t *testing.T) { proxyFilters(&proxySite{site{s.running, t}, s.table, s.publisher}) })
				t.Run("reconciled", func(t *testing.T) { proxyReconciled(&proxySite{site{s.running, t}, s.table, s.publisher}) })
			})
		}
	})
	var b strings.Builder
	b.WriteString("| a row in | " + strings.Join(databases, " | ") + " |\n|" + strings.Repeat("---|", 1+len(databases)) + "\n")
	for i, c := range proxyColumns() {
		b.WriteString("| " + c.name + " |")
		for _, name := range databases {
			cell := "NOT TRIED"
			if i < len(cells[name]) {
				cell = cells[name][i]
			}
			b.WriteString(" " + cell + " |")
		}
		b.WriteByte('\n')
	}
	t.Logf("how a device gets what a row subscribes it to, without having sent SUBSCRIBE:\n%s", b.String())
}

// proxySite is a gateway with a database that subscribes.
type proxySite struct {
	site
	table     *proxyTable
	publisher *devices.Client
}

const proxyUser, proxyPassword = "eve", "secret"

func startProxySite(t *testing.T, table *proxyTable) *proxySite {
	c := testConfig(t.TempDir())
	table.use(&c)
	if err := InitBackends(t.Context(), &c, true, func(_, _ string) {}); err != nil {
		t.Fatal(err)
	}
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(serveRelay(ln))
	c.Listeners[protocols.Exproto] = &protocols.ListenerConfig{Protocol: protocols.Exproto, Transport: protocols.TCP, Address: "127.0.0.1:0",
		Exproto: protocols.ExprotoConfig{Handler: ln.Addr().String()}}
	hash := must(passwd.NewHash([]byte(proxyPassword), passwd.DefaultParams()))
	users := must(passwd.Set(nil, passwd.Entry{User: proxyUser, Hash: hash}))
	c.Auth.PasswdFile = filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(c.Auth.PasswdFile, users, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &proxySite{site: site{start(t, c), t}, table: table}
	s.publisher = s.dial(devices.Options{ClientID: "publisher"})
	return s
}

// proxyColumn is a protocol: get connects a device, and says how it got a message.
type proxyColumn struct {
	name string
	get  func(*proxySite) string
}

func proxyColumns() (all []proxyColumn) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		for _, over := range []string{"mqtt", "ws"} {
			name := fmt.Sprintf("MQTT %s, %s", v, map[string]string{"mqtt": "TCP", "ws": "WebSocket"}[over])
			all = append(all, proxyColumn{name, func(s *proxySite) string { return s.byMQTT(v, over) }})
		}
	}
	return append(all,
		proxyColumn{"MQTT-SN", (*proxySite).bySensor},
		proxyColumn{"MQTT-SN, asleep", (*proxySite).bySleeper},
		proxyColumn{"CoAP", (*proxySite).byCoAP},
		proxyColumn{"exproto", (*proxySite).byHandler})
}

// id is a client of the test's own, whose row is there; Cassandra's and Redis's are not
// emptied for each.
func (s *proxySite) id() string {
	id := strings.Map(func(r rune) rune {
		if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", r) {
			return r
		}
		return -1
	}, s.t.Name()[len("TestServiceProxyMatrix"):])
	id = id[max(0, len(id)-20):]
	s.table.set(id, "cmd/%c", 1)
	return id
}

func (s *proxySite) send(id, text string) { s.publish(s.publisher, "cmd/"+id, text, false) }

// next waits for the message that the device shall get.
func (s *proxySite) next(messages <-chan *devices.Message, id, text string) *devices.Message {
	s.t.Helper()
	select {
	case m := <-messages:
		if m == nil || m.Topic != "cmd/"+id || string(m.Payload) != text {
			s.t.Fatalf("got %+v", m)
		}
		return m
	case <-time.After(time.Minute):
		s.t.Fatal("nothing came")
		return nil
	}
}

func (s *proxySite) byMQTT(v packet.Version, over string) string {
	id := s.id()
	c, err := devices.Dial(s.t.Context(), map[string]string{"mqtt": "mqtt://", "ws": "ws://"}[over]+s.Addresses()[over], devices.Options{Version: v, ClientID: id})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	s.send(id, "go")
	return fmt.Sprintf("PUBLISH QoS %d", s.next(c.Messages(), id, "go").QoS)
}

// sensor connects a device of datagrams, and records what it says and hears.
func (s *proxySite) sensor(scheme string, o devices.Options) (*devices.Sensor, *record) {
	s.t.Helper()
	r := &record{}
	o.DialContext = r.dialer((&net.Dialer{}).DialContext)
	c, err := devices.DialSensor(s.t.Context(), scheme+"://"+s.Addresses()[scheme], o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c, r
}

// heard names the MQTT-SN messages from the gateway in a record; one that the device must
// not have sent fails.
func (s *proxySite) heard(r *record) string {
	var down []string
	for _, p := range r.take() {
		f, err := sn.Parse(p.b)
		switch {
		case err != nil:
			s.t.Fatal(err)
		case p.up && f.Type == sn.TypeSubscribe:
			s.t.Error("the device has subscribed itself")
		case !p.up:
			down = append(down, f.Type.String())
		}
	}
	return strings.Join(down, ", ")
}

func (s *proxySite) bySensor() string {
	id := s.id()
	c, r := s.sensor("mqttsn", devices.Options{ClientID: id})
	s.heard(r)
	s.send(id, "go")
	s.next(c.Messages(), id, "go")
	return s.heard(r)
}

func (s *proxySite) bySleeper() string {
	id := s.id()
	c, r := s.sensor("mqttsn", devices.Options{ClientID: id, Resume: true})
	if err := c.Sleep(s.t.Context(), time.Minute); err != nil {
		s.t.Fatal(err)
	}
	s.send(id, "wake")
	s.heard(r)
	if err := c.Wake(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.next(c.Messages(), id, "wake")
	return "at PINGREQ: " + s.heard(r)
}

func (s *proxySite) byCoAP() string {
	id := s.id()
	c, _ := s.sensor("coap", devices.Options{ClientID: id})
	if _, err := c.Subscribe(s.t.Context(), 0, devices.Subscription{QoS: 1}); err != nil { // the connection
		s.t.Fatal(err)
	}
	s.send(id, "go")
	s.next(c.Messages(), id, "go")
	return "2.05 with Location-Path, by Observe of /mqtt/connection"
}

func (s *proxySite) byHandler() string {
	id := s.id()
	d := &privateDevice{t: s.t, name: id, dial: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.Addresses()[protocols.Exproto])
	}}
	if how := d.connect(); how != "new" {
		s.t.Fatal(how)
	}
	defer d.Cut()
	s.send(id, "go")
	select {
	case ev := <-d.events:
		m := ev.GetMessage()
		if m.GetTopic() != "cmd/"+id || string(m.GetPayload()) != "go" {
			s.t.Fatalf("got %v", ev)
		}
		d.acknowledge(m.GetPacketId())
		return fmt.Sprintf("message, QoS %d", m.GetQos())
	case <-time.After(time.Minute):
		s.t.Fatal("nothing came")
		return ""
	}
}

// proxyFilters: templates and prefixes work in rows.
func proxyFilters(s *proxySite) {
	id := s.id()
	s.table.set(id, "user/%u", 1)
	s.table.set(id, "$share/g/jobs/"+id, 1)
	s.table.set(id, "$queue/tasks/"+id, 1)
	s.table.set(id, "$local/here/"+id, 1)
	s.table.set(id, "$fastlane/quick/"+id, 0)
	s.table.set(id, "wild/+/"+id+"/#", 2)
	c := s.dial(devices.Options{ClientID: id, Username: proxyUser, Password: []byte(proxyPassword)})
	origin := s.table.driver + ".main"
	want := []string{"$fastlane/quick/" + id + "@0 " + origin, "$local/here/" + id + "@1 " + origin, "$queue/tasks/" + id + "@1 " + origin, "$share/g/jobs/" + id + "@1 " + origin,
		"cmd/" + id + "@1 " + origin, "user/eve@1 " + origin, "wild/+/" + id + "/#@2 " + origin}
	s.wantListing(id, want...)
	for _, topic := range []string{"cmd/" + id, "user/eve", "jobs/" + id, "tasks/" + id, "here/" + id, "quick/" + id, "wild/x/" + id + "/y"} {
		s.publish(s.publisher, topic, "1", false)
		s.wants(c.Messages(), topic+"=1")
	}
}

// proxyReconciled: at the next connect rows that are gone end their subscriptions, those
// that were changed change them, and new ones come; the client's own stay.
func proxyReconciled(s *proxySite) {
	id := s.id()
	origin := s.table.driver + ".main"
	s.table.set(id, "changed/"+id, 0)
	s.table.set(id, "gone/"+id, 1)
	lasting := devices.Options{ClientID: id, Resume: true, SessionExpiry: 600}
	c := s.dial(lasting)
	s.subscribe(c, "own/"+id)
	s.wantListing(id, "changed/"+id+"@0 "+origin, "cmd/"+id+"@1 "+origin, "gone/"+id+"@1 "+origin, "own/"+id+"@1 ")
	if err := c.Disconnect(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.table.set(id, "changed/"+id, 2)
	s.table.drop(id, "gone/"+id)
	s.table.set(id, "new/"+id, 1)
	s.publish(s.publisher, "gone/"+id, "while away", false) // the row's end is seen at the connect
	c = s.dial(lasting)
	s.wantListing(id, "changed/"+id+"@2 "+origin, "cmd/"+id+"@1 "+origin, "new/"+id+"@1 "+origin, "own/"+id+"@1 ")
	s.publish(s.publisher, "gone/"+id, "never", false)
	for _, topic := range []string{"changed/", "new/", "own/"} {
		s.publish(s.publisher, topic+id, "1", false)
	}
	var got []string
	for len(got) < 3 {
		select {
		case m := <-c.Messages():
			if string(m.Payload) != "while away" {
				got = append(got, fmt.Sprintf("%s=%s", m.Topic, m.Payload))
			}
		case <-time.After(time.Minute):
			s.t.Fatalf("only %v came", got)
		}
	}
	if want := []string{"changed/" + id + "=1", "new/" + id + "=1", "own/" + id + "=1"}; !slices.Equal(got, want) {
		s.t.Errorf("got %v, want %v", got, want)
	}
}

// wantListing reads the REST API as an administrator does.
func (s *proxySite) wantListing(id string, want ...string) {
	s.t.Helper()
	r, err := http.NewRequest("GET", "http://"+s.AdminAddress()+"/api/v1/clients/"+id+"/subscriptions", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth(adminUser, s.FirstPassword())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var page struct {
		Subscriptions []struct {
			Filter, Origin string
			QoS            uint8
			Proxy          bool
		}
	}
	if err := json.Unmarshal(body, &page); err != nil {
		s.t.Fatalf("%v: %s", err, body)
	}
	var got []string
	for _, p := range page.Subscriptions {
		got = append(got, fmt.Sprintf("%s@%d %s", p.Filter, p.QoS, p.Origin))
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("listed:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
