package fairlead

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/aclfile"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
)

// TestAuthorizationMatrixAnonymous is who may connect without credentials: by policy, by
// listener, by where from.
func TestAuthorizationMatrixAnonymous(t *testing.T) {
	yes, no := true, false
	listeners := map[string]*protocols.ListenerConfig{
		"local":   {Transport: protocols.TCP, Address: "127.0.0.1:1883"},
		"public":  {Transport: protocols.TCP, Address: "0.0.0.0:1883"},
		"unix":    {Transport: protocols.Unix, Address: "/run/s"},
		"proxied": {Transport: protocols.Unix, Address: "/run/p", ProxyProtocol: "on"},
		"open":    {Transport: protocols.TCP, Address: "0.0.0.0:1884", AllowAnonymous: &yes},
		"shut":    {Transport: protocols.TCP, Address: "127.0.0.1:1885", AllowAnonymous: &no},
	}
	peers := map[string]netip.AddrPort{"here": netip.MustParseAddrPort("127.0.0.1:9"), "here6": netip.MustParseAddrPort("[::ffff:127.0.0.1]:9"),
		"there": netip.MustParseAddrPort("192.0.2.7:9"), "nowhere": {}}
	// What loopback allows; everything else is refused.
	loopback := map[string]bool{"local here": true, "local here6": true, "unix here": true, "unix here6": true, "unix nowhere": true,
		"proxied here": true, "proxied here6": true}
	cells := 0
	for _, policy := range []string{AnonymousAlways, AnonymousLoopback, AnonymousNever} {
		may := anonymous(policy, listeners)
		for where, peer := range peers {
			for name := range listeners {
				want := policy == AnonymousAlways || policy == AnonymousLoopback && loopback[name+" "+where]
				if l := listeners[name]; l.AllowAnonymous != nil {
					want = *l.AllowAnonymous
				}
				cells++
				if got := may(&core.Credentials{Listener: name, Peer: peer}); got != want {
					t.Errorf("policy %s, listener %s, from %s: %v, want %v", policy, name, where, got, want)
				}
			}
			cells++
			if may(&core.Credentials{Listener: "unknown", Peer: peer}) {
				t.Errorf("policy %s lets anyone in through a listener that does not exist", policy)
			}
		}
	}
	t.Logf("authorisation matrix: %d cells (who may connect without credentials)", cells)
}

// TestAuthorizationMatrixAdministrator is whose password opens the REST API.
func TestAuthorizationMatrixAdministrator(t *testing.T) {
	dir := t.TempDir()
	users, first, err := administrators(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	may := authenticateWith(users)
	for _, c := range []struct {
		user, password string
		want           bool
	}{
		{adminUser, first, true}, {adminUser, first + "x", false}, {adminUser, "", false}, {"", "", false},
		{"Admin", first, false}, {"root", first, false}, {"", first, false}, {adminUser, "admin", false}, {adminUser, "public", false},
	} {
		if got := may(context.Background(), c.user, c.password); got != c.want {
			t.Errorf("%s with %q: %v, want %v", c.user, c.password, got, c.want)
		}
	}
	if _, again, err := administrators(dir, nil); err != nil || again != "" {
		t.Errorf("a second start makes up another password: %v", err)
	}
	if info, err := os.Stat(fmt.Sprintf("%s/%s", dir, adminFile)); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the administrators' file: %v, %v", info.Mode(), err)
	}
}

// ruleFile is core alone with access rules from a file, read anew at each change.
type ruleFile struct{ coretest.CoreProtocol }

// Name implements coretest.Protocol.
func (ruleFile) Name() string { return "rule file" }

// Lacks implements coretest.Protocol.
func (p ruleFile) Lacks(f coretest.Feature) string {
	if f == coretest.Claims || f == coretest.BadRules { // a faulty file leaves the rules as they were
		return "a rule file has none"
	}
	return p.CoreProtocol.Lacks(f)
}

// Rules implements coretest.RulesOf.
func (ruleFile) Rules(t testing.TB, r *coretest.Rights) core.Authorizer {
	file := filepath.Join(t.TempDir(), "acl")
	write := func(rules string) {
		if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var source *aclfile.Source
	r.Changed = func(rules string) {
		write(rules)
		if source == nil {
			return
		}
		if err := source.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	r.Reload()
	var err error
	if source, err = aclfile.Open(aclfile.Config{File: file}); err != nil {
		t.Fatal(err)
	}
	return source
}

// TestAuthorizationMatrixRuleFile is the matrix with the rules that users write.
func TestAuthorizationMatrixRuleFile(t *testing.T) { coretest.RunAuthz(t, ruleFile{}) }
