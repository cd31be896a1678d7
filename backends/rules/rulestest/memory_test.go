package rulestest_test

import (
	"testing"

	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
)

// The suite passes what it is the measure of.
func TestMemory(t *testing.T) { rulestest.Run(t, &rulestest.MemorySite{}) }
