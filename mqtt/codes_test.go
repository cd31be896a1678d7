package mqtt

import (
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestEveryReasonHasAnAllowedCode holds the whole table against the codec's table of
// which code may stand where.
func TestEveryReasonHasAnAllowedCode(t *testing.T) {
	types := []packet.Type{packet.TypeConnack, packet.TypePuback, packet.TypePubrec, packet.TypePubrel,
		packet.TypePubcomp, packet.TypeSuback, packet.TypeUnsuback, packet.TypeDisconnect}
	for i := range core.ReasonCount {
		r := core.Reason(i)
		for _, typ := range types {
			c := code(r, typ)
			if !c.ValidIn(typ) {
				t.Errorf("%s in %s: %s (0x%02x) may not stand there", r, typ, c, byte(c))
			}
			good := r == core.Success || r == core.NormalDisconnect && typ == packet.TypeDisconnect ||
				(r == core.NoMatchingSubscribers || r == core.NoSharedReceiver) && (typ == packet.TypePuback || typ == packet.TypePubrec) ||
				r == core.NoSubscriptionExisted && typ == packet.TypeUnsuback
			if c.Failed() == good {
				t.Errorf("%s in %s: 0x%02x, failure is %v", r, typ, byte(c), !good)
			}
		}
		if _, ok := returnCode(r); !ok && code(r, packet.TypeConnack) == packet.ReasonServerUnavailable {
			t.Errorf("%s: MQTT 5 hears server unavailable, MQTT 3 nothing", r)
		}
	}
	if c := code(core.Reason(core.ReasonCount), packet.TypePuback); c != packet.ReasonUnspecifiedError {
		t.Errorf("an unknown reason gives %s", c)
	}
}

func TestCodesOfTheUsualReasons(t *testing.T) {
	for _, c := range []struct {
		r                                                    core.Reason
		connack, puback, suback, unsuback, disconnect, three byte
	}{
		{core.BadCredentials, 0x86, 0x87, 0x87, 0x87, 0x87, 4},
		{core.NotAuthorized, 0x87, 0x87, 0x87, 0x87, 0x87, 5},
		{core.ClientIDNotValid, 0x85, 0x80, 0x80, 0x80, 0x82, 2},
		{core.UnsupportedProtocolVersion, 0x84, 0x80, 0x80, 0x80, 0x82, 1},
		{core.ServerBusy, 0x89, 0x97, 0x97, 0x83, 0x89, 3},
		{core.ServerShuttingDown, 0x88, 0x83, 0x83, 0x83, 0x8B, 3},
		{core.SessionTakenOver, 0x89, 0x83, 0x83, 0x83, 0x8E, 3},
		{core.TopicFilterInvalid, 0x82, 0x90, 0x8F, 0x8F, 0x8F, 3},
		{core.TopicNameInvalid, 0x90, 0x90, 0x8F, 0x8F, 0x90, 0xFF},
		{core.StoreFull, 0x88, 0x97, 0x97, 0x83, 0x97, 3},
		{core.StoreUnavailable, 0x88, 0x83, 0x83, 0x83, 0x83, 3},
		{core.FastlaneNeedsCleanSession, 0x82, 0x83, 0x8F, 0x8F, 0x8F, 3},
		{core.ReceiveMaximumExceeded, 0x82, 0x97, 0x80, 0x80, 0x93, 3},
		{core.MalformedPacket, 0x81, 0x80, 0x80, 0x80, 0x81, 0xFF},
		{core.ProtocolError, 0x82, 0x80, 0x80, 0x80, 0x82, 0xFF},
		{core.PacketTooLarge, 0x95, 0x97, 0x97, 0x80, 0x95, 0xFF},
		{core.QuotaExceeded, 0x97, 0x97, 0x97, 0x83, 0x97, 3},
		{core.MessageRateTooHigh, 0x97, 0x97, 0x97, 0x83, 0x96, 3},
		{core.UseAnotherServer, 0x9C, 0x83, 0x83, 0x83, 0x9C, 3},
		{core.Banned, 0x8A, 0x87, 0x87, 0x87, 0x87, 5},
	} {
		got := [5]byte{}
		for i, typ := range []packet.Type{packet.TypeConnack, packet.TypePuback, packet.TypeSuback, packet.TypeUnsuback, packet.TypeDisconnect} {
			got[i] = byte(code(c.r, typ))
		}
		if want := [5]byte{c.connack, c.puback, c.suback, c.unsuback, c.disconnect}; got != want {
			t.Errorf("%s: % x, want % x", c.r, got, want)
		}
		three, ok := returnCode(c.r)
		if !ok {
			three = 0xFF
		}
		if byte(three) != c.three {
			t.Errorf("%s: return code %d, want %d", c.r, three, c.three)
		}
	}
}

// TestCodecFaultsHaveAReason: what the codec refuses is counted under a reason
// that leads back to the same code.
func TestCodecFaultsHaveAReason(t *testing.T) {
	for _, c := range []packet.ReasonCode{0x81, 0x82, 0x84, 0x85, 0x90, 0x94, 0x95, 0x97} {
		r := reasonOf(c)
		if r == core.UnspecifiedError || code(r, packet.TypeConnack) != c && code(r, packet.TypeDisconnect) != c {
			t.Errorf("0x%02x: %s", byte(c), r)
		}
	}
}
