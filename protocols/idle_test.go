package protocols

import "github.com/fairlead-iot/fairlead/core"

// idleAdapter's machines cost nothing: what is measured is the edge.
type idleAdapter struct{}

type idleMachine struct{}

func (idleAdapter) Name() string                            { return "line" }
func (idleAdapter) NewMachine(*ConnInfo, core.Conn) Machine { return idleMachine{} }

func (idleMachine) Input(_ *core.Turn, b []byte, a *Actions) int {
	a.Accepted = true
	a.Out = append(a.Out, b...)
	return len(b)
}
func (idleMachine) Complete(*core.Turn, core.Completion, *Actions) {}
func (idleMachine) Tick(*core.Turn, *Actions)                      {}
func (idleMachine) Output(*core.Turn, *Out) bool                   { return false }
func (idleMachine) Stop(*core.Turn, core.Reason, *Actions)         {}
func (idleMachine) Closed(*core.Turn, core.Reason)                 {}
