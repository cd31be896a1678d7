package scenario

import "time"

// newScenario is what a file's settings are put over.
func newScenario() *Scenario {
	return &Scenario{
		Title:    "A fleet",
		Broker:   "mqtt://127.0.0.1:1883",
		Duration: time.Minute,
		Settle:   10 * time.Second,
		Expect:   Expect{Connected: 1, WillWithin: 2 * time.Second},
	}
}

// SetDefaults is what a group has unless its file says otherwise.
func (g *Group) SetDefaults(string) {
	*g = Group{
		Count:     1,
		Protocol:  "mqtt5",
		ClientID:  "{group}-{n}",
		KeepAlive: time.Minute,
		Reconnect: Reconnect{Min: time.Second, Max: 30 * time.Second, Jitter: 0.5},
	}
}

// SetDefaults is what a stream has unless its file says otherwise.
func (p *Publish) SetDefaults(string) {
	*p = Publish{Schedule: "fixed", Count: 1, Payload: defaultPayload()}
}

// SetDefaults is what an answer has unless its file says otherwise.
func (r *Respond) SetDefaults(string) { *r = Respond{Payload: defaultPayload()} }

func defaultPayload() Payload { return Payload{Kind: "auto", Mark: "payload"} }

// sessionExpiry is the Session Expiry Interval of a group's devices in seconds.
func (g *Group) sessionExpiry() uint32 {
	switch {
	case !g.Durable:
		return 0
	case g.Expiry == 0:
		return 3600
	}
	return wholeSeconds(g.Expiry)
}

// wholeSeconds rounds up, as an expiry that is not 0 must not become none.
func wholeSeconds(d time.Duration) uint32 {
	return uint32(min((d+time.Second-1)/time.Second, 1<<32-2))
}
