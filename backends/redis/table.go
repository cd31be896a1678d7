package redis

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// Table keeps sessions; a [sessions.Database]. Its keys, in one slot of a cluster:
//
//	fairlead:{NAMESPACE}:claim      hash  token, who, claimed, writes
//	fairlead:{NAMESPACE}:parts      zset  the parts there are, of score 0
//	fairlead:{NAMESPACE}:part:PART  hash  key → value
//
// A Write is one function in the server, which compares the token first: one that arrives
// after another's Claim does nothing. It holds up other users of the server while it runs.
// A namespace lies on one node of a cluster: give each gateway its own.
//
// What it promises: with appendonly yes and appendfsync always, a Write that returned nil
// survives the death of the server and of its machine; with everysec, what came in the last
// second or two dies with the machine, and with the server while an fsync is slow, behind
// which its writes then wait. A failover to a replica may lose what was
// acknowledged last, and the last Claim with it, so that the gateway before may write
// again; replicas = N in the pool makes each Write wait for N of them, which leaves that to
// the case that Sentinel or the cluster promotes another than those N.
type Table struct {
	client    redis.UniversalClient
	namespace string
	server    string // for errors
	replicas  int
	timeout   time.Duration
	token     string // "" before Claim
}

// The bounds of one Write, which goes to the server as one command of at most 1 GiB.
const (
	writeBytes = 512 << 20
	writeCount = 300_000
)

//go:embed table.lua
var writeFunction string

// OpenTable implements [sessions.Pool].
func (c *Config) OpenTable(namespace string) (sessions.Database, error) {
	if err := errors.Join(c.Validate(), sessions.CheckNamespace(namespace)); err != nil {
		return nil, err
	}
	redis.SetLogger(&logging.VoidLogger{}) // what it has to say comes as errors, too
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	o.ContextTimeoutEnabled = true
	return &Table{client: redis.NewUniversalClient(o), namespace: namespace, server: strings.Join(c.Server, ", "), replicas: c.Replicas, timeout: c.Timeout}, nil
}

func (t *Table) key(name string) string { return "fairlead:{" + t.namespace + "}:" + name }

func (t *Table) partKey(part []byte) string { return t.key("part:") + string(part) }

// Close implements sessions.Table.
func (t *Table) Close() error { return t.client.Close() }

// Init has nothing to make: keys come to be when they are written.
func (t *Table) Init(ctx context.Context, _ bool) ([]string, error) {
	return nil, t.fault("init", t.client.Ping(ctx).Err())
}

// Claim implements sessions.Table.
func (t *Table) Claim(ctx context.Context, who string) error {
	t.token = ""
	token := rand.Text()
	err := t.replicated(ctx, func(p redis.Cmdable) {
		p.HSet(ctx, t.key("claim"), "token", token, "who", who, "claimed", time.Now().UTC().Format(time.RFC3339))
	})
	if err != nil {
		return t.fault("claim", err)
	}
	t.token = token
	return nil
}

// replicated sends what f adds, and waits for the replicas.
func (t *Table) replicated(ctx context.Context, f func(redis.Cmdable)) error {
	node, err := t.node(ctx)
	if err != nil {
		return err
	}
	p := node.Pipeline()
	f(p)
	have := redis.NewCmd(ctx, "WAIT", t.replicas, (t.timeout / 2).Milliseconds())
	if t.replicas > 0 {
		p.Process(ctx, have)
	}
	_, err = p.Exec(ctx)
	if n, _ := have.Int(); err == nil && n < t.replicas {
		return fmt.Errorf("%d replicas have it after %s, not %d; start those that are missing, or lower replicas", n, t.timeout/2, t.replicas)
	}
	return err
}

// node is where the namespace lies.
func (t *Table) node(ctx context.Context) (redis.Cmdable, error) {
	if c, is := t.client.(*redis.ClusterClient); is && t.replicas > 0 { // WAIT has no key by which it would be sent there
		return c.MasterForKey(ctx, t.key("claim"))
	}
	return t.client, nil
}

// Write implements sessions.Table.
func (t *Table) Write(ctx context.Context, ws []sessions.Write) error {
	if t.token == "" {
		return sessions.ErrUnclaimed
	}
	keys, args, err := t.arguments(sessions.Net(ws))
	if err != nil {
		return t.fault("write", err)
	}
	applied, err := t.run(ctx, keys, args)
	if err != nil {
		return t.fault("write", err)
	}
	if !applied {
		return t.claimed(ctx)
	}
	return nil
}

// run calls the function, which the server may have forgotten.
func (t *Table) run(ctx context.Context, keys []string, args []any) (applied bool, err error) {
	script := redis.NewScript(writeFunction)
	var answer *redis.Cmd
	err = t.replicated(ctx, func(p redis.Cmdable) { answer = script.EvalSha(ctx, p, keys, args...) })
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		err = t.replicated(ctx, func(p redis.Cmdable) { answer = script.Eval(ctx, p, keys, args...) })
	}
	if err != nil {
		return false, err
	}
	n, err := answer.Int()
	return n == 1, err
}

// arguments are those of the function.
func (t *Table) arguments(changes []sessions.Change) (keys []string, args []any, err error) {
	keys = append(keys, t.key("claim"), t.key("parts"))
	args = append(args, t.token, len(t.partKey(nil)))
	size := 0
	for i := range changes {
		c := &changes[i]
		keys = append(keys, t.partKey(c.Part))
		args = append(args, c.Clear, len(c.Deletes), len(c.Sets))
		for _, k := range c.Deletes {
			args = append(args, k)
			size += len(k)
		}
		for _, p := range c.Sets {
			args = append(args, p.Key, p.Value)
			size += len(p.Key) + len(p.Value)
		}
	}
	if size > writeBytes || len(args) > 2*writeCount {
		return nil, nil, fmt.Errorf("%w: %d bytes in %d arguments are more than one command of Redis holds", sessions.ErrRefused, size, len(args))
	}
	return keys, args, nil
}

// Get implements sessions.Table.
func (t *Table) Get(ctx context.Context, part []byte, keys [][]byte, f func(key, value []byte) error) error {
	var page sessions.Pager
	for len(keys) > 0 {
		some := keys[:min(page.Rows(), len(keys))]
		keys = keys[len(some):]
		names := make([]string, len(some))
		for i, k := range some {
			names[i] = string(k)
		}
		values, err := t.client.HMGet(ctx, t.partKey(part), names...).Result()
		if err != nil {
			return t.fault("get", err)
		}
		size := 0
		for i, v := range values {
			text, there := v.(string)
			if !there {
				continue
			}
			size += len(some[i]) + len(text)
			if err := f(some[i], []byte(text)); err != nil {
				return err
			}
		}
		page.Read(len(some), size)
	}
	return nil
}

// claimed is ErrClaimed with the name of who has claimed.
func (t *Table) claimed(ctx context.Context) error {
	who, err := t.client.HMGet(ctx, t.key("claim"), "who", "claimed").Result()
	switch {
	case err != nil:
		return fmt.Errorf("redis %s: %w", t.server, sessions.ErrClaimed)
	case who[0] == nil:
		return fmt.Errorf("redis %s: %w: the key %s is gone", t.server, sessions.ErrClaimed, t.key("claim"))
	}
	return fmt.Errorf("redis %s: %w: %v at %v", t.server, sessions.ErrClaimed, who[0], who[1])
}

// fault is err with what was done and where, and with what to do about it.
func (t *Table) fault(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redis %s: %s: %w%s", t.server, what, err, advice(err))
}

// advice is what to do about an answer.
func advice(err error) string {
	for _, a := range [...]struct{ begin, advice string }{
		{"READONLY", "; the server takes no writes: name the master, or use type = \"sentinel\""},
		{"OOM", "; raise maxmemory of the server"},
		{"MISCONF", "; the disk of the server is full, or it cannot write there"},
		{"NOAUTH", "; set username and password of the pool"},
		{"WRONGPASS", "; username or password of the pool are wrong"},
		{"NOPERM", "; allow the user of the pool ~fairlead:* and +@all"},
		{"WRONGTYPE", "; somebody else has written a key fairlead:…; delete it"},
		{"NOREPLICAS", "; fewer replicas are well than min-replicas-to-write of the server asks for"},
	} {
		if redis.HasErrorPrefix(err, a.begin) {
			return a.advice
		}
	}
	return ""
}
