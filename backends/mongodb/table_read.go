package mongodb

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// readBatch is how many documents come at once; a server sends up to 16 MiB.
const readBatch = 1000

// Get implements sessions.Table.
func (t *Table) Get(ctx context.Context, part []byte, keys [][]byte, f func(key, value []byte) error) error {
	if err := t.settled(ctx); err != nil {
		return t.fault("get", err)
	}
	var page sessions.Pager
	for len(keys) > 0 {
		some := keys[:min(page.Rows(), readBatch, len(keys))]
		keys = keys[len(some):]
		ids := make([]string, len(some))
		for i, key := range some {
			ids[i] = keyID(part, key)
		}
		size, err := t.get(ctx, t.state(t.epoch.Load()), &ids, f)
		if err != nil {
			return err
		}
		if len(ids) > 0 { // some are missing: or is it that the pairs are elsewhere now?
			state, moved, err := t.current(ctx)
			if err != nil {
				return t.fault("get", err)
			}
			if moved {
				if _, err := t.get(ctx, state, &ids, f); err != nil {
					return err
				}
			}
		}
		page.Read(len(some), size)
	}
	return nil
}

// current is where the pairs are.
func (t *Table) current(ctx context.Context) (state *mongo.Collection, moved bool, err error) {
	epoch := t.epoch.Load()
	var c claim
	err = t.claims().FindOne(ctx, bson.D{{Key: "_id", Value: t.namespace}}, options.FindOne().SetProjection(bson.D{{Key: "epoch", Value: 1}})).Decode(&c)
	switch {
	case err == mongo.ErrNoDocuments || err == nil && c.Epoch == epoch:
		return t.state(epoch), false, nil
	case err != nil:
		return nil, false, err
	}
	list, err := t.epochs(ctx)
	if err != nil || len(list) == 0 {
		return t.state(epoch), false, err
	}
	return t.state(list[len(list)-1]), true, nil
}

// get gives the documents of ids, and takes out of ids those that it has found.
func (t *Table) get(ctx context.Context, state *mongo.Collection, ids *[]string, f func(key, value []byte) error) (size int, err error) {
	missing := make(map[string]bool, len(*ids))
	for _, id := range *ids {
		missing[id] = true
	}
	err = t.find(ctx, state, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: *ids}}}}, func(d *stored, part, key []byte) error {
		delete(missing, d.ID)
		size += len(d.Value) + len(d.ID)
		return f(key, d.Value)
	})
	*ids = (*ids)[:0]
	for id := range missing {
		*ids = append(*ids, id)
	}
	return size, err
}

// Scan implements sessions.Table.
func (t *Table) Scan(ctx context.Context, f func(part, key, value []byte) error) error {
	if err := t.settled(ctx); err != nil {
		return t.fault("scan", err)
	}
	state, _, err := t.current(ctx)
	if err != nil {
		return t.fault("scan", err)
	}
	return t.find(ctx, state, within("k"), func(d *stored, part, key []byte) error { return f(part, key, d.Value) })
}

// find gives the documents that match, whole.
func (t *Table) find(ctx context.Context, state *mongo.Collection, where bson.D, f func(d *stored, part, key []byte) error) error {
	found, err := state.Find(ctx, where, options.Find().SetBatchSize(readBatch))
	if err != nil {
		return t.fault("read", err)
	}
	defer found.Close(context.Background())
	for found.Next(ctx) {
		var d stored
		if err := found.Decode(&d); err != nil {
			return t.fault("read", err)
		}
		part, key, ok := parseID(d.ID)
		if !ok {
			return t.fault("read", fmt.Errorf("%s: the document %.60q is none of a key", state.Name(), d.ID))
		}
		if err := t.rest(ctx, state, &d, part, key); err != nil {
			return t.fault("read", err)
		}
		if err := f(&d, part, key); err != nil {
			return err
		}
	}
	return t.fault("read", found.Err())
}

// rest reads a value that is in chunks.
func (t *Table) rest(ctx context.Context, state *mongo.Collection, d *stored, part, key []byte) error {
	id := chunkID(part, key)
	for n := range d.Chunks {
		var chunk stored
		if err := state.FindOne(ctx, bson.D{{Key: "_id", Value: numbered(id, n)}}).Decode(&chunk); err != nil {
			return fmt.Errorf("%w: %d of %d: %w", errChunks, n, d.Chunks, err)
		}
		d.Value = append(d.Value, chunk.Value...)
	}
	return nil
}
