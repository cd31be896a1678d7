package emqximport

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// User is one line of a file of users, with the password itself: it stands so in the files
// of EMQ X.
type User struct {
	Name, Password string
	ClientID       string // the only one that the user may use; "" for any
}

// readUsers takes over the users of emqx_auth_username.conf and, by their client ids, of
// emqx_auth_clientid.conf: PREFIX.N.NAME and PREFIX.N.password.
func (r *Result) readUsers(f File, prefix, name string) {
	entries, notes := parse(f)
	rows := map[string]map[string]*entry{}
	for i := range entries {
		e := &entries[i]
		below, ours := strings.CutPrefix(e.key, prefix)
		number, key, deeper := strings.Cut(below, ".")
		switch {
		case !ours || !deeper && below != "password_hash" || deeper && key != name && key != "password":
			notes = append(notes, e.note(noPlace, leave))
		case !deeper: // every password is hashed anew
		default:
			if rows[number] == nil {
				rows[number] = map[string]*entry{}
			}
			rows[number][key] = e
		}
	}
	seen := map[string]bool{}
	for _, row := range byLine(rows) {
		u, why, at := userOf(row, name)
		switch {
		case why == "" && seen[u.Name]:
			notes = append(notes, at.note("the name stands there twice; the first counts", "give each its own name"))
		case why != "":
			notes = append(notes, at.note(why, "make the user with fairlead passwd FILE USER"))
		default:
			seen[u.Name] = true
			r.Users = append(r.Users, u)
		}
	}
	if name == "clientid" && len(seen) > 0 {
		notes = append(notes, Note{File: f.Name, Why: "each client id is a user of its name here, who may use no other client id", Do: "have these devices send the client id as the user name as well"})
	}
	slices.SortStableFunc(notes, func(x, y Note) int { return x.Line - y.Line })
	r.Notes = append(r.Notes, notes...)
}

func byLine(rows map[string]map[string]*entry) (list []map[string]*entry) {
	first := func(row map[string]*entry) int {
		least := 1 << 30
		for _, e := range row {
			least = min(least, e.line)
		}
		return least
	}
	for _, row := range rows {
		list = append(list, row)
	}
	slices.SortFunc(list, func(a, b map[string]*entry) int { return cmp.Compare(first(a), first(b)) })
	return list
}

// userOf makes a user of the lines of one number, or says why not, and of which line.
func userOf(row map[string]*entry, name string) (u User, why string, at *entry) {
	who, password := row[name], row["password"]
	switch {
	case who == nil:
		return u, "there is a password and no " + name, password
	case password == nil:
		return u, "there is no password", who
	case who.value == "" || password.value == "":
		return u, "is empty", who
	case strings.ContainsFunc(who.value, unicode.IsControl) || strings.HasPrefix(who.value, "#"):
		return u, "is no name for a user", who
	case strings.Contains(who.value, ":"):
		return u, "holds ':', which ends a name in a file of users", who
	}
	u = User{Name: who.value, Password: password.value}
	if name == "clientid" {
		u.ClientID = who.value
	}
	return u, "", who
}
