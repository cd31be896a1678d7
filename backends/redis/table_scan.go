package redis

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// Scan implements sessions.Table: part by part in the order of the index, so that none
// comes twice.
func (t *Table) Scan(ctx context.Context, f func(part, key, value []byte) error) error {
	s := scanning{t: t, ctx: ctx, f: f}
	for from := "-"; ; {
		parts, err := t.client.ZRangeByLex(ctx, t.key("parts"), &redis.ZRangeBy{Min: from, Max: "+", Count: page}).Result()
		if err != nil || len(parts) == 0 {
			return t.fault("scan", err)
		}
		from = "(" + parts[len(parts)-1]
		for len(parts) > 0 {
			some := parts[:min(len(parts), s.page.Rows())]
			parts = parts[len(some):]
			if err := s.parts(some); err != nil {
				return err
			}
		}
	}
}

// scanning is one Scan.
type scanning struct {
	t    *Table
	ctx  context.Context
	f    func(part, key, value []byte) error
	page sessions.Pager
}

// parts reads some parts, the beginning of all of them at once.
func (s *scanning) parts(parts []string) error {
	cmds := make([]*redis.ScanCmd, len(parts))
	p := s.t.client.Pipeline()
	for i, part := range parts {
		cmds[i] = s.fields(p, part, 0, 1)
	}
	if _, err := p.Exec(s.ctx); err != nil {
		return s.t.fault("scan", err)
	}
	rows, size := 0, 0
	for _, c := range cmds {
		pairs, _ := c.Val()
		rows += max(1, len(pairs)/2)
		size += bytesOf(pairs)
	}
	s.page.Read(rows, size)
	for i, c := range cmds {
		if err := s.rest([]byte(parts[i]), c); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanning) fields(c redis.Cmdable, part string, cursor uint64, count int) *redis.ScanCmd {
	return c.HScan(s.ctx, s.t.partKey([]byte(part)), cursor, "", int64(count))
}

// rest gives what c has read of a part, and reads on.
func (s *scanning) rest(part []byte, c *redis.ScanCmd) error {
	for {
		pairs, cursor, err := c.Result()
		if err != nil {
			return s.t.fault("scan", err)
		}
		s.page.Read(len(pairs)/2, bytesOf(pairs))
		for pair := range slices.Chunk(pairs, 2) {
			if err := s.f(part, []byte(pair[0]), []byte(pair[1])); err != nil {
				return err
			}
		}
		if cursor == 0 {
			return nil
		}
		c = s.fields(s.t.client, string(part), cursor, s.page.Rows())
	}
}

func bytesOf(texts []string) (n int) {
	for _, s := range texts {
		n += len(s)
	}
	return n
}

// Caveats implements sessions.Database.
func (t *Table) Caveats(ctx context.Context) (list []string, err error) {
	setting := map[string]string{}
	for _, name := range []string{"appendonly", "appendfsync", "maxmemory", "maxmemory-policy"} {
		var node redis.Cmdable = t.client
		if c, is := t.client.(*redis.ClusterClient); is {
			if node, err = c.MasterForKey(ctx, t.key("claim")); err != nil {
				return nil, t.fault("looking at the settings", err)
			}
		}
		m, err := node.ConfigGet(ctx, name).Result()
		switch {
		case redis.HasErrorPrefix(err, "NOPERM"), redis.HasErrorPrefix(err, "ERR"): // as a service in a cloud answers
			return []string{"the server does not tell its settings (" + err.Error() + "): make sure that it has appendonly yes, appendfsync always, and that maxmemory-policy is not allkeys-…"}, nil
		case err != nil:
			return nil, t.fault("looking at the settings", err)
		}
		setting[name] = m[name]
	}
	switch {
	case setting["appendonly"] != "yes":
		list = append(list, "appendonly is no: what was acknowledged since the last snapshot is lost when the server ends; set appendonly yes and appendfsync always")
	case setting["appendfsync"] == "everysec":
		list = append(list, "appendfsync is everysec: what was acknowledged in the last seconds is lost when the machine of the server dies, and when the server does while its disk is slow; set it to always")
	case setting["appendfsync"] != "always":
		list = append(list, fmt.Sprintf("appendfsync is %s: what was acknowledged in the last seconds is lost when the machine of the server dies; set it to always", setting["appendfsync"]))
	}
	if policy := setting["maxmemory-policy"]; setting["maxmemory"] != "0" && len(policy) > 7 && policy[:7] == "allkeys" {
		list = append(list, fmt.Sprintf("maxmemory-policy is %s: the server throws away sessions when its memory is full; set it to noeviction", policy))
	}
	return list, nil
}
