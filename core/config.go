package core

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// Config bounds everything that core holds. Each number stands beside its
// reason; all are settings of the section [core].
type Config struct {
	MaxClientIDLength int `toml:"max_client_id_length" doc:"bytes; [MQTT 3.1.3.1] asks for at least 23, longer ids cost memory in every table"`
	MaxTopicLevels    int `toml:"max_topic_levels" doc:"levels a topic or filter may have; deep topics are the classic memory attack"`
	MaxTopicLength    int `toml:"max_topic_length" unit:"bytes" doc:"bytes a topic or filter may have"`
	MaxRegistrations  int `toml:"max_registrations" doc:"topics with a number of their own (MQTT-SN's topic ids) a session may hold; they are kept with it"`
	MaxSubscriptions  int `toml:"max_subscriptions" doc:"subscriptions a session may hold"`

	ReceiveMaximum  uint16   `toml:"receive_maximum" doc:"QoS 1 and 2 messages taken from a client unacknowledged; also the bound of the QoS 2 set"`
	MaxInflight     int      `toml:"max_inflight" doc:"QoS 1 and 2 messages sent to a client unacknowledged, where the client allows more"`
	MaxQueued       int      `toml:"max_queued" doc:"QoS 1 and 2 messages that wait for one session; beyond it some are dropped as queue_full"`
	MaxQueuedBytes  int      `toml:"max_queued_bytes" unit:"bytes" doc:"bytes that wait in memory for one session before the rest stays in the store or is dropped as queue_bytes_full"`
	QueueDrop       string   `toml:"queue_drop" oneof:"newest,oldest" doc:"what a full queue drops: newest (the message that comes) or oldest (those that wait longest give way to it, but none that was sent already)"`
	Priorities      []string `toml:"priorities" doc:"what goes first where messages wait for a session: rules FILTER = PRIORITY, such as \"alarm/# = 200\", with priorities from 1 to 255, the higher the sooner; the first that matches the topic counts; empty: all in the order they came"`
	PriorityDefault string   `toml:"priority_default" oneof:"lowest,highest" doc:"where topics stand that no rule of priorities matches: lowest (below all) or highest"`
	PrioritySpan    int      `toml:"priority_span" doc:"with priorities: messages of a queue in the store that are read ahead to choose from; a message overtakes at least so many"`

	MaxOutgoing  int  `toml:"max_outgoing" doc:"items handed to one connection and not yet written; QoS 0 beyond it is dropped as outgoing_full"`
	QueueQoS0    bool `toml:"queue_qos0" doc:"keep QoS 0 messages for disconnected durable sessions too"`
	MaxMatchWork int  `toml:"max_match_work" doc:"steps one publish may take in the route table, a few for each wildcard filter that it reaches, none for the subscribers of one filter; filters that are reached later are dropped as match_work_limit; a topic of 8 levels cannot reach 2,000"`
	MaxRetained  int  `toml:"max_retained" doc:"retained messages; beyond it a retained publish is refused as retained_limit"`

	MaxRetainedBytes int           `toml:"max_retained_bytes" unit:"bytes" doc:"bytes of all retained messages, properties and 96 for each included; they are held in memory; beyond it a retained publish is refused as retained_limit"`
	RetainedExpiry   time.Duration `toml:"retained_expiry" doc:"how long a message is retained that came without a Message Expiry Interval; 0 means for ever"`

	MaxDelayed         int           `toml:"max_delayed" doc:"messages to $delayed/SECONDS/TOPIC that wait for their time, about 400 bytes of memory each beside topic and payload; beyond it they are refused as delayed_limit; 0 refuses all"`
	MaxDelayedBytes    int           `toml:"max_delayed_bytes" unit:"bytes" doc:"bytes of them, properties and 96 for each included; they are held in memory"`
	MaxDelayedOfClient int           `toml:"max_delayed_of_client" doc:"how many of them one client may have, so that one cannot take the room of all"`
	MaxDelay           time.Duration `toml:"max_delay" doc:"longest delay; at most 4294967s"`

	MaxSessions        int `toml:"max_sessions" doc:"sessions, connected or not; beyond it a connect is refused as server_busy, but for clients that have one"`
	MaxSessionsPerUser int `toml:"max_sessions_per_user" doc:"sessions, connected or not, of one user name that was proven; beyond it a connect is refused as quota_exceeded, but for clients that have one; 0 means no limit, as fleets often share a name; anonymous clients are not counted"`

	SharedStrategy string `toml:"shared_strategy" doc:"who of a shared group gets a message: round_robin, random, sticky, hash_clientid, hash_topic, local; members without credit are passed over"`
	ExplainRecords int    `toml:"explain_records" doc:"explain records kept per event loop (about 150 bytes each)"`

	Bans           []string      `toml:"bans" doc:"who may not connect, lines KIND = VALUE: client_id = ID, username = NAME, or address = ADDRESS or network; the REST API adds others, which are kept in the store"`
	MaxBans        int           `toml:"max_bans" doc:"bans there may be; each takes some 300 bytes"`
	FlappingCount  int           `toml:"flapping_count" doc:"connections of a client that end abruptly within flapping_window until its client id is banned from its address; 0 turns this off"`
	FlappingWindow time.Duration `toml:"flapping_window" doc:"see flapping_count"`
	FlappingBan    time.Duration `toml:"flapping_ban" doc:"how long a client that flaps is banned"`

	MaxSessionExpiry time.Duration `toml:"max_session_expiry" doc:"longest Session Expiry Interval granted; 0 means no limit"`
	ServerKeepAlive  time.Duration `toml:"server_keep_alive" doc:"keep alive asked of MQTT 5 clients in place of their own; 0 leaves theirs"`
	MaxKeepAlive     time.Duration `toml:"max_keep_alive" doc:"longest keep alive; clients that ask for none or more are told this one (MQTT 5) ; 0 means no limit"`
	SysInterval      time.Duration `toml:"sys_interval" doc:"how often $SYS topics are published; 0 turns them off"`
	AuthTimeout      time.Duration `toml:"auth_timeout" doc:"time that identity sources have to answer, and databases when a CoAP client asks for a retained message"`
	AuthExchangeTime time.Duration `toml:"auth_exchange_time" doc:"time that an authentication in several steps (MQTT 5 AUTH) may take, the client's own work included; a listener's connect_timeout ends the first one sooner"`
	AuthWorkers      int           `toml:"auth_workers" doc:"authentications under way at once; argon2id costs 19 MiB and 20 ms each"`
	AuthBacklog      int           `toml:"auth_backlog" doc:"authentications that may wait for a worker; more are refused as server_busy"`

	AuthBacklogPerAddress int           `toml:"auth_backlog_per_address" doc:"of them, those of one address (IPv6: of one /64); addresses have their turns one after the other, so that one that guesses passwords waits behind itself; 0 means no limit of its own"`
	Rewrite               []RewriteRule `toml:"rewrite" doc:"topics that become others, see docs/topics.md: what clients publish and subscribe is changed before any access rule is asked"`

	Subscriptions []ProxySubscription `toml:"subscriptions" doc:"subscriptions that clients have without asking for them (proxy subscriptions), see docs/topics.md"`

	AuthExchangeSteps int `toml:"auth_exchange_steps" doc:"steps of one such authentication; SCRAM takes two or three"`
	AuthExchangeBytes int `toml:"auth_exchange_bytes" unit:"bytes" doc:"bytes of Authentication Data in one step; nobody is known yet, so nobody may have much kept"`
}

// DefaultConfig gives the bounds of a fresh start.
func DefaultConfig() Config {
	return Config{
		MaxClientIDLength:  1024,
		MaxTopicLevels:     128,
		MaxTopicLength:     4096,
		MaxRegistrations:   1024,
		MaxSubscriptions:   100_000,
		ReceiveMaximum:     1024,
		MaxInflight:        1024,
		MaxQueued:          100_000,
		MaxQueuedBytes:     8 << 20,
		MaxOutgoing:        10_000,
		MaxMatchWork:       20_000,
		MaxRetained:        10_000_000,
		MaxRetainedBytes:   whole(4 << 30),
		MaxDelayed:         1_000_000,
		MaxDelayedBytes:    256 << 20,
		MaxDelayedOfClient: 100_000,
		MaxDelay:           topic.MaxDelay * time.Second,
		MaxSessions:        20_000_000,
		SharedStrategy:     "round_robin",
		ExplainRecords:     4096,
		SysInterval:        10 * time.Second,
		AuthTimeout:        5 * time.Second,
		AuthExchangeTime:   30 * time.Second,
		AuthWorkers:        2,
		AuthBacklog:        10_000,
		AuthExchangeSteps:  8,
		AuthExchangeBytes:  4096,
		QueueDrop:          DropNewest,
		PriorityDefault:    PriorityLowest,
		PrioritySpan:       10_000,
		MaxBans:            100_000,
		FlappingWindow:     time.Minute,
		FlappingBan:        time.Hour,

		AuthBacklogPerAddress: 1000,
	}
}

// whole is n, or the most that an int holds: 2 GiB where addresses have 32 bits.
func whole(n int64) int { return int(min(n, math.MaxInt)) }

// Validate reports every setting that is out of its bounds.
func (c *Config) Validate() error {
	var errs []error
	in := func(name string, v, low, high int) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("%s = %d: must be between %d and %d", name, v, low, high))
		}
	}
	in("max_client_id_length", c.MaxClientIDLength, 23, 65535)
	in("max_topic_levels", c.MaxTopicLevels, 1, 32768)
	in("max_topic_length", c.MaxTopicLength, 1, 65535)
	in("max_registrations", c.MaxRegistrations, 0, 65534)
	in("max_subscriptions", c.MaxSubscriptions, 1, 100_000_000)
	in("receive_maximum", int(c.ReceiveMaximum), 1, 65535)
	in("max_inflight", c.MaxInflight, 1, 65535)
	in("max_queued", c.MaxQueued, 0, 1_000_000_000)
	in("max_queued_bytes", c.MaxQueuedBytes, 1024, whole(1<<40))
	in("max_outgoing", c.MaxOutgoing, 16, 100_000_000)
	in("max_match_work", c.MaxMatchWork, 100, 1_000_000_000)
	in("max_retained", c.MaxRetained, 0, 1_000_000_000)
	in("max_retained_bytes", c.MaxRetainedBytes, 0, whole(1<<40))
	in("max_delayed", c.MaxDelayed, 0, 100_000_000)
	in("max_delayed_bytes", c.MaxDelayedBytes, 0, whole(1<<40))
	in("max_delayed_of_client", c.MaxDelayedOfClient, 0, 100_000_000)
	in("max_sessions", c.MaxSessions, 1, 1<<30)
	in("max_sessions_per_user", c.MaxSessionsPerUser, 0, 1<<30)
	in("explain_records", c.ExplainRecords, 16, 10_000_000)
	in("auth_workers", c.AuthWorkers, 1, 1024)
	in("auth_backlog", c.AuthBacklog, 0, 10_000_000)
	in("auth_backlog_per_address", c.AuthBacklogPerAddress, 0, 10_000_000)
	in("auth_exchange_steps", c.AuthExchangeSteps, 1, 100)
	in("auth_exchange_bytes", c.AuthExchangeBytes, 64, 65535)
	in("rewrite", len(c.Rewrite), 0, maxRewrites)
	in("subscriptions", len(c.Subscriptions), 0, maxProxies)
	if _, err := parseStrategy(c.SharedStrategy); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, c.validatePolicies(in)...)
	if d := c.AuthExchangeTime; d < time.Second || d > time.Hour {
		errs = append(errs, fmt.Errorf("auth_exchange_time = %s: must be between 1s and 1h", d))
	}
	if d := c.MaxDelay; d < 0 || d > topic.MaxDelay*time.Second {
		errs = append(errs, fmt.Errorf("max_delay = %s: must be between 0s and %ds", d, topic.MaxDelay))
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"max_session_expiry", c.MaxSessionExpiry}, {"retained_expiry", c.RetainedExpiry}, {"server_keep_alive", c.ServerKeepAlive}, {"max_keep_alive", c.MaxKeepAlive}, {"sys_interval", c.SysInterval}} {
		if d.v < 0 {
			errs = append(errs, fmt.Errorf("%s = %s: must not be negative", d.name, d.v))
		}
	}
	return errors.Join(errs...)
}
