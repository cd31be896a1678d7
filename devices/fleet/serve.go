package fleet

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// Serve holds a part of a fleet for the process that judges: it takes orders from in and
// answers on out until in ends or the part is finished. o has to be what the other
// process has, with the same seed.
func Serve(o Options, part Part, in io.Reader, out io.Writer) error {
	o = o.withDefaults()
	f := newFramer(out)
	plan, err := o.Scenario.Plan(seedOf(o.Scenario))
	if err != nil {
		f.write(frameFailed, 0, []byte(err.Error()), true)
		return err
	}
	crew, err := newLocal(&o, plan, part, func(worker int) sink { return &piped{worker: worker, to: f} })
	if err != nil {
		f.write(frameFailed, 0, []byte(err.Error()), true)
		return err
	}
	f.json(frameStatus, crew.status()) // before anybody asks
	f.write(frameReady, 0, nil, true)
	orders := make(chan instruction)
	stop := make(chan struct{})
	defer close(stop)
	go readOrders(in, orders, stop)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.json(frameStatus, crew.status())
			continue
		case i, ok := <-orders:
			if ok && i.Do != "finish" {
				crew.obey(i)
				f.json(frameStatus, crew.status())
				continue
			}
		}
		h, err := crew.finish()
		f.json(frameHarvest, h)
		return errors.Join(err, f.err)
	}
}

// readOrders passes on what comes, until in ends.
func readOrders(in io.Reader, to chan<- instruction, stop <-chan struct{}) {
	defer close(to)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var i instruction
		if json.Unmarshal(lines.Bytes(), &i) != nil {
			return
		}
		select {
		case to <- i:
		case <-stop:
			return
		}
	}
}

func (c *local) obey(i instruction) {
	switch i.Do {
	case "start":
		c.start(i.Warm, i.Begun, i.Now)
	case "hush":
		c.order(hush)
	case "cut":
		c.order(cut)
	case "leave":
		c.order(leave)
	}
}
