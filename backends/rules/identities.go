package rules

import (
	"fmt"
	"slices"
)

// Identities is how a database is asked for users and access rules: the documented
// queries, each in the database's own language, with ${username}, ${clientid}, ${peerhost}
// and ${protocol} bound.
type Identities struct {
	User   string   // gives a row with username, password, salt and is_superuser
	Access []string // give rows with allow, ipaddr, username, clientid, access and topic
	// AllowOnly says that the documented access rules can allow, and not deny.
	AllowOnly bool
	// Query says what is wrong with a query; nil: nothing.
	Query func(text string) error
}

// SQLIdentities are those of the documented tables of databases with SQL. The user's name
// is asked for, too: not every database takes ANN for somebody else than ann.
func SQLIdentities(query func(text string) error) Identities {
	return Identities{
		User:   "select username, password, salt, is_superuser from mqtt_user where username = ${username} limit 1",
		Access: []string{"select allow, ipaddr, username, clientid, access, topic from mqtt_acl where ipaddr = ${peerhost} or username = ${username} or username = '$all' or clientid = ${clientid} order by id"},
		Query:  query,
	}
}

// Check says what is wrong with a query, of the documented ones or others.
func (i *Identities) Check(query string) error {
	t, err := ParseTemplate(query)
	if err != nil {
		return err
	}
	has := []Variable{VarUsername, VarClientID, VarPeerHost, VarProtocol}
	for _, p := range t {
		if p.Variable != "" && !slices.Contains(has, p.Variable) {
			return fmt.Errorf("${%s}: is not known of who logs in; there is %s", p.Variable, list(has))
		}
	}
	if i.Query == nil {
		return nil
	}
	return i.Query(query)
}
