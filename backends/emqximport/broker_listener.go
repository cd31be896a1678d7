package emqximport

import (
	"fmt"
	"math"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// listener is one of emqx.conf on its way.
type listener struct {
	kind, name string // tcp, ssl, ws or wss; external
	first      *entry
	lines      map[string]*entry
	keys       []string // of lines, as they come

	off      bool // more would be allowed with it than there
	settings []Setting
}

// transports are what a listener is here, by what it is there.
func transports() map[string]string {
	return map[string]string{"tcp": "tcp", "ssl": "tls", "ws": "ws", "wss": "wss"}
}

// known are the listeners that have a name here from the start, by that of EMQ X.
func knownListeners() map[string]string {
	return map[string]string{"tcp.external": "mqtt", "ssl.external": "mqtts", "ws.external": "ws", "wss.external": "wss"}
}

// sortListener takes listener.TYPE.NAME = ADDRESS and listener.TYPE.NAME.KEY = VALUE.
func (b *broker) sortListener(e *entry, below string) {
	parts := strings.SplitN(below, ".", 3)
	switch {
	case parts[0] == "http" || parts[0] == "https" || parts[0] == "api":
		b.note(e, "is about the REST API and the dashboard", "set admin.address, see docs/observe.md")
		return
	case len(parts) < 2 || transports()[parts[0]] == "":
		b.note(e, "there is no such kind of listener", "see [listeners] in docs/transports.md")
		return
	case !poolNames.MatchString(parts[1]):
		b.note(e, "the listener's name holds more than letters, digits, _ and -", "give it another")
		return
	}
	at := slices.IndexFunc(b.listeners, func(l *listener) bool { return l.kind == parts[0] && l.name == parts[1] })
	if at < 0 {
		at = len(b.listeners)
		b.listeners = append(b.listeners, &listener{kind: parts[0], name: parts[1], first: e, lines: map[string]*entry{}})
	}
	key := ""
	if len(parts) == 3 {
		key = parts[2]
	}
	b.listeners[at].lines[key] = e
	b.listeners[at].keys = append(b.listeners[at].keys, key)
}

// listen takes over the listeners, and turns off those that would be there by default and
// are not in EMQ X.
func (b *broker) listen() {
	for _, l := range b.listeners {
		name := knownListeners()[l.kind+"."+l.name]
		if name == "" {
			name = l.kind + "_" + l.name
		}
		if l.lines[""] == nil {
			b.note(l.first, "the listener has no address", "write one, such as listener.tcp.external = 1883")
			continue
		}
		b.take(l)
		head := []Setting{{"protocol", "mqtt"}, {"transport", transports()[l.kind]}}
		if l.off {
			head = append(head, Setting{"enabled", false})
		}
		b.r.Sections = append(b.r.Sections, Section{"listeners." + name, append(head, l.settings...)})
	}
	for _, name := range []string{"mqtt", "ws"} {
		if !slices.ContainsFunc(b.r.Sections, func(s Section) bool { return s.Name == "listeners."+name }) {
			b.r.Set("listeners."+name, "enabled", false)
		}
	}
}

func (l *listener) set(key string, value any) { l.settings = append(l.settings, Setting{key, value}) }

// refuse turns a listener off, as more would be allowed with what is left of it.
func (b *broker) refuse(l *listener, e *entry, why, do string) {
	l.off = true
	b.note(e, why+"; the listener is off (enabled = false)", do)
}

// take takes over one listener.
func (b *broker) take(l *listener) {
	address, why := listenAddress(l.lines[""].value)
	if why != "" {
		b.refuse(l, l.lines[""], why, "set its address, and enabled = true")
	} else {
		l.set("address", address)
	}
	if l.kind == "ssl" || l.kind == "wss" {
		b.takeTLS(l)
	}
	for _, key := range l.keys {
		e := l.lines[key]
		switch {
		case key == "" || listenerSilent(key, e.value):
		case strings.HasPrefix(key, "access."):
			b.takeAccess(l, key, e)
		case !b.takeSpecial(l, key, e) && !b.takePlain(l, key, e):
			why, do := unknownOfListener(key)
			b.note(e, why, do)
		}
	}
	b.takeZone(l)
}

// listenAddress is HOST:PORT; a port alone is one of all addresses.
func listenAddress(s string) (address, why string) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = "0.0.0.0", s
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > math.MaxUint16 {
		return "", "is neither a port nor ADDRESS:PORT"
	}
	return net.JoinHostPort(host, port), ""
}

// takePlain takes over a setting that is one here.
func (b *broker) takePlain(l *listener, key string, e *entry) bool {
	p, known := map[string]policy{
		"max_clients":       {"", "max_connections", bounded(whole(1, 100_000_000))},
		"max_connections":   {"", "max_connections", bounded(whole(1, 100_000_000))},
		"max_conn_rate":     {"", "accept_rate", bounded(whole(1, 1<<30))},
		"backlog":           {"", "backlog", whole(1, 1<<20)},
		"recbuf":            {"", "recv_buffer", size(1, 1<<30)},
		"sndbuf":            {"", "send_buffer", size(1, 1<<30)},
		"handshake_timeout": {"", "handshake_timeout", timeBetween("1ms", "1h")},
		"mqtt_path":         {"", "path", urlPath},
	}[key]
	if !known {
		return false
	}
	value, why := p.read(e.value)
	if why != "" {
		b.note(e, why, "set "+p.key+" of the listener; it has its default until then")
		return true
	}
	l.set(p.key, value)
	return true
}

func urlPath(s string) (any, string) {
	if !strings.HasPrefix(s, "/") {
		return nil, "does not begin with /"
	}
	return s, ""
}

// takeSpecial takes over what needs more than a word.
func (b *broker) takeSpecial(l *listener, key string, e *entry) bool {
	switch key {
	case "proxy_protocol":
		if on, _ := readFlag(e.value); on == true {
			l.set("proxy_protocol", "on")
			b.refuse(l, e, "which proxies are trusted must be said here, or anybody could claim any address", "set proxy_trusted of the listener to the networks of the proxies, and enabled = true")
		}
	case "mountpoint":
		b.takeMount(l, e)
	case "max_publish_rate":
		b.takeRate(l, e, "client_message", 1)
	case "rate_limit":
		b.takeRate(l, e, "client_byte", 0)
	case "check_origins":
		if on := l.lines["check_origin_enable"]; on != nil && (on.value == "true" || on.value == "on") {
			b.takeOrigins(l, e)
		}
	default:
		return false
	}
	return true
}

func (b *broker) takeMount(l *listener, e *entry) {
	if err := core.ValidateMount(e.value); err != nil {
		b.refuse(l, e, err.Error(), "set mountpoint by docs/topics.md, and enabled = true")
		return
	}
	l.set("mountpoint", e.value)
}

func (b *broker) takeOrigins(l *listener, e *entry) {
	var list []string
	for one := range strings.SplitSeq(e.value, ",") {
		if one = strings.TrimSpace(one); strings.Contains(one, "://") {
			list = append(list, one)
		}
	}
	l.set("origins", list)
}

// takeAccess knows "allow all", which is so here.
func (b *broker) takeAccess(l *listener, key string, e *entry) {
	first := true
	for _, other := range l.keys {
		if strings.HasPrefix(other, "access.") {
			first = other == key
			break
		}
	}
	if first && strings.Join(strings.Fields(e.value), " ") == "allow all" {
		return
	}
	if before := l.lines["access.1"]; !first && before != nil && before.value == "allow all" {
		return // it never comes to this one
	}
	b.refuse(l, e, "who may connect from where is no setting of listeners here", "have the firewall say it, or access rules and core.bans, and set enabled = true")
}

// takeRate takes over COUNT,TIME; a TIME without a unit is seconds, or where seconds is 0 how
// much may come at once beyond COUNT a second.
func (b *broker) takeRate(l *listener, e *entry, key string, seconds int) {
	count, per, found := strings.Cut(e.value, ",")
	n, ok := bytesOf(count)
	per = strings.TrimSpace(per)
	burst := n
	var d time.Duration
	switch bare, err := strconv.Atoi(per); {
	case !found || !ok || n < 1:
		ok = false
	case err == nil && seconds == 0:
		d, burst = time.Second, bare
	default:
		d, ok = duration(per)
	}
	if !ok || d < time.Second || burst < 0 || n > 1<<30 || burst > 1<<30 {
		b.note(e, "is no COUNT,TIME", "set "+key+"_rate and "+key+"_burst of the listener")
		return
	}
	rate := int(float64(n) / d.Seconds())
	if rate < 1 {
		rate = 1
		b.note(e, "was taken as one a second: there is no lower rate here", "nothing, if that will do")
	}
	l.set(key+"_rate", rate)
	if burst > 0 {
		l.set(key+"_burst", burst)
	}
}

// takeZone takes over what the listener's zone says, as far as it is the listener's here.
func (b *broker) takeZone(l *listener) {
	zone := b.mainZone()
	if e := l.lines["zone"]; e != nil {
		zone = e.value
	}
	if e := b.setting(zone, "idle_timeout"); e != nil {
		if d, why := timeBetween("1s", "1h")(e.value); why == "" {
			l.set("connect_timeout", d)
		} else {
			b.note(e, why, "set connect_timeout of the listener")
		}
	}
	for _, limit := range [][2]string{{"rate_limit.conn_messages_in", "client_message"}, {"publish_limit", "client_message"}, {"rate_limit.conn_bytes_in", "client_byte"}} {
		has := func(s Setting) bool { return s.Key == limit[1]+"_rate" }
		if e := b.setting(zone, limit[0]); e != nil && !slices.ContainsFunc(l.settings, has) {
			b.takeRate(l, e, limit[1], 1)
		}
	}
	if e := b.zones[zone]["mountpoint"]; e != nil && l.lines["mountpoint"] == nil {
		b.takeMount(l, e)
	}
	if e := b.setting(zone, "max_packet_size"); e != nil {
		if n, why := size(1<<20, 268_435_455)(e.value); why == "" {
			l.set("max_packet_size", n)
		}
	}
	if e := b.zones[zone]["allow_anonymous"]; e != nil && zone != b.mainZone() {
		if on, why := readFlag(e.value); why == "" {
			l.set("allow_anonymous", on)
			if on == true {
				b.note(e, "was taken: whoever reaches a listener of this zone may connect without a password, as before", "set allow_anonymous = false of the listener once every client has one")
			}
		}
	}
}

// takeTLS takes over the certificates; without them the listener is off.
func (b *broker) takeTLS(l *listener) {
	l.keys = slices.DeleteFunc(l.keys, func(key string) bool {
		return slices.Contains([]string{"certfile", "keyfile", "cacertfile", "verify", "fail_if_no_peer_cert", "tls_versions", "peer_cert_as_username", "peer_cert_as_clientid"}, key)
	})
	for _, f := range []struct{ key, ours string }{{"certfile", "tls.cert_file"}, {"keyfile", "tls.key_file"}} {
		if l.lines[f.key] == nil {
			b.refuse(l, l.lines[""], "there is no "+f.key, "set "+f.ours+", and enabled = true")
			continue
		}
		b.takeFile(l, l.lines[f.key], f.ours)
	}
	b.takeClientCertificates(l)
	if e := l.lines["tls_versions"]; e != nil {
		b.takeVersions(l, e)
	}
}

func (b *broker) takeFile(l *listener, e *entry, key string) {
	name, there := b.r.o.whole(e.value)
	l.set(key, name)
	if !there {
		b.refuse(l, e, "the file cannot be found", "write the whole path in "+key+" of the listener, and set enabled = true")
	}
}

func (b *broker) takeClientCertificates(l *listener) {
	verify, ca := l.lines["verify"], l.lines["cacertfile"]
	names := [][2]string{{"peer_cert_as_username", "tls.identity"}, {"peer_cert_as_clientid", "tls.client_id"}}
	if verify == nil || verify.value != "verify_peer" {
		for _, key := range []string{"cacertfile", "fail_if_no_peer_cert", names[0][0], names[1][0]} {
			if e := l.lines[key]; e != nil && e.value != "false" {
				b.note(e, "has no meaning without verify = verify_peer", "set tls.client_ca_file and tls.client_auth, if clients are to show certificates")
			}
		}
		return
	}
	if ca == nil {
		b.refuse(l, verify, "there is no cacertfile", "set tls.client_ca_file, and enabled = true")
		return
	}
	b.takeFile(l, ca, "tls.client_ca_file")
	auth := "request"
	if e := l.lines["fail_if_no_peer_cert"]; e != nil && e.value == "true" {
		auth = "require"
	}
	l.set("tls.client_auth", auth)
	for _, n := range names {
		e := l.lines[n[0]]
		switch {
		case e == nil:
		case e.value != "cn" && e.value != "dn":
			b.note(e, "is neither cn nor dn", "set "+n[1]+" of the listener")
		default:
			l.set(n[1], e.value)
			if n[1] == "tls.identity" {
				b.note(e, "was taken: here the certificate takes the place of a password, and none is asked for besides", "take tls.identity away, if passwords are to be asked for")
			}
		}
	}
}

// takeVersions takes over which versions of TLS are spoken.
func (b *broker) takeVersions(l *listener, e *entry) {
	versions := strings.FieldsFunc(e.value, func(r rune) bool { return r == ',' || r == ' ' })
	two, three := slices.Contains(versions, "tlsv1.2"), slices.Contains(versions, "tlsv1.3")
	switch {
	case !two && !three:
		b.refuse(l, e, "no version of it is spoken here", "have the clients speak TLS 1.2 or 1.3, and set enabled = true")
	case !two:
		l.set("tls.min_version", "1.3")
	case len(versions) > 2 || !three && len(versions) > 1:
		b.note(e, "TLS 1.0 and 1.1 are not spoken here", "have the clients speak TLS 1.2 or 1.3")
	}
}

// listenerSilent says of a setting that it is so here anyway, or is looked at elsewhere.
func listenerSilent(key, value string) bool {
	values, known := map[string]string{
		"zone": "*", "nodelay": "true", "reuseaddr": "true", "honor_cipher_order": "on", "secure_renegotiate": "off", "reuse_sessions": "on", "proxy_protocol": "off",
		"check_origin_enable": "*", "verify_protocol_header": "on", "tcp_module": "*", "deflate_opts.client_context_takeover": "*", "compress": "false",
		"peer_cert_as_username": "off", "fail_if_no_subprotocol": "true", "send_timeout_close": "on",
	}[key]
	return known && (values == "*" || values == value)
}

// unknownOfListener says why a setting of a listener has no place.
func unknownOfListener(key string) (why, do string) {
	for _, u := range []struct{ patterns, why, do string }{
		{"acceptors active_n buffer tune_buffer high_watermark send_timeout send_timeout_close hibernate_after", "is about how EMQ X works inside", "nothing is left to do"},
		{"ciphers psk_ciphers dhfile ecc* honor_cipher_order secure_renegotiate reuse_sessions depth", "TLS 1.2 and 1.3 are spoken with what is safe today, and nothing else can be chosen", "nothing is left to do"},
		{"key_password", "a key must lie in its file without a password", "write it anew with openssl pkey, readable by the gateway only"},
		{"proxy_protocol_timeout", "the header must come within connect_timeout", "set connect_timeout of the listener"},
		{"proxy_address_header proxy_port_header", "headers of HTTP say nothing about who connects here", "have the proxy speak the PROXY protocol, and set proxy_protocol and proxy_trusted"},
		{"allow_origin_absence fail_if_no_subprotocol supported_* compress deflate_opts* idle_timeout max_frame_size verify_protocol_header mqtt_piggyback", "WebSockets are as MQTT wants them [MQTT-6.0.0-1], and nothing about it can be set", "nothing is left to do"},
		{"nodelay reuseaddr", "it is always on here", "nothing is left to do"},
		{"peer_cert_as_*", "has no meaning without TLS", "set tls.identity of a listener with certificates"},
	} {
		for pattern := range strings.FieldsSeq(u.patterns) {
			if ok, _ := path.Match(pattern, key); ok {
				return u.why, u.do
			}
		}
	}
	return fmt.Sprintf("there is no setting %q of listeners", key), leave
}
