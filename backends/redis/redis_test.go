package redis

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// server is the Redis of the tests.
type server struct {
	t       testing.TB
	port    string
	service string

	others   []string // ports of the other nodes of a cluster
	sentinel string   // port of a sentinel, which knows the master's
	config   func(*Config)
}

// startServer gives it empty.
func startServer(t testing.TB) *server {
	u, err := url.Parse(testservice.URL(t, "redis"))
	if err != nil {
		t.Fatal(err)
	}
	testservice.Limit(t, 2*time.Minute)
	s := &server{t: t, port: u.Port(), service: "redis", config: func(c *Config) { c.Server = []string{u.Host} }}
	s.flush()
	return s
}

// flush empties it.
func (s *server) flush() {
	if s.sentinel != "" {
		s.port = s.master()
	}
	s.cli("FLUSHALL")
	for _, port := range s.others {
		(&server{t: s.t, port: port}).cli("FLUSHALL")
	}
}

// await looks until something outside of the process has happened.
func await(t testing.TB, happened func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for late := time.After(time.Minute); !happened(); {
		select {
		case <-look.C:
		case <-late:
			t.Fatal("nothing happened for a minute")
		}
	}
}

// cli asks by Redis's own client, not by ours, and makes one line of its answer.
func (s *server) cli(args ...string) string {
	out := s.run(nil, args)
	if strings.HasPrefix(out, "-> Redirected") {
		_, out, _ = strings.Cut(out, "\n")
	}
	return strings.TrimSpace(strings.ReplaceAll(out, "\n", " "))
}

// csv gives the answers to commands, byte by byte: lists of texts.
func (s *server) csv(commands ...[]string) (all [][]string) {
	for _, line := range s.answers(commands) {
		var fields []string
		for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimPrefix(rest, ",") {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				break // an empty list, a number
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				s.t.Errorf("redis-cli printed %s: %v", quoted, err)
			}
			fields, rest = append(fields, text), rest[len(quoted):]
		}
		all = append(all, fields)
	}
	return all
}

// answers gives a line for each command: that of the node which has its key.
func (s *server) answers(commands [][]string) []string {
	lines := strings.Split(strings.TrimSuffix(s.run([]string{"--csv"}, commands...), "\n"), "\n")
	for _, port := range s.others {
		other := &server{t: s.t, port: port}
		for i, line := range other.answers(commands) {
			if !strings.Contains(line, "MOVED ") && i < len(lines) {
				lines[i] = line
			}
		}
	}
	return lines
}

// run gives what redis-cli prints. The commands go by its input: an argument of a process
// cannot hold every byte.
func (s *server) run(options []string, commands ...[]string) string {
	var text strings.Builder
	for _, c := range commands {
		for i, a := range c {
			if i > 0 {
				text.WriteByte(' ')
			}
			text.WriteString(quote(a))
		}
		text.WriteByte('\n')
	}
	cmd := exec.Command("redis-cli", s.arguments(options)...)
	cmd.Stdin = strings.NewReader(text.String())
	out, _ := cmd.Output()
	return string(out)
}

// arguments are redis-cli's: it follows redirections, unless its output is to be exact.
func (s *server) arguments(options []string) []string {
	line := append([]string{"-p", s.port}, options...)
	if len(s.others) > 0 && len(options) == 0 {
		line = append(line, "-c")
	}
	return line
}

// quote writes a as redis-cli reads it.
func quote(a string) string {
	b := []byte{'"'}
	for i := range len(a) {
		if c := a[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b = fmt.Appendf(b, "\\x%02x", c)
		} else {
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

func (s *server) open(change func(*Config)) *Database {
	c := DefaultConfig()
	s.config(&c)
	if change != nil {
		change(&c)
	}
	d, err := Open(c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { d.Close() })
	return d
}

func (s *server) want(want string, args ...string) {
	s.t.Helper()
	if got := s.cli(args...); got != want {
		s.t.Errorf("%v: %s\nwant %s", args, got, want)
	}
}

func do(t *testing.T, d *Database, jobs ...rules.Job) {
	t.Helper()
	if n, err := d.Do(context.Background(), jobs); n != len(jobs) || err != nil {
		t.Fatalf("%d of %d done: %v", n, len(jobs), err)
	}
}

const noon = 1_790_000_000_000 // Unix milliseconds

func id(n int) string { return rules.MessageIDAt(noon + int64(n)) }

// published is a job of message n to topic.
func published(f rules.Function, n int, topic, payload string) rules.Job {
	return rules.Job{Rule: &rules.Rule{Function: f}, Hook: rules.MessagePublish, Time: noon + int64(n), Node: "n1", ClientID: "p", Topic: topic, QoS: 1,
		Message: &rules.Message{MsgID: id(n), Topic: topic, Payload: []byte(payload), QoS: 1, Sender: "p", Arrived: noon + int64(n)}}
}

func acked(f rules.Function, n int, topic, client string) rules.Job {
	j := published(f, n, topic, "")
	j.Hook, j.ClientID = rules.MessageAcked, client
	return j
}

func TestServiceKeys(t *testing.T) {
	s := startServer(t)
	d := s.open(nil)
	on := rules.Job{Rule: &rules.Rule{Function: rules.OnClientConnected}, Hook: rules.ClientConnected, Time: noon, Node: "n1", ClientID: "c"}
	off := rules.Job{Rule: &rules.Rule{Function: rules.OnClientDisconnected}, Hook: rules.ClientDisconnected, Time: noon + 5000, Node: "n1", ClientID: "c"}
	do(t, d, on)
	s.want("state 1 online_at 1790000000 offline_at undefined", "HGETALL", "mqtt:client:c")
	s.want("c 1790000000", "HGETALL", "mqtt:node:n1")
	do(t, d, off, on, off)
	s.want("state 0 online_at 1790000000 offline_at 1790000005", "HGETALL", "mqtt:client:c")
	s.want("", "HGETALL", "mqtt:node:n1")

	stored := published(rules.OnMessagePublish, 0, "a/b", "hot")
	stored.Rule.Expiry = time.Hour
	do(t, d, stored)
	s.want("id "+id(0)+" from p qos 1 topic a/b payload hot ts 1790000000 retain false", "HGETALL", "mqtt:msg:"+id(0))
	s.want(id(0)+" 1", "ZRANGE", "mqtt:msg:a/b", "0", "-1", "WITHSCORES")
	if ttl := s.cli("TTL", "mqtt:msg:"+id(0)); ttl != "3600" && ttl != "3599" {
		t.Errorf("it expires in %s s", ttl)
	}
	kept := published(rules.OnMessageRetain, 1, "a/b", "kept")
	kept.Message.Retain = true
	s.cli("SET", "mqtt:retain:a/b", "a string of before")
	do(t, d, kept)
	s.want("id "+id(1)+" from p qos 1 topic a/b payload kept ts 1790000000 retain true", "HGETALL", "mqtt:retain:a/b")
	do(t, d, published(rules.OnRetainDelete, 2, "a/b", ""))
	s.want("0", "EXISTS", "mqtt:retain:a/b")
	do(t, d, acked(rules.OnMessageAckedPubsub, 5, "a/b", "c"), acked(rules.OnMessageAckedPubsub, 3, "a/b", "c"))
	s.want(id(5), "GET", "mqtt:acked:c:a/b")
	do(t, d, acked(rules.OnMessageAckedQueue, 0, "a/b", "c"))
	s.want("0", "EXISTS", "mqtt:msg:a/b", "mqtt:msg:"+id(0))
	do(t, d, published(rules.OnMessageStoreKeepLatest, 6, "l", "1"), published(rules.OnMessageStoreKeepLatest, 7, "l", "2"), acked(rules.OnMessageAckedKeepLatest, 6, "l", "c"))
	s.want("2", "HGET", "mqtt:latest_msg:l", "payload")
	do(t, d, acked(rules.OnMessageAckedKeepLatest, 7, "l", "c"))
	s.want("0", "EXISTS", "mqtt:latest_msg:l")
}

func texts(t *testing.T, ms []rules.Message, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range ms {
		out = append(out, m.Topic+"="+string(m.Payload))
	}
	return strings.Join(out, " ")
}

// unread reads all pages.
func unread(t *testing.T, d *Database, f rules.Function, q rules.Query) string {
	t.Helper()
	var out []string
	for range 100 {
		ms, err := d.Unread(context.Background(), &rules.Rule{Function: f}, &q)
		text := texts(t, ms, err)
		if text == "" {
			return strings.Join(out, " ")
		}
		out = append(out, text)
		q.After = ms[len(ms)-1].Cursor
	}
	t.Fatal("no end")
	return ""
}

func TestServiceUnread(t *testing.T) {
	s := startServer(t)
	d := s.open(nil)
	for i := range 6 {
		do(t, d, published(rules.OnMessagePublish, i, fmt.Sprintf("pubsub/%d", i%2), fmt.Sprint(i)))
	}
	all := rules.Query{ClientID: "c", Filter: "pubsub/#", Max: 4}
	one := rules.Query{ClientID: "c", Filter: "pubsub/1", Max: 2}
	for _, q := range []rules.Query{all, one} { // the first subscription begins behind the newest
		if got := unread(t, d, rules.OnMessageFetchPubsub, q); got != "" {
			t.Errorf("%s: %s", q.Filter, got)
		}
	}
	s.want(id(5), "GET", "mqtt:acked:c:pubsub/1")
	s.cli("SET", "mqtt:acked:c:pubsub/#", "0")
	s.cli("SET", "mqtt:acked:c:pubsub/1", id(1))
	if got, want := unread(t, d, rules.OnMessageFetchPubsub, all), "pubsub/0=0 pubsub/0=2 pubsub/1=3 pubsub/0=4 pubsub/1=5"; got != want {
		t.Errorf("unread: %s\nwant    %s", got, want)
	}
	if got, want := unread(t, d, rules.OnMessageFetchPubsub, one), "pubsub/1=3 pubsub/1=5"; got != want {
		t.Errorf("unread: %s\nwant    %s", got, want)
	}
	newest := all
	newest.Newest = 2
	if got, want := unread(t, d, rules.OnMessageFetchPubsub, newest), "pubsub/0=4 pubsub/1=5"; got != want {
		t.Errorf("newest: %s\nwant    %s", got, want)
	}
	recent := all
	recent.Since, recent.Before = noon+3, id(5)
	if got, want := unread(t, d, rules.OnMessageFetchPubsub, recent), "pubsub/0=4"; got != want {
		t.Errorf("recent: %s\nwant    %s", got, want)
	}
	s.cli("DEL", "mqtt:msg:"+id(3), "mqtt:msg:"+id(2)) // expired: what names them goes, and hides nothing
	if got, want := unread(t, d, rules.OnMessageFetchQueue, rules.Query{ClientID: "x", Filter: "pubsub/+", Max: 1}), "pubsub/0=0 pubsub/1=1 pubsub/0=4 pubsub/1=5"; got != want {
		t.Errorf("queue: %s\nwant   %s", got, want)
	}
	s.want(id(1)+" "+id(5), "ZRANGE", "mqtt:msg:pubsub/1", "0", "-1")
	do(t, d, rules.Job{Rule: &rules.Rule{Function: rules.OnAckedDelete}, Hook: rules.SessionUnsubscribed, ClientID: "c", Topic: "pubsub/#"})
	s.want("0", "EXISTS", "mqtt:acked:c:pubsub/#", "mqtt:acked:c:pubsub/1")
}

func TestServiceRetained(t *testing.T) {
	s := startServer(t)
	d := s.open(nil)
	for i, topic := range []string{"r/1", "r/2", "r/3", "r/4", "q", "r+x"} {
		do(t, d, published(rules.OnMessageRetain, i, topic, fmt.Sprint(i)))
	}
	s.cli("DEL", "mqtt:retain:r/1", "mqtt:retain:r/2")
	s.cli("HSET", "mqtt:msg:theirs", "id", "theirs", "topic", "s/1", "payload", "by name", "qos", "1")
	s.cli("SET", "mqtt:retain:s/1", "theirs")
	read := func(filter string) string {
		var out []string
		for q := (rules.Query{Filter: filter, Max: 2}); ; {
			ms, err := d.Retained(context.Background(), &rules.Rule{}, &q)
			text := texts(t, ms, err)
			if text == "" {
				return strings.Join(out, " ")
			}
			out = append(out, text)
			q.After = ms[len(ms)-1].Cursor
		}
	}
	for filter, want := range map[string]string{"r/+": "r/3=2 r/4=3", "#": "q=4 r+x=5 r/3=2 r/4=3", "r/3": "r/3=2", "s/1": "s/1=by name", "none": "", "none/#": ""} {
		if got := read(filter); got != want {
			t.Errorf("%s: %s, want %s", filter, got, want)
		}
	}
	s.want("q r+x r/3 r/4", "ZRANGE", "mqtt:topics:retain", "0", "-1")
}

func TestServiceSubscriptionsOfUser(t *testing.T) {
	s := startServer(t)
	d := s.open(nil)
	s.cli("HSET", "mqtt:sub:c", "a/%c", "1", "$share/g/b", "2")
	subs, err := d.Subscriptions(context.Background(), &rules.Rule{}, "c")
	if got := fmt.Sprint(subs, err); got != "[{$share/g/b 2} {a/%c 1}] <nil>" {
		t.Error(got)
	}
	s.cli("HSET", "mqtt:sub:c", "bad", "three")
	if _, err := d.Subscriptions(context.Background(), &rules.Rule{}, "c"); err == nil || !strings.Contains(err.Error(), "three") {
		t.Errorf("%v", err)
	}
}

// Whatever devices put into names and payloads is a value and nothing else.
func TestServiceInjection(t *testing.T) {
	s := startServer(t)
	d := s.open(nil)
	for i, evil := range []string{"'; FLUSHALL; --", "\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "${payload}", "a b", "\x00", "\xff\xfe", strings.Repeat("x", 64<<10), "\"", "{}"} {
		j := published(rules.OnMessagePublish, i, "t/"+evil, evil)
		j.Message.Sender = evil
		custom := j
		custom.ClientID, custom.Username = evil, evil
		custom.Rule = &rules.Rule{Statements: []string{"HSET u:${clientid} name ${username} payload ${payload} fixed ${fixed"}}
		if n, err := d.Do(context.Background(), []rules.Job{j, custom}); n != 1 || !rules.IsPermanent(err) && err != nil {
			t.Errorf("%d done: %v", n, err)
		}
		custom.Rule = &rules.Rule{Statements: []string{"HSET u:${clientid} name ${username} payload ${payload}"}}
		do(t, d, j, custom)
		ctx := context.Background()
		for _, got := range []string{d.client.HGet(ctx, "mqtt:msg:"+id(i), "payload").Val(), d.client.HGet(ctx, "mqtt:msg:"+id(i), "from").Val(),
			d.client.HGet(ctx, "u:"+evil, "name").Val(), d.client.HGet(ctx, "u:"+evil, "payload").Val()} {
			if got != evil {
				t.Errorf("%.20q became %.20q", evil, got)
			}
		}
	}
	s.want("31", "DBSIZE") // 10 × (message, topic, custom) and the index
}

// A server that dies in between: what was said to be done is there.
func TestServiceKilled(t *testing.T) {
	s := startServer(t)
	d := s.open(func(c *Config) { c.Timeout = time.Second })
	stored, ended := 0, make(chan struct{})
	store := func() {
		jobs := make([]rules.Job, 50)
		for k := range jobs {
			jobs[k] = published(rules.OnMessagePublish, stored+k, "k", "x")
		}
		n, err := d.Do(context.Background(), jobs)
		if rules.IsPermanent(err) {
			t.Fatal(err)
		}
		stored += n
	}
	for stored < 1000 {
		store()
	}
	go func() {
		defer close(ended)
		testservice.Kill(t, "redis")
	}()
	for over := false; !over; {
		store()
		select {
		case <-ended:
			over = true
		default:
		}
	}
	testservice.Start(t, "redis")
	for before := stored; stored < before+1000; {
		store()
	}
	s.want(fmt.Sprint(stored), "ZCARD", "mqtt:msg:k")
}

func TestServiceListen(t *testing.T) {
	s := startServer(t)
	d := s.open(nil)
	got := make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.Listen(ctx, func(m []byte) { got <- string(m) }, func(err error) { got <- fmt.Sprint("trouble ", err != nil) })
	}()
	came := func(want string) {
		t.Helper()
		if m := <-got; m != want {
			t.Errorf("got %s, want %s", m, want)
		}
	}
	await(t, func() bool { return s.cli("PUBLISH", "mqtt_channel", "one") == "1" })
	came("one")
	testservice.Kill(t, "redis")
	came("trouble true")
	testservice.Start(t, "redis")
	came("trouble false")
	s.cli("PUBLISH", "mqtt_channel", "two")
	came("two")
	cancel()
	<-ended
}
