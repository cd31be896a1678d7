package coap

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// Config says what this adapter grants its clients. Each number stands beside its
// reason; all are settings of the section [coap].
type Config struct {
	AckTimeout    time.Duration `toml:"ack_timeout" doc:"wait before a confirmable message is sent again the first time; each repetition doubles it (RFC 7252 ACK_TIMEOUT)"`
	AckRandom     float64       `toml:"ack_random_factor" doc:"the first wait is random between ack_timeout and this many times as much (ACK_RANDOM_FACTOR)"`
	MaxRetransmit int           `toml:"max_retransmit" doc:"repetitions of a confirmable message before its receiver counts as gone (MAX_RETRANSMIT)"`
	Piggyback     time.Duration `toml:"piggyback" doc:"how long an answer may take before the request is acknowledged by itself and answered apart"`

	Lifetime   time.Duration `toml:"exchange_lifetime" doc:"how long a message ID stands for one message (EXCHANGE_LIFETIME)"`
	MaxRecent  int           `toml:"max_recent" doc:"requests of one client whose answers are kept for repetition; with exchange_lifetime the window of deduplication"`
	MaxPending int           `toml:"max_pending" doc:"requests of one client that may wait for their answer; more are answered 5.03"`

	KeepAlive     time.Duration `toml:"keep_alive" doc:"silence after which a client without observations counts as gone; clients of /mqtt/connection must be heard within 1.5 times this"`
	ObserverCheck time.Duration `toml:"observer_check" doc:"silence after which an observing client is asked whether it is still there; 24h at most (RFC 7641)"`
	RetryAfter    time.Duration `toml:"retry_after" doc:"Max-Age of 5.03 and 4.29: when a client may try again"`

	MaxBody          int `toml:"max_body" unit:"bytes" doc:"largest payload that comes block by block; larger ones are answered 4.13"`
	MaxTransfers     int `toml:"max_transfers" doc:"payloads of one client that may be under way block by block"`
	MaxTransferBytes int `toml:"max_transfer_bytes" unit:"bytes" doc:"memory of all payloads under way block by block; beyond it new ones are answered 5.03"`
	BlockSize        int `toml:"block_size" unit:"bytes" doc:"payload of one datagram to a client that asks for no other: 16, 32, 64, 128, 256, 512 or 1024"`

	MaxObservations int    `toml:"max_observations" doc:"observations of one client"`
	MaxInflight     int    `toml:"max_inflight" doc:"QoS 1 and 2 messages that a client's observations hold unacknowledged; the rest waits in the session's queue"`
	MaxBacklog      int    `toml:"max_backlog" doc:"QoS 0 messages that wait for a client while a notification is on its way; more are dropped as outgoing_full"`
	Notify          string `toml:"notify" doc:"queue keeps every message for an observer, latest lets a newer one take the place of one that waits; clients choose by the query notify=queue or notify=latest"`

	Echo string `toml:"echo" doc:"off, answers or all: where a client without DTLS or password must show that its address is its own (RFC 9175): never, before an answer of more than 3 times its request, or before anything is done for it; who comes from this machine need not"`

	ReplyTopic string        `toml:"reply_topic" doc:"where the responses to requests with wait= come, %c is the client id and %u the user name; clients must be allowed to subscribe to it"`
	MaxWait    time.Duration `toml:"max_wait" doc:"longest time that a request may wait for its response"`

	Topics     string `toml:"topics" doc:"first path segment of the topics of clients with or without a connection: ps is /ps/{topic}"`
	Bridge     string `toml:"bridge" doc:"first path segment of topics with credentials in each request, and of the connection: mqtt is /mqtt/{topic}?c=…&u=…&p=… and /mqtt/connection"`
	Collection string `toml:"collection" doc:"first path segment of the topic collection of draft-ietf-core-coap-pubsub; empty turns it off"`
	PubSubCT   int    `toml:"pubsub_content_format" doc:"number of application/core-pubsub+cbor, which is not assigned yet"`
	MaxTopics  int    `toml:"max_topics" doc:"topics that the collection holds"`
}

// DefaultConfig gives the settings of a fresh start.
func DefaultConfig() Config {
	return Config{
		AckTimeout:    2 * time.Second,
		AckRandom:     1.5,
		MaxRetransmit: 4,
		Piggyback:     time.Second,
		Lifetime:      247 * time.Second,
		MaxRecent:     64,
		MaxPending:    16,

		KeepAlive:     2 * time.Minute,
		ObserverCheck: time.Hour,
		RetryAfter:    10 * time.Second,

		MaxBody:          256 << 10,
		MaxTransfers:     2,
		MaxTransferBytes: 64 << 20,
		BlockSize:        1024,

		MaxObservations: 64,
		MaxInflight:     16,
		MaxBacklog:      1000,
		Notify:          notifyQueue,

		Echo: echoAnswers,

		ReplyTopic: "reply/%c",
		MaxWait:    time.Minute,

		Topics:     "ps",
		Bridge:     "mqtt",
		Collection: "pubsub",
		PubSubCT:   606,
		MaxTopics:  10_000,
	}
}

// Validate reports every setting that is out of its bounds.
func (c *Config) Validate() error {
	var errs []error
	fault := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	in := func(name string, v, low, high int) {
		if v < low || v > high {
			fault("%s = %d: must be between %d and %d", name, v, low, high)
		}
	}
	during := func(name string, v, low, high time.Duration) {
		if v < low || v > high {
			fault("%s = %s: must be between %s and %s", name, v, low, high)
		}
	}
	during("ack_timeout", c.AckTimeout, 100*time.Millisecond, time.Minute)
	if c.AckRandom < 1 || c.AckRandom > 4 {
		fault("ack_random_factor = %g: must be between 1 and 4", c.AckRandom)
	}
	in("max_retransmit", c.MaxRetransmit, 0, 10)
	during("piggyback", c.Piggyback, 0, c.AckTimeout)
	during("exchange_lifetime", c.Lifetime, time.Second, time.Hour)
	in("max_recent", c.MaxRecent, 1, 4096)
	in("max_pending", c.MaxPending, 1, 1024)
	during("keep_alive", c.KeepAlive, time.Second, 18*time.Hour)
	during("observer_check", c.ObserverCheck, 10*time.Second, 24*time.Hour) // [Observe-4.5-2]
	during("retry_after", c.RetryAfter, time.Second, time.Hour)
	during("max_wait", c.MaxWait, time.Second, time.Hour)
	if _, err := topic.ParseName(c.ReplyTopic); err != nil {
		fault("reply_topic = %q: must be a topic: %s", c.ReplyTopic, err)
	}
	in("max_body", c.MaxBody, 1024, 64<<20)
	in("max_transfers", c.MaxTransfers, 1, 64)
	in("max_transfer_bytes", c.MaxTransferBytes, c.MaxBody, math.MaxInt)
	in("max_observations", c.MaxObservations, 1, 1<<16)
	in("max_inflight", c.MaxInflight, 1, 1<<10)
	in("max_backlog", c.MaxBacklog, 1, 1<<20)
	in("pubsub_content_format", c.PubSubCT, 0, 65535)
	in("max_topics", c.MaxTopics, 0, 1<<24)
	if _, ok := exponent(c.BlockSize); !ok {
		fault("block_size = %d: must be 16, 32, 64, 128, 256, 512 or 1024", c.BlockSize)
	}
	if c.Notify != notifyQueue && c.Notify != notifyLatest {
		fault("notify = %q: must be queue or latest", c.Notify)
	}
	if c.Echo != echoOff && c.Echo != echoAnswers && c.Echo != echoAll {
		fault("echo = %q: must be off, answers or all", c.Echo)
	}
	errs = append(errs, c.paths()...)
	return errors.Join(errs...)
}

// paths checks that each surface has a place of its own.
func (c *Config) paths() (errs []error) {
	seen := map[string]string{".well-known": "discovery"}
	for _, p := range []struct{ name, v string }{{"topics", c.Topics}, {"bridge", c.Bridge}, {"collection", c.Collection}} {
		switch other := seen[p.v]; {
		case p.v == "" && p.name == "collection":
		case p.v == "" || strings.Contains(p.v, "/") || len(p.v) > 64:
			errs = append(errs, fmt.Errorf("%s = %q: must be one path segment of at most 64 bytes", p.name, p.v))
		case other != "":
			errs = append(errs, fmt.Errorf("%s = %q: is the path of %s already", p.name, p.v, other))
		}
		seen[p.v] = p.name
	}
	return errs
}

// The words of settings.
const (
	notifyQueue  = "queue"
	notifyLatest = "latest"

	echoOff     = "off"
	echoAnswers = "answers"
	echoAll     = "all"
)

// exponent is the SZX of a block size.
func exponent(size int) (szx uint8, ok bool) {
	for szx = range 7 {
		if 16<<szx == size {
			return szx, true
		}
	}
	return 0, false
}
