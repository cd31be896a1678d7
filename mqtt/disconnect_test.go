package mqtt

import (
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

func TestMQTT_3_14_4_3_Disconnect(t *testing.T) {
	expiring := connect5With("11 00000001")
	for _, c := range []struct {
		name, connect, in string
		why               core.Reason
		expiry            int64
	}{
		{"3.1.1", connect311, "e0 00", core.NormalDisconnect, -1},
		{"5", connect5, "e0 00", core.NormalDisconnect, -1},
		{"5 with code", connect5, "e0 01 00", core.NormalDisconnect, -1},
		{"5 with Will", connect5, "e0 01 04", core.DisconnectWithWill, -1},
		{"5 with an error", connect5, "e0 01 80", core.DisconnectWithWill, -1},
		{"5 with expiry", expiring, "e0 07 00 05 11 0000003c", core.NormalDisconnect, 60},
		{"5 expiry 0 after 0", connect5, "e0 07 00 05 11 00000000", core.NormalDisconnect, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect)
			r.wantOut(r.in(c.in+"c000"), "")
			r.wantEnd(c.why)
			r.m.Closed(r.turn, core.ConnectionLost)
			r.wantCalls("disconnect " + c.why.String())
			if (r.gw.expiry != nil) != (c.expiry >= 0) || r.gw.expiry != nil && int64(*r.gw.expiry) != c.expiry {
				t.Fatalf("expiry %v, want %d", r.gw.expiry, c.expiry)
			}
			if len(r.gw.refusals) != 0 {
				t.Fatalf("refusals: %+v", r.gw.refusals)
			}
		})
	}
}

func TestMQTT_3_14_2_2_ExpiryRaisedFromZero(t *testing.T) {
	r := opened(t, connect5, func(c *Config) { c.ReasonStrings = false })
	r.wantOut(r.in("e0 07 00 05 11 0000003c"), "e0 01 82")
	r.wantEnd(core.ProtocolError)
	r.wantRefusal(core.ProtocolError, "3.14.2.2.2")
	r.m.Closed(r.turn, core.ConnectionLost)
	if r.gw.expiry != nil {
		t.Fatal("the refused expiry reached core")
	}
}

func TestMQTT_3_14_1_1_DisconnectFlags(t *testing.T) {
	r := opened(t, connect5, func(c *Config) { c.ReasonStrings = false })
	r.wantOut(r.in("e1 00"), "e0 01 81")
	r.wantEnd(core.MalformedPacket)
}

func TestNothingAfterTheEnd(t *testing.T) {
	r := opened(t, connect5)
	r.in("e000")
	r.wantOut(r.in("30 04 0001 61 00"), "")
	if r.used != 6 || !r.a.Close || len(r.gw.published) != 0 {
		t.Fatalf("used %d, close %v, published %d", r.used, r.a.Close, len(r.gw.published))
	}
	r.a.Reset()
	r.m.Stop(r.turn, core.ServerShuttingDown, &r.a)
	r.wantOut(hexOf(r.a.Out), "")
	r.m.Closed(r.turn, core.ConnectionLost)
	r.wantCalls("disconnect normal_disconnect")
}

func TestClosedWithoutDisconnect(t *testing.T) {
	r := opened(t, connect311)
	r.m.Closed(r.turn, core.ConnectionLost)
	r.wantCalls("disconnect connection_lost")
}

func TestStop(t *testing.T) {
	for _, c := range []struct {
		name, connect, out string
		why                core.Reason
	}{
		{"MQTT-3.1.4-3 taken over", connect5, "e0 01 8e", core.SessionTakenOver},
		{"shutting down", connect5, "e0 01 8b", core.ServerShuttingDown},
		{"administrative", connect5, "e0 01 98", core.AdministrativeAction},
		{"identity expired", connect5, "e0 01 a0", core.IdentityExpired},
		{"3.1.1 hears nothing", connect311, "", core.SessionTakenOver},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect, func(c *Config) { c.ReasonStrings = false })
			r.a.Reset()
			r.m.Stop(r.turn, c.why, &r.a)
			r.wantOut(hexOf(r.a.Out), c.out)
			r.wantEnd(c.why)
			r.m.Closed(r.turn, core.ConnectionLost)
			r.wantCalls("disconnect " + c.why.String())
		})
	}
}

func TestMQTT_3_14_0_1_NoDisconnectBeforeConnack(t *testing.T) {
	r := newRig(t)
	r.m.Stop(r.turn, core.ServerShuttingDown, &r.a)
	r.wantOut(hexOf(r.a.Out), "")
	r.wantEnd(core.ServerShuttingDown)
}

func TestMQTT_3_14_2_3_GoodbyeFitsTheClient(t *testing.T) {
	r := opened(t, connect5With("27 00000010"))
	r.a.Reset()
	r.m.Stop(r.turn, core.ServerShuttingDown, &r.a)
	r.wantOut(hexOf(r.a.Out), "e0 01 8b")
}

func TestMQTT_3_1_2_22_KeepAlive(t *testing.T) {
	for _, c := range []struct{ name, connect, out string }{
		{"5", connect5, "e0 01 8d"},
		{"3.1.1", connect311, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect, func(c *Config) { c.ReasonStrings = false })
			r.a.Reset()
			r.m.Tick(r.turn, &r.a)
			r.wantOut(hexOf(r.a.Out), c.out)
			r.wantEnd(core.KeepAliveTimeout)
			r.m.Closed(r.turn, core.ConnectionLost)
			r.wantCalls("disconnect keep_alive_timeout")
		})
	}
}

func TestTickBeforeConnect(t *testing.T) {
	r := newRig(t)
	r.m.Tick(r.turn, &r.a)
	r.wantOut(hexOf(r.a.Out), "")
	r.wantEnd(core.ConnectTimeout)
	r.wantRefusal(core.ConnectTimeout, "no CONNECT")
	r.a.Reset()
	r.m.Tick(r.turn, &r.a)
	r.wantEnd(core.ConnectTimeout)
}

func TestKeepAliveOff(t *testing.T) {
	r := opened(t, "10 0e 0004 4d515454 04 02 0000 0002 6331")
	if !r.a.SetTimer || r.a.Timer != 0 {
		t.Fatalf("timer %v %v", r.a.SetTimer, r.a.Timer)
	}
	r.a.Reset()
	r.m.Tick(r.turn, &r.a)
	if r.a.Close {
		t.Fatal("closed without a keep alive")
	}
}

func TestMQTT_3_12_4_1_Ping(t *testing.T) {
	r := opened(t, connect311)
	r.wantOut(r.in("c000 c000"), "d000d000")
}

func TestServersPackets(t *testing.T) {
	for _, c := range []struct{ name, in string }{
		{"CONNACK", "20 03 00 00 00"}, {"SUBACK", "90 04 0001 00 00"}, {"UNSUBACK", "b0 04 0001 00 00"}, {"PINGRESP", "d0 00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, connect5, func(c *Config) { c.ReasonStrings = false })
			r.wantOut(r.in(c.in), "e0 01 82")
			r.wantEnd(core.ProtocolError)
			r.wantRefusal(core.ProtocolError, c.name)
		})
	}
}

func TestMQTT_4_12_0_7_Auth(t *testing.T) {
	method := connect5With("15 0003 666f6f")
	for _, c := range []struct {
		name, connect, in, out, clause string
		why                            core.Reason
	}{
		{"without method", connect5, "f0 08 19 06 15 0003 666f6f", "e0 01 82", "MQTT-4.12.0-7", core.ProtocolError},
		{"a server's code", method, "f0 08 00 06 15 0003 666f6f", "e0 01 82", "MQTT-3.15.2-1", core.ProtocolError},
		{"nothing but a server's code", method, "f0 00", "e0 01 82", "MQTT-3.15.2-1", core.ProtocolError},
		{"another method", method, "f0 08 19 06 15 0003 666f70", "e0 01 82", "MQTT-4.12.1-1", core.ProtocolError},
		{"3.1.1", connect311, "f0 00", "", "2.1.2", core.ProtocolError},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect, func(c *Config) { c.ReasonStrings = false })
			r.wantOut(r.in(c.in), c.out)
			r.wantEnd(c.why)
			r.wantRefusal(c.why, c.clause)
		})
	}
}
