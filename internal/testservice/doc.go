// Package testservice gives tests the real databases and brokers that
// scripts/services starts. It is for _test.go files only and imports nothing of
// ours.
//
//	func TestServicePostgres(t *testing.T) {
//		url := testservice.URL(t, "postgres")
//		…
//		testservice.Kill(t, "postgres")  // as a crash would end it
//		testservice.Start(t, "postgres") // the same data, the same port
//	}
//
// # Which service
//
// [URL] takes FAIRLEAD_TEST_NAME_URL (redis-cluster: FAIRLEAD_TEST_REDIS_CLUSTER_URL),
// which "scripts/services up" prints and which may name any other server of the
// kind. Without it the test is skipped and says what to run; where FAIRLEAD_REQUIRE
// names the service (a list with commas, or all) it fails instead.
//
// # Outages
//
// [Kill], [Stop], [Start], [Pause] and [Resume] act on services that scripts/services
// has started, and end the test likewise for a server that is somebody else's: that
// one is never harmed. What a test has killed, stopped or paused is well again when the
// test and its subtests have ended. A service is shared by all who use it: tests of
// outages of one service must not be parallel, nor may packages that use it be (go test
// -p 1).
//
// # Waits
//
// Whoever waits for a service has a bound for it and says what did not come. [Limit] is
// for what has none, such as the end of a driver: it makes a hang a failure within
// minutes, with what the test waits for.
package testservice
