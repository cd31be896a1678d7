package postgres

import (
	"context"
	"strconv"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/jackc/pgx/v5/pgtype"
)

// custom is a statement of the user's own.
type custom struct {
	text  string // as configured
	query string
	bind  []rules.Variable
	bytes []bool // of the parameters: bytea
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
	query, bind, err := t.SQL(rules.Dollar)
	return &custom{text: text, query: query, bind: bind}, err
}

// custom gives a statement whose parameters the server has described.
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
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	described, err := conn.Conn().PgConn().Prepare(ctx, "", c.query, nil)
	conn.Release()
	if err != nil {
		return nil, explainStatement(text, err)
	}
	for _, oid := range described.ParamOIDs {
		c.bytes = append(c.bytes, oid == pgtype.ByteaOID)
	}
	d.mu.Lock()
	d.customs[text] = c
	d.mu.Unlock()
	return c, nil
}

// args are the parameters for j: bytes, or text that the server reads as whatever type
// it wants there.
func (c *custom) args(j *rules.Job) []any {
	args := j.Values(c.bind)
	for i, v := range args {
		wantsBytes := i < len(c.bytes) && c.bytes[i]
		switch v := v.(type) {
		case []byte:
			if !wantsBytes {
				args[i] = string(v)
			} else if v == nil {
				args[i] = []byte{}
			}
		case string:
			if wantsBytes {
				args[i] = []byte(v)
			}
		case int64:
			args[i] = strconv.FormatInt(v, 10)
			if wantsBytes {
				args[i] = strconv.AppendInt(nil, v, 10)
			}
		}
	}
	return args
}
