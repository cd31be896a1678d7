// Package tabletest tries what every [sessions.Table] must do, against the real database,
// and holds [Memory], the naive Table that all of them are compared with. It is for
// _test.go files only.
//
//	func TestServiceTable(t *testing.T) {
//		tabletest.Run(t, tabletest.Site{Fresh: …, Kill: …, Start: …})
//	}
//
// [Compare] measures Table.Write beside a plain loop of the driver.
package tabletest
