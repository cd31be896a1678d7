package interop

import (
	"bufio"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func findMosquitto(t *testing.T) {
	t.Helper()
	for _, program := range []string{"mosquitto_pub", "mosquitto_sub", "stdbuf"} {
		if _, err := exec.LookPath(program); err != nil {
			lack(t, "mosquitto", err.Error())
		}
	}
}

// TestForeignMosquitto plays with mosquitto_pub and mosquitto_sub, each a
// process of its own for every step, as in a shell.
func TestForeignMosquitto(t *testing.T) {
	findMosquitto(t)
	help, _ := exec.Command("mosquitto_sub", "--help").CombinedOutput() // its exit code is never 0
	transports := []transport{"tcp", "tls"}
	for flag, tr := range map[string]transport{"--unix": "unix", "--ws": "ws"} {
		if strings.Contains(string(help), flag) {
			transports = append(transports, tr)
		}
	}
	scenes := []struct {
		name string
		play func(*testing.T, shell)
	}{
		{"publish and subscribe", shellPublish},
		{"retained", shellRetained},
		{"will", shellWill},
		{"session resume", shellResume},
		{"shared subscription", shellShared},
	}
	g := startGateway(t)
	for _, tr := range transports {
		for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
			for _, scene := range scenes {
				t.Run(fmt.Sprintf("%s %s %s", tr, version, scene.name), func(t *testing.T) {
					t.Parallel()
					scene.play(t, shell{at: g.endpoint(t, tr), version: version, word: shorten(t.Name())})
				})
			}
		}
	}
}

// shell is where the two programs are called.
type shell struct {
	at      endpoint
	version string
	word    string // keeps topics and client identifiers apart
}

func (s shell) topic(name string) string { return s.word + "/" + name }

func (s shell) where(t *testing.T) []string {
	t.Helper()
	args := []string{"-V", s.version}
	if s.at.transport == "unix" {
		return append(args, "--unix", s.at.address)
	}
	host, port := s.at.hostPort(t)
	args = append(args, "-h", host, "-p", fmt.Sprint(port))
	if s.at.ca != "" {
		args = append(args, "--cafile", s.at.ca)
	}
	if s.at.transport == "ws" {
		args = append(args, "--ws")
	}
	return args
}

// pub runs mosquitto_pub to its end.
func (s shell) pub(t *testing.T, args ...string) {
	t.Helper()
	s.pubLines(t, nil, args...)
}

// pubLines runs mosquitto_pub -l with a message for each line.
func (s shell) pubLines(t *testing.T, lines []string, args ...string) {
	t.Helper()
	args = append(s.where(t), args...)
	if lines != nil {
		args = append(args, "-l")
	}
	cmd := exec.Command("mosquitto_pub", args...)
	cmd.Stdin = strings.NewReader(strings.Join(append(lines, ""), "\n"))
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_pub %v: %v\n%s", args, err, out)
	}
}

// subscriber is a running mosquitto_sub.
type subscriber struct {
	cmd   *exec.Cmd
	lines chan string // a message each, as "topic qos retain payload"
	ready chan struct{}
	gone  chan struct{}
	mu    sync.Mutex
	noise []string // everything else that it said
}

// sub starts mosquitto_sub and waits until it is subscribed.
func (s shell) sub(t *testing.T, args ...string) *subscriber {
	t.Helper()
	sub := s.startSub(t, args...)
	select {
	case <-sub.ready:
	case <-sub.gone:
		t.Fatalf("mosquitto_sub %v ended: %s", args, sub.said())
	case <-time.After(patience):
		t.Fatalf("mosquitto_sub %v: no SUBACK: %s", args, sub.said())
	}
	return sub
}

// startSub only starts it: with a session it may have all that it waits for
// before its SUBACK comes.
func (s shell) startSub(t *testing.T, args ...string) *subscriber {
	t.Helper()
	args = append(s.where(t), args...)
	// Line by line: into a pipe the C library would keep them back.
	args = append([]string{"-oL", "mosquitto_sub", "-d", "-F", "> %t %q %r %p"}, args...)
	sub := &subscriber{
		cmd:   exec.Command("stdbuf", args...),
		lines: make(chan string, inboxSize), ready: make(chan struct{}), gone: make(chan struct{}),
	}
	out, err := sub.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	dieWithUs(sub.cmd)
	if err := sub.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go sub.read(bufio.NewScanner(out))
	t.Cleanup(sub.kill)
	return sub
}

func (s *subscriber) read(lines *bufio.Scanner) {
	ready := false
	for lines.Scan() {
		text := lines.Text()
		if m, ok := strings.CutPrefix(text, "> "); ok {
			s.lines <- m
			continue
		}
		s.mu.Lock()
		s.noise = append(s.noise, text)
		s.mu.Unlock()
		if !ready && strings.Contains(text, "received SUBACK") {
			ready = true
			close(s.ready)
		}
	}
	s.cmd.Wait() // it is killed, or its messages tell whether it did well
	close(s.gone)
}

func (s *subscriber) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.noise, "\n")
}

func (s *subscriber) kill() {
	s.cmd.Process.Kill() // an error says that it has ended already
	<-s.gone
}

// receive waits for n messages.
func (s *subscriber) receive(t *testing.T, n int) []string {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	var got []string
	for len(got) < n {
		select {
		case m := <-s.lines:
			got = append(got, m)
		case <-late.C:
			t.Fatalf("%d of %d messages: %q\n%s", len(got), n, got, s.said())
		}
	}
	return got
}

func sameLines(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("arrived: %q\nwanted: %q", got, want)
	}
}

// numbered gives n payloads, and the lines by which mosquitto_sub shows them.
func numbered(topic string, qos, n int) (payloads, shown []string) {
	for i := range n {
		p := fmt.Sprintf("q%d-%03d", qos, i)
		payloads = append(payloads, p)
		shown = append(shown, fmt.Sprintf("%s %d 0 %s", topic, qos, p))
	}
	return payloads, shown
}

func shellPublish(t *testing.T, s shell) {
	sub := s.sub(t, "-q", "2", "-t", s.topic("+"))
	for qos := range 3 {
		payloads, shown := numbered(s.topic("a"), qos, 20)
		s.pubLines(t, payloads, "-q", fmt.Sprint(qos), "-t", s.topic("a"))
		sameLines(t, sub.receive(t, len(shown)), shown)
	}
}

func shellRetained(t *testing.T, s shell) {
	s.pub(t, "-q", "1", "-r", "-t", s.topic("kept"), "-m", "last-known")
	early := s.sub(t, "-q", "1", "-t", s.topic("kept"))
	sameLines(t, early.receive(t, 1), []string{s.topic("kept") + " 1 1 last-known"})
	s.pub(t, "-q", "1", "-r", "-n", "-t", s.topic("kept"))
	sameLines(t, early.receive(t, 1), []string{s.topic("kept") + " 1 0 "})
	late := s.sub(t, "-q", "1", "-t", s.topic("kept"))
	s.pub(t, "-q", "1", "-t", s.topic("kept"), "-m", "fence")
	sameLines(t, late.receive(t, 1), []string{s.topic("kept") + " 1 0 fence"})
}

func shellWill(t *testing.T, s shell) {
	watch := s.sub(t, "-q", "2", "-t", s.topic("will"))
	polite := []string{"--will-topic", s.topic("will"), "--will-payload", "never-sent", "--will-qos", "1"}
	s.pub(t, append(polite, "-t", s.topic("other"), "-m", "x")...)
	dying := s.sub(t, "-t", s.topic("other"), "--will-topic", s.topic("will"), "--will-payload", "gone", "--will-qos", "2")
	dying.kill()
	sameLines(t, watch.receive(t, 1), []string{s.topic("will") + " 2 0 gone"})
}

func shellResume(t *testing.T, s shell) {
	session := []string{"-c", "-i", s.word, "-q", "1", "-t", s.topic("queue")}
	if s.version == "mqttv5" {
		session = append(session, "-x", "300")
	}
	first := s.sub(t, append(session, "-E")...) // ends once it is subscribed
	await(t, s.word, "end of mosquitto_sub", first.gone)
	payloads, shown := numbered(s.topic("queue"), 1, 30)
	s.pubLines(t, payloads, "-q", "1", "-t", s.topic("queue"))
	second := s.startSub(t, append(session, "-C", fmt.Sprint(len(shown)))...)
	sameLines(t, second.receive(t, len(shown)), shown)
}

func shellShared(t *testing.T, s shell) {
	const count = 60
	group := []string{"-q", "1", "-t", "$share/workers/" + s.topic("jobs"), "-t", s.topic("fence")}
	members := []*subscriber{s.sub(t, group...), s.sub(t, group...)}
	payloads, shown := numbered(s.topic("jobs"), 1, count)
	s.pubLines(t, payloads, "-q", "1", "-t", s.topic("jobs"))
	s.pub(t, "-q", "1", "-t", s.topic("fence"), "-m", "x")
	var all []string
	for i, member := range members {
		before := len(all)
		for {
			m := member.receive(t, 1)[0]
			if strings.HasPrefix(m, s.topic("fence")) {
				break
			}
			all = append(all, m)
		}
		if len(all) == before {
			t.Errorf("member %d of the group was given nothing", i)
		}
	}
	slices.Sort(all)
	sameLines(t, all, shown)
}
