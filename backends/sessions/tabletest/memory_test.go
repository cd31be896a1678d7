package tabletest_test

import (
	"testing"

	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/backends/sessions/tabletest"
)

func TestMemory(t *testing.T) {
	tabletest.Run(t, tabletest.Site{Fresh: func(testing.TB) func() sessions.Database {
		return new(tabletest.Memory).Open
	}})
}
