// Package fairlead is the embeddable gateway: [Config], [New] and
// [Gateway.Run]. It is the only place that wires the parts together: store,
// core, adapters, edge and admin server, each from its own section of the
// configuration. It holds no globals, handles no signals and never ends the
// process; the command in cmd/fairlead does that.
//
//	cfg := fairlead.DefaultConfig()
//	cfg.Node.DataDir = dir
//	g, err := fairlead.New(cfg, log)
//	if err != nil { … }
//	err = g.Run(ctx) // serves until ctx ends, then drains
//
// # Order
//
// Run opens the data directory, restores what it holds, opens the admin address
// and last the listeners: no client is served before its session is there. It
// ends in the opposite order: clients are told to leave, their last writes are
// committed, the store is closed.
package fairlead
