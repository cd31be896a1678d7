//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "loadgen: works on Linux only: it needs epoll and /proc")
	os.Exit(1)
}
