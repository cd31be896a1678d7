package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// maxSecret bounds what is read where a password is expected, in bytes.
const maxSecret = 64 << 10

// password reads a password: from a file, from the terminal without echo (twice
// if it is a new one), or from the first line of the standard input.
func (t *terminal) password(file, prompt string, twice bool) ([]byte, error) {
	if file != "" {
		content, err := readLimited(file, maxSecret)
		if err != nil {
			return nil, err
		}
		return notEmpty(firstLine(content), file)
	}
	in, ok := t.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(t.in, maxSecret)).ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return notEmpty(firstLine(line), "the standard input")
	}
	first, err := t.ask(in, prompt)
	if err != nil || !twice {
		return first, err
	}
	second, err := t.ask(in, "Once more")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, usagef("the two passwords differ; nothing was changed")
	}
	return notEmpty(first, "the terminal")
}

func (t *terminal) ask(in *os.File, prompt string) ([]byte, error) {
	fmt.Fprint(t.err, prompt+": ")
	secret, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(t.err)
	return secret, err
}

func firstLine(content []byte) []byte {
	line, _, _ := bytes.Cut(content, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r"))
}

func notEmpty(secret []byte, from string) ([]byte, error) {
	if len(secret) == 0 {
		return nil, usagef("the password from %s is empty", from)
	}
	return secret, nil
}

// readLimited reads a file of at most max bytes.
func readLimited(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(content)) > max {
		err = fmt.Errorf("%s has more than %d bytes", path, max)
	}
	return content, err
}
