// Command fairlead runs the gateway (serve, check, config, passwd) and speaks to
// one as a client (pub, sub). One file holds one command.
//
// What goes to people about the run itself goes to the standard error output, as
// lines that begin with "fairlead: "; results go to the standard output. How a
// command ended is told by its exit code, see exits in errors.go.
package main
