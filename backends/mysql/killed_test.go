package mysql_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

const (
	killWriters = 4
	killBatch   = 50
	killBatches = 120 // of each writer
	killTimes   = 3
)

// The server dies in the middle of batches, and again. What was said to be done stands
// there, once, in the order of its topic.
func TestServiceKilledUnderLoad(t *testing.T) {
	s := newSite(t, "mariadb")
	s.fresh(t)
	client(t, s.url, mysql.Schema)
	db := s.open(t)
	defer db.Close()

	var stored, failed atomic.Int64
	var writers sync.WaitGroup
	for w := range killWriters {
		writers.Go(func() {
			for b := range killBatches {
				writeUntilDone(t, db, w, b, &failed)
				stored.Add(killBatch)
			}
		})
	}
	for i := range int64(killTimes) {
		for stored.Load() < (i+1)*killWriters*killBatch*killBatches/(killTimes+1) && !t.Failed() {
			<-time.After(time.Millisecond)
		}
		testservice.Kill(t, s.service)
		testservice.Start(t, s.service)
	}
	writers.Wait()
	if failed.Load() == 0 {
		t.Error("no batch met the death of the server: it tests nothing")
	}
	t.Logf("%d messages, %d batches failed and came again", stored.Load(), failed.Load())
	for w := range killWriters {
		var want []string
		for i := range killBatch * killBatches {
			want = append(want, fmt.Sprint(i))
		}
		got := client(t, s.url, fmt.Sprintf("select payload from mqtt_msg where topic = 'w/%d' order by id", w))
		if got != strings.Join(want, "\n") {
			t.Errorf("topic of writer %d: %d rows, want %d in order", w, strings.Count(got, "\n")+1, len(want))
		}
	}
}

// writeUntilDone tries one batch as the engine does: nothing overtakes it.
func writeUntilDone(t *testing.T, db *mysql.DB, writer, batch int, failed *atomic.Int64) {
	jobs := make([]rules.Job, killBatch)
	for i := range jobs {
		n := batch*killBatch + i
		m := message(int64(n), fmt.Sprintf("w/%d", writer), fmt.Sprint(n))
		m.MsgID = rules.MessageIDAt(at + int64(writer*killBatch*killBatches+n))
		jobs[i] = publish(m)
	}
	for len(jobs) > 0 && !t.Failed() {
		done, err := db.Do(t.Context(), jobs)
		if rules.IsPermanent(err) {
			t.Errorf("for good: %v", err)
		}
		if err != nil {
			failed.Add(1)
			<-time.After(10 * time.Millisecond)
		}
		jobs = jobs[done:]
	}
}
