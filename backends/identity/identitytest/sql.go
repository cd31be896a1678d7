package identitytest

import (
	"fmt"
	"strings"
)

// SQL writes rows into the documented tables, by the client of a database that has SQL.
type SQL struct {
	Value string // how that client is told a value by its name, such as ":'%s'"
	Same  string // compares a column and a value letter by letter, such as "%s = %s"
}

// Users is the script that writes users, new or in place of others of their names, and the
// names and values that it speaks of.
func (q SQL) Users(users ...User) (script string, values []string) {
	var b strings.Builder
	for i, u := range users {
		name, password, salt := fmt.Sprint("name", i), fmt.Sprint("password", i), fmt.Sprint("salt", i)
		fmt.Fprintf(&b, "delete from mqtt_user where "+q.Same+";\n", "username", q.value(name))
		fmt.Fprintf(&b, "insert into mqtt_user (username, password, salt, is_superuser) values (%s, %s, %s, %d);\n", q.value(name), q.value(password), q.value(salt), bit(u.Superuser))
		values = append(values, name, u.Name, password, u.Password, salt, u.Salt)
	}
	return b.String(), values
}

// Rules is the same for access rules, in place of all that there are.
func (q SQL) Rules(list []Rule) (script string, values []string) {
	var b strings.Builder
	b.WriteString("begin;\ndelete from mqtt_acl;\n")
	for i, r := range list {
		fmt.Fprintf(&b, "insert into mqtt_acl (allow, ipaddr, username, clientid, access, topic) values (%d", bit(!r.Deny))
		for _, column := range [][2]string{{"ip", r.IPAddr}, {"user", r.Username}, {"id", r.ClientID}} {
			name := fmt.Sprint(column[0], i)
			fmt.Fprintf(&b, ", nullif(%s, '')", q.value(name))
			values = append(values, name, column[1])
		}
		topic := fmt.Sprint("topic", i)
		fmt.Fprintf(&b, ", %d, %s);\n", r.Access, q.value(topic))
		values = append(values, topic, r.Topic)
	}
	b.WriteString("commit;\n")
	return b.String(), values
}

func (q SQL) value(name string) string { return fmt.Sprintf(q.Value, name) }

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
