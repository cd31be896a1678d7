package machine

import (
	"errors"
	"testing"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// prover is a bench that answers challenges, and takes "no" for a fault.
type prover struct{ *bench }

var errProver = errors.New("the prover says no")

func (p prover) Challenged(a *packet.Auth) ([]byte, error) {
	data := string(a.Properties.AuthenticationData)
	p.note("challenged %#02x %s", byte(a.Reason), data)
	if data == "no" {
		return nil, errProver
	}
	return []byte(data + "!"), nil
}

// The method is "foo"; data of two bytes follow.
const (
	nextFoo  = "f0 0d 18 0b 15 0003 666f6f 16 0002"
	againFoo = "f0 0d 19 0b 15 0003 666f6f 16 0002"
	doneFoo  = "f0 0d 00 0b 15 0003 666f6f 16 0002"
)

// proving is a connection whose CONNECT named the method and said "hi".
func proving(t *testing.T) *bench {
	b := newBench(t, Config{})
	b.turn.Handler = prover{b}
	if err := b.Connect(&b.turn, &Identity{ClientID: []byte("c1"), Method: []byte("foo"), Data: []byte("hi")}); err != nil {
		t.Fatal(err)
	}
	b.out("10 1a 0004 4d515454 05 00 0000 0b 15 0003 666f6f 16 0002 6869 0002 6331")
	return b
}

func TestMQTT_4_12_Authentication(t *testing.T) {
	b := proving(t)
	for _, data := range []string{"6f6b", "6f6b"} {
		b.in(nextFoo + data)
		b.saw("challenged 0x18 ok")
		b.out("f0 0e 18 0c 15 0003 666f6f 16 0003 6f6b21") // [MQTT-4.12.0-3]
	}
	b.in(accepted5)
	b.saw("connected 0x00 false")
	if err := b.Reauthenticate(&b.turn, []byte("foo"), []byte("hi")); err != nil {
		t.Fatal(err)
	}
	b.out(againFoo + "6869")
	b.in(nextFoo + "6f6b")
	b.out("f0 0e 18 0c 15 0003 666f6f 16 0003 6f6b21")
	b.in(doneFoo + "6f6b")
	b.saw("challenged 0x18 ok", "challenged 0x00 ok")
	b.out("")
	if !b.Online() {
		t.Error("the connection is over")
	}
}

func TestMQTT_4_12_AuthenticationFaults(t *testing.T) {
	plain := func(t *testing.T) *bench { return online(t, Config{}, accepted5) }
	open := func(t *testing.T) *bench {
		b := proving(t)
		b.in(accepted5)
		return b
	}
	for _, c := range []struct {
		name  string
		start func(*testing.T) *bench
		in    string
		out   string
	}{
		{"nobody proves anything", plain, nextFoo + "6f6b", "e0 01 82"},
		{"done before the CONNACK", proving, doneFoo + "6f6b", ""},
		{"a client's code before the CONNACK", proving, againFoo + "6f6b", ""},
		{"a client's code", open, againFoo + "6f6b", "e0 01 82"},
		{"an unknown code", open, "f0 08 17 06 15 0003 666f6f", "e0 01 82"},
		{"the prover refuses", proving, nextFoo + "6e6f", ""},
		{"the prover refuses later", open, doneFoo + "6e6f", "e0 01 82"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.start(t)
			if err := b.feed(c.in); err == nil {
				t.Fatal("no error")
			}
			b.out(c.out)
			if b.Online() {
				t.Error("still online")
			}
		})
	}
	t.Run("not connected", func(t *testing.T) {
		b := proving(t)
		if err := b.Reauthenticate(&b.turn, []byte("foo"), nil); !errors.Is(err, ErrNotConnected) {
			t.Error(err)
		}
	})
	t.Run("too large for the server", func(t *testing.T) {
		b := proving(t)
		b.in("20 08 00 00 05 27 0000000a")
		var no *RefusalError
		if err := b.Reauthenticate(&b.turn, []byte("foo"), []byte("hi")); !errors.As(err, &no) {
			t.Error(err)
		}
		b.out("")
	})
	t.Run("leaving", func(t *testing.T) {
		b := open(t)
		if err := b.Disconnect(&b.turn, packet.ReasonNormalDisconnection); err != nil {
			t.Fatal(err)
		}
		b.turn.Out = nil
		b.in(nextFoo + "6f6b")
		b.out("")
	})
}
