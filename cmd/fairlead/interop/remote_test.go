package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// remote drives a library of another language, which lives in a child process
// that reads orders and writes events, both lines of JSON.
type remote struct {
	sending sync.Mutex
	orders  *json.Encoder

	mu      sync.Mutex
	clients map[string]*remoteClient
	opened  int
}

// order is one line to the child process.
type order struct {
	Do        string    `json:"do"`
	Client    string    `json:"client"`
	Transport transport `json:"transport,omitempty"`
	Host      string    `json:"host,omitempty"`
	Port      int       `json:"port,omitempty"`
	Path      string    `json:"path,omitempty"`
	CA        string    `json:"ca,omitempty"`
	Version   int       `json:"version,omitempty"`
	ClientID  string    `json:"client_id,omitempty"`
	Clean     bool      `json:"clean"`
	Will      *message  `json:"will,omitempty"`
	message
}

// event is one line from the child process.
type event struct {
	Client         string `json:"client"`
	Event          string `json:"event"`
	Error          string `json:"error"`
	SessionPresent bool   `json:"session_present"`
	GrantedCodes   []int  `json:"granted"`
	message
}

// startRemote runs the child process until the test ends.
func startRemote(t *testing.T, env []string, program string, args ...string) *remote {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	r := &remote{orders: json.NewEncoder(in), clients: map[string]*remoteClient{}}
	read := make(chan error, 1)
	go func() { read <- r.read(out) }()
	t.Cleanup(func() {
		in.Close()
		if err := <-read; err != nil {
			t.Errorf("%s: %v", program, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", program, err)
		}
	})
	return r
}

// read hands the child's events to the clients they concern.
func (r *remote) read(out io.Reader) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 4<<20) // the largest payload of a scenario, in base64
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("event %q: %w", lines.Text(), err)
		}
		r.mu.Lock()
		c := r.clients[e.Client]
		r.mu.Unlock()
		if c == nil {
			return fmt.Errorf("event %q for an unknown client", lines.Text())
		}
		c.take(e)
	}
	return lines.Err()
}

func (r *remote) open(t *testing.T, at endpoint, o options) client {
	t.Helper()
	r.mu.Lock()
	r.opened++
	name := fmt.Sprintf("%s/%d", o.clientID, r.opened)
	c := &remoteClient{inbox: newInbox(name), remote: r, replies: make(chan event, inboxSize)}
	r.clients[name] = c
	r.mu.Unlock()
	connect := order{
		Do: "connect", Transport: at.transport, CA: at.ca,
		Version: o.version, ClientID: o.clientID, Clean: !o.resume, Will: o.will,
	}
	if at.transport == "unix" {
		connect.Path = at.address
	} else {
		connect.Host, connect.Port = at.hostPort(t)
		if at.transport == "ws" || at.transport == "wss" {
			connect.Path = webPath
		}
	}
	c.send(t, connect)
	c.present = c.reply(t, "connected").SessionPresent
	return c
}

// remoteClient is one client inside the child process.
type remoteClient struct {
	inbox
	remote  *remote
	replies chan event
	present bool
	once    sync.Once
}

func (c *remoteClient) take(e event) {
	switch e.Event {
	case "message":
		c.messages <- e.message
	case "closed":
		c.once.Do(func() { close(c.gone) })
	default:
		c.replies <- e
	}
}

func (c *remoteClient) send(t *testing.T, o order) {
	t.Helper()
	o.Client = c.name
	if o.Payload == nil {
		o.Payload = []byte{} // "" and not null
	}
	c.remote.sending.Lock()
	defer c.remote.sending.Unlock()
	if err := c.remote.orders.Encode(o); err != nil {
		t.Fatalf("%s: order %s: %v", c.name, o.Do, err)
	}
}

// reply waits for an event of the given kind, the next that is not a message.
func (c *remoteClient) reply(t *testing.T, kind string) event {
	t.Helper()
	e := await(t, c.name, kind, c.replies)
	if e.Event != kind {
		t.Fatalf("%s: waited for %q, was told %q %s", c.name, kind, e.Event, e.Error)
	}
	return e
}

func (c *remoteClient) sessionPresent() bool { return c.present }

func (c *remoteClient) subscribe(t *testing.T, filter string, qos byte) byte {
	t.Helper()
	c.send(t, order{Do: "subscribe", message: message{Topic: filter, QoS: qos}})
	e := c.reply(t, "subscribed")
	if len(e.GrantedCodes) != 1 {
		t.Fatalf("%s: SUBACK with codes %v for one filter", c.name, e.GrantedCodes)
	}
	return byte(e.GrantedCodes[0])
}

func (c *remoteClient) publish(t *testing.T, all ...message) {
	t.Helper()
	for _, m := range all {
		c.send(t, order{Do: "publish", message: m})
	}
	for range all {
		c.reply(t, "published")
	}
}

func (c *remoteClient) disconnect(t *testing.T) {
	t.Helper()
	c.send(t, order{Do: "disconnect"})
	await(t, c.name, "end of the connection", c.gone)
}

func (c *remoteClient) drop(t *testing.T) {
	t.Helper()
	c.send(t, order{Do: "drop"})
	await(t, c.name, "end of the connection", c.gone)
}
