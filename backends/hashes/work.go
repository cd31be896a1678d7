package hashes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// Work makes the hashes that [Workers] in another process ask for on in, and answers on
// out, until in ends. It is all that a process does that Workers begin: one hash
// at a time, the memory of which is collected before the next. The error is nil when in
// ended between two requests.
func Work(in io.Reader, out io.Writer) error { return work(in, out, runtime.GC) }

func work(in io.Reader, out io.Writer, tidy func()) error {
	var buffer [requestPrefix + maxRequest]byte
	for {
		request, err := readRequest(in, buffer[:])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hashes: %w", err)
		}
		r, password, err := parseRequest(request)
		if err != nil {
			return err
		}
		hash, err := r.Hash(password)
		if err != nil {
			return err
		}
		_, err = out.Write(appendAnswer(make([]byte, 0, maxAnswer), request, hash))
		clear(request)
		if err != nil {
			return fmt.Errorf("hashes: %w", err)
		}
		tidy()
	}
}

// readRequest gives the next request without its first two bytes, as a part of buffer.
// The error is io.EOF where none begins.
func readRequest(in io.Reader, buffer []byte) ([]byte, error) {
	if _, err := io.ReadFull(in, buffer[:requestPrefix]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(buffer))
	if n > len(buffer)-requestPrefix {
		return nil, errRequest
	}
	request := buffer[requestPrefix:][:n]
	if _, err := io.ReadFull(in, request); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return request, nil
}
