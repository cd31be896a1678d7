package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/aclfile"
	"github.com/fairlead-iot/fairlead/backends/emqximport"
	"github.com/fairlead-iot/fairlead/backends/passwd"
)

// writeFiles writes the files of users and of access rules that the flags name, and tells
// the configuration of them; without a flag there is a note.
func (o *importOptions) writeFiles(r *emqximport.Result) error {
	var auth []emqximport.Setting
	switch {
	case len(r.Users) == 0:
	case o.passwdFile == "":
		r.Notes = append(r.Notes, emqximport.Note{File: "users", Why: fmt.Sprintf("%d users were found and stand nowhere yet", len(r.Users)), Do: "import again with --passwd-file FILE"})
	default:
		if err := o.writeUsers(r); err != nil {
			return err
		}
		auth = append(auth, fileSetting("passwd_file", o.passwdFile))
	}
	switch {
	case len(r.Access) == 0:
	case o.aclFile == "":
		r.Notes = append(r.Notes, emqximport.Note{File: "acl.conf", Why: fmt.Sprintf("%d access rules were found and stand nowhere yet", len(r.Access)), Do: "import again with --acl-file FILE"})
	default:
		if err := o.writeAccess(r); err != nil {
			return err
		}
		auth = append(auth, fileSetting("acl_file", o.aclFile))
	}
	for _, s := range auth {
		r.Set("auth", s.Key, s.Value)
	}
	return nil
}

func fileSetting(key, path string) emqximport.Setting {
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	return emqximport.Setting{Key: key, Value: path}
}

// writeUsers adds the users to the file, each with the hash of its password.
func (o *importOptions) writeUsers(r *emqximport.Result) error {
	return passwd.Edit(o.passwdFile, func(content []byte) ([]byte, error) {
		for _, u := range r.Users {
			if _, err := passwd.Find(content, u.Name); err == nil {
				r.Notes = append(r.Notes, emqximport.Note{File: o.passwdFile, Why: fmt.Sprintf("user %q is there already, and was left as it is", u.Name), Do: "nothing, if that is meant"})
				continue
			}
			hash, err := passwd.NewHash([]byte(u.Password), passwd.DefaultParams())
			if err == nil {
				content, err = passwd.Set(content, passwd.Entry{User: u.Name, Hash: hash, ClientID: u.ClientID})
			}
			if err != nil {
				return nil, fmt.Errorf("user %q: %w", u.Name, err)
			}
		}
		return content, nil
	})
}

const accessHead = `# Access rules of EMQ X's acl.conf. The first that answers decides; what none
# answers is denied here. To allow it, as EMQ X does by default, end with:
#   allow all pubsub #
`

// writeAccess writes the rules. Those that are refused here are left out by name, as long
// as they allow.
func (o *importOptions) writeAccess(r *emqximport.Result) error {
	lines := r.Access
	for {
		text := accessHead + strings.Join(lines, "\n") + "\n"
		_, err := aclfile.Parse(o.aclFile, []byte(text))
		if err == nil {
			return writeNew(o.aclFile, text)
		}
		var faults aclfile.Faults
		if !errors.As(err, &faults) || len(faults) == 0 {
			return err
		}
		at := faults[0].Line - strings.Count(accessHead, "\n") - 1
		if at < 0 || at >= len(lines) || !strings.HasPrefix(lines[at], "allow ") {
			return err
		}
		r.Notes = append(r.Notes, emqximport.Note{File: "acl.conf", Why: fmt.Sprintf("the rule %q was left out: %s", lines[at], strings.ReplaceAll(faults[0].Problem, "; ", ", ")), Do: "write it by docs/acl.md"})
		lines = append(append([]string(nil), lines[:at]...), lines[at+1:]...)
	}
}

// writeNew writes a file that must not exist.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return hint(usagef("%s exists, and is not written over", path), "name another file, or take that one away")
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
