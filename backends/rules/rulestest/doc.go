// Package rulestest is the suite that every [rules.Database] must pass against the real
// service: for each hook and function, what stands in the database afterwards, read by
// the database's own client.
//
// A driver's test says how to reach its service and how to look at it:
//
//	func TestRules(t *testing.T) {
//		rulestest.Run(t, &site{…})
//	}
package rulestest
