package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead/backends/passwd"
	"github.com/fairlead-iot/fairlead/core"
)

// passwdOptions are the flags of passwd.
type passwdOptions struct {
	remove, list, verify, superuser bool
	clientID, passwordFile          string
	scram                           string
	iterations                      int
}

func (t *terminal) passwdCommand() *cobra.Command {
	o := &passwdOptions{}
	c := &cobra.Command{
		Use:   "passwd FILE [USER]",
		Short: "set, check, list and delete users in a password file",
		Long: `Sets the password of USER in FILE, which is made where it does not exist.

The password is read from the terminal without echo, from --password-file, or
from the first line of the standard input. The gateway reads the file at its
start and on SIGHUP; name it with auth.passwd_file.

Beside the argon2id hash it stores keys for SCRAM, by which MQTT 5 clients prove the
password without sending it. Who steals the file can guess at the password by them
for less work than by the hash: where nobody uses SCRAM, --scram none leaves them out.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := onlyOne(c.Flags(), "delete", "list", "verify"); err != nil {
				return err
			}
			return t.passwd(o, args)
		},
	}
	f := c.Flags()
	f.BoolVarP(&o.remove, "delete", "d", false, "delete the user")
	f.BoolVar(&o.list, "list", false, "list the users")
	f.BoolVar(&o.verify, "verify", false, "check whether the password is the user's")
	f.BoolVar(&o.superuser, "superuser", false, "the user passes every access rule")
	f.StringVar(&o.clientID, "client-id", "", "the only ClientID that the user may use")
	f.StringVar(&o.scram, "scram", "all", "keys for SCRAM to store: all, sha-256, sha-512 or none")
	f.IntVar(&o.iterations, "scram-iterations", passwd.ScramIterations, "work of SCRAM, which each client does at each connect; fewer for weak devices, at least 4096")
	f.StringVar(&o.passwordFile, "password-file", "", "file whose first line is the password")
	return c
}

func (t *terminal) passwd(o *passwdOptions, args []string) error {
	file := args[0]
	if o.list {
		if len(args) != 1 {
			return usagef("--list takes a file and no user")
		}
		return t.passwdList(file)
	}
	if len(args) != 2 {
		return hint(usagef("whose password? the user's name is missing"), "write: fairlead passwd "+file+" USER")
	}
	user := args[1]
	switch {
	case o.remove:
		return passwd.Edit(file, func(old []byte) ([]byte, error) { return passwd.Delete(old, user) })
	case o.verify:
		return t.passwdVerify(o, file, user)
	}
	return t.passwdSet(o, file, user)
}

func (t *terminal) passwdList(file string) error {
	content, err := readLimited(file, passwd.MaxFile)
	if err != nil {
		return err
	}
	users, err := passwd.Parse(file, content)
	if err != nil {
		return err
	}
	for _, e := range users {
		line := e.User
		if e.Superuser {
			line += " superuser"
		}
		if e.ClientID != "" {
			line += fmt.Sprintf(" client_id=%q", e.ClientID)
		}
		for _, h := range scramHashes(scramAll) {
			if e.Scram[h] != nil {
				line += " " + h.Method()
			}
		}
		if _, err := fmt.Fprintln(t.out, line); err != nil {
			return err
		}
	}
	return nil
}

func (t *terminal) passwdVerify(o *passwdOptions, file, user string) error {
	content, err := readLimited(file, passwd.MaxFile)
	if err != nil {
		return err
	}
	if _, err := passwd.Find(content, user); err != nil {
		return err
	}
	password, err := t.password(o.passwordFile, "Password of "+user, false)
	if err != nil {
		return err
	}
	ok, err := passwd.Verify(content, user, password)
	if err == nil && !ok {
		err = wrongPassword{fmt.Errorf("the password is not that of %q", user)}
	}
	return err
}

// wrongPassword ends the command as a refusal.
type wrongPassword struct{ error }

const scramAll = "all"

// scramHashes are the hashes that --scram names; nil for a word it does not know.
func scramHashes(word string) []core.ScramHash {
	switch word {
	case scramAll:
		return []core.ScramHash{core.ScramSHA256, core.ScramSHA512}
	case "sha-256":
		return []core.ScramHash{core.ScramSHA256}
	case "sha-512":
		return []core.ScramHash{core.ScramSHA512}
	case "none":
		return []core.ScramHash{}
	}
	return nil
}

// scramKeys derives what --scram asks for.
func (o *passwdOptions) scramKeys(password []byte) (out passwd.Scram, err error) {
	for _, h := range scramHashes(o.scram) {
		if out[h], err = passwd.NewScram(h, password, o.iterations); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (t *terminal) passwdSet(o *passwdOptions, file, user string) error {
	if scramHashes(o.scram) == nil {
		return usagef("--scram %q: there are all, sha-256, sha-512 and none", o.scram)
	}
	password, err := t.password(o.passwordFile, "New password of "+user, true)
	if err != nil {
		return err
	}
	hash, err := passwd.NewHash(password, passwd.DefaultParams())
	if err != nil {
		return err
	}
	keys, err := o.scramKeys(password)
	if err != nil {
		return err
	}
	err = passwd.Edit(file, func(old []byte) ([]byte, error) {
		content, err := passwd.SetPassword(old, user, hash, keys)
		if err != nil || !o.superuser && o.clientID == "" {
			return content, err
		}
		e, err := passwd.Find(content, user)
		if err != nil {
			return nil, err
		}
		e.Superuser = e.Superuser || o.superuser
		if o.clientID != "" {
			e.ClientID = o.clientID
		}
		return passwd.Set(content, e)
	})
	if err == nil {
		fmt.Fprintf(t.err, "fairlead: password of %q set in %s\n", user, file)
	}
	return err
}
