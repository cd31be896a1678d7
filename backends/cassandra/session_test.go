package cassandra

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// stuck is a session whose Close waits, as the driver's does when it reconnects.
type stuck struct{ released, closed chan struct{} }

func (s stuck) Close() {
	<-s.released
	close(s.closed)
}

func newStuck() stuck { return stuck{make(chan struct{}), make(chan struct{})} }

func TestEndDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, began := newStuck(), time.Now()
		end(s)
		if waited := time.Since(began); waited != endWait {
			t.Errorf("waited %s, want %s", waited, endWait)
		}
		close(s.released)
		<-s.closed
		began = time.Now()
		s = newStuck()
		close(s.released)
		end(s)
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %s for a session that ends at once", waited)
		}
	})
}

func TestDialDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late, made := newStuck(), make(chan struct{})
		close(late.released)
		_, err := dial(func() (stuck, error) {
			<-made
			return late, nil
		})
		if err == nil {
			t.Error("a session that nobody made")
		}
		close(made)
		<-late.closed // nobody uses it any more
		if _, err := dial(func() (stuck, error) { return late, nil }); err != nil {
			t.Errorf("a session made at once: %v", err)
		}
	})
}

// TestDialAsksForTheReason: the driver loses by chance why a server ended a connection, and
// then says at once that nothing came in time.
func TestDialAsksForTheReason(t *testing.T) {
	const timeout = 5 * time.Second
	lost, reason := errors.New("gocql: "+lostReason), errors.New("tls: certificate required")
	for name, c := range map[string]struct {
		says []error
		take time.Duration // of each
		want error
		asks int
	}{
		"lost once":       {[]error{lost, reason}, time.Second, reason, 2},
		"made afterwards": {[]error{lost, nil}, time.Second, nil, 2},
		"always lost":     {[]error{lost, lost, lost, lost, lost}, time.Second, lost, dialTries},
		"not lost":        {[]error{reason, nil}, time.Second, reason, 1},
		"silent":          {[]error{lost, nil}, timeout, lost, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				_, err := dialForReason(func() (stuck, error) {
					time.Sleep(c.take)
					asked++
					return stuck{}, c.says[asked-1]
				}, timeout)
				if err != c.want || asked != c.asks {
					t.Errorf("%v after %d, want %v after %d", err, asked, c.want, c.asks)
				}
			})
		})
	}
}
