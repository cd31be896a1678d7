package interop

import (
	"crypto/rand"
	"net/url"
	"os/exec"
	"testing"

	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// TestServiceKill is TestKill with the sessions in a database.
func TestServiceKill(t *testing.T) {
	engines := map[string]func(u *url.URL) (key, value string){
		"postgres": func(u *url.URL) (key, value string) { return "url", u.String() },
		"redis":    func(u *url.URL) (key, value string) { return "server", u.Host },
	}
	for name, pool := range engines {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(testservice.URL(t, name))
			if err != nil {
				t.Fatal(err)
			}
			key, value := pool(u)
			settings := []string{
				"--set", "store.engine=" + name, "--set", "store.namespace=kill-" + rand.Text(),
				"--set", "backends." + name + ".pools.main." + key + "=" + value,
			}
			out, err := exec.Command(command(t), append([]string{"ctl", "backend", "init"}, settings...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("ctl backend init: %v\n%s", err, out)
			}
			killTest(t, settings...)
		})
	}
}
