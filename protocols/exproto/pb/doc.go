// Package pb is the service between Fairlead and handlers of private protocols, made from
// handler.proto, which is its reference. Handlers in Go may use it.
//
// After a change of handler.proto run
//
//	go test ./protocols/exproto/pb -run Fresh -update
//
// which needs protoc (Debian: protobuf-compiler) and the two plugins that the test names.
package pb
