package mysql

import (
	"context"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// custom is a statement of the user's own.
type custom struct {
	text  string // as configured
	query string
	bind  []rules.Variable
}

func checkStatement(text string) error {
	_, err := parseCustom(text)
	return err
}

func parseCustom(text string) (*custom, error) {
	t, err := rules.ParseTemplate(text)
	if err != nil {
		return nil, err
	}
	query, bind, err := t.SQL(rules.Question)
	return &custom{text: text, query: query, bind: bind}, err
}

// custom gives a statement that the server has prepared.
func (d *DB) custom(ctx context.Context, text string) (*custom, error) {
	d.mu.Lock()
	c := d.customs[text]
	d.mu.Unlock()
	if c != nil {
		return c, nil
	}
	c, err := parseCustom(text)
	if err != nil {
		return nil, rules.Permanent(err)
	}
	if _, err := d.prepare(ctx, c.query); err != nil {
		return nil, explainStatement(text, err)
	}
	d.mu.Lock()
	d.customs[text] = c
	d.mu.Unlock()
	return c, nil
}

// args are the parameters for j. A payload that is empty is empty, not null.
func (c *custom) args(j *rules.Job) []any {
	args := j.Values(c.bind)
	for i, v := range args {
		if p, is := v.([]byte); is && p == nil {
			args[i] = []byte{}
		}
	}
	return args
}
