// Package identitytest is the suite that every database must pass which identities are
// taken from, against the real service: who gets in by which row, and what may be done.
//
// A driver's test says how to reach its service, and writes rows as the user's programs do,
// by the database's own client:
//
//	func TestServiceIdentities(t *testing.T) {
//		identitytest.Run(t, &site{…})
//	}
package identitytest
