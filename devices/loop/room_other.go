//go:build !linux

package loop

// portableLimit is what is assumed where there is no asking: macOS lets a process
// have that many by default once Go has raised the limit, and Windows more.
const portableLimit = 10_240

// Room is how many more connections this process may hold, and why not more. Here it
// is an assumption.
func Room() (descriptors int, why string) { return room(portableLimit, 0) }
