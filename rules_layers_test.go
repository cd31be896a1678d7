package fairlead_test

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// layer is one row of the import table: which of our own folders a folder may
// import. Folders are written below the module's root; '*' stands for one name.
type layer struct {
	folder string
	ours   []string // "**" = everything
	tests  []string // more, for its _test.go files only
}

// layers is the import table of the design, first match wins. Keep it in step
// with the table in CONTRIBUTING.md.
func layers() []layer {
	codecs := []string{"mqtt/packet", "mqttsn/packet", "coap/packet"}
	adapter := func(folder string) layer {
		return layer{
			folder: folder,
			ours:   []string{"core", "core/topic", "protocols", folder + "/packet"},
			tests:  []string{"devices"},
		}
	}
	return []layer{
		{folder: ".", ours: []string{"**"}},
		{folder: "cmd/fairlead", ours: []string{"**"}},
		{folder: "cmd/fairlead/interop", ours: slices.Concat(codecs, []string{"devices"})},   // meets the command as strangers do
		{folder: "cmd/fairlead/hostile", ours: slices.Concat(codecs, []string{"devices/*"})}, // attacks the command from outside
		{folder: "scripts/*", ours: codecs},                                                  // tools of measuring
		{folder: "core/topic"},
		{folder: "core/route"},
		{folder: "internal/simnet"},
		{folder: "internal/config"},
		{folder: "internal/testservice"},
		{folder: "internal/turns"}, // who waits behind whom
		{folder: "mqtt/packet"},
		{folder: "mqttsn/packet"},
		{folder: "coap/packet"},
		{folder: "core", ours: []string{"core/topic", "core/route", "internal/turns"}},
		{folder: "core/coretest", ours: []string{"core", "core/topic"}},
		{folder: "protocols", ours: []string{"core", "internal/turns"}, tests: []string{"devices"}},
		{folder: "protocols/exproto", ours: []string{"core", "core/topic", "protocols", "protocols/exproto/pb"}, tests: []string{"devices"}},
		{folder: "protocols/exproto/pb"},
		adapter("mqtt"),
		adapter("mqttsn"),
		adapter("coap"),
		{folder: "cluster", ours: []string{"core", "core/topic", "cluster/*"}},
		{folder: "cluster/*", ours: []string{"core", "core/topic", "cluster/*"}},
		{folder: "admin", ours: []string{"core", "core/topic", "admin/web"}},
		{folder: "admin/web"},
		{folder: "backends", ours: []string{"core", "backends/*"}},
		{folder: "backends/image", ours: []string{"core"}}, // what stores of sessions have in common
		{folder: "backends/sessions", ours: []string{"core", "backends/image"}, tests: []string{"backends/sessions/*"}},
		{folder: "backends/sessions/tabletest", ours: []string{"backends/sessions", "internal/testservice"}},
		{folder: "backends/spool"},  // what waits for a database or a bridge
		{folder: "backends/hashes"}, // of passwords, made by processes apart
		{folder: "backends/hashes/hashestest", ours: []string{"backends/hashes"}},
		{folder: "backends/rules", ours: []string{"core", "core/topic", "backends/spool"}, tests: []string{"backends/rules/*"}},
		{folder: "backends/rules/rulestest", ours: []string{"core", "core/coretest", "core/topic", "backends/rules", "internal/testservice"}},
		{folder: "backends/identity/identitytest", ours: []string{"core", "backends/rules", "backends/identity", "internal/testservice"}},
		// The engine of data rules, the queue on disk, what keeps sessions and what sources of
		// identities share are for all of them.
		{folder: "backends/*", ours: []string{"core", "core/topic", "backends/rules", "backends/spool", "backends/image", "backends/sessions", "backends/identity", "backends/hashes"}, tests: []string{"backends/rules/rulestest", "backends/sessions/tabletest", "backends/identity/identitytest", "backends/hashes/hashestest"}},
		{folder: "devices", ours: slices.Concat(codecs, []string{"devices/*", "internal/simnet"})},
		{folder: "devices/scenario", ours: []string{"internal/config"}},
		{folder: "devices/*", ours: slices.Concat(codecs, []string{"devices/*", "internal/simnet"})},
	}
}

// testSupport is what every _test.go file may import besides its row.
func testSupport() []string {
	return []string{"core/coretest", "internal/simnet", "internal/testservice"}
}

func findLayer(folder string) (layer, bool) {
	for _, row := range layers() {
		if matchFolder(row.folder, folder) {
			return row, true
		}
	}
	return layer{}, false
}

func matchFolder(pattern, folder string) bool {
	if pattern == "**" {
		return true
	}
	ok, err := path.Match(pattern, folder)
	return err == nil && ok
}

// allows tells whether a file of this row may import our folder target.
func (l layer) allows(f *source, target string) bool {
	allowed := l.ours
	if f.test {
		allowed = slices.Concat(allowed, l.tests, testSupport(), []string{f.dir})
	}
	return slices.ContainsFunc(allowed, func(p string) bool { return matchFolder(p, target) })
}

func checkLayers(tr *tree) []string {
	var faults []string
	unknown := map[string]bool{}
	for _, f := range tr.files {
		row, ok := findLayer(f.dir)
		if !ok {
			if !unknown[f.dir] {
				faults = append(faults, fmt.Sprintf("%s: folder %q has no row in layers(); add {folder: %q, ours: …} to rules_layers_test.go and a line to the table in CONTRIBUTING.md", f.name, f.dir, f.dir))
			}
			unknown[f.dir] = true
			continue
		}
		for _, spec := range f.syntax.Imports {
			target, ours := ourFolder(importPath(spec))
			if ours && !row.allows(f, target) {
				faults = append(faults, fmt.Sprintf("%s: %s may not import %s (row %q of layers() allows %s); move the code, or declare an interface where it is used", tr.at(spec.Pos()), f.dir, target, row.folder, describe(row.ours)))
			}
		}
	}
	return faults
}

func describe(folders []string) string {
	if len(folders) == 0 {
		return "nothing of ours"
	}
	return strings.Join(folders, ", ")
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value // the parser has refused such a file already
	}
	return p
}

// ourFolder turns an import path of this module into a folder.
func ourFolder(imp string) (string, bool) {
	if imp == modulePath {
		return ".", true
	}
	return strings.CutPrefix(imp, modulePath+"/")
}

// driver is one row of the table of foreign modules: the import paths that
// begin with prefix may stand in these folders only.
type driver struct {
	prefix  string
	folders []string
	tests   bool // in any _test.go file and in core/coretest as well
}

func drivers() []driver {
	return []driver{
		{prefix: "github.com/cockroachdb/pebble/v2", folders: []string{"backends/pebble"}},
		{prefix: "github.com/redis/go-redis/v9", folders: []string{"backends/redis"}},
		{prefix: "github.com/apache/cassandra-gocql-driver/v2", folders: []string{"backends/cassandra"}, tests: true}, // tests write rows as other programs do
		{prefix: "go.mongodb.org/mongo-driver/v2", folders: []string{"backends/mongodb"}, tests: true},
		{prefix: "github.com/jackc/pgx/v5", folders: []string{"backends/postgres"}},
		{prefix: "github.com/go-sql-driver/mysql", folders: []string{"backends/mysql"}},
		{prefix: "github.com/quic-go/quic-go", folders: []string{"protocols", "devices"}},
		{prefix: "github.com/pion/dtls/v3", folders: []string{"protocols", "devices", "devices/loop"}, tests: true}, // tests are clients
		{prefix: "github.com/pion/logging", folders: []string{"protocols"}},                                         // to silence pion/dtls
		{prefix: "github.com/gorilla/websocket", folders: []string{"protocols", "devices", "devices/loop"}, tests: true},
		{prefix: "github.com/pires/go-proxyproto", folders: []string{"protocols"}},
		{prefix: "github.com/plgd-dev/go-coap/v3/message", folders: []string{"coap", "devices", "devices/coapmachine", "devices/fleet"}},
		{prefix: "github.com/plgd-dev/go-coap/v3/udp/coder", folders: []string{"coap", "devices/coapmachine"}},
		{prefix: "github.com/plgd-dev/go-coap/v3/tcp/coder", folders: []string{"coap"}},
		{prefix: "github.com/fxamacker/cbor/v2", folders: []string{"coap"}},
		{prefix: "google.golang.org/grpc", folders: []string{"protocols/exproto", "protocols/exproto/pb"}, tests: true}, // tests are handlers
		{prefix: "google.golang.org/protobuf", folders: []string{"protocols/exproto", "protocols/exproto/pb"}, tests: true},
		{prefix: "github.com/spf13/cobra", folders: []string{"cmd/fairlead"}},
		{prefix: "github.com/spf13/pflag", folders: []string{"cmd/fairlead"}},
		{prefix: "github.com/pelletier/go-toml/v2", folders: []string{"internal/config"}},
		{prefix: "github.com/prometheus/client_golang", folders: []string{"admin"}},
		{prefix: "github.com/prometheus/client_model", folders: []string{"admin"}},
		{prefix: "golang.org/x/sys/unix", folders: []string{"protocols", "backends/pebble", "devices/loop", "cmd/fairlead"}},
		{prefix: "github.com/golang-jwt/jwt/v5", folders: []string{"backends/jwt"}},
		{prefix: "github.com/go-ldap/ldap/v3", folders: []string{"backends/ldap"}},
		{prefix: "golang.org/x/crypto/ocsp", folders: []string{"protocols"}},
		{prefix: "golang.org/x/crypto", folders: []string{"backends/hashes"}},
		{prefix: "golang.org/x/term", folders: []string{"cmd/fairlead"}},
		{prefix: "github.com/google/go-cmp", tests: true},
		{prefix: "github.com/rogpeppe/go-internal", tests: true},
		{prefix: "pgregory.net/rapid", tests: true},
		{prefix: "go.uber.org/goleak", tests: true},
		{prefix: "github.com/eclipse/paho.mqtt.golang", tests: true},
	}
}

// checkDrivers keeps each foreign module in the folder that needs it, and out
// of core everything but golang.org/x.
func checkDrivers(tr *tree) []string {
	var faults []string
	for _, f := range tr.files {
		for _, spec := range f.syntax.Imports {
			imp := importPath(spec)
			if _, ours := ourFolder(imp); ours || standardLibrary(imp) {
				continue
			}
			if why := refuseDriver(f, imp); why != "" {
				faults = append(faults, fmt.Sprintf("%s: %s", tr.at(spec.Pos()), why))
			}
		}
	}
	return faults
}

// refuseDriver says why f may not import the foreign package, "" if it may.
func refuseDriver(f *source, imp string) string {
	if f.dir == "core" && under(imp, "golang.org/x") {
		return ""
	}
	for _, row := range drivers() {
		if !under(imp, row.prefix) {
			continue
		}
		if slices.Contains(row.folders, f.dir) || row.tests && (f.test || f.dir == "core/coretest") {
			return ""
		}
		where := slices.Clone(row.folders)
		if row.tests {
			where = append(where, "test files")
		}
		return fmt.Sprintf("%s may not import %s: drivers() in rules_layers_test.go keeps it in %s", f.dir, imp, strings.Join(where, ", "))
	}
	return fmt.Sprintf("%s is in no row of drivers(); add {prefix: %q, folders: []string{%q}} to rules_layers_test.go if the design names the module", imp, imp, f.dir)
}

// standardLibrary: only the standard library has no dot in its first element.
func standardLibrary(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

func under(imp, prefix string) bool {
	return imp == prefix || strings.HasPrefix(imp, prefix+"/")
}
