package scenario

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
)

// wire takes a protobuf message apart: fields by number, in order, as text.
func wire(t *testing.T, b []byte) (fields []string, raw [][]byte) {
	t.Helper()
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatalf("no tag in %x", b)
		}
		b = b[n:]
		var value []byte
		switch tag & 7 {
		case 0:
			x, n := binary.Uvarint(b)
			if n <= 0 {
				t.Fatalf("no varint in %x", b)
			}
			fields, b = append(fields, fmt.Sprintf("%d=%d", tag>>3, x)), b[n:]
		case 1:
			x := math.Float64frombits(binary.LittleEndian.Uint64(b))
			fields, b = append(fields, fmt.Sprintf("%d=%.1f", tag>>3, x)), b[8:]
		case 2:
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				t.Fatalf("a length that is not there in %x", b)
			}
			value = b[n : n+int(size)]
			fields, b = append(fields, fmt.Sprintf("%d:%d", tag>>3, size)), b[n+int(size):]
		default:
			t.Fatalf("wire type %d", tag&7)
		}
		raw = append(raw, value)
	}
	return fields, raw
}

// metrics shows the metrics of a payload and its sequence number.
func metrics(t *testing.T, payload []byte) (all []string, seq string) {
	fields, raw := wire(t, payload)
	for i, f := range fields {
		switch {
		case strings.HasPrefix(f, "2:"):
			inner, texts := wire(t, raw[i])
			if len(texts[0]) > 0 {
				inner[0] = string(texts[0])
			}
			all = append(all, strings.Join(inner, " "))
		case strings.HasPrefix(f, "3="):
			seq = f
		case strings.HasPrefix(f, "4:"):
			if _, ok := FindMark(raw[i]); !ok {
				t.Errorf("the uuid %q is no mark", raw[i])
			}
		}
	}
	return all, seq
}

func TestSparkplug(t *testing.T) {
	p := planOf(t, `
[groups.node]
will = {topic = "spBv1.0/p/NDEATH/{id}", sparkplug = true}
[groups.node.publish.a_birth]
topic = "spBv1.0/p/NBIRTH/{id}"
schedule = "once"
payload = {kind = "sparkplug", low = 5, high = 5.01}
[groups.node.publish.b_device]
topic = "spBv1.0/p/DBIRTH/{id}/d"
schedule = "once"
payload = {kind = "sparkplug", low = 5, high = 5.01}
[groups.node.publish.c_data]
topic = "spBv1.0/p/DDATA/{id}/d"
every = "1s"
after = "0s"
payload = {kind = "sparkplug", low = 5, high = 5.01}
`, 1)
	st := p.NewState(0)
	var m Message
	const begun = "1767225600"
	for session := range 2 {
		st.Will(0, &m)
		death, seq := metrics(t, m.Payload)
		bdSeq := fmt.Sprintf("bdSeq 3=%s000 4=4 11=%d", begun, session)
		if len(death) != 1 || death[0] != bdSeq || seq != "" {
			t.Errorf("NDEATH: %v %s", death, seq)
		}
		st.Begin(0)
		st.Message(0, 0, &m)
		birth, seq := metrics(t, m.Payload)
		want := []string{bdSeq, "Node Control/Rebirth 3=" + begun + "000 4=11 14=0",
			"value 2=1 3=" + begun + "000 4=10 13=5.0", fmt.Sprintf("count 2=2 3=%s000 4=4 11=%d", begun, session)}
		if strings.Join(birth, "\n") != strings.Join(want, "\n") || seq != "3=0" {
			t.Errorf("NBIRTH: %s\n%s\nwanted\n%s", seq, strings.Join(birth, "\n"), strings.Join(want, "\n"))
		}
		st.Message(1, 0, &m)
		if device, seq := metrics(t, m.Payload); len(device) != 2 || !strings.HasPrefix(device[0], "value ") || seq != "3=1" {
			t.Errorf("DBIRTH: %s %v", seq, device)
		}
		for i := range 300 {
			st.Message(2, 0, &m)
			data, seq := metrics(t, m.Payload)
			if len(data) != 2 || !strings.HasPrefix(data[0], "2=1 ") || seq != fmt.Sprintf("3=%d", (i+2)%256) {
				t.Fatalf("DDATA: %s %v", seq, data)
			}
		}
		st.End()
	}
}
