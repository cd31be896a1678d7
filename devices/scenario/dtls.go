package scenario

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"strings"
)

// keyring holds shared keys of DTLS by their identities.
type keyring map[string][]byte

// dtlsPorts are where gateways hear sensors over DTLS.
var dtlsPorts = map[string]string{"mqttsn": "8884", "coap": "5684"}

// guarded is how many of a group's devices speak over DTLS.
func (g *Group) guarded(broker string, count uint32) uint32 {
	scheme, _, _ := strings.Cut(strings.ToLower(broker), "://")
	switch {
	case !g.Sensor():
		return 0
	case scheme == g.Protocol+"s":
		return count
	}
	return min(count, uint32(math.Round(g.DTLS*float64(count))))
}

// dtlsBrokerOf is the URL for a group's devices over DTLS.
func dtlsBrokerOf(broker string, g *Group) string {
	if g.DTLSBroker != "" {
		return g.DTLSBroker
	}
	u, err := url.Parse(broker)
	if err != nil || u.Scheme == g.Protocol+"s" {
		return broker
	}
	scheme := g.Protocol + "s"
	if u.Scheme == "mem" {
		scheme = "mem"
	}
	return scheme + "://" + net.JoinHostPort(u.Hostname(), dtlsPorts[g.Protocol])
}

// checkDTLS finds what goes with datagrams only.
func (g *Group) checkDTLS(f *faults) {
	f.shares("dtls", g.DTLS)
	if !g.Sensor() {
		for key, given := range map[string]bool{"dtls": g.DTLS != 0, "dtls_broker": g.DTLSBroker != "", "psk_file": g.PSKFile != ""} {
			if given {
				f.add(key, "has no meaning with protocol = %q", g.Protocol)
			}
		}
		return
	}
	if g.DTLSBroker == "" {
		return
	}
	if scheme, _, _ := strings.Cut(strings.ToLower(g.DTLSBroker), "://"); scheme != g.Protocol+"s" && scheme != "mem" {
		f.add("dtls_broker", "%s:// does not go with protocol = %q; write %ss://HOST:PORT", scheme, g.Protocol, g.Protocol)
	}
}

// readKeys reads a file of keys. Faults name no key.
func (s *Scenario) readKeys(f *faults, key, name string) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.folder, path)
	}
	lines, err := readLines(path)
	if err != nil {
		f.add(key, "%q %w", shorten(name), err)
		return
	}
	ring := keyring{}
	for i, line := range lines {
		if line[0] == '#' {
			continue
		}
		identity, k, err := keyLine(string(line))
		if err != nil {
			f.add(key, "%q, key %d: %w", shorten(name), i+1, err)
			return
		}
		ring[identity] = k
	}
	s.keys[name] = ring
}

func keyLine(line string) (identity string, key []byte, err error) {
	at := strings.LastIndexByte(line, ':')
	if at < 1 {
		return "", nil, errors.New("must be IDENTITY:KEY")
	}
	if key, err = hex.DecodeString(strings.TrimSpace(line[at+1:])); err != nil || len(key) == 0 {
		return "", nil, fmt.Errorf("the key of %q must be hexadecimal", shorten(line[:at]))
	}
	return line[:at], key, nil
}

// checkKeys finds devices without a key.
func (b *builder) checkKeys(gp *GroupPlan) {
	if gp.Group.PSKFile == "" || gp.keys == nil {
		return
	}
	for n := gp.Count - gp.guarded; n < gp.Count; n++ {
		if d := (Device{Group: gp, Index: gp.First + n, N: n}); len(gp.keys[d.ClientID()]) == 0 {
			b.report("groups."+gp.Name+".psk_file", fmt.Errorf("%q has no key for %q", shorten(gp.Group.PSKFile), d.ClientID()))
			return
		}
	}
}

// DTLS tells whether the device speaks over DTLS: the last ones of the group do so.
func (d Device) DTLS() bool { return d.N >= d.Group.Count-d.Group.guarded }

// Key is the shared key of a device that speaks over DTLS; its client identifier is the
// identity that goes with it.
func (d Device) Key() []byte {
	if d.Group.keys != nil {
		return d.Group.keys[d.ClientID()]
	}
	sum := sha256.Sum256([]byte("fairlead fleet " + d.ClientID()))
	return sum[:16]
}

// AppendKeys appends the keys of all devices that speak over DTLS, as the lines of a
// gateway's dtls.psk_file.
func (p *Plan) AppendKeys(b []byte) []byte {
	for i := range uint32(p.Len()) {
		if d := p.Device(i); d.DTLS() {
			b = fmt.Appendf(b, "%s:%x\n", d.ClientID(), d.Key())
		}
	}
	return b
}
