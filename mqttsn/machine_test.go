package mqttsn

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

var home = netip.MustParseAddrPort("127.0.0.1:4001")

// TestSN_6_6_5_Congestion: a client that sends on and on while the store does not answer is
// told so, and nothing that was answered by accepted is lost.
func TestSN_6_6_5_Congestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		gw := coretest.Start(t, store, nil)
		keeper := gw.Connect("keeper", func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = false, core.NeverExpires })
		keeper.Subscribe(1, "zz")
		var got []string
		f := newField(t, gw, New(DefaultConfig(), gw.Gateway), false, func(_ netip.AddrPort, _ string, d []byte) { got = append(got, hex.EncodeToString(d)) })
		f.datagram(home, sized(wireBytes(t, `04 04 01 003c "c1"`)))
		f.settle()
		store.Hold()
		for i := range maxUpward + 3 {
			f.datagram(home, sized(wireBytes(t, fmt.Sprintf(`0c 22 "zz" %04x "x"`, i+1))))
		}
		f.datagram(home, sized(wireBytes(t, `0c a2 "zz" 0001 "x"`))) // sent again: still one answer
		f.settle()
		if want := []string{"0500", "0d7a7a004101", "0d7a7a004201", "0d7a7a004301"}; strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("got %q, want %q", got, want)
		}
		got = nil
		store.Release()
		f.settle()
		if len(got) != maxUpward || got[0] != "0d7a7a000100" {
			t.Errorf("%d answers, the first %q", len(got), got[0])
		}
		if n := len(keeper.Now()); n != maxUpward {
			t.Errorf("%d messages arrived, %d were accepted", n, maxUpward)
		}
	})
}

// TestSN_6_1_1_Advertise: the time is in seconds, and is that of the next one.
func TestSN_6_1_1_Advertise(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	for d, want := range map[time.Duration]string{15 * time.Minute: "0500010384", 18 * time.Hour: "050001fd20"} {
		cfg := DefaultConfig()
		cfg.AdvertiseInterval = d
		var a protocols.Actions
		if next := New(cfg, gw.Gateway).Beacon(gw.T, nil, &a); next != d || hex.EncodeToString(a.Out) != want {
			t.Errorf("%x, and again after %s; want %s after %s", a.Out, next, want, d)
		}
	}
}

// TestSN_6_1_2_ToAll: of what is sent to a group only a search is answered.
func TestSN_6_1_2_ToAll(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	a := New(DefaultConfig(), gw.Gateway)
	for _, local := range []string{"[ff02::1]:1884", "224.0.0.1:1884", "255.255.255.255:1884"} {
		info := &protocols.ConnInfo{Peer: home, Local: netip.MustParseAddrPort(local)}
		for in, want := range map[string]string{"01 00": "030201", `0c 00 0007 0000 "x"`: "", `04 04 01 003c "c1"`: "", "16": ""} {
			var act protocols.Actions
			if open := a.Meet(gw.T, info, sized(wireBytes(t, in)), &act); open || hex.EncodeToString(act.Out) != want {
				t.Errorf("%s to %s: %x, open %v", in, local, act.Out, open)
			}
		}
	}
}

func TestConfigFaults(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	c.AdvertiseInterval, c.RetryInterval, c.Retries, c.CongestionWait, c.MaxClientIDLength, c.MaxPacketSize = 0, 0, -1, 0, 5, 10
	c.Predefined = map[string]string{"0": "a", "65535": "a", "x": "a", "7": "a/#"}
	c.UnconnectedTopics = []string{"abc"}
	c.UnconnectedNetworks = []netip.Prefix{netip.MustParsePrefix("::/0")}
	c.Clients = []ClientRule{{ClientID: "[", Networks: c.UnconnectedNetworks}}
	err := fmt.Sprint(c.Validate())
	for _, want := range []string{"advertise_interval: ", "retry_interval: ", "retries: ", "congestion_wait: ", "max_client_id_length: ", "max_packet_size: ",
		`"0" is no`, `"65535" is no`, `"x" is no`, "id 7", `unconnected_topics: "abc"`, `clients: number 1: client_id "["`} {
		if !strings.Contains(err, want) {
			t.Errorf("%q is missing in:\n%s", want, err)
		}
	}
	c = DefaultConfig()
	c.UnconnectedTopics = []string{"ab"}
	c.Clients = []ClientRule{{ClientID: "a"}}
	err = fmt.Sprint(c.Validate())
	for _, want := range []string{"unconnected_networks", "networks is empty"} {
		if !strings.Contains(err, want) {
			t.Errorf("%q is missing in:\n%s", want, err)
		}
	}
}

// Every reason has a code, and none that refuses is told as accepted.
func TestCodes(t *testing.T) {
	for r := core.Success; int(r) < core.ReasonCount; r++ {
		c := code(r)
		fine := r == core.Success || r == core.NoMatchingSubscribers || r == core.NoSubscriptionExisted
		if (c == packet.Accepted) != fine || c > packet.NotSupported {
			t.Errorf("%s is told as %s", r, c)
		}
	}
}

func TestIdentities(t *testing.T) {
	s := NewIdentities(Config{Clients: []ClientRule{
		{ClientID: "pump-?", Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Username: "pumps"},
		{ClientID: "pump-*", Networks: []netip.Prefix{netip.MustParsePrefix("fd00::/8")}},
	}})
	for _, c := range []struct {
		name string
		c    core.Credentials
		want core.Verdict
		user string
	}{
		{"a rule", core.Credentials{ClientID: "pump-1", Peer: netip.MustParseAddrPort("[::ffff:10.1.2.3]:1")}, core.Allow, "pumps"},
		{"elsewhere", core.Credentials{ClientID: "pump-1", Peer: netip.MustParseAddrPort("10.2.2.3:1")}, core.Deny, ""},
		{"its own name", core.Credentials{ClientID: "pump-12", Peer: netip.MustParseAddrPort("[fd00::1]:1")}, core.Allow, "pump-12"},
		{"no rule", core.Credentials{ClientID: "valve", Peer: netip.MustParseAddrPort("10.1.2.3:1")}, core.Ignore, ""},
		{"a token", core.Credentials{ClientID: "pump-1", HasPassword: true, Peer: netip.MustParseAddrPort("10.1.2.3:1")}, core.Ignore, ""},
		{"PSK", core.Credentials{ClientID: "valve", PSKIdentity: "v7"}, core.Allow, "v7"},
	} {
		c.c.Protocol = "mqttsn"
		v, g, err := s.Authenticate(context.Background(), &c.c)
		if err != nil || v != c.want || (g != nil) != (c.want == core.Allow) || g != nil && g.Username != c.user {
			t.Errorf("%s: %v %+v %v", c.name, v, g, err)
		}
		c.c.Protocol = "mqtt"
		if v, _, _ := s.Authenticate(context.Background(), &c.c); v != core.Ignore {
			t.Errorf("%s, but of MQTT: %v", c.name, v)
		}
	}
}

// TestMessageIDsDiffer: a message does not have the identifier of the one before, whatever
// chance says: what comes late of that one must not acknowledge this one. [SN-0-1]
func TestMessageIDsDiffer(t *testing.T) {
	for _, same := range []uint16{0, 1, 7, 0xFFFF} {
		m := Machine{adapter: &Adapter{random: func() uint16 { return same }}}
		last := uint16(0)
		for range 5 {
			id := m.wireID(&core.Delivery{QoS: 1})
			if id == 0 || id == last {
				t.Errorf("random %d: %d after %d", same, id, last)
			}
			last = id
		}
	}
}
