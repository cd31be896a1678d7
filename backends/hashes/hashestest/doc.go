// Package hashestest has programs of tests make hashes apart, as a gateway's does:
//
//	func TestMain(m *testing.M) { hashestest.Main(m) }
//
//	func TestApart(t *testing.T) {
//		maker, workers := hashestest.New(t)
//		…
//		hashestest.Want(t, workers, 1, 0, 0)
//	}
//
// It holds no state.
package hashestest
