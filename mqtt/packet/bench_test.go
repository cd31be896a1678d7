package packet

import (
	"strconv"
	"testing"
)

// benchPublish is a message as sensors send it: a topic of 27 bytes, 64 bytes of payload.
func benchPublish(qos byte, properties bool) *Publish {
	p := &Publish{Topic: []byte("plant/7/line/3/robot/12/tmp"), Payload: make([]byte, 64), QoS: qos, PacketID: 77}
	if properties {
		p.Properties.SetMessageExpiry(3600)
		p.Properties.SetContentType([]byte("application/json"))
		p.Properties.AddUser([]byte("traceparent"), []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	}
	return p
}

// benchCases are the messages of the benchmarks.
func benchCases(run func(name string, v Version, p *Publish)) {
	for _, v := range []Version{V311, V5} {
		for qos := range byte(2) {
			run("v"+v.String()+"/QoS"+strconv.Itoa(int(qos)), v, benchPublish(qos, false))
		}
	}
	run("v5.0/QoS1-properties", V5, benchPublish(1, true))
}

func BenchmarkDecodePublish(b *testing.B) {
	benchCases(func(name string, v Version, p *Publish) {
		wire := p.Append(nil, v)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var in Publish
			for b.Loop() {
				f, _, err := Next(wire, 1<<20)
				if err != nil || in.Decode(v, f.Header, f.Body) != nil {
					b.Fatal("not decoded")
				}
			}
		})
	})
}

func BenchmarkAppendPublish(b *testing.B) {
	benchCases(func(name string, v Version, p *Publish) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]byte, 0, 512)
			for b.Loop() {
				dst = p.Append(dst[:0], v)
			}
		})
	})
}

func BenchmarkAppendOutgoing(b *testing.B) {
	benchCases(func(name string, v Version, p *Publish) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]byte, 0, 512)
			o := Outgoing{Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Shared: p.Properties.AppendShared(nil),
				HasExpiry: p.Properties.Present.Has(PropMessageExpiry), Expiry: 60}
			for b.Loop() {
				o.PacketID++
				dst = o.Append(dst[:0], v)
			}
		})
	})
}

func BenchmarkReaddress(b *testing.B) {
	b.ReportAllocs()
	frame := benchPublish(1, true).Append(nil, V5)
	for i := uint16(1); b.Loop(); i++ {
		Readdress(frame, i, false)
	}
}

func BenchmarkAck(b *testing.B) {
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		wire := AppendAck(nil, V5, TypePuback, 7, ReasonSuccess)
		var in Ack
		for b.Loop() {
			f, _, err := Next(wire, 1<<20)
			if err != nil || in.Decode(V5, f.Header, f.Body) != nil {
				b.Fatal("not decoded")
			}
		}
	})
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, 16)
		for b.Loop() {
			dst = AppendAck(dst[:0], V5, TypePuback, 7, ReasonSuccess)
		}
	})
}

// A refusal costs no allocation either: a flood of broken packets makes no garbage.
func BenchmarkRefuse(b *testing.B) {
	b.ReportAllocs()
	wire := []byte{0x30, 4, 0, 2, 'a', '#'}
	var in Publish
	for b.Loop() {
		f, _, err := Next(wire, 1<<20)
		if err != nil || in.Decode(V311, f.Header, f.Body) == nil {
			b.Fatal("accepted")
		}
	}
}
