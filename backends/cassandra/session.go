package cassandra

import (
	"fmt"
	"strings"
	"time"
)

// How long the driver may take to make a session, all nodes tried, and to end one.
const (
	dialWait = 2 * time.Minute
	endWait  = 5 * time.Second
)

// closer is a session of the driver.
type closer interface{ Close() }

// end closes a session. The driver's Close waits for ever if it meets a reconnect of the
// control connection: that waits for a refresh of the schema, which Close has just stopped.
// Then the session is left to itself, with its pool closed.
func end(s closer) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Close()
	}()
	select {
	case <-ended:
	case <-time.After(endWait):
	}
}

// dial makes a session. The driver closes what it began when it cannot go on, and so may
// wait for ever, too; a session that comes too late is ended.
func dial[S closer](create func() (S, error)) (S, error) {
	type result struct {
		session S
		err     error
	}
	made := make(chan result, 1)
	go func() {
		s, err := create()
		made <- result{s, err}
	}()
	select {
	case r := <-made:
		return r.session, r.err
	case <-time.After(dialWait):
	}
	go func() {
		if r := <-made; r.err == nil {
			end(r.session)
		}
	}()
	var none S
	return none, fmt.Errorf("no session within %s", dialWait)
}

// lostReason is what the driver says where its own end of a connection overtakes the
// server's reason for ending it, such as a certificate that is required.
const lostReason = "no response to connection startup within timeout"

// dialTries is how often a session is tried to hear that reason.
const dialTries = 4

// dialForReason is dial, again where the driver says that it waited for as long as timeout
// and has not: the reason is lost by chance, and who has to mend something needs it.
func dialForReason[S closer](create func() (S, error), timeout time.Duration) (s S, err error) {
	for range dialTries {
		began := time.Now()
		s, err = dial(create)
		if err == nil || time.Since(began) >= timeout || !strings.Contains(err.Error(), lostReason) {
			break
		}
	}
	return s, err
}
