package mongodb

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// identities are the documented collections: mqtt_user with username, password, salt and
// is_superuser, mqtt_acl with username and lists of topics, publish, subscribe and pubsub;
// what stands there of $all is everybody's.
func identities() rules.Identities {
	return rules.Identities{
		User:      `{"find": "mqtt_user", "filter": {"username": "${username}"}, "limit": 1}`,
		Access:    []string{`{"find": "mqtt_acl", "filter": {"username": {"$in": ["${username}", "$all"]}}}`},
		AllowOnly: true,
		Query:     func(text string) error { _, err := parseQuery(text); return err },
	}
}

// parseQuery reads a command that gives documents.
func parseQuery(text string) (bson.D, error) {
	doc, err := parseCommand(text)
	if err != nil {
		return nil, err
	}
	if name := doc[0].Key; name != "find" && name != "aggregate" {
		return nil, fmt.Errorf("%s: is no command that reads documents; it must be find or aggregate", name)
	}
	return doc, nil
}

// maxFound is the most documents of one query.
const maxFound = 10_000

// ask gives the documents of a query.
func (d *Database) ask(ctx context.Context, text string, j *rules.Job) (docs []bson.D, err error) {
	doc, err := parseQuery(text)
	if err != nil {
		return nil, rules.Permanent(fmt.Errorf("%s: %w", text, err))
	}
	command, err := replace(doc, func(t rules.Template) any { return value(t, j) })
	if err != nil {
		return nil, rules.Permanent(fmt.Errorf("%s: %w", text, err))
	}
	found, err := d.db.RunCommandCursor(ctx, command)
	if err != nil {
		return nil, d.explain(fmt.Errorf("%s: %w", text, err))
	}
	defer found.Close(ctx)
	for found.Next(ctx) {
		if len(docs) == maxFound {
			return nil, rules.Permanent(fmt.Errorf("%s: gives more than %d documents; name the user or the client in it", text, maxFound))
		}
		var doc bson.D
		if err := found.Decode(&doc); err != nil {
			return nil, rules.Permanent(fmt.Errorf("%s: %w", text, err))
		}
		docs = append(docs, doc)
	}
	return docs, d.explain(found.Err())
}

// Users gives the documents of a query for users as rows, as the package identity asks.
func (d *Database) Users(ctx context.Context, text string, j *rules.Job) (rows []map[string]string, err error) {
	docs, err := d.ask(ctx, text, j)
	for _, doc := range docs {
		rows = append(rows, textRow(doc))
	}
	return rows, err
}

// textRow has the plain values of a document; lists and documents are left out.
func textRow(doc bson.D) map[string]string {
	row := map[string]string{}
	for _, field := range doc {
		if text, plain := plainText(field.Value); plain {
			row[strings.ToLower(field.Key)] = text
		}
	}
	return row
}

func plainText(v any) (text string, plain bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bson.Binary:
		return string(v.Data), true
	case bool:
		return strconv.FormatBool(v), true
	case int32, int64, float64: // 1 of a shell is 1.0
		return fmt.Sprint(v), true
	}
	return "", false
}

// Access gives a row for each topic in the lists of the documents of a query for access
// rules, as the package identity asks.
func (d *Database) Access(ctx context.Context, text string, j *rules.Job) (rows []map[string]string, err error) {
	docs, err := d.ask(ctx, text, j)
	if err != nil {
		return nil, err
	}
	for _, doc := range docs {
		some, err := accessRows(doc)
		if err != nil {
			return nil, rules.Permanent(fmt.Errorf("%s: %w", text, err))
		}
		rows = append(rows, some...)
	}
	return rows, nil
}

// accessRows are the rows of one document. It allows, unless it says itself that it does
// not; it speaks of whom it names.
func accessRows(doc bson.D) (rows []map[string]string, err error) {
	about := textRow(doc)
	if _, says := about["allow"]; !says {
		about["allow"] = "1"
	}
	for _, list := range []struct{ name, access string }{{"publish", "2"}, {"subscribe", "1"}, {"pubsub", "3"}} {
		topics, err := textsOf(doc, list.name)
		if err != nil {
			return nil, err
		}
		for _, topic := range topics {
			rows = append(rows, map[string]string{"allow": about["allow"], "ipaddr": about["ipaddr"], "username": about["username"],
				"clientid": about["clientid"], "access": list.access, "topic": topic})
		}
	}
	return rows, nil
}

// textsOf gives the texts of a field: a list of them, one alone, or none.
func textsOf(doc bson.D, name string) (texts []string, err error) {
	i := slices.IndexFunc(doc, func(e bson.E) bool { return e.Key == name })
	if i < 0 || doc[i].Value == nil {
		return nil, nil
	}
	list, is := doc[i].Value.(bson.A)
	if !is {
		list = bson.A{doc[i].Value}
	}
	for _, v := range list {
		text, is := v.(string)
		if !is {
			return nil, fmt.Errorf("%s: holds what is no text; it must be a list of topics", name)
		}
		texts = append(texts, text)
	}
	return texts, nil
}
