package cassandra

import (
	"context"
	"fmt"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// statement gives the CQL of a rule's statement with a mark for each variable.
func statement(text string) (cql string, bind []rules.Variable, err error) {
	t, err := rules.ParseTemplate(text)
	if err != nil {
		return "", nil, err
	}
	return t.SQL(rules.Question)
}

func checkStatement(text string) error {
	_, _, err := statement(text)
	return err
}

func (d *Database) statements(ctx context.Context, s *gocql.Session, j *rules.Job) error {
	for _, text := range j.Rule.Statements {
		cql, bind, err := statement(text)
		if err != nil {
			return rules.Permanent(fmt.Errorf("%s: %w", text, err))
		}
		if err := d.write(ctx, s, cql, values(j, bind)...); err != nil {
			return classify(fmt.Errorf("%s: %w", text, err))
		}
	}
	return nil
}

// values are what is bound: the driver makes of them what the columns are, so that
// ${payload} may go to blob or text, and ${qos} to int.
func values(j *rules.Job, bind []rules.Variable) []any { return j.Values(bind) }
