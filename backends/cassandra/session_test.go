package cassandra

import (
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
