package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATEs that are treated one by one.
const (
	undefinedTable   = "42P01"
	undefinedColumn  = "42703"
	undefinedSchema  = "3F000"
	datatypeMismatch = "42804"
	noSuchConstraint = "42P10"
	noPrivilege      = "42501"
	notSupported     = "0A000"
	readOnly         = "25006"
	indexRowTooLarge = "54000"
	lockNotAvailable = "55P03"
)

// state is the SQLSTATE of err, "" when the server did not answer.
func state(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// lasting says whether the server would answer the same again: values that fit no
// column (22), constraints (23), statements that are wrong (42), what a trigger raises
// (P0), what exceeds a fixed limit (54). All else mends: connections (08), rivals (40),
// resources (53), an operator's doing (25, 28, 3D, 55, 57, 58).
func lasting(code string) bool {
	switch code {
	case "", noPrivilege, undefinedSchema:
		return false
	case notSupported:
		return true
	}
	switch code[:2] {
	case "21", "22", "23", "42", "44", "54", "P0":
		return true
	}
	return false
}

// outdated says that the tables are not what the statement was made for.
func outdated(code string) bool {
	switch code {
	case undefinedTable, undefinedColumn, undefinedSchema, datatypeMismatch, noSuchConstraint, notSupported:
		return true
	}
	return false
}

// explain gives err of what was done to the documented tables, marked, with what to do.
// Tables that are missing can be made: they are waited for.
func explain(what string, err error) error {
	code := state(err)
	err = fmt.Errorf("%s: %w%s", what, err, advice(code))
	if lasting(code) && !outdated(code) {
		return rules.Permanent(err)
	}
	return err
}

// explainStatement is explain for a statement of the user's own, which stays wrong until
// the configuration is mended.
func explainStatement(text string, err error) error {
	code := state(err)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 80 {
		text = text[:77] + "..."
	}
	err = fmt.Errorf("statement %q: %w", text, err)
	if lasting(code) {
		return rules.Permanent(err)
	}
	return err
}

func advice(code string) string {
	switch code {
	case undefinedTable, undefinedColumn, undefinedSchema:
		return "; make what is missing with: fairlead ctl backend init"
	case noPrivilege:
		return "; grant the role of the pool select, insert, update and delete on the tables mqtt_*, and usage on their sequences"
	case readOnly:
		return "; name the primary server, too: server = [\"A:5432\", \"B:5432\"]"
	case indexRowTooLarge:
		return "; a client id is longer than an index of PostgreSQL holds (2,700 bytes): lower core.max_client_id_length"
	case "28P01", "28000":
		return "; check username and password of the pool, and pg_hba.conf of the server: where it has hostssl say tls = true"
	case "3D000":
		return "; make the database, or name another in the pool"
	case "53100":
		return "; make room on the disk of the database"
	}
	return ""
}
