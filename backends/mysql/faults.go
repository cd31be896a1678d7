package mysql

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/go-sql-driver/mysql"
)

// Numbers of errors that are treated one by one.
const (
	noSuchTable    = 1146
	unknownColumn  = 1054
	deadlock       = 1213
	readOnlyServer = 1290
	readOnlyMode   = 1836
	accessDenied   = 1142
	diskFull       = 1021
	tableFull      = 1114
	wrongPassword  = 1045
	noDatabase     = 1049
	// A text has letters that the column's character set has not.
	mixedCollations = 1267
	noConversion    = 3988
)

// number is the server's number of err, 0 when the server did not answer.
func number(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// lasting says whether the server would answer the same again: values that fit no
// column (22), constraints (23), statements that are wrong (42), what a trigger raises
// (45), and the numbers that have no class of their own.
func lasting(err error) bool {
	if errors.Is(err, mysql.ErrPktTooLarge) {
		return true
	}
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Number {
	case 1044, 1045, 1049, 1142, 1143, 1203, 1226, 1227: // 42000: permissions, no such database, too many connections
		return false
	case mixedCollations, noConversion, 1265, 1364, 1366, 1525, 1526, 1690, 1906, 3105, 3140, 3141, 3819, 4025, 4078: // values and constraints
		return true
	}
	return slices.Contains([]string{"21", "22", "23", "42", "44", "45"}, string(e.SQLState[:2]))
}

// outdated says that the tables are not what the statement was made for.
func outdated(n uint16) bool { return n == noSuchTable || n == unknownColumn }

// ofConnection says that another connection may be better off: rights are those of the
// moment at which one was made, and the primary may be elsewhere by now.
func ofConnection(n uint16) bool {
	return slices.Contains([]uint16{1044, accessDenied, 1143, 1227, readOnlyServer, readOnlyMode}, n)
}

// explain gives err of what was done to the documented tables, marked, with what to do.
// Tables that are missing can be made: they are waited for.
func explain(what string, err error) error {
	marked := fmt.Errorf("%s: %w%s", what, err, advice(number(err)))
	if lasting(err) && !outdated(number(err)) {
		return rules.Permanent(marked)
	}
	return marked
}

// explainStatement is explain for a statement of the user's own, which stays wrong until
// the configuration is mended.
func explainStatement(text string, err error) error {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 80 {
		text = text[:77] + "..."
	}
	marked := fmt.Errorf("statement %q: %w", text, err)
	if lasting(err) {
		return rules.Permanent(marked)
	}
	return marked
}

func advice(n uint16) string {
	switch n {
	case noSuchTable, unknownColumn:
		return "; make what is missing with: fairlead ctl backend init"
	case accessDenied:
		return "; grant the user of the pool select, insert, update and delete on the tables mqtt_*"
	case readOnlyServer, readOnlyMode:
		return "; the server takes no writes: name the primary server"
	case wrongPassword:
		return "; check username and password of the pool; a user with REQUIRE SSL needs tls = true, one with REQUIRE X509 tls_cert_file as well"
	case noDatabase:
		return "; make the database, or name another in the pool"
	case diskFull, tableFull:
		return "; make room on the disk of the database"
	}
	return ""
}
