package core_test

import (
	"testing"

	"github.com/fairlead-iot/fairlead/core/coretest"
)

// TestAuthorizationMatrix is every path through core alone; the adapters run the same
// paths in their own words.
func TestAuthorizationMatrix(t *testing.T) { coretest.RunAuthz(t, coretest.CoreProtocol{}) }
