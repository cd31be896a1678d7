package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

func TestConnectAccepted(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"3.1", connect31, connack3},
		{"3.1.1", connect311, connack3},
		{"5", connect5, connack5},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.wantOut(r.in(c.in), c.out)
			r.wantCalls("connect c1", "resume")
			if !r.a.Accepted || !r.a.SetTimer || r.a.Timer != 90*time.Second || r.a.Close || r.a.Pause {
				t.Fatalf("actions: %+v", r.a)
			}
			if q := r.gw.request; !q.CleanStart || q.Expiry != 0 || q.KeepAlive != 60 || q.Protocol != "mqtt" {
				t.Fatalf("request: %+v", q)
			}
		})
	}
}

func TestConnectInAnySplit(t *testing.T) {
	whole := unhex(t, connect5)
	for n := range whole {
		r := newRig(t)
		r.raw(whole[:n])
		if r.used != 0 || r.a.Close {
			t.Fatalf("split at %d: used %d, close %v", n, r.used, r.a.Close)
		}
		r.wantOut(r.raw(whole), connack5)
	}
}

func TestConnectCleanSessionMapping(t *testing.T) {
	for _, c := range []struct {
		name, in string
		clean    bool
		expiry   uint32
	}{
		{"3.1.1 clean", connect311, true, 0},
		{"3.1.1 kept", "10 0e 0004 4d515454 04 00 003c 0002 6331", false, 0xFFFFFFFF},
		{"3.1 kept", "10 10 0006 4d5149736470 03 00 003c 0002 6331", false, 0xFFFFFFFF},
		{"5 without expiry", connect5, true, 0},
		{"5 with expiry", connect5With("11 00000e10"), true, 3600},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.in(c.in)
			if q := r.gw.request; q.CleanStart != c.clean || q.Expiry != c.expiry {
				t.Fatalf("clean %v expiry %d", q.CleanStart, q.Expiry)
			}
		})
	}
}

func TestConnectRequestCarriesEverything(t *testing.T) {
	r := newRig(t)
	r.in("10 .. 0004 4d515454 05 ee 000a" +
		" 1b 11 00000064 21 0005 27 00000800 22 000a 19 01 17 00 26 0001 61 0001 62" +
		" 0002 6331" +
		" 10 18 00000007 02 0000003c 01 01 03 0001 74" +
		" 0001 77 0002 6869 0001 75 0002 7077")
	q := r.gw.request
	if q == nil {
		t.Fatalf("no request: %+v", r.gw.refusals)
	}
	if q.Expiry != 100 || q.ReceiveMaximum != 5 || q.MaximumPacketSize != 2048 || q.KeepAlive != 10 {
		t.Fatalf("request: %+v", q)
	}
	c := q.Credentials
	if c.ClientID != "c1" || c.Username != "u" || !c.HasUsername || string(c.Password) != "pw" || !c.HasPassword || c.Peer != r.conn.Peer() {
		t.Fatalf("credentials: %+v", c)
	}
	w := q.Will
	if w == nil || w.Topic != "w" || string(w.Payload) != "hi" || w.QoS != 1 || !w.Retain || w.Delay != 7 || w.Expiry != 60 || !w.HasExpiry {
		t.Fatalf("will: %+v", w)
	}
	if w.Properties == nil || w.Properties.PayloadFormat != 1 || w.Properties.ContentType != "t" {
		t.Fatalf("will properties: %+v", w.Properties)
	}
	if !r.m.noProblem || r.m.aliasMax != 10 || r.m.maxPacket != 2048 || !r.m.expires {
		t.Fatalf("settled: %+v", r.m)
	}
}

func TestConnectKeepsNothingOfTheBuffer(t *testing.T) {
	r := newRig(t)
	b := unhex(t, "10 .. 0004 4d515454 04 c6 003c 0002 6331 0001 77 0001 70 0001 75 0001 73")
	r.raw(b)
	for i := range b {
		b[i] = 0xFF
	}
	q := r.gw.request
	if q.Credentials.ClientID != "c1" || q.Credentials.Username != "u" || string(q.Credentials.Password) != "s" ||
		q.Will.Topic != "w" || string(q.Will.Payload) != "p" {
		t.Fatalf("request aliases the buffer: %+v %+v", q.Credentials, q.Will)
	}
}

func TestMQTT_3_1_0_1_FirstPacketMustBeConnect(t *testing.T) {
	for _, c := range []struct {
		name, in, clause string
		why              core.Reason
	}{
		{"publish", "30 03 0001 61", "MQTT-3.1.0-1", core.ProtocolError},
		{"pingreq", "c0 00", "MQTT-3.1.0-1", core.ProtocolError},
		{"disconnect", "e0 00", "MQTT-3.1.0-1", core.ProtocolError},
		{"type 0", "00 00", "2.1.2", core.MalformedPacket},
		{"http", "474554202f", "HTTP", core.MalformedPacket},
		{"tls", "160301", "TLS", core.MalformedPacket},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.wantOut(r.in(c.in), "")
			r.wantEnd(c.why)
			r.wantRefusal(c.why, c.clause)
			r.m.Closed(r.turn, core.ConnectionLost)
			r.wantCalls()
		})
	}
}

func TestMQTT_3_1_0_2_SecondConnect(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"3.1.1", connect311, ""},
		{"5", connect5, "e0 24 82 22 1f 001f 61207365636f6e6420434f4e4e454354205b4d5154542d332e312e302d325d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.in)
			r.wantOut(r.in(c.in), c.out)
			r.wantEnd(core.ProtocolError)
			r.wantRefusal(core.ProtocolError, "MQTT-3.1.0-2")
			r.m.Closed(r.turn, core.ConnectionLost)
			r.wantCalls("disconnect protocol_error")
		})
	}
}

func TestMQTT_3_1_2_1_And_2_UnknownVersion(t *testing.T) {
	quiet := func(c *Config) { c.ReasonStrings = false }
	for _, c := range []struct{ name, in, out string }{
		{"level 6", "10 0f 0004 4d515454 06 02 003c 00 0002 6331", "20 03 00 84 00"},
		{"level 2", "10 0e 0004 4d515454 02 02 003c 0002 6331", "20 02 00 01"},
		{"bridge level 0x84", "10 0e 0004 4d515454 84 02 003c 0002 6331", "20 02 00 01"},
		{"other name", "10 0e 0004 4d515458 04 02 003c 0002 6331", "20 02 00 01"},
		{"3.1 name with level 4", "10 10 0006 4d5149736470 04 02 003c 0002 6331", "20 02 00 01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, quiet)
			r.wantOut(r.in(c.in), c.out)
			r.wantEnd(core.UnsupportedProtocolVersion)
			r.wantRefusal(core.UnsupportedProtocolVersion, "MQTT-3.1.2-")
		})
	}
}

func TestMQTT_3_1_4_1_MalformedConnect(t *testing.T) {
	quiet := func(c *Config) { c.ReasonStrings = false }
	for _, c := range []struct {
		name, in, out string
		why           core.Reason
	}{
		{"3.1.1 reserved flag", "10 0e 0004 4d515454 04 03 003c 0002 6331", "", core.MalformedPacket},
		{"5 reserved flag", "10 0f 0004 4d515454 05 03 003c 00 0002 6331", "20 03 00 81 00", core.MalformedPacket},
		{"5 property twice", connect5With("21 0005 21 0005"), "20 03 00 82 00", core.ProtocolError},
		{"5 will topic with wildcard", "10 15 0004 4d515454 05 06 003c 00 0002 6331 00 0001 23 0000", "20 03 00 90 00", core.TopicNameInvalid},
		{"3.1.1 will topic with wildcard", "10 13 0004 4d515454 04 06 003c 0002 6331 0001 23 0000", "", core.TopicNameInvalid},
		{"3.1.1 short", "10 0d 0004 4d515454 04 02 003c 0002 63", "", core.MalformedPacket},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, quiet)
			r.wantOut(r.in(c.in), c.out)
			r.wantEnd(c.why)
			r.wantRefusal(c.why, "")
		})
	}
}

func TestConnectTooLarge(t *testing.T) {
	small := func(c *Config) { c.MaxConnectSize, c.ReasonStrings = 128, false }
	for _, c := range []struct{ name, in, out string }{
		{"5", "10 ff7f 0004 4d515454 05 02 003c 00", "20 03 00 95 00"},
		{"3.1.1", "10 ff7f 0004 4d515454 04 02 003c 0002", ""},
		{"nothing but the header", "10 ff7f", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, small)
			r.wantOut(r.in(c.in), c.out)
			r.wantEnd(core.PacketTooLarge)
			r.wantRefusal(core.PacketTooLarge, "")
		})
	}
}

func TestMQTT_3_1_3_8_EmptyClientID(t *testing.T) {
	for _, c := range []struct {
		name, in, out string
		asked         bool
	}{
		{"3.1", "10 0e 0006 4d5149736470 03 02 003c 0000", "20 02 00 02", false},
		{"3.1.1 kept", "10 0c 0004 4d515454 04 00 003c 0000", "20 02 00 02", false},
		{"3.1.1 clean", "10 0c 0004 4d515454 04 02 003c 0000", connack3, true},
		{"5", "10 0d 0004 4d515454 05 00 003c 00 0000", "20 11 00 00 0e 12 0003 67656e 22 0020 27 00100000", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			if c.asked {
				r.gw.connect = core.ConnectResult{ClientID: "gen", Assigned: true}
			}
			r.wantOut(r.in(c.in), c.out)
			if asked := r.gw.request != nil; asked != c.asked {
				t.Fatalf("core asked: %v", asked)
			}
			if !c.asked {
				r.wantEnd(core.ClientIDNotValid)
				r.wantRefusal(core.ClientIDNotValid, "")
			}
		})
	}
}

func TestMQTT_3_1_3_2_3_WillPayloadFormat(t *testing.T) {
	strict := func(c *Config) { c.CheckPayloadFormat, c.ReasonStrings = true, false }
	r := newRig(t, strict)
	r.wantOut(r.in("10 .. 0004 4d515454 05 06 003c 00 0002 6331 02 01 01 0001 77 0001 ff"), "20 03 00 99 00")
	r.wantEnd(core.PayloadFormatInvalid)
	r.wantRefusal(core.PayloadFormatInvalid, "3.1.3.2.3")
	r = newRig(t, strict)
	r.wantOut(r.in("10 .. 0004 4d515454 05 06 003c 00 0002 6331 02 01 01 0001 77 0001 61"), connack5)
}

func TestOnlyVerifiedCertificates(t *testing.T) {
	cert := &x509.Certificate{}
	peer := []*x509.Certificate{cert}
	for _, c := range []struct {
		name  string
		state *tls.ConnectionState
		want  *x509.Certificate
	}{
		{"plain", nil, nil},
		{"none", &tls.ConnectionState{}, nil},
		{"not verified", &tls.ConnectionState{PeerCertificates: peer}, nil},
		{"verified", &tls.ConnectionState{PeerCertificates: peer, VerifiedChains: [][]*x509.Certificate{peer}}, cert},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.m.rare.info.TLS = c.state
			r.in(connect5)
			if got := r.gw.request.Credentials.Certificate; got != c.want {
				t.Fatalf("certificate %p, want %p", got, c.want)
			}
		})
	}
}

func TestClientIDLength31(t *testing.T) {
	long := "10 26 0006 4d5149736470 03 02 003c 0018 " + "616161616161616161616161616161616161616161616161"
	r := newRig(t)
	r.wantOut(r.in(long), connack3)
	r = newRig(t, func(c *Config) { c.StrictClientID31 = true })
	r.wantOut(r.in(long), "20 02 00 02")
	r.wantEnd(core.ClientIDNotValid)
}

func TestMQTT_3_2_2_12_And_13_WillBeyondTheServer(t *testing.T) {
	limits := func(c *Config) { c.MaxQoS, c.RetainAvailable, c.ReasonStrings = 1, false, false }
	for _, c := range []struct {
		name, in, out string
		why           core.Reason
	}{
		{"5 QoS 2", "10 15 0004 4d515454 05 16 003c 00 0002 6331 00 0001 77 0000", "20 03 00 9b 00", core.QoSNotSupported},
		{"5 retain", "10 15 0004 4d515454 05 26 003c 00 0002 6331 00 0001 77 0000", "20 03 00 9a 00", core.RetainNotSupported},
		{"3.1.1 QoS 2", "10 13 0004 4d515454 04 16 003c 0002 6331 0001 77 0000", "20 02 00 03", core.QoSNotSupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, limits)
			r.wantOut(r.in(c.in), c.out)
			r.wantEnd(c.why)
			r.wantRefusal(c.why, "MQTT-3.2.2-1")
		})
	}
}

func TestConnackTellsWhatDiffers(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.MaxQoS, c.RetainAvailable, c.WildcardAvailable, c.SharedAvailable = 1, false, false, false
		c.SubscriptionIDAvailable, c.TopicAliasMaximum, c.MaxPacketSize = false, 0, 0x2000
		c.ResponseInformation = "re/"
	})
	r.gw.connect = core.ConnectResult{SessionPresent: true, Expiry: 60, KeepAlive: 30, ReceiveMaximum: 9}
	r.wantOut(r.in(connect5With("11 00000e10 19 01")),
		"20 25 01 00 22 11 0000003c 13 001e 1a 0005 72652f6331 21 0009 24 01 25 00 27 00002000 28 00 29 00 2a 00")
	if r.a.Timer != 45*time.Second {
		t.Fatalf("timer %v", r.a.Timer)
	}
}

func TestMQTT_3_1_2_28_NoResponseInformationUnasked(t *testing.T) {
	with := func(c *Config) { c.ResponseInformation = "re/" }
	r := newRig(t, with)
	r.wantOut(r.in(connect5), connack5)
	r = newRig(t, with)
	r.wantOut(r.in(connect5With("19 00")), connack5)
}

func TestMQTT_3_2_2_22_OldClientsKeepTheirKeepAlive(t *testing.T) {
	r := newRig(t)
	r.gw.connect.KeepAlive = 5
	r.wantOut(r.in(connect311), connack3)
	if r.a.Timer != 90*time.Second {
		t.Fatalf("timer %v, want the client's own 60 s and a half", r.a.Timer)
	}
}

func TestConnectRefusedByCore(t *testing.T) {
	for _, c := range []struct {
		name, in, out string
		why           core.Reason
	}{
		{"5 credentials", connect5, "20 0a 00 86 07 1f 0004 6e6f7065", core.BadCredentials},
		{"5 busy", connect5, "20 0a 00 89 07 1f 0004 6e6f7065", core.ServerBusy},
		{"5 method", connect5With("15 0003 666f6f"), "20 0a 00 8c 07 1f 0004 6e6f7065", core.BadAuthenticationMethod},
		{"3.1.1 credentials", connect311, "20 02 00 04", core.BadCredentials},
		{"3.1.1 not authorised", connect311, "20 02 00 05", core.NotAuthorized},
		{"3.1.1 store", connect311, "20 02 00 03", core.StoreUnavailable},
		{"3.1 banned", connect31, "20 02 00 05", core.Banned},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.gw.connect = core.ConnectResult{Reason: c.why, Detail: "nope"}
			r.wantOut(r.in(c.in), c.out)
			r.wantEnd(c.why)
			if len(r.gw.refusals) != 0 {
				t.Fatal("core counts its own refusals")
			}
			r.m.Closed(r.turn, core.ConnectionLost)
			r.wantCalls("connect c1")
		})
	}
}

func TestMQTT_3_2_2_19_ReasonStringTooLongForTheClient(t *testing.T) {
	for _, c := range []struct{ name, size, out string }{
		{"does not fit", "0000000b", "20 03 00 86 00"},
		{"just fits", "0000000c", "20 0a 00 86 07 1f 0004 6e6f7065"},
		{"nothing fits", "00000004", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.gw.connect = core.ConnectResult{Reason: core.BadCredentials, Detail: "nope"}
			r.wantOut(r.in(connect5With("27 "+c.size)), c.out)
			r.wantEnd(core.BadCredentials)
		})
	}
}

func TestMQTT_3_1_2_24_NoRoomForConnack(t *testing.T) {
	r := newRig(t)
	r.wantOut(r.in(connect5With("27 0000000c")), "20 03 00 95 00") // the refusal is short enough
	r.wantEnd(core.PacketTooLarge)
	r.wantRefusal(core.PacketTooLarge, "MQTT-3.1.2-24")
	r.m.Closed(r.turn, core.ConnectionLost)
	r.wantCalls("connect c1", "disconnect packet_too_large")
}

func TestConnectPending(t *testing.T) {
	r := newRig(t)
	r.gw.connectPending = true
	r.wantOut(r.in(connect5+"c000"), "")
	if !r.a.Pause || r.used != 17 {
		t.Fatalf("pause %v used %d", r.a.Pause, r.used)
	}
	if r.in("c000"); r.used != 0 || !r.a.Pause {
		t.Fatal("input was taken while core decides")
	}
	r.a.Reset()
	r.m.Complete(r.turn, core.Completion{Op: core.OpConnect, Connect: r.gw.result(r.gw.request)}, &r.a)
	r.wantOut(hexOf(r.a.Out), connack5)
	if !r.a.Accepted || r.a.Pause {
		t.Fatalf("actions: %+v", r.a)
	}
	r.wantOut(r.in("c000"), "d000")
	r.wantCalls("connect c1", "resume")
}

func TestConnectPendingAndGone(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		r := newRig(t)
		r.gw.connectPending = true
		r.in(connect5)
		r.m.Closed(r.turn, core.ConnectionLost)
		r.m.Complete(r.turn, core.Completion{Op: core.OpConnect, Connect: r.gw.result(r.gw.request)}, &r.a)
		r.wantCalls("connect c1", "disconnect connection_lost")
	})
	t.Run("stopped", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.ReasonStrings = false })
		r.gw.connectPending = true
		r.in(connect5)
		r.a.Reset()
		r.m.Stop(r.turn, core.ServerShuttingDown, &r.a)
		r.wantOut(hexOf(r.a.Out), "20 03 00 88 00")
		r.m.Complete(r.turn, core.Completion{Op: core.OpConnect, Connect: r.gw.result(r.gw.request)}, &r.a)
		r.m.Closed(r.turn, core.ServerShuttingDown)
		r.wantCalls("connect c1", "disconnect server_shutting_down")
	})
}

func TestMQTT_4_12_0_5_MethodInConnack(t *testing.T) {
	r := newRig(t)
	r.wantOut(r.in(connect5With("15 0003 666f6f 16 0001 78")), "20 11 00 00 0e 15 0003 666f6f 22 0020 27 00100000")
	if c := r.gw.request.Credentials; c.Method != "foo" || string(c.Data) != "x" {
		t.Fatalf("credentials: %+v", c)
	}
}
