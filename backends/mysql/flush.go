package mysql

import (
	"context"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// flush makes statements of what was folded.
func (w *writer) flush() {
	st, f := w.st, &w.fold
	if len(f.Published) > 0 {
		w.publish(f.Published)
	}
	kept, deleted := f.Retained()
	expires := expiring(kept)
	w.rows(retainTable, &st.retain[expires], len(kept), func(args []any, i int) []any {
		return st.messageArgs(args, retainTable, expires, kept[i])
	})
	for _, m := range deleted {
		w.add(retainTable, st.retainDelete(), []any{st.topicKey(retainTable, m.Topic), m.Arrived})
	}
	if len(f.Acked) > 0 {
		w.acked(f.Acked)
	}
	came, went := f.Presence()
	w.rows(clientTable, &st.connected, len(came), func(args []any, i int) []any {
		return append(args, came[i].ClientID, null(came[i].Node), came[i].Time)
	})
	w.disconnected(went)
	w.fold = rules.Fold{}
}

// rows adds statements about n rows; a row may come twice.
func (w *writer) rows(table string, r *rows, n int, row func(args []any, i int) []any) {
	at := 0
	for _, size := range sizes(n, true) {
		w.add(table, r.text(size), gather(at, size, n, row))
		at += size
	}
}

// gather gives the values of size rows from at on; beyond n the last one again.
func gather(at, size, n int, row func(args []any, i int) []any) (args []any) {
	for i := range size {
		args = row(args, min(at+i, n-1))
		if i == 0 {
			args = append(make([]any, 0, len(args)*size), args...)
		}
	}
	return args
}

// publish stores messages. Where no key keeps a message from standing there twice, those
// that are there are looked for.
func (w *writer) publish(ms []*rules.Message) {
	st, expires := w.st, expiring(ms)
	statement := &st.publish[expires]
	row := func(args []any, i int) []any { return st.messageArgs(args, msgTable, expires, ms[i]) }
	if !st.unkeyed {
		w.rows(msgTable, statement, len(ms), row)
		return
	}
	w.ops = append(w.ops, op{text: msgTable, uses: append(st.messageIDs.texts(len(ms)), statement.all()...), do: func(ctx context.Context, t tx) error {
		known, err := t.messageIDs(ctx, st, len(ms), func(i int) string { return ms[i].MsgID })
		if err != nil {
			return err
		}
		var fresh []*rules.Message
		for _, m := range ms {
			if known[m.MsgID] == 0 {
				fresh = append(fresh, m)
			}
		}
		return t.insert(ctx, statement, len(fresh), false, func(args []any, i int) []any { return st.messageArgs(args, msgTable, expires, fresh[i]) })
	}})
}

// acked moves cursors to the ids of messages; those that are not stored move none.
func (w *writer) acked(jobs []*rules.Job) {
	st := w.st
	w.ops = append(w.ops, op{text: ackedTable, uses: append(st.messageIDs.texts(len(jobs)), st.acked.all()...), do: func(ctx context.Context, t tx) error {
		ids, err := t.messageIDs(ctx, st, len(jobs), func(i int) string { return jobs[i].Message.MsgID })
		if err != nil {
			return err
		}
		top := map[[2]string]int64{}
		var keys [][2]string
		for _, j := range jobs {
			key, id := [2]string{j.ClientID, j.Topic}, ids[j.Message.MsgID]
			if id > 0 && top[key] == 0 {
				keys = append(keys, key)
			}
			top[key] = max(top[key], id)
		}
		return t.insert(ctx, &st.acked, len(keys), true, func(args []any, i int) []any {
			return append(args, keys[i][0], keys[i][1], top[keys[i]])
		})
	}})
}

// disconnected notes clients as gone, those of one node at a time.
func (w *writer) disconnected(jobs []*rules.Job) {
	nodes := map[string][]*rules.Job{}
	var order []string
	for _, j := range jobs {
		if nodes[j.Node] == nil {
			order = append(order, j.Node)
		}
		nodes[j.Node] = append(nodes[j.Node], j)
	}
	for _, node := range order {
		of := nodes[node]
		for at, all := 0, sizes(len(of), true); len(all) > 0; all = all[1:] {
			size := all[0]
			times := gather(at, size, len(of), func(args []any, i int) []any { return append(args, of[i].ClientID, of[i].Time) })
			args := append(times, gather(at, size, len(of), func(args []any, i int) []any { return append(args, of[i].ClientID) })...)
			w.add(clientTable, w.st.disconnected(size), append(append(args, node), times...))
			at += size
		}
	}
}

// all are the statements of every size.
func (r *rows) all() (texts []string) {
	for n := 1; n <= most; n *= 2 {
		texts = append(texts, r.text(n))
	}
	return texts
}

// texts are the statements for n rows, some of which may come twice.
func (r *rows) texts(n int) (texts []string) {
	for _, size := range sizes(n, true) {
		texts = append(texts, r.text(size))
	}
	return texts
}

// insert runs r for n rows.
func (t tx) insert(ctx context.Context, r *rows, n int, padded bool, row func(args []any, i int) []any) error {
	at := 0
	for _, size := range sizes(n, padded) {
		if err := t.exec(ctx, r.text(size), gather(at, size, n, row)); err != nil {
			return err
		}
		at += size
	}
	return nil
}

// messageIDs looks up the ids of stored messages by their MsgIDs.
func (t tx) messageIDs(ctx context.Context, st *statements, n int, msgID func(i int) string) (map[string]int64, error) {
	found, at := map[string]int64{}, 0
	for _, size := range sizes(n, true) {
		s, err := t.stmt(ctx, st.messageIDs.text(size))
		if err != nil {
			return nil, err
		}
		rows, err := s.QueryContext(ctx, gather(at, size, n, func(args []any, i int) []any { return append(args, msgID(i)) })...)
		if err != nil {
			return nil, err
		}
		var id int64
		var msgid string
		for rows.Next() {
			if err := rows.Scan(&id, &msgid); err != nil {
				rows.Close()
				return nil, err
			}
			found[msgid] = max(found[msgid], id)
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		at += size
	}
	return found, nil
}
