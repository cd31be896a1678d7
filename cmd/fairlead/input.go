package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
)

// maxMessage is the largest message that is read, in bytes: the largest that
// MQTT can express is little more.
const maxMessage = 256 << 20

// source gives one message with each call, until ok is false.
type source func(ctx context.Context) (payload []byte, ok bool, err error)

// messages gives the source of what is to be published.
func (t *terminal) messages(o *pubOptions) (next source, err error) {
	switch {
	case o.lines:
		return t.lines(), nil
	case o.stdin:
		content, err := io.ReadAll(io.LimitReader(t.in, maxMessage+1))
		if err == nil && len(content) > maxMessage {
			err = fmt.Errorf("the standard input has more than %d bytes, which is more than one message can hold", maxMessage)
		}
		return once(content), err
	case o.file != "":
		content, err := readLimited(o.file, maxMessage)
		if err != nil {
			return nil, usageError{err}
		}
		return once(content), nil
	}
	return once([]byte(o.message)), nil
}

func once(payload []byte) source {
	left := true
	return func(context.Context) ([]byte, bool, error) {
		ok := left
		left = false
		return payload, ok, nil
	}
}

// maxLine is the longest line that is read, in bytes.
const maxLine = 16 << 20

// lines reads in a goroutine of its own, which ends with the process at the
// latest: nothing else can leave a terminal that says nothing.
func (t *terminal) lines() source {
	type line struct {
		payload []byte
		err     error
	}
	read := make(chan line)
	go func() {
		defer close(read)
		s := bufio.NewScanner(t.in)
		s.Buffer(make([]byte, 0, 64<<10), maxLine)
		for s.Scan() {
			read <- line{payload: append([]byte(nil), s.Bytes()...)} // kept until it is acknowledged
		}
		if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
			read <- line{err: fmt.Errorf("a line has more than %d bytes", maxLine)}
		} else if err != nil {
			read <- line{err: err}
		}
	}()
	return func(ctx context.Context) ([]byte, bool, error) {
		select {
		case l, ok := <-read:
			return l.payload, ok && l.err == nil, l.err
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}
