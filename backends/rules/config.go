package rules

import (
	"errors"
	"time"
)

// Config is how the rules of one backend work, whatever its database.
type Config struct {
	Batch      int           `toml:"batch" doc:"most jobs of one round trip to the database; what waits is taken, nothing waits for a batch to fill"`
	BatchBytes int           `toml:"batch_bytes" unit:"bytes" doc:"most bytes of one round trip"`
	Timeout    time.Duration `toml:"timeout" doc:"longest time of one round trip; then it is tried again"`
	SyncTime   time.Duration `toml:"sync_timeout" doc:"how long an acknowledgement waits with ack = \"sync\"; then the publisher is told of a failure, and the message stays in the queue"`
	RetryMin   time.Duration `toml:"retry_min" doc:"pause after a failure of the database; it doubles with each further one, up to retry_max"`
	RetryMax   time.Duration `toml:"retry_max" doc:"longest pause between two tries"`
	Queue      int           `toml:"queue_bytes" unit:"bytes" doc:"most bytes that wait in memory for each pool; beyond them events are dropped by name, or go to disk where there is a spool"`
	Refused    int64         `toml:"refused_bytes" unit:"bytes" doc:"most bytes of the file of each pool for what its database refuses for good and rules keep (on_refused = \"keep\"); beyond them it is as with \"drop\", until the file was moved away"`
	Readers    int           `toml:"readers" doc:"how many subscriptions of each pool are read for at once"`
	Page       int           `toml:"page" doc:"how many unread or retained messages are read at a time"`
	Feeds      int           `toml:"feeds" doc:"most subscriptions of each pool that are being read for; for those beyond nothing is read, by name"`
}

// DefaultConfig holds the defaults.
func DefaultConfig() Config {
	return Config{Batch: 500, BatchBytes: 1 << 20, Timeout: 30 * time.Second, SyncTime: 10 * time.Second,
		RetryMin: 100 * time.Millisecond, RetryMax: 5 * time.Second, Queue: 64 << 20, Refused: 64 << 20, Readers: 8, Page: 64, Feeds: 100_000}
}

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var f faults
	atLeast := func(key string, n, least int) {
		if n < least {
			f.add(key, "%d must be at least %d", n, least)
		}
	}
	atLeast("batch", c.Batch, 1)
	atLeast("batch_bytes", c.BatchBytes, 1024)
	atLeast("queue_bytes", c.Queue, 1<<16)
	atLeast("refused_bytes", int(min(c.Refused, 1<<20)), 1<<20)
	atLeast("readers", c.Readers, 1)
	atLeast("page", c.Page, 1)
	atLeast("feeds", c.Feeds, 1)
	if c.Batch > 10_000 {
		f.add("batch", "%d must be at most 10000", c.Batch)
	}
	between := func(key string, d time.Duration) {
		if d < time.Millisecond || d > time.Hour {
			f.add(key, "%s must be between 1ms and 1h", d)
		}
	}
	between("timeout", c.Timeout)
	between("sync_timeout", c.SyncTime)
	between("retry_min", c.RetryMin)
	if c.RetryMax < c.RetryMin {
		f.add("retry_max", "%s must not be less than retry_min (%s)", c.RetryMax, c.RetryMin)
	}
	return errors.Join(f...)
}
