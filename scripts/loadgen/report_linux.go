package main

import (
	"math"
	"time"
)

// report is what a traffic mode prints.
type report struct {
	Mode       string  `json:"mode"`
	QoS        int     `json:"qos"`
	Version    string  `json:"version"`
	Publishers int     `json:"publishers"`
	Receivers  int     `json:"receivers"`
	Payload    int     `json:"payload"`
	Window     int     `json:"window"` // 0: paced
	Rate       int     `json:"rate"`   // 0: closed loop
	Seconds    float64 `json:"seconds"`

	Published  uint64  `json:"published"`
	Deliveries uint64  `json:"deliveries"`
	PerSecond  float64 `json:"deliveries_per_s"`
	P50        float64 `json:"p50_us"`
	P99        float64 `json:"p99_us"`
	P999       float64 `json:"p999_us"`
	Max        float64 `json:"max_us"`

	LoadCPU     float64 `json:"load_us"` // the generator's CPU time a delivery, µs
	LoadCores   float64 `json:"load_cores"`
	Broker      float64 `json:"broker_us"` // the broker's; all of these 0 without -pid
	BrokerUser  float64 `json:"broker_user_us"`
	BrokerSys   float64 `json:"broker_sys_us"`
	BrokerCores float64 `json:"broker_cores"`
	BrokerRSS   int64   `json:"broker_rss"` // bytes, at the end

	Stalls   uint64 `json:"stalls"`
	Withheld uint64 `json:"withheld"`
	faults
}

func (r *run) report() (*report, error) {
	o, c := r.options, &r.traffic.counts
	seconds := float64(r.ended.at-r.began.at) / 1e9
	own, broker := r.ended.own.minus(r.began.own), r.ended.broker.minus(r.began.broker)
	out := &report{
		Mode: o.mode, QoS: o.qos, Version: o.version().String(), Publishers: o.pubs, Receivers: o.subs, Payload: o.payload,
		Window: o.window, Rate: o.rate, Seconds: rounded(seconds),
		Published: c.published, Deliveries: c.deliveries, PerSecond: rounded(float64(c.deliveries) / seconds),
		P50: micros(c.latency.quantile(0.5)), P99: micros(c.latency.quantile(0.99)),
		P999: micros(c.latency.quantile(0.999)), Max: micros(c.latency.max),
		LoadCPU: each(own.total(), c.deliveries), LoadCores: rounded(own.total().Seconds() / seconds),
		Broker: each(broker.total(), c.deliveries), BrokerUser: each(broker.user, c.deliveries),
		BrokerSys: each(broker.system, c.deliveries), BrokerCores: rounded(broker.total().Seconds() / seconds),
		Stalls: c.stalls, Withheld: c.withheld, faults: r.traffic.ledger.close(),
	}
	if o.pid == 0 {
		return out, nil
	}
	var err error
	out.BrokerRSS, err = residentOf(o.pid)
	return out, err
}

// each is µs per delivery, 0 if there was none.
func each(d time.Duration, deliveries uint64) float64 {
	if deliveries == 0 {
		return 0
	}
	return rounded(float64(d) / 1e3 / float64(deliveries))
}

func micros(ns int64) float64 { return rounded(float64(ns) / 1e3) }

// rounded drops what no measurement can tell.
func rounded(v float64) float64 { return math.Round(v*1000) / 1000 }
