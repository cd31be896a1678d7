package mqtt

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// connectFoo names the method "foo" and says "a"; the others go on with it.
const (
	authFoo    = "15 0003 666f6f 16 0001"
	nextFoo    = "f0 0c 18 0a " + authFoo
	againFoo   = "f0 0c 19 0a " + authFoo
	welcomeFoo = "f0 0c 00 0a " + authFoo
)

func connectFoo() string { return connect5With(authFoo + "61") }

// more asks the client on with data.
func more(data string) core.ConnectResult {
	return core.ConnectResult{Continue: true, Data: []byte(data)}
}

func TestMQTT_4_12_0_2_Steps(t *testing.T) {
	for _, later := range []bool{false, true} {
		t.Run(fmt.Sprintf("later=%v", later), func(t *testing.T) {
			r := newRig(t)
			r.gw.connect = more("b")
			r.gw.connectPending, r.gw.authPending = later, later
			answer := func(out string, res core.ConnectResult) string {
				if !later {
					return out
				}
				if out != "" || !r.a.Pause {
					t.Fatalf("sent %s before core answered, pause %v", out, r.a.Pause)
				}
				r.a.Reset()
				r.m.Complete(r.turn, core.Completion{Op: core.OpConnect, Connect: &res}, &r.a)
				return hexOf(r.a.Out)
			}
			r.wantOut(answer(r.in(connectFoo()), more("b")), nextFoo+"62") // [MQTT-4.12.0-2]
			if string(r.gw.request.Credentials.Data) != "a" || r.gw.request.Credentials.Method != "foo" || r.a.Accepted {
				t.Fatalf("request %+v, accepted %v", r.gw.request, r.a.Accepted)
			}
			done := core.ConnectResult{Data: []byte("d"), Link: core.Link{Session: &core.Session{}, Epoch: 1}, KeepAlive: 60}
			r.gw.auths = []core.ConnectResult{more("c"), done}
			r.wantOut(answer(r.in(nextFoo+"78"), more("c")), nextFoo+"63")
			r.wantOut(answer(r.in(nextFoo+"79"), done), "20 15 00 00 12 "+authFoo+"64 22 0020 27 00100000") // [MQTT-4.12.0-5]
			if !r.a.Accepted || r.a.Pause {
				t.Fatalf("accepted %v, pause %v", r.a.Accepted, r.a.Pause)
			}
			r.wantCalls("connect c1", `authenticate false "x"`, `authenticate false "y"`, "resume")
		})
	}
}

// TestMQTT_3_1_2_30_OnlyAuth: until it has its CONNACK, a client that named a method sends AUTH
// and DISCONNECT only.
func TestMQTT_3_1_2_30_OnlyAuth(t *testing.T) {
	for _, c := range []struct {
		name, in, out, clause string
		why                   core.Reason
	}{
		{"PUBLISH", "30 04 0001 61 00", "20 03 00 82 00", "PUBLISH before", core.ProtocolError},
		{"SUBSCRIBE", "82 07 0001 00 0001 61 00", "20 03 00 82 00", "MQTT-3.1.2-30", core.ProtocolError},
		{"PINGREQ", "c0 00", "20 03 00 82 00", "PINGREQ before", core.ProtocolError},
		{"CONNECT", connect5, "20 03 00 82 00", "CONNECT before", core.ProtocolError},
		{"another method", "f0 09 18 07 15 0004 666f6f66", "20 03 00 82 00", "MQTT-4.12.0-5", core.ProtocolError},
		{"no method", "f0 02 18 00", "20 03 00 82 00", "3.15.2.2.2", core.ProtocolError},
		{"a server's code", "f0 08 00 06 15 0003 666f6f", "20 03 00 82 00", "MQTT-3.15.2-1", core.ProtocolError},
		{"an unknown code", "f0 08 17 06 15 0003 666f6f", "20 03 00 82 00", "MQTT-3.15.2-1", core.ProtocolError},
		{"flags", "f1 0c 18 0a " + authFoo + "61", "20 03 00 81 00", "MQTT-3.15.1-1", core.MalformedPacket},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.ReasonStrings = false })
			r.gw.connect = more("b")
			r.in(connectFoo())
			r.wantOut(r.in(c.in), c.out)
			r.wantEnd(c.why)
			r.wantRefusal(c.why, c.clause)
			r.wantCalls("connect c1")
		})
	}
	t.Run("DISCONNECT", func(t *testing.T) {
		r := newRig(t)
		r.gw.connect = more("b")
		r.in(connectFoo())
		r.wantOut(r.in("e0 00"), "")
		r.wantEnd(core.NormalDisconnect)
		r.m.Closed(r.turn, core.NormalDisconnect)
		r.wantCalls("connect c1")
	})
	t.Run("a large packet", func(t *testing.T) { // strangers may send no more than a CONNECT
		r := newRig(t, func(c *Config) { c.ReasonStrings, c.MaxConnectSize = false, 128 })
		r.gw.connect = more("b")
		r.in(connectFoo())
		r.wantOut(r.in("f0 81 01 18"), "20 03 00 95 00")
		r.wantEnd(core.PacketTooLarge)
	})
	t.Run("refused", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.ReasonStrings = false })
		r.gw.connect = more("b")
		r.gw.auths = []core.ConnectResult{{Reason: core.BadCredentials}}
		r.in(connectFoo())
		r.wantOut(r.in(nextFoo+"78"), "20 03 00 86 00")
		r.wantEnd(core.BadCredentials)
	})
	t.Run("gone while core decides", func(t *testing.T) {
		r := newRig(t)
		r.gw.connect, r.gw.authPending = more("b"), true
		r.in(connectFoo())
		r.in(nextFoo + "78")
		r.m.Closed(r.turn, core.ConnectionLost)
		r.a.Reset()
		res := more("c")
		r.m.Complete(r.turn, core.Completion{Op: core.OpConnect, Connect: &res}, &r.a)
		r.m.Complete(r.turn, core.Completion{Op: core.OpConnect, Connect: &core.ConnectResult{Link: core.Link{Session: &core.Session{}}}}, &r.a)
		r.wantOut(hexOf(r.a.Out), "")
		r.wantCalls("connect c1", `authenticate false "x"`, "disconnect connection_lost")
	})
	t.Run("no room for an AUTH", func(t *testing.T) {
		r := newRig(t)
		r.gw.connect = more(strings.Repeat("b", 100))
		r.wantOut(r.in(connect5With("27 00000020 "+authFoo+"61")), "20 03 00 95 00")
		r.wantEnd(core.PacketTooLarge)
	})
}

func TestMQTT_4_12_1_2_Reauthentication(t *testing.T) {
	start := func(t *testing.T) *rig {
		return opened(t, connectFoo(), func(c *Config) { c.ReasonStrings = false })
	}
	t.Run("succeeds", func(t *testing.T) {
		r := start(t)
		r.gw.auths = []core.ConnectResult{more("b"), {Data: []byte("c")}}
		r.wantOut(r.in(againFoo+"78"), nextFoo+"62")
		r.wantOut(r.in("c0 00"), "d0 00") // other packets go on meanwhile
		r.wantOut(r.in(nextFoo+"79"), welcomeFoo+"63")
		r.wantCalls(`authenticate true "x"`, `authenticate false "y"`)
		if r.m.state != open {
			t.Error("the connection is over")
		}
	})
	t.Run("later", func(t *testing.T) {
		r := start(t)
		r.gw.authPending = true
		if r.wantOut(r.in(againFoo+"78 c0 00"), ""); !r.a.Pause || r.used != 14 {
			t.Fatalf("pause %v after %d bytes", r.a.Pause, r.used)
		}
		r.wantOut(r.out(core.Delivery{Kind: core.DeliverAck, PacketID: 1}), "40 02 0001") // deliveries go on
		r.a.Reset()
		r.m.Complete(r.turn, core.Completion{Op: core.OpAuthenticate, Connect: &core.ConnectResult{}}, &r.a)
		r.wantOut(hexOf(r.a.Out), "f0 08 00 06 15 0003 666f6f")
		r.wantOut(r.in("c0 00"), "d0 00")
	})
	t.Run("fails", func(t *testing.T) {
		r := start(t)
		r.gw.auths = []core.ConnectResult{more("b"), {Reason: core.BadCredentials}}
		r.in(againFoo + "78")
		r.wantOut(r.in(nextFoo+"79"), "e0 01 87")
		r.wantEnd(core.BadCredentials)
		r.m.Closed(r.turn, core.BadCredentials)
		if len(r.gw.disconnects) != 1 || r.gw.disconnects[0] != core.BadCredentials {
			t.Errorf("core heard of %v", r.gw.disconnects)
		}
	})
}

// pencil is a source with the user "user" whose password is "pencil".
type pencil struct{ keys core.ScramKeys }

func (*pencil) Name() string { return "pencil" }
func (p *pencil) ScramKeys(_ context.Context, _ core.ScramHash, user string) (core.ScramKeys, *core.Grant, error) {
	if user != "user" {
		return p.keys, nil, nil
	}
	return p.keys, &core.Grant{Username: user}, nil
}

// scramLine is a client that speaks SCRAM-SHA-256 byte by byte.
type scramLine struct {
	*line
	first, server string
}

func authPacket(code, data string) string {
	props := "15 000d " + hexOf([]byte("SCRAM-SHA-256"))
	if data != "" {
		props += fmt.Sprintf("16 %04x %s", len(data), hexOf([]byte(data)))
	}
	n := len(strings.ReplaceAll(props, " ", "")) / 2
	return fmt.Sprintf("f0 .. %s %s %s", code, varint(n), props)
}

func varint(n int) string {
	if n < 128 {
		return fmt.Sprintf("%02x", n)
	}
	return fmt.Sprintf("%02x%02x", n&0x7f|0x80, n>>7)
}

// challenge takes an AUTH 0x18 with a server-first message of the usual length off the
// output, and keeps the message.
func (l *scramLine) challenge(nonce string) {
	l.t.Helper()
	want := len(nonce) + 26 + len("r=,s=c2FsdHNhbHQ=,i=4096") // rand.Text has 26 characters
	head := unhex(l.t, authPacket("18", strings.Repeat("x", want)))
	got := l.take(len(head))
	l.server = string(got[len(got)-want:])
	if string(got[:len(got)-want]) != string(head[:len(head)-want]) || !strings.HasPrefix(l.server, "r="+nonce) {
		l.t.Fatalf("got %q", got)
	}
}

// take gives the next n bytes that came.
func (l *scramLine) take(n int) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.out) < n {
		if l.closed != 0 {
			l.t.Fatalf("closed for %s after %x", l.closed, l.out)
		}
		l.cond.Wait()
	}
	got := l.out[:n]
	l.out = l.out[n:]
	return got
}

// last is the client's last message and what the server proves in turn.
func (l *scramLine) last(password string) (proof, signature string) {
	mac := func(key []byte, text string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	salted, err := pbkdf2.Key(sha256.New, password, []byte("saltsalt"), 4096, 32)
	if err != nil {
		l.t.Fatal(err)
	}
	nonce, _, _ := strings.Cut(l.server, ",")
	unproven := "c=biws," + nonce
	text := l.first + "," + l.server + "," + unproven
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	for i, b := range mac(stored[:], text) {
		key[i] ^= b
	}
	enc := base64.StdEncoding
	return unproven + ",p=" + enc.EncodeToString(key), "v=" + enc.EncodeToString(mac(mac(salted, "Server Key"), text))
}

// dialScram connects as user up to the challenge.
func dialScram(t *testing.T, gw *coretest.Gateway, user string) *scramLine {
	first := "n=" + user + ",r=abc"
	method := authPacket("18", "n,,"+first)
	_, props, _ := strings.Cut(method, "18 ")
	l := &scramLine{line: begin(t, gw), first: first}
	l.send("10 .. 0004 4d515454 05 02 0000 " + props + " 0002 6331")
	l.challenge("abc")
	return l
}

func startScram(t *testing.T) *coretest.Gateway {
	k, err := core.ScramSHA256.Keys([]byte("pencil"), []byte("saltsalt"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	return coretest.Start(t, nil, func(o *core.Options) {
		o.Exchangers = []core.Exchanger{core.NewScram(core.ScramSHA256, &pencil{k})}
	})
}

func TestCoreScram(t *testing.T) {
	gw := startScram(t)
	l := dialScram(t, gw, "user")
	proof, signature := l.last("pencil")
	l.send(authPacket("18", proof))
	_, props, _ := strings.Cut(authPacket("00", signature), "00 ")
	props = strings.Join(strings.Fields(props)[1:], "") // without their length
	granted := "21 0400 22 0020 27 00100000"
	n := (len(props) + len(strings.ReplaceAll(granted, " ", ""))) / 2
	l.expect("20 .. 00 00 " + varint(n) + props + granted)

	for range 2 { // again, and once more, on the same session
		l.first = "n=user,r=xyz"
		l.send(authPacket("19", "n,,n=user,r=xyz"))
		l.challenge("xyz")
		proof, signature = l.last("pencil")
		l.send(authPacket("18", proof))
		l.expect(authPacket("00", signature))
	}
	l.send(authPacket("19", "n,,n=user,r=xyz"))
	l.challenge("xyz")
	proof, _ = l.last("pen")
	l.send(authPacket("18", proof))
	l.expect("e0 .. 87 1c 1f 0019" + hexOf([]byte("bad user name or password")))
}

func TestMQTT_4_12_0_4_Refused(t *testing.T) {
	for _, c := range []struct{ name, user, password string }{{"wrong password", "user", "pen"}, {"unknown user", "nobody", "pencil"}} {
		t.Run(c.name, func(t *testing.T) {
			l := dialScram(t, startScram(t), c.user)
			proof, _ := l.last(c.password)
			l.send(authPacket("18", proof))
			l.expect("20 .. 00 86 1c 1f 0019" + hexOf([]byte("bad user name or password")))
		})
	}
}

// TestAuthOrderModel plays random packets of a client with a method, and checks the
// connection's end against the rules, written down as a table of three states.
func TestAuthOrderModel(t *testing.T) {
	const connecting, idle, renewing = 0, 1, 2
	packets := []struct{ name, in string }{
		{"next", nextFoo + "78"}, {"again", againFoo + "78"}, {"ping", "c0 00"},
		{"success", welcomeFoo + "78"}, {"other", "f0 08 18 06 15 0003 666f70"}, {"bare", "f0 00"},
	}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		gw := coretest.Start(t, nil, func(o *core.Options) { o.Exchangers = []core.Exchanger{counting{}} })
		l := begin(t, gw)
		l.send(connectFoo())
		state, said := connecting, 1
		for range 10 {
			p := packets[r.IntN(len(packets))]
			l.send(p.in)
			fault := false
			switch {
			case p.name == "ping":
				fault = state == connecting
			case p.name == "next" && state != idle:
				if said++; said == 3 {
					state = idle
				}
			case p.name == "again" && state == idle:
				state, said = renewing, 1
			default:
				fault = true
			}
			if l.mu.Lock(); fault != (l.closed == core.ProtocolError) {
				t.Fatalf("seed %d, state %d, %s: closed for %s", seed, state, p.name, l.closed)
			}
			if l.mu.Unlock(); fault {
				break
			}
		}
		l.send("e0 00")
	}
}

// counting is a method that lets in who has said three things.
type counting struct{}

func (counting) Name() string                          { return "counting" }
func (counting) Method() string                        { return "foo" }
func (counting) Begin(*core.Credentials) core.Exchange { return new(count) }

type count int

func (c *count) Step(context.Context, []byte) (core.Step, error) {
	if *c++; *c < 3 {
		return core.Step{Data: []byte("?")}, nil
	}
	return core.Step{Verdict: core.Allow, Grant: &core.Grant{Username: "u"}}, nil
}
