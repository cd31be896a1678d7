package mongodb

import (
	"context"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// A statement is a database command as extended JSON, such as
//
//	{"insert": "readings", "documents": [{"from": "${clientid}", "value": "${payload}"}]}
//
// Text within it may hold variables; a text that is one variable becomes what the
// variable stands for, with its type. Names of fields, and the document's shape, stand as
// they are: no value can become an operator.

// parseCommand reads a statement.
func parseCommand(text string) (doc bson.D, err error) {
	if err := bson.UnmarshalExtJSON([]byte(text), false, &doc); err != nil {
		return nil, fmt.Errorf("is no JSON document: %w", err)
	}
	if len(doc) == 0 {
		return nil, fmt.Errorf("is an empty document; its first field is the command, such as insert")
	}
	_, err = replace(doc, func(t rules.Template) any { return nil })
	return doc, err
}

// replace gives v with every text that holds variables replaced by what f makes of it.
func replace(v any, f func(rules.Template) any) (any, error) {
	var err error
	switch v := v.(type) {
	case bson.D:
		out := make(bson.D, len(v))
		for i, e := range v {
			if strings.Contains(e.Key, "${") {
				return nil, fmt.Errorf("%s: the name of a field cannot hold a variable", e.Key)
			}
			out[i].Key = e.Key
			if out[i].Value, err = replace(e.Value, f); err != nil {
				return nil, err
			}
		}
		return out, nil
	case bson.A:
		out := make(bson.A, len(v))
		for i := range v {
			if out[i], err = replace(v[i], f); err != nil {
				return nil, err
			}
		}
		return out, nil
	case string:
		t, err := rules.ParseTemplate(v)
		if err != nil || !strings.Contains(v, "${") {
			return v, err
		}
		if strings.Contains(v, "${message}") {
			return nil, fmt.Errorf("${message}: is for Redis; name the fields, such as ${payload}")
		}
		return f(t), nil
	}
	return v, nil
}

// value is what a text with variables stands for.
func value(t rules.Template, j *rules.Job) any {
	if len(t) != 1 {
		return payloadValue("text", t.Fill(j))
	}
	if b, ok := j.Value(t[0].Variable).([]byte); ok {
		return payloadValue(j.Rule.Format, b)
	}
	return j.Value(t[0].Variable)
}

func (d *Database) statements(ctx context.Context, j *rules.Job) error {
	for _, text := range j.Rule.Statements {
		doc, err := parseCommand(text)
		if err != nil {
			return rules.Permanent(fmt.Errorf("%s: %w", text, err))
		}
		command, err := replace(doc, func(t rules.Template) any { return value(t, j) })
		if err != nil {
			return rules.Permanent(fmt.Errorf("%s: %w", text, err))
		}
		if err := d.run(ctx, command); err != nil {
			return d.explain(err)
		}
	}
	return nil
}

// run does a command. What a unique index has already was done before.
func (d *Database) run(ctx context.Context, command any) error {
	err := d.db.RunCommand(ctx, command).Err()
	if mongo.IsDuplicateKeyError(err) {
		return nil
	}
	return err
}
