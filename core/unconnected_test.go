package core_test

import (
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// Each bound of a message without a connection, and what it does not hold for.
func TestPublishUnconnectedBounds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.MaxRetained = 0 })
		for _, tt := range []struct {
			name string
			p    core.Publish
			want core.Reason
		}{
			{"plain", core.Publish{Topic: "a", Payload: []byte("x")}, core.Success},
			{"retained, with no room", core.Publish{Topic: "a", Payload: []byte("x"), Retain: true}, core.RetainedLimit},
			{"what deletes a retained message", core.Publish{Topic: "a", Retain: true}, core.Success},
			{"retained later", core.Publish{Topic: "$delayed/5/a", Payload: []byte("x"), Retain: true}, core.Success},
			{"too deep", core.Publish{Topic: strings.Repeat("/", 200)}, core.TopicNameInvalid},
			{"a delay that is none", core.Publish{Topic: "$delayed/x/a", Payload: []byte("x")}, core.TopicNameInvalid},
		} {
			if r := g.PublishUnconnected(g.T, &core.Identity{}, &tt.p); r != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, r, tt.want)
			}
		}
		g.Stopping()
		if r := g.PublishUnconnected(g.T, &core.Identity{}, &core.Publish{Topic: "a"}); r != core.ServerShuttingDown {
			t.Errorf("while stopping: %s", r)
		}
	})
}
