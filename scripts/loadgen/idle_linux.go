package main

import (
	"fmt"
	"runtime"
	"time"
)

// idleReport is what the mode idle prints. Memory is 0 without -pid.
type idleReport struct {
	Mode          string  `json:"mode"`
	Version       string  `json:"version"`
	Connections   int     `json:"connections"`
	ConnectPerSec float64 `json:"connects_per_s"`
	ConnectUS     float64 `json:"broker_us_connect"` // the broker's CPU time for connect and subscribe
	Before        int64   `json:"rss_before"`
	After         int64   `json:"rss_after"`
	Settled       int64   `json:"rss_settled"`
	Each          float64 `json:"bytes_each"`
	EachSettled   float64 `json:"bytes_each_settled"`
	SettleSeconds float64 `json:"settle_seconds"`
	HoldSeconds   float64 `json:"hold_seconds"`
	PingCores     float64 `json:"ping_cores"` // the broker's, while holding
}

// idle connects and subscribes everybody, and reads the broker's memory before and after.
func (r *run) idle() (*idleReport, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer r.loop.close()
	o, out := r.options, &idleReport{Mode: r.options.mode, Version: r.options.version().String(), Connections: r.options.subs}
	var err error
	if out.Before, err = r.resident(); err != nil {
		return nil, err
	}
	if r.began, err = r.moment(); err != nil {
		return nil, err
	}
	if err := r.dialer.dial(0, o.subs); err != nil {
		return nil, err
	}
	if r.ended, err = r.moment(); err != nil {
		return nil, err
	}
	out.ConnectPerSec = rounded(float64(o.subs) * 1e9 / float64(r.ended.at-r.began.at))
	out.ConnectUS = each(r.ended.broker.minus(r.began.broker).total(), uint64(o.subs))
	if err := r.idleMemory(out); err != nil {
		return nil, err
	}
	return out, r.hold(out)
}

func (r *run) idleMemory(out *idleReport) error {
	var err error
	if out.After, err = r.resident(); err != nil {
		return err
	}
	if err := r.stay("the settling", r.options.settle); err != nil {
		return err
	}
	if out.Settled, err = r.resident(); err != nil {
		return err
	}
	n := float64(out.Connections)
	out.SettleSeconds = r.options.settle.Seconds()
	out.Each, out.EachSettled = rounded(float64(out.After-out.Before)/n), rounded(float64(out.Settled-out.Before)/n)
	return nil
}

// hold stays for the time asked, and reads what the pings cost the broker.
func (r *run) hold(out *idleReport) error {
	if r.options.hold <= 0 {
		return nil
	}
	began, err := r.moment()
	if err != nil {
		return err
	}
	if err := r.stay("the hold", r.options.hold); err != nil {
		return err
	}
	ended, err := r.moment()
	if err != nil {
		return err
	}
	out.HoldSeconds = rounded(float64(ended.at-began.at) / 1e9)
	out.PingCores = rounded(ended.broker.minus(began.broker).total().Seconds() / out.HoldSeconds)
	return nil
}

// stay does nothing but ping.
func (r *run) stay(phase string, d time.Duration) error {
	for end := r.loop.now() + int64(d); r.loop.at < end; {
		if err := r.turn(end); err != nil {
			return fmt.Errorf("during %s of %d connections: %w", phase, r.options.subs, err)
		}
	}
	return nil
}

func (r *run) resident() (int64, error) {
	if r.options.pid == 0 {
		return 0, nil
	}
	return residentOf(r.options.pid)
}
