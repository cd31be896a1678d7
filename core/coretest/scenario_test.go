package coretest_test

import (
	"testing"

	"github.com/fairlead-iot/fairlead/core/coretest"
)

func TestScenariosOnCoreAlone(t *testing.T) { coretest.RunScenarios(t, coretest.NewCoreStage) }
