package rulestest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

func statementCases() map[string]trial {
	return map[string]trial{"custom": {custom, nil}, "broken": {broken, needs(rules.OnMessagePublish)}}
}

func (b *bench) customJob(statements []string, clientID, username string, m *rules.Message) rules.Job {
	j := b.job("", rules.MessagePublish, clientID, m)
	j.Rule.Statements, j.Username = statements, username
	return j
}

func custom(b *bench) {
	statements, read := b.site.Custom(b.T)
	m := b.message("t/1", "payload")
	b.do(b.customJob(statements, "client", "user", m))
	got := read(b.T, m.MsgID)
	for v, want := range map[rules.Variable]string{rules.VarClientID: "client", rules.VarUsername: "user", rules.VarTopic: "t/1", rules.VarPayload: "payload"} {
		if got[v] != want {
			b.Errorf("${%s} is %q, want %q", v, got[v], want)
		}
	}
}

// A statement that is refused for good says so, and where it stands; what stands before
// and behind it is done.
func broken(b *bench) {
	job := func(m *rules.Message) rules.Job {
		return b.job(rules.OnMessagePublish, rules.MessagePublish, "sender", m)
	}
	var want []*rules.Message
	for _, bad := range []int{0, 4, 9} {
		var jobs []rules.Job
		for i := range 10 {
			m := b.message("t", fmt.Sprintf("%d of %d", i, bad))
			if i == bad {
				jobs = append(jobs, b.customJob([]string{b.site.Broken()}, "client", "user", m))
				continue
			}
			jobs, want = append(jobs, job(m)), append(want, m)
		}
		b.settle(jobs, bad)
	}
	b.wantMessages("of t", b.site.Messages(b.T, "t"), want...)
}

// settle does jobs as the engine does, and sees jobs[bad] refused.
func (b *bench) settle(jobs []rules.Job, bad int) {
	b.Helper()
	at := 0
	for range 2 * len(jobs) {
		done, err := b.db.Do(b.context(), jobs[at:])
		if at += done; err == nil && at == len(jobs) {
			return
		}
		switch {
		case err == nil:
			b.Fatalf("%d of %d done, and no error says why", at, len(jobs))
		case rules.IsPermanent(err) && at == bad:
			at++
		case rules.IsPermanent(err):
			b.Fatalf("job %d is refused, want job %d: %v", at, bad, err)
		case done == 0:
			b.Fatalf("job %d: %v", at, err)
		}
	}
	b.Fatal("it has no end")
}

func injectionCases() map[string]trial {
	return map[string]trial{
		"functions":  {injected, needs(rules.OnMessagePublish, rules.OnMessageRetain, rules.OnClientConnected)},
		"statements": {injectedStatements, nil},
		"readers":    {injectedReaders, needs(rules.OnMessagePublish)},
	}
}

// corpus is what others have tried.
func corpus() map[string]string {
	return map[string]string{
		"quote":        `'; DROP TABLE mqtt_msg; --`,
		"double quote": `"; DROP TABLE "mqtt_msg"; --`,
		"backslash":    `\'; DELETE FROM mqtt_client; \`,
		"comment":      `x/*`,
		"line":         "a\r\nFLUSHALL\r\n",
		"template":     `${payload}${clientid}$${topic`,
		"placeholder":  `$1 ? :name %s {} @v`,
		"json":         `{"$gt":""}, {$where: "1"}`,
		"blank":        ` two  blanks `,
		"bulk":         "$3\r\nfoo\r\n*1\r\n$8\r\nFLUSHALL\r\n",
		"unicode":      "Ärger ‘quoted’ 𝕏 \u2028",
		"like":         `a%_\%`,
		"empty":        "",
	}
}

// value is a text of the corpus that may stand in a topic.
func value(s string) string {
	return strings.NewReplacer("+", "-", "#", "-").Replace(s)
}

// injected has everything come by everything.
func injected(b *bench) {
	guard := b.message("guard", "still here")
	b.published(guard)
	texts := corpus()
	texts["64 KiB"] = strings.Repeat("x'\"", 1<<16/3)
	texts["NUL"] = "a\x00b"
	for _, name := range sorted(texts) {
		s := texts[name]
		m := b.message("x/"+value(s), s)
		m.Sender, m.Retain = "s"+s, true
		if !b.literally(name, b.job(rules.OnMessagePublish, rules.MessagePublish, m.Sender, m)) {
			continue
		}
		b.wantMessages(name, b.site.Messages(b.T, m.Topic), m)
		if b.literally(name, b.job(rules.OnMessageRetain, rules.MessagePublish, m.Sender, m)) {
			b.wantMessage(name+", retained", b.site.Retained(b.T, m.Topic), m)
		}
		if b.literally(name, b.job(rules.OnClientConnected, rules.ClientConnected, m.Sender, nil)) {
			b.wantClient(m.Sender, true, b.now, time.Time{})
		}
	}
	b.wantMessages("guard", b.site.Messages(b.T, "guard"), guard)
}

// literally does a job. false: the database has no place for such a value, and said so
// for good; only of what is beyond all bounds may it say that.
func (b *bench) literally(name string, j rules.Job) bool {
	b.Helper()
	done, err := b.db.Do(b.context(), []rules.Job{j})
	switch {
	case err == nil && done == 1:
		return true
	case rules.IsPermanent(err) && (name == "64 KiB" || name == "NUL"):
		b.Logf("%s of %s: refused: %s", name, j.Rule.Function, short(err.Error()))
		return false
	}
	b.Fatalf("%s: %d done: %v", name, done, err)
	return false
}

func injectedStatements(b *bench) {
	statements, read := b.site.Custom(b.T)
	guard := b.message("guard", "still here")
	b.do(b.customJob(statements, "guard", "guard", guard))
	texts := corpus()
	texts["64 KiB"] = strings.Repeat("x'\"", 1<<16/3)
	texts["NUL"] = "a\x00b"
	for _, name := range sorted(texts) {
		s := texts[name]
		m := b.message("x/"+value(s), s)
		if !b.literally(name, b.customJob(statements, "c"+s, "u"+s, m)) {
			continue
		}
		got := read(b.T, m.MsgID)
		for v, want := range map[rules.Variable]string{rules.VarClientID: "c" + s, rules.VarUsername: "u" + s, rules.VarTopic: m.Topic, rules.VarPayload: s} {
			if got[v] != want {
				b.Errorf("%s: ${%s} is %s, want %s", name, v, short(fmt.Sprintf("%q", got[v])), short(fmt.Sprintf("%q", want)))
			}
		}
	}
	if got := read(b.T, guard.MsgID); got[rules.VarTopic] != "guard" {
		b.Errorf("what was there before: %q", got)
	}
}

// injectedReaders has readers with odd names and filters.
func injectedReaders(b *bench) {
	fetch, acked := b.pubsub()
	for _, name := range sorted(corpus()) {
		s := corpus()[name]
		id, topic := "r"+s, "y/"+value(s)
		b.begin(fetch, id, topic)
		b.begin(fetch, id, topic+"/#")
		m1, m2 := b.message(topic, s), b.message(topic, "second")
		b.published(m1, m2)
		b.wantMessages(name, b.unread(fetch, rules.Query{ClientID: id, Filter: topic}), m1, m2)
		b.acked(acked, id, m1)
		b.wantMessages(name+", with a wildcard", b.unread(fetch, rules.Query{ClientID: id, Filter: topic + "/#"}), m2)
	}
}

func outageCases(s Mortal) map[string]trial {
	return map[string]trial{"killed": {func(b *bench) { killed(b, s) }, needs(rules.OnMessagePublish)}}
}

// A database that is away fails for now, not for good, and is back by itself.
func killed(b *bench, s Mortal) {
	m1, m2 := b.message("t", "before"), b.message("t", "after")
	b.published(m1)
	if err := b.db.Ping(b.context()); err != nil {
		b.Errorf("ping: %v", err)
	}
	restart := s.Outage(b.T)
	job := b.job(rules.OnMessagePublish, rules.MessagePublish, "sender", m2)
	for range 3 {
		ctx, cancel := context.WithTimeout(b.Context(), 2*time.Second)
		if done, err := b.db.Do(ctx, []rules.Job{job}); err == nil || done != 0 || rules.IsPermanent(err) {
			b.Errorf("away: %d done, %v", done, err)
		}
		if b.db.Ping(ctx) == nil {
			b.Error("away: it answers a ping")
		}
		cancel()
	}
	restart()
	for deadline := time.Now().Add(time.Minute); ; {
		ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
		done, err := b.db.Do(ctx, []rules.Job{job})
		if cancel(); done == 1 && err == nil {
			break
		}
		if time.Now().After(deadline) || rules.IsPermanent(err) {
			b.Fatalf("not back: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.wantMessages("of t", b.site.Messages(b.T, "t"), m1, m2)
}
