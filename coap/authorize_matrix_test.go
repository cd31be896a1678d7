package coap

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
)

// TestAuthorizationMatrix is core's matrix on the wire, by each surface whose paths are
// topics: what clients send and are told is written in the notation of scenes. A topic of
// the collection is one more step away: rightsScenes show it.
func TestAuthorizationMatrix(t *testing.T) {
	coretest.RunAuthz(t, wireProtocol{surface: "ps"}, wireProtocol{surface: "mqtt"}, wireProtocol{surface: whole})
}

// wireProtocol is a surface: /ps with a token, /mqtt with credentials in each request; or
// that with the connection observed.
type wireProtocol struct{ surface string }

const whole = "mqtt/connection"

// Name implements coretest.Protocol.
func (p wireProtocol) Name() string { return "CoAP /" + p.surface }

// Lacks implements coretest.Protocol.
func (p wireProtocol) Lacks(f coretest.Feature) string {
	switch f {
	case coretest.Aliases, coretest.WillDelay, coretest.Wills, coretest.WillLasts, coretest.WillUpdates, coretest.Sleeps, coretest.Unconnected:
		return "CoAP has none"
	case coretest.QoS2:
		return "a notification is confirmed once; a request is answered once"
	case coretest.Unasked:
		if p.surface != whole {
			return "without an observation there is no token"
		}
	case coretest.TellTopic:
		return "a notification tells the token of its observation"
	case coretest.Ordered:
		return "observations take turns"
	}
	return ""
}

// Open implements coretest.Protocol.
func (p wireProtocol) Open(t testing.TB, g *coretest.Gateway) coretest.Site {
	cfg := DefaultConfig()
	cfg.Echo = echoOff // it is about addresses, not rights
	s := &wireSite{t: t, gw: g, surface: strings.TrimSuffix(p.surface, "/connection"), whole: p.surface == whole, adapter: New(cfg, g.Gateway), port: 4000}
	t.Cleanup(s.end)
	return s
}

// wireSite is where the matrix plays.
type wireSite struct {
	t       testing.TB
	gw      *coretest.Gateway
	surface string
	whole   bool // the connection is observed
	adapter *Adapter
	clients []*wireClient
	port    uint16
}

// Dial implements coretest.Site.
func (s *wireSite) Dial(from netip.AddrPort) coretest.Wire {
	s.port++
	info := &protocols.ConnInfo{Peer: netip.AddrPortFrom(from.Addr(), s.port)}
	w := &wireClient{site: s, e: &end{t: s.t, gw: s.gw, adapter: s.adapter, info: info, turn: s.gw.NewTurn()}}
	s.clients = append(s.clients, w)
	return w
}

// Wait implements coretest.Site.
func (s *wireSite) Wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// end takes the network from under all that is left.
func (s *wireSite) end() {
	for _, w := range s.clients {
		w.e.lose()
	}
}

// wireClient is a client as a coretest.Wire.
type wireClient struct {
	site   *wireSite
	e      *end
	login  string // query
	id     uint16
	tokens int
	said   string
	inbox  []message.Message // received and not looked at
	got    []coretest.Got    // what the first answers of observations show
}

// read takes what came.
func (w *wireClient) read() {
	synctest.Wait()
	for b := w.e.take(); b != nil; b = w.e.take() {
		var m message.Message
		if err := decode(b, &m); err != nil {
			w.site.t.Fatal(err)
		}
		w.inbox = append(w.inbox, m)
	}
}

// asks sends a confirmable request, and gives its answer, which must have this code.
func (w *wireClient) asks(want codes.Code, method, format string, a ...any) message.Message {
	w.site.t.Helper()
	w.id++
	w.said = fmt.Sprintf("CON %s %d ", method, w.id) + fmt.Sprintf(format, a...)
	w.e.send(build(w.site.t, w.said))
	w.read()
	for i, m := range w.inbox {
		if m.Type == message.Acknowledgement && m.MessageID == int32(w.id) {
			w.inbox = slices.Delete(w.inbox, i, i+1)
			if m.Code != want {
				w.site.t.Fatalf("%s: %s %q, want %s", w.said, m.Code, m.Payload, want)
			}
			return m
		}
	}
	w.site.t.Fatalf("%s: no answer among %v", w.said, w.inbox)
	return message.Message{}
}

// Connect implements coretest.Wire. Nobody is told whether a session goes on.
func (w *wireClient) Connect(l coretest.Login, want core.Reason, _ bool) {
	w.site.t.Helper()
	query := "c=" + l.ClientID
	if l.Username != "" {
		query += "&u=" + l.Username + "&p=" + l.Password
	}
	expiry := ""
	if l.Kept {
		expiry = "&expiry=3600"
	}
	method, observed, code := "POST", "", codes.Created
	if w.site.whole {
		method, observed, code = "GET", " obs=0 tok=ffff", codes.Content
	}
	switch want {
	case core.Success:
	case core.NotAuthorized, core.BadCredentials: // [CoAP-5.9.2-1]
		code = codes.Unauthorized
	case core.ClientIDNotValid:
		code = codes.BadRequest
	case core.AuthUnavailable:
		code = codes.ServiceUnavailable
	default:
		w.site.t.Fatalf("nobody has written down how a client is told of %s", want)
	}
	m := w.asks(code, method, "/mqtt/connection?%s%s%s", query, expiry, observed)
	if w.login = query; w.site.surface == "ps" {
		w.login = "c=" + l.ClientID + "&t=" + string(m.Payload)
	}
}

// refusalCode is the answer to a request of a client that is known. [CoAP-5.9.2-2]
func refusalCode(done codes.Code, want core.Reason) codes.Code {
	if want == core.NotAuthorized {
		return codes.Forbidden
	}
	return done
}

// Subscribe implements coretest.Wire: it observes. QoS 0 is notified unconfirmed.
func (w *wireClient) Subscribe(filter string, qos uint8, want core.Reason) {
	w.site.t.Helper()
	w.tokens++
	m := w.asks(refusalCode(codes.Content, want), "GET", "/%s/%s?%s&q=%d obs=0 tok=%02x", w.site.surface, filter, w.login, min(qos, 1), w.tokens)
	_, err := m.Options.Observe()
	if observed := err == nil; observed != (want == core.Success) {
		w.site.t.Fatalf("%s: observed %v, want %s", w.said, observed, want)
	}
	if want == core.Success && len(m.Payload) > 0 { // what is retained
		w.got = append(w.got, coretest.Got{Payload: string(m.Payload)})
	}
}

// Publish implements coretest.Wire. QoS 0 is answered as well.
func (w *wireClient) Publish(p coretest.Post, want core.Reason) {
	w.site.t.Helper()
	w.asks(refusalCode(codes.Changed, want), "PUT", "/%s/%s?%s&q=%d&r=%v '%s'", w.site.surface, p.Topic, w.login, p.QoS, p.Retain, p.Payload)
}

// Half implements coretest.Wire.
func (w *wireClient) Half(coretest.Post, bool) { w.site.t.Fatal("CoAP has no QoS 2") }

// Receive implements coretest.Wire.
func (w *wireClient) Receive(coretest.Got) { w.site.t.Fatal("CoAP has no QoS 2") }

// Take implements coretest.Wire. A message that several observations are for comes to
// each: it counts once.
func (w *wireClient) Take(finish bool) (got []coretest.Got) {
	w.site.t.Helper()
	got, w.got = w.got, nil
	seen := map[string]string{} // by ETag
	for w.read(); len(w.inbox) > 0; w.read() {
		inbox := w.inbox
		w.inbox = nil
		for _, m := range inbox {
			if m.Type == message.Acknowledgement || m.Code != codes.Content {
				w.site.t.Fatalf("received %v", m)
			}
			if m.Type == message.Confirmable && finish {
				w.e.send(appendEmpty(nil, message.Acknowledgement, uint16(m.MessageID)))
			}
			tag, _ := m.Options.GetBytes(message.ETag)
			if first, again := seen[string(tag)]; again && first != string(m.Token) {
				continue
			}
			seen[string(tag)] = string(m.Token)
			got = append(got, coretest.Got{Payload: string(m.Payload), ID: uint16(m.MessageID)})
		}
	}
	return got
}

// Ended implements coretest.Wire. Observers hear that it is over. [Observe-4.2-2]
func (w *wireClient) Ended(why core.Reason) {
	w.site.t.Helper()
	if why != core.SessionTakenOver {
		w.site.t.Fatalf("nobody has written down how a session ends for %s", why)
	}
	w.read()
	for _, m := range w.inbox {
		if m.Type != message.NonConfirmable || m.Code != codes.ServiceUnavailable {
			w.site.t.Fatalf("received %v", m)
		}
	}
	if w.inbox = nil; !w.e.closed {
		w.site.t.Fatal("the machine lives")
	}
}

// Lose implements coretest.Wire.
func (w *wireClient) Lose() {
	w.e.lose()
	synctest.Wait()
}

// Read implements coretest.Reader.
func (w *wireClient) Read(topic string, want core.Reason) (payload string) {
	w.site.t.Helper()
	m := w.asks(refusalCode(codes.Content, want), "GET", "/%s/%s?%s", w.site.surface, topic, w.login)
	if want != core.Success {
		if strings.Contains(string(m.Payload), "1") {
			w.site.t.Fatalf("%s: the refusal shows %q", w.said, m.Payload)
		}
		return ""
	}
	return string(m.Payload)
}
