package mqtt

import (
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

// elsewhere sends clients to b:1883.
func elsewhere(moved bool) func(*Config) {
	return func(c *Config) { c.DrainRedirect, c.DrainRedirectMoved, c.ReasonStrings = "b:1883", moved, false }
}

// TestDrainRedirects: clients that can be told are sent to another server when the
// gateway stops. [MQTT 5 section 4.11]
func TestDrainRedirects(t *testing.T) {
	for _, c := range []struct {
		name, connect, out string
		change             func(*Config)
		why                core.Reason
	}{
		{"stopping", connect5, "e0 0b 9c 09 1c 0006 623a31383833", elsewhere(false), core.ServerShuttingDown},
		{"moved", connect5, "e0 0b 9d 09 1c 0006 623a31383833", elsewhere(true), core.ServerShuttingDown},
		{"on demand", connect5, "e0 0b 9c 09 1c 0006 623a31383833", elsewhere(false), core.UseAnotherServer},
		{"on demand, to nowhere", connect5, "e0 01 9c", func(c *Config) { c.ReasonStrings = false }, core.UseAnotherServer},
		{"another reason", connect5, "e0 01 98", elsewhere(false), core.AdministrativeAction},
		{"no room for the reference", connect5With("27 0000000c"), "e0 01 9c", elsewhere(false), core.ServerShuttingDown},
		{"3.1.1 hears nothing", connect311, "", elsewhere(false), core.ServerShuttingDown},
		{"3.1 hears nothing", connect31, "", elsewhere(false), core.UseAnotherServer},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.change)
			r.in(c.connect)
			r.m.accepts()
			r.a.Reset()
			r.m.Stop(r.turn, c.why, &r.a)
			r.wantOut(hexOf(r.a.Out), c.out)
			r.wantEnd(c.why)
		})
	}
}

// accepts makes a machine one whose client was let in, whatever it could be told.
func (m *Machine) accepts() { m.state = open }

// TestConnectWhileDraining: so are clients that come in while it stops; older ones
// read that the server is not available.
func TestConnectWhileDraining(t *testing.T) {
	for connect, out := range map[string]string{
		connect5:   "20 0c 00 9c 09 1c 0006 623a31383833",
		connect311: "20 02 00 03",
	} {
		r := newRig(t, elsewhere(false))
		r.gw.connect = core.ConnectResult{Reason: core.ServerShuttingDown}
		r.wantOut(r.in(connect), out)
		r.wantEnd(core.ServerShuttingDown)
	}
}

func TestRedirectIsChecked(t *testing.T) {
	c := DefaultConfig()
	c.DrainRedirectMoved = true
	if c.Validate() == nil {
		t.Error("moved, to nowhere")
	}
	c.DrainRedirect = "\xff"
	if c.Validate() == nil {
		t.Error("no UTF-8")
	}
	c.DrainRedirect = "a:1883 b:1883"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
