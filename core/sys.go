package core

import (
	"strconv"
	"time"
)

// sysTicker ticks every interval, or never.
type sysTicker struct {
	c <-chan time.Time
	t *time.Ticker
}

func newSysTicker(every time.Duration) sysTicker {
	if every <= 0 {
		return sysTicker{}
	}
	t := time.NewTicker(every)
	return sysTicker{t.C, t}
}

func (s sysTicker) stop() {
	if s.t != nil {
		s.t.Stop()
	}
}

// publishSys publishes the $SYS tree: retained, QoS 0, one topic a figure, under
// $SYS/brokers/NODE as EMQ X spells it, and the names mosquitto's users know.
// Who may read it is the ACL's matter: nobody by default but loopback.
func (g *Gateway) publishSys(t *Turn) {
	s := g.Stats()
	base := "$SYS/brokers/" + g.node + "/"
	put := func(topic, value string) {
		if err := g.PublishInternal(t, &Message{Topic: topic, Payload: []byte(value), Retain: true}); err != nil {
			g.log.Error("a $SYS topic cannot be published; check node.name and core.max_topic_length", "err", err)
		}
	}
	num := func(topic string, v int64) { put(topic, strconv.FormatInt(v, 10)) }
	uptime := int64(time.Since(s.Started) / time.Second)
	put("$SYS/brokers", g.node)
	put(base+"version", g.vers)
	num(base+"uptime", uptime)
	put(base+"datetime", time.Now().UTC().Format(time.RFC3339))
	put(base+"sysdescr", "Fairlead")
	num(base+"stats/connections/count", s.Connections)
	num(base+"stats/sessions/count", s.Sessions)
	num(base+"stats/subscriptions/count", s.Subscriptions)
	num(base+"stats/routes/count", s.Routes)
	num(base+"stats/retained/count", s.Retained)
	num(base+"stats/delayed/count", s.Delayed)
	for i := range s.Counters {
		num(base+"metrics/"+Counter(i).String(), int64(s.Counters[i]))
	}
	put("$SYS/broker/version", "fairlead "+g.vers)
	put("$SYS/broker/uptime", strconv.FormatInt(uptime, 10)+" seconds")
	num("$SYS/broker/clients/connected", s.Connections)
	num("$SYS/broker/clients/total", s.Sessions)
	num("$SYS/broker/subscriptions/count", s.Subscriptions)
	num("$SYS/broker/retained messages/count", s.Retained)
	num("$SYS/broker/messages/received", int64(s.Get(MessagesReceived)))
	num("$SYS/broker/messages/sent", int64(s.Get(DeliveriesSent)))
	num("$SYS/broker/bytes/received", int64(s.Get(BytesReceived)))
	num("$SYS/broker/bytes/sent", int64(s.Get(BytesSent)))
	num("$SYS/broker/publish/messages/dropped", int64(s.Get(Dropped)))
}
