package packet

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The size limit is answered as soon as the header is there, counts the header, and 0 is none.
func TestNextMaximum(t *testing.T) {
	cases := []struct {
		name    string
		bytes   []byte
		max     uint32
		wantN   int
		tooLong bool
	}{
		{"exactly the maximum", []byte{0x30, 3, 0, 1, 'a'}, 5, 5, false},
		{"one more", []byte{0x30, 3, 0, 1, 'a'}, 4, 0, true},
		{"header alone", []byte{0x30, 0xff, 0xff, 0xff, 0x7f}, 1 << 20, 0, true},
		{"header alone, no limit", []byte{0x30, 0xff, 0xff, 0xff, 0x7f}, 0, 0, false},
		{"length not whole", []byte{0x30, 0xff, 0xff, 0xff}, 16, 0, false},
		{"nothing", nil, 16, 0, false},
		{"one byte", []byte{0x30}, 16, 0, false},
		{"two packets", []byte{0xc0, 0, 0xd0, 0}, 2, 2, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, n, err := Next(c.bytes, c.max)
			if n != c.wantN || errors.Is(err, ErrTooLarge) != c.tooLong || !c.tooLong && err != nil {
				t.Errorf("Next = %d, %v", n, err)
			}
			if n > 0 && (f.Size() != n || cap(f.Body) != len(f.Body)) {
				t.Errorf("frame says %d bytes of %d, body may grow to %d", f.Size(), n, cap(f.Body))
			}
		})
	}
	f, _, _ := Next([]byte{0x30, 0x80, 0x01, 0}, 0)
	if f.Size() != 131 {
		t.Errorf("a packet not whole yet says %d bytes, want 131", f.Size())
	}
}

// Each packet struct refuses a frame of another type, whatever its body.
func TestDecodeWrongType(t *testing.T) {
	for ty := TypeConnect; ty <= TypeAuth; ty++ {
		for other := TypeConnect; other <= TypeAuth; other++ {
			_, isAck := New(ty).(*Ack)
			_, otherAck := New(other).(*Ack)
			if ty == other || isAck && otherAck {
				continue
			}
			err := New(ty).Decode(V5, Header{Type: other, Flags: 2}, nil)
			if err != error(errWrongType) {
				t.Errorf("%s given a frame of %s: %v", ty, other, err)
			}
		}
	}
	if New(0) != nil || New(16) != nil {
		t.Error("New makes packets of types that do not exist")
	}
}

// A struct used again shows nothing of the packet before, whichever two packets follow each other.
func TestReuse(t *testing.T) {
	reused := map[Type]Packet{}
	for round := range 2 {
		gs := goldens(t)
		for i := range gs {
			g := gs[i]
			if round == 1 {
				g = gs[len(gs)-1-i]
			}
			f, n, err := Next(g.bytes, 0)
			if err != nil || n == 0 {
				continue
			}
			if reused[f.Type] == nil {
				reused[f.Type] = New(f.Type)
			}
			fresh := New(f.Type)
			want := fresh.Decode(g.version, f.Header, f.Body)
			if err := reused[f.Type].Decode(g.version, f.Header, f.Body); err != want {
				t.Errorf("%s: %v, in a fresh struct %v", g.name, err, want)
			}
			if a, b := describe(reused[f.Type]), describe(fresh); want == nil && a != b {
				t.Errorf("%s: %s, in a fresh struct %s", g.name, a, b)
			}
		}
	}
}

// The refusal of a CONNECT can be written in the client's own version.
func TestConnectVersionAfterError(t *testing.T) {
	cases := []struct {
		name    string
		bytes   string
		version Version
		level   byte
	}{
		{"reserved flag", `0004 "MQTT" 05 01 0000 00 0000`, V5, 5},
		{"old client", `0006 "MQIsdp" 03 1e 0000 0000`, V31, 3},
		{"future level", `0004 "MQTT" 06 02 0000 00 0000`, 0, 6},
		{"not MQTT", `0004 "HTTP" 01`, 0, 1},
		{"nothing", ``, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			body, err := parseBytes(c.bytes)
			if err != nil {
				t.Fatal(err)
			}
			p := Connect{Version: V311, Level: 9}
			if p.Decode(0, Header{Type: TypeConnect}, body) == nil {
				t.Fatal("accepted")
			}
			if p.Version != c.version || p.Level != c.level {
				t.Errorf("version %d, level %d; want %d and %d", p.Version, p.Level, c.version, c.level)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	two := &Limits{PropertyBytes: 12, UserProperties: 2, Filters: 2}
	var users Properties
	for i := range 3 {
		users.AddUser([]byte{'a' + byte(i)}, nil) // 6 bytes each
	}
	three := Subscribe{PacketID: 1, Filters: []Subscription{{Filter: []byte("a")}, {Filter: []byte("b")}, {Filter: []byte("c")}}}
	cases := []struct {
		name   string
		packet Packet
		into   Packet
		want   *Error
	}{
		{"two user properties", &Publish{Topic: []byte("t"), Properties: Properties{User: users.User[:12]}}, &Publish{Limits: two}, nil},
		{"three user properties", &Publish{Topic: []byte("t"), Properties: users}, &Publish{Limits: &Limits{UserProperties: 2}}, errPropUser},
		{"property bytes", &Publish{Topic: []byte("t"), Properties: users}, &Publish{Limits: two}, errPropBytes},
		{"two filters", &Subscribe{PacketID: 1, Filters: three.Filters[:2]}, &Subscribe{Limits: two}, nil},
		{"three filters", &three, &Subscribe{Limits: two}, errFilterLimit},
		{"three to unsubscribe", &Unsubscribe{PacketID: 1, Filters: [][]byte{nil, nil, nil}}, &Unsubscribe{Limits: two}, errFilterLimit},
		{"three codes", &Suback{PacketID: 1, Codes: make([]ReasonCode, 3)}, &Suback{Limits: two}, errFilterLimit},
		{"three filters, default limit", &three, &Subscribe{}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, _, _ := Next(c.packet.Append(nil, V5), 0)
			for range 2 { // the limit stays when the struct is used again
				err := c.into.Decode(V5, f.Header, f.Body)
				if c.want == nil && err != nil || c.want != nil && err != error(c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			}
		})
	}
}

func TestUserProperties(t *testing.T) {
	var u UserProperties
	if u.Len() != 0 {
		t.Errorf("empty list has %d pairs", u.Len())
	}
	u = u.Add([]byte("a"), []byte("1")).Add(nil, nil).Add([]byte("a"), []byte("2"))
	var got []string
	for name, value := range u.All() {
		got = append(got, string(name)+"="+string(value))
		if len(got) == 3 {
			break
		}
	}
	if s := strings.Join(got, ","); s != "a=1,=,a=2" || u.Len() != 3 {
		t.Errorf("%d pairs: %s", u.Len(), s)
	}
	for cut := range u {
		for range u[:cut].All() { // must end, and not panic
		}
	}
}

// Remove makes a packet smaller as the specification wants, and leaves the rest.
func TestRemoveDiagnostics(t *testing.T) {
	var p Connack
	p.Properties.SetReceiveMaximum(9)
	want := p.Append(nil, V5)
	p.Properties.SetReasonString([]byte("because"))
	p.Properties.AddUser([]byte("k"), []byte("v"))
	if p.Size(V5) <= len(want) {
		t.Fatal("nothing to remove")
	}
	p.Properties.Remove(Diagnostics)
	if got := p.Append(nil, V5); !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
}

// Every code has a name and a packet, and the old return codes go back and forth.
func TestReasonCodes(t *testing.T) {
	named := 0
	for i := range 256 {
		r := ReasonCode(i)
		known := !strings.HasPrefix(r.String(), "0x")
		if known {
			named++
		}
		valid := false
		for ty := TypeConnack; ty <= TypeAuth; ty++ {
			valid = valid || r.ValidIn(ty)
		}
		if known != valid {
			t.Errorf("%s: named %t, valid in a packet %t", r, known, valid)
		}
	}
	if named != 43 { // the rows of the table in section 2.4, one value counted once
		t.Errorf("%d codes, want 43", named)
	}
	for r := ReturnAccepted; r <= ReturnNotAuthorized; r++ {
		if got := r.ReasonCode().ReturnCode(); got != r {
			t.Errorf("%s becomes %s", r, got)
		}
	}
	if s := ReasonCode(0x7f).String(); s != "0x7f" {
		t.Errorf("a code without a name is %q", s)
	}
	if ReturnCode(6).String() != "reserved" || ReturnCode(6).ReasonCode() != ReasonUnspecifiedError {
		t.Error("return code 6 means something")
	}
	if ReasonQuotaExceeded.ReturnCode() != ReturnServerUnavailable {
		t.Error("a cause that 3.1.1 cannot name is not told as unavailable")
	}
}

func TestNames(t *testing.T) {
	got := fmt.Sprint(V31, V311, V5, Version(9), TypePubrel, Type(0), PropWillDelay, Property(0x2b), Property(4))
	want := "3.1 3.1.1 5.0 unknown PUBREL RESERVED Will Delay Interval unknown property unknown property"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Hot paths do not allocate, once a struct's lists have their size.
func TestAllocations(t *testing.T) {
	decode := map[string]bool{}
	for _, g := range goldens(t) {
		if g.clause != "" || len(g.bytes) > 1000 {
			continue
		}
		f, _, _ := Next(g.bytes, 0)
		p, dst := New(f.Type), make([]byte, 0, 1000)
		n := testing.AllocsPerRun(10, func() {
			f, _, err := Next(g.bytes, 0)
			if err != nil || p.Decode(g.version, f.Header, f.Body) != nil {
				t.Error("not decoded")
			}
			p.Append(dst, g.version)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", g.name, n)
		}
		decode[f.Type.String()] = true
	}
	if len(decode) != 15 {
		t.Errorf("measured only %v", decode)
	}
}

// The short way to write an acknowledgement is the same as the long one.
func TestAppendAck(t *testing.T) {
	for ty := TypePuback; ty <= TypePubcomp; ty++ {
		for _, v := range []Version{V31, V311, V5} {
			for _, r := range []ReasonCode{ReasonSuccess, ReasonPacketIdentifierNotFound} {
				a := Ack{Type: ty, PacketID: 0xA1B2, Reason: r}
				if got, want := AppendAck(nil, v, ty, 0xA1B2, r), a.Append(nil, v); !bytes.Equal(got, want) {
					t.Errorf("%s, version %s: % x, want % x", ty, v, got, want)
				}
			}
		}
	}
}

// What a caller appends to a decoded field does not run into the bytes behind it.
func TestDecodedFieldsCannotGrowIntoTheBody(t *testing.T) {
	sent := builtPublish()
	out := Outgoing{Topic: sent.Topic, Shared: sent.Properties.AppendShared(nil), TopicAlias: 1, Payload: sent.Payload}
	wire := out.Append(nil, V5) // the alias stands behind the user properties
	want := bytes.Clone(wire)
	p := decodePublish(t, V5, wire)
	p.Properties.AddUser([]byte("more"), []byte("pairs"))
	for _, b := range [][]byte{p.Topic, p.Properties.ContentType, p.Properties.CorrelationData} {
		_ = append(b, "overwritten"...)
	}
	if !bytes.Equal(wire, want) {
		t.Errorf("the packet became % x, was % x", wire, want)
	}
}
