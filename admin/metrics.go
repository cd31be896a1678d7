package admin

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fairlead-iot/fairlead/core"
)

// metricsAtOnce bounds the scrapes under way.
const metricsAtOnce = 4

// metrics makes the /metrics page with a registry of its own.
func (s *Server) metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(
		newCollector(s),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		MaxRequestsInFlight: metricsAtOnce,
		Timeout:             s.opts.Config.RequestTimeout,
	})
}

// collector turns the figures of one moment into metrics.
type collector struct {
	server   *Server
	counters [core.CounterCount]*prometheus.Desc
	reasons  *prometheus.Desc
	gauges   []gauge
	build    *prometheus.Desc
	listener [10]*prometheus.Desc // open, unauthenticated, accepted, delayed, refused, throttled, throttles, rests, rested, queues
	rule     [8]*prometheus.Desc  // done, dropped, kept, failed, retried, read, waiting, away
	handler  []handlerFigure
	hash     [2]*prometheus.Desc // made, failures
}

// gauge is one row of the table of figures that are not in core's counters.
type gauge struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*core.Stats) float64
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("fairlead_"+name, help, labels, nil)
}

func ruleFigure(name, help string) *prometheus.Desc {
	return describe(name, help, "backend", "pool", "hook", "topic", "function")
}

func newCollector(s *Server) *collector {
	c := &collector{
		server:  s,
		reasons: describe("reason_total", "Refusals, drops, expiries and ends by their reason.", "reason"),
		build:   describe("build_info", "1, with what was built as labels.", "version", "commit"),
		gauges:  gauges(),
		handler: handlerFigures(),
		hash: [2]*prometheus.Desc{
			describe("password_hashes_total", "Costly hashes of passwords (argon2id, bcrypt, PBKDF2), made by processes apart or by the gateway itself.", "made"),
			describe("password_hash_failures_total", "Processes for them that failed or could not be begun."),
		},
		listener: [10]*prometheus.Desc{
			describe("listener_connections", "Connections open.", "listener"),
			describe("listener_unauthenticated", "Connections that their protocol has not accepted yet.", "listener"),
			describe("listener_accepted_total", "Connections taken from the kernel.", "listener"),
			describe("listener_delayed_total", "Times that accepting paused: accept_rate, or no descriptors left.", "listener"),
			describe("listener_refused_total", "Connections that the edge ended by itself.", "listener", "reason"),
			describe("listener_throttled", "Connections that are not read from now, as they or all together send too fast.", "listener"),
			describe("listener_throttles_total", "Times that reading from a connection stopped for that.", "listener"),
			describe("listener_rests_total", "Of them, those because it took more than client_processor_share.", "listener"),
			describe("listener_rest_seconds_total", "Time that those were to last.", "listener"),
			describe("listener_accept_queues", "Queues of the kernel in which connections of an address wait, apart by where they come from; 1: all in one.", "listener"),
		},
		rule: [8]*prometheus.Desc{
			ruleFigure("rule_done_total", "What a data rule has had the database do."),
			ruleFigure("rule_dropped_total", "What the database refused for good, or what there was no room for."),
			ruleFigure("rule_kept_total", "What the database refused for good, and stands in the file of refusals."),
			ruleFigure("rule_failed_total", "Tries that failed."),
			ruleFigure("rule_retried_total", "What was given to the database again."),
			ruleFigure("rule_read_total", "Messages or subscriptions that were read."),
			ruleFigure("rule_waiting", "What waits for the database."),
			ruleFigure("rule_away_seconds", "How long the database has not answered, 0 while it does."),
		},
	}
	for i := range c.counters {
		name := core.Counter(i).String()
		c.counters[i] = describe(name+"_total", "Counter "+name+" of the gateway; /api/v1/stats has it too.")
	}
	return c
}

func gauges() []gauge {
	row := func(name, help string, read func(*core.Stats) float64) gauge {
		return gauge{describe(name, help), prometheus.GaugeValue, read}
	}
	total := func(name, help string, read func(*core.Stats) float64) gauge {
		return gauge{describe(name, help), prometheus.CounterValue, read}
	}
	return []gauge{
		row("start_time_seconds", "When the gateway started, Unix seconds.", func(s *core.Stats) float64 { return float64(s.Started.Unix()) }),
		row("sessions", "Sessions, connected or not.", func(s *core.Stats) float64 { return float64(s.Sessions) }),
		row("connections", "Connections open.", func(s *core.Stats) float64 { return float64(s.Connections) }),
		row("subscriptions", "Subscriptions of all sessions.", func(s *core.Stats) float64 { return float64(s.Subscriptions) }),
		row("routes", "Distinct topic filters.", func(s *core.Stats) float64 { return float64(s.Routes) }),
		row("route_bytes", "Memory of the route table.", func(s *core.Stats) float64 { return float64(s.RouteBytes) }),
		row("retained", "Retained messages.", func(s *core.Stats) float64 { return float64(s.Retained) }),
		row("delayed", "Messages that wait for their time ($delayed/SECONDS/TOPIC).", func(s *core.Stats) float64 { return float64(s.Delayed) }),
		row("delayed_bytes", "Bytes of them.", func(s *core.Stats) float64 { return float64(s.DelayedBytes) }),
		row("pending", "Messages matched and neither delivered, expired nor dropped yet.", func(s *core.Stats) float64 { return float64(s.Pending()) }),
		row("store_healthy", "1 while the store takes writes, else 0.", func(s *core.Stats) float64 {
			if s.StoreHealth != nil {
				return 0
			}
			return 1
		}),
		row("store_bytes", "Size of the store.", func(s *core.Stats) float64 { return float64(s.Store.Bytes) }),
		row("store_sessions", "Sessions in the store.", func(s *core.Stats) float64 { return float64(s.Store.Sessions) }),
		row("store_queued", "Queue entries in the store.", func(s *core.Stats) float64 { return float64(s.Store.Queued) }),
		row("store_retained", "Retained messages in the store.", func(s *core.Stats) float64 { return float64(s.Store.Retained) }),
		total("store_group_commits_total", "Group commits done.", func(s *core.Stats) float64 { return float64(s.Store.Commits) }),
		total("store_committed_batches_total", "Batches in them.", func(s *core.Stats) float64 { return float64(s.Store.Batches) }),
		total("store_failed_batches_total", "Batches that failed.", func(s *core.Stats) float64 { return float64(s.Store.Failed) }),
		total("store_damaged_records_total", "Records found damaged and passed over; the log names them.", func(s *core.Stats) float64 { return float64(s.Store.Damaged) }),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.counters {
		out <- d
	}
	for _, g := range c.gauges {
		out <- g.desc
	}
	for _, d := range c.listener {
		out <- d
	}
	for _, d := range c.rule {
		out <- d
	}
	for _, f := range c.handler {
		out <- f.desc
	}
	for _, d := range c.hash {
		out <- d
	}
	out <- c.reasons
	out <- c.build
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	o := &c.server.opts
	s := o.Source.Stats()
	for i, n := range s.Counters {
		out <- prometheus.MustNewConstMetric(c.counters[i], prometheus.CounterValue, float64(n))
	}
	for i, n := range s.Reasons {
		if r := core.Reason(i); r != core.Success {
			out <- prometheus.MustNewConstMetric(c.reasons, prometheus.CounterValue, float64(n), r.String())
		}
	}
	for _, g := range c.gauges {
		out <- prometheus.MustNewConstMetric(g.desc, g.kind, g.read(&s))
	}
	out <- prometheus.MustNewConstMetric(c.build, prometheus.GaugeValue, 1, o.Version, o.Commit)
	if o.Listeners != nil {
		for _, l := range o.Listeners() {
			c.collectListener(out, &l)
		}
	}
	if o.Handlers != nil {
		for _, h := range o.Handlers() {
			for _, f := range c.handler {
				out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.read(&h), h.Listener)
			}
		}
	}
	if o.Hashes != nil {
		c.collectHashes(out, o.Hashes())
	}
	if o.Rules != nil {
		for _, r := range o.Rules() {
			c.collectRule(out, &r)
		}
	}
}

func (c *collector) collectHashes(out chan<- prometheus.Metric, h HashFigures) {
	put := func(i int, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(c.hash[i], prometheus.CounterValue, float64(n), labels...)
	}
	put(0, h.Apart, "apart")
	put(0, h.Here, "gateway")
	put(1, h.Failed)
}

func (c *collector) collectRule(out chan<- prometheus.Metric, r *RuleFigures) {
	put := func(i int, kind prometheus.ValueType, v float64) {
		out <- prometheus.MustNewConstMetric(c.rule[i], kind, v, r.Backend, r.Pool, r.Hook, r.Topic, r.Function)
	}
	for i, n := range []uint64{r.Done, r.Dropped, r.Kept, r.Failed, r.Retried, r.Read} {
		put(i, prometheus.CounterValue, float64(n))
	}
	put(6, prometheus.GaugeValue, float64(r.Waiting))
	put(7, prometheus.GaugeValue, r.AwaySeconds)
}

func (c *collector) collectListener(out chan<- prometheus.Metric, l *ListenerFigures) {
	put := func(i int, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(c.listener[i], kind, v, append([]string{l.Name}, labels...)...)
	}
	put(0, prometheus.GaugeValue, float64(l.Open))
	put(1, prometheus.GaugeValue, float64(l.Unauthenticated))
	put(2, prometheus.CounterValue, float64(l.Accepted))
	put(3, prometheus.CounterValue, float64(l.Delayed))
	put(5, prometheus.GaugeValue, float64(l.Throttled))
	put(6, prometheus.CounterValue, float64(l.Throttles))
	put(7, prometheus.CounterValue, float64(l.Rests))
	put(8, prometheus.CounterValue, l.Rested.Seconds())
	put(9, prometheus.GaugeValue, float64(l.Queues))
	for i, n := range l.Refused {
		if n > 0 {
			put(4, prometheus.CounterValue, float64(n), core.Reason(i).String())
		}
	}
}

// handlerFigure is one row of the table of what handlers of private protocols have.
type handlerFigure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*HandlerFigures) float64
}

func handlerFigures() []handlerFigure {
	row := func(name, help string, kind prometheus.ValueType, read func(*HandlerFigures) float64) handlerFigure {
		return handlerFigure{describe("handler_"+name, help, "listener"), kind, read}
	}
	return []handlerFigure{
		row("streams", "Streams to the handler of a private protocol, as configured.", prometheus.GaugeValue, func(h *HandlerFigures) float64 { return float64(h.Streams) }),
		row("streams_up", "Streams with a handler behind.", prometheus.GaugeValue, func(h *HandlerFigures) float64 { return float64(h.Up) }),
		row("clients", "Clients that are the handler's.", prometheus.GaugeValue, func(h *HandlerFigures) float64 { return float64(h.Clients) }),
		row("waiting_bytes", "Bytes of events that wait for the handler.", prometheus.GaugeValue, func(h *HandlerFigures) float64 { return float64(h.Waiting) }),
		row("blocked", "Clients that are not read from, as the handler takes too little.", prometheus.GaugeValue, func(h *HandlerFigures) float64 { return float64(h.Blocked) }),
		row("faults_total", "Commands of the handler that were wrong.", prometheus.CounterValue, func(h *HandlerFigures) float64 { return float64(h.Faults) }),
		row("lost_total", "Events that the handler did not get, as it went away.", prometheus.CounterValue, func(h *HandlerFigures) float64 { return float64(h.Lost) }),
		row("ends_total", "Streams that ended.", prometheus.CounterValue, func(h *HandlerFigures) float64 { return float64(h.Ends) }),
	}
}
