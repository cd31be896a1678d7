package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// widthOf tells how many columns a terminal has; nil where w is none.
func widthOf(w io.Writer) func() int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0
		}
		return width
	}
}
