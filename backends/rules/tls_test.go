package rules_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

func TestClientTLSFaultsNameTheirKeys(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, files := range map[string][3]string{
		"tls_ca_file: ":                 {filepath.Join(t.TempDir(), "none"), "", ""},
		empty + " holds no certificate": {empty, "", ""},
		"tls_cert_file: ":               {"", empty, empty},
	} {
		if _, err := rules.ClientTLS(files[0], files[1], files[2]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", files, err, want)
		}
	}
	if c, err := rules.ClientTLS("", "", ""); err != nil || c.RootCAs != nil {
		t.Errorf("without files: %v", err)
	}
}
