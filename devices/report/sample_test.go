package report

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// sampleExpect are the expectations of the sample runs.
func sampleExpect() scenario.Expect {
	return scenario.Expect{
		Connected: 0.999, LossQoS0: 0.0001, Latency50: 5 * time.Millisecond, Latency99: 50 * time.Millisecond,
		Connect99: time.Second, MinPublished: 100_000,
	}
}

// goodRun is a run in which all went well, of n samples a second apart.
func goodRun(n int) *Run {
	v := &oracle.Verdict{
		Total: oracle.Counts{Sent: 1_190_421, Acked: 590_201, Expected: 2_380_711, Received: 2_380_942, Delivered: 2_380_702, Optional: 218, Repeated: 22, LostQoS0: 9},
		QoS: [3]oracle.Counts{
			{Sent: 600_220, Expected: 1_200_440, Received: 1_200_440, Delivered: 1_200_431, Optional: 9, LostQoS0: 9},
			{Sent: 590_201, Acked: 590_201, Expected: 1_180_271, Received: 1_180_502, Delivered: 1_180_271, Optional: 209, Repeated: 22},
		},
		Group: map[string]*oracle.Counts{
			"meters": {Sent: 1_190_421, Acked: 590_201},
			"boards": {Expected: 2_380_711, Received: 2_380_942, Delivered: 2_380_702},
		},
		ByFault: map[string]uint64{}, Refusals: map[string]uint64{}, Skipped: map[string]uint64{},
		Latency: quantiles(2_380_702, 90_000, 1_240_000), Ack: quantiles(590_201, 60_000, 830_000),
		Connect: quantiles(10_020, 110_000, 2_310_000),
	}
	r := &Run{
		Format: Format, Title: "Smart meters: 10,000 devices report every ten seconds",
		Description: "Half of the readings go at QoS 0, half at QoS 1. Twenty boards subscribe to a district each.",
		Broker:      "mqtt://127.0.0.1:1883", Name: "fairlead", Seed: 42,
		Begun: time.Date(2026, 11, 24, 12, 30, 5, 0, time.UTC), Took: 126 * time.Second, Planned: 125 * time.Second,
		Version: "0.9.0", Machine: "linux/amd64, 8 cores", Devices: 10_020, Connected: 10_020, Processes: 2,
		Scenario: "title = \"Smart meters\"\nduration = \"2m\"\n\n[groups.meters]\ncount = 10000\n",
		Groups: []GroupInfo{
			{Name: "boards", Description: "what people look at", Protocol: "mqtt5", Devices: 20, Connected: 20},
			{Name: "meters", Description: "send readings", Protocol: "mqtt3.1.1", Devices: 10_000, Connected: 10_000},
		},
		Verdict: v, Timeline: sampleTimeline(n),
		Fleet:       Usage{CPU: 48.2, Warm: 1.5, Played: 45.1, PeakRSS: 412 << 20, PerDevice: 21_400, Goroutines: 20_112, Sockets: 10_020},
		Played:      2_380_930,
		BrokerUsage: &Usage{CPU: 31.7, Warm: 0.8, Played: 29.9, PeakRSS: 96 << 20, PerDevice: 3_900},
	}
	r.Checks = Judge(sampleExpect(), v, r.Devices, r.Connected)
	r.Passed = Passes(r.Checks)
	return r
}

// badRun is the same against a broker that makes mistakes.
func badRun(n int) *Run {
	r := goodRun(n)
	r.Name, r.Broker = "brand x", "mqtt://127.0.0.1:21883"
	r.Connected = 9_988
	r.Groups[1].Connected = 9_968
	v := r.Verdict
	v.Faults[oracle.LostMessage], v.Faults[oracle.WrongWill] = 312, 2
	v.ByFault = map[string]uint64{"lost message": 312, "wrong Will": 2}
	v.Refusals = map[string]uint64{"connect: server busy": 32}
	v.Skipped = map[string]uint64{"memory: too many messages under way": 1_204}
	v.Total.Delivered -= 312
	v.QoS[1].Delivered -= 312
	v.QoS[1].Unfinished, v.Total.Unfinished = 7, 7
	v.Latency, v.Resume = quantiles(2_380_390, 90_000, 4_800_000), quantiles(31, 1_000_000, 120_000_000)
	for i := range 5 {
		v.Examples = append(v.Examples, oracle.Example{
			Fault: oracle.LostMessage, Kind: "lost message", At: 61_000_000_000 + int64(i)*1_250_000, Device: "board-3", Publisher: "meter-417",
			Topic: "city/district-3/meter-417/reading", Seq: uint64(i + 4), Detail: "sent at QoS 1 and acknowledged; subscribed at QoS 1 since 58 s before; never came",
		})
	}
	v.Examples = append(v.Examples, oracle.Example{
		Fault: oracle.WrongWill, Kind: "wrong Will", At: 90_000_000_000, Device: "board-1", Publisher: "meter-9\x1b[2J<script>alert(1)</script>",
		Topic: "city/district-1/\"></td>", Detail: "came although the device had sent DISCONNECT",
	})
	r.Shortfalls = []Shortfall{{Reason: "no local port left", Count: 12, Advice: "give the fleet more addresses, or widen net.ipv4.ip_local_port_range"}}
	r.BrokerUsage = &Usage{CPU: 77.4, PeakRSS: 244 << 20, PerDevice: 18_200}
	for i := range r.Timeline {
		s := &r.Timeline[i]
		if i > n/2 {
			s.Faults = uint64(314 * (i - n/2) / max(n/2, 1))
			s.P50, s.P90, s.P99 = s.P50*3, s.P90*4, s.P99*9
		}
		if i == n/2 {
			s.Dropped, s.Refused, s.Connected = 180, 32, s.Connected-180
		}
	}
	r.Checks = Judge(sampleExpect(), v, r.Devices, r.Connected)
	r.Passed = Passes(r.Checks)
	return r
}

func quantiles(n uint64, least, median int64) oracle.Quantiles {
	return oracle.Quantiles{Count: n, Min: least, Mean: median * 13 / 10, P50: median, P90: median * 3, P99: median * 11, P999: median * 29, Max: median * 71}
}

// sampleTimeline has a ramp, a plateau with noise, and an end.
func sampleTimeline(n int) []Sample {
	random := rand.New(rand.NewPCG(1, 2))
	var list []Sample
	for i := range n {
		x := float64(i) / float64(max(n-1, 1))
		up := min(x*6, 1)
		busy := up
		if x > 0.95 {
			busy = 0
		}
		noise := func() float64 { return 0.96 + 0.08*random.Float64() }
		s := Sample{
			At: time.Duration(i+1) * time.Second, Connected: int(10_020 * up),
			Sent: math.Round(10_000 * busy * noise()), Received: math.Round(20_000 * busy * noise()), Acked: math.Round(5_000 * busy * noise()),
			FleetCPU: 5 + 38*busy*noise(), BrokerCPU: 2 + 27*busy*noise(), FleetRSS: uint64((60 + 350*up) * 1048576), BrokerRSS: uint64((12 + 84*up) * 1048576),
		}
		if up < 1 {
			s.Connects = math.Round(600 * noise())
		}
		if s.Measured = uint64(s.Received); s.Measured > 0 {
			s.P50 = time.Duration(1.2e6 * noise())
			s.P90 = time.Duration(3.4e6 * noise() * noise())
			s.P99 = time.Duration(1.3e7 * (0.6 + random.Float64()))
		}
		list = append(list, s)
	}
	return list
}
