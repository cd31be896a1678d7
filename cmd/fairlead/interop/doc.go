// Package interop holds tests only. They build the fairlead command, run it as
// a process of its own and meet it as strangers do: over its sockets.
//
// Foreign clients (TestForeign…): programs and libraries written by others,
// each over every transport it speaks, play the same scenarios. A driver makes
// a library obey; a scenario says what must happen and judges the messages
// that arrive. Libraries of other languages run in one child process each,
// which takes orders and reports events as lines of JSON (testdata). TestForeignMatrix
// lets every protocol hear every other, and prints what arrived as a table.
//
// The kill test (TestKill): the gateway dies by SIGKILL again and again under
// load, and nothing that it has acknowledged may be lost or doubled. TestRestart
// shows piece by piece what is known again after an end.
//
// No test sleeps: each waits for an event, with a limit of time.
package interop
