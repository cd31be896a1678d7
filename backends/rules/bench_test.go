package rules

import (
	"context"
	"fmt"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

// nowhere is a database that has done everything at once.
type nowhere struct{ Database }

func (nowhere) Do(_ context.Context, jobs []Job) (int, error) { return len(jobs), nil }
func (nowhere) Close() error                                  { return nil }

// BenchmarkRules is what the engine costs for each message that one rule stores, from the
// event to the database and back, without the database.
func BenchmarkRules(b *testing.B) { benchmarkRules(b, AckNone) }

// BenchmarkRulesSync is the same with publishers that wait.
func BenchmarkRulesSync(b *testing.B) { benchmarkRules(b, AckSync) }

func benchmarkRules(b *testing.B, ack string) {
	cfg := DefaultConfig()
	cfg.Queue = 1 << 30
	e, err := New(Options{Driver: Driver{Name: "none"}, Config: cfg, Pools: map[string]Database{"p": nowhere{}},
		Rules: []Rule{{Hook: MessagePublish, Topic: "#", Function: OnMessagePublish, Ack: ack}}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Run(ctx, core.New(core.Options{Config: core.DefaultConfig()}), 0)
	}()
	events := make([]core.Event, 64)
	for i := range events {
		m := &core.Message{Topic: fmt.Sprintf("sensors/%d/temperature", i), Payload: make([]byte, 100), Publisher: "sensor", QoS: 1, ID: uint64(i)}
		events[i] = core.Event{Kind: core.EventPublish, Topic: m.Topic, ClientID: m.Publisher, QoS: 1, Msg: m}
		if ack == AckSync {
			events[i].Done = func(error) {}
		}
	}
	p := e.pools[0]
	sink := published{p}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += len(events) {
		if sink.Take(events) != len(events) {
			b.Fatal("full")
		}
	}
	all := make(chan struct{})
	p.barriers.add(p.writing.latest(), func() { close(all) })
	<-all
	b.StopTimer()
	cancel()
	<-ended
}

// BenchmarkCheck is what a configuration of 2000 rules costs to look through.
func BenchmarkCheck(b *testing.B) {
	var list []Rule
	for i := range 2000 {
		list = append(list, Rule{Hook: MessagePublish, Topic: fmt.Sprintf("site/%d/#", i), Function: OnMessagePublish})
	}
	d := Driver{Name: "none", Functions: SQLFunctions()}
	for b.Loop() {
		if err := Check(&d, nil, list); err != nil {
			b.Fatal(err)
		}
	}
}
