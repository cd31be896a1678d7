package redis

import (
	"fmt"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// pipeline may stand where the first command of a rule stands, as in EMQ X: all of them
// are sent together anyhow.
const pipeline = "pipeline"

// statements adds the commands of a rule of the user's own.
func (b *batch) statements(j *rules.Job) error {
	for _, text := range j.Rule.Statements {
		if text == pipeline {
			continue
		}
		c, err := rules.ParseCommand(text)
		if err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
		b.p.Do(b.ctx, c.Args(j)...)
	}
	return nil
}

// Driver is what the engine must know of Redis.
func Driver() rules.Driver {
	return rules.Driver{Name: "redis", Functions: rules.RedisFunctions(), Defaults: rules.RedisDefaults(), Identities: identities(), Statement: func(text string) error {
		if text == pipeline {
			return nil
		}
		_, err := rules.ParseCommand(text)
		return err
	}}
}
