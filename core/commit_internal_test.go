package core

import "testing"

// TestCommitsGrowOnce: a commit takes the room of one that is over, and finds nothing of
// it there.
func TestCommitsGrowOnce(t *testing.T) {
	g := New(Options{Config: DefaultConfig()})
	turn := g.NewTurn()
	defer turn.Close()
	run := func() {
		for i := range 300 {
			c := turn.op(Op{Kind: OpDeleteRetained, Filter: "x"})
			if len(c.batch.Ops) != i+1 || c.batch.Ops[i].Filter != "x" {
				t.Fatalf("%d operations behind %d", len(c.batch.Ops), i)
			}
		}
		c := turn.commit
		turn.commit = nil
		ops := c.batch.Ops
		c.finish(turn)
		if ops[0].Filter != "" || ops[299].Filter != "" {
			t.Fatal("what is over is still held")
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n > 6 { // with the race detector the pool loses some
		t.Errorf("%v allocations", n)
	}
}
