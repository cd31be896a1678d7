package core

import (
	"fmt"
	"time"
)

// validatePolicies is Validate for what decides about clients and their queues; in
// checks a number's bounds.
func (c *Config) validatePolicies(in func(name string, v, low, high int)) (errs []error) {
	in("max_bans", c.MaxBans, 1, 10_000_000)
	in("flapping_count", c.FlappingCount, 0, 1_000_000)
	for i, text := range c.Bans {
		if _, err := parseBan(text); err != nil {
			errs = append(errs, fmt.Errorf("bans: line %d: %w", i+1, err))
		}
	}
	if c.FlappingWindow < time.Second || c.FlappingWindow > 24*time.Hour {
		errs = append(errs, fmt.Errorf("flapping_window = %s: must be between 1s and 24h", c.FlappingWindow))
	}
	if c.FlappingBan < time.Second {
		errs = append(errs, fmt.Errorf("flapping_ban = %s: must be 1s or more", c.FlappingBan))
	}
	in("priority_span", c.PrioritySpan, 2, maxSpan)
	if _, wrong := parseRanks(c); len(wrong) > 0 {
		errs = append(errs, wrong...)
	}
	if c.PriorityDefault != PriorityLowest && c.PriorityDefault != PriorityHighest {
		errs = append(errs, fmt.Errorf("priority_default: %q must be lowest or highest", c.PriorityDefault))
	}
	if err := checkQueueDrop(c.QueueDrop); err != nil {
		errs = append(errs, err)
	}
	return errs
}
