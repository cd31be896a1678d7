package mongodb

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
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
			ids[i] = t.keyID(part, key)
		}
		size := 0
		err := t.find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, func(_, key, value []byte) error {
			size += len(value)
			return f(key, value)
		})
		if err != nil {
			return err
		}
		page.Read(len(some), size)
	}
	return nil
}

// Scan implements sessions.Table.
func (t *Table) Scan(ctx context.Context, f func(part, key, value []byte) error) error {
	if err := t.settled(ctx); err != nil {
		return t.fault("scan", err)
	}
	all := append(within(t.namespace+" k"), bson.E{Key: "d.gone", Value: bson.D{{Key: "$exists", Value: false}}})
	return t.find(ctx, all, f)
}

// find gives the pairs that match, and are not gone.
func (t *Table) find(ctx context.Context, where bson.D, f func(part, key, value []byte) error) error {
	found, err := t.state().Find(ctx, where, options.Find().SetBatchSize(readBatch))
	if err != nil {
		return t.fault("read", err)
	}
	defer found.Close(context.Background())
	for found.Next(ctx) {
		var d stored
		if err := found.Decode(&d); err != nil {
			return t.fault("read", err)
		}
		if d.State.Gone != nil {
			continue
		}
		part, key, ok := t.parseID(d.ID)
		if !ok {
			return t.fault("read", fmt.Errorf("%s: the document %.60q is none of a key", states, d.ID))
		}
		if err := t.rest(ctx, &d, part, key); err != nil {
			return t.fault("read", err)
		}
		if err := f(part, key, d.State.Value); err != nil {
			return err
		}
	}
	return t.fault("read", found.Err())
}

// rest reads a value that is in chunks.
func (t *Table) rest(ctx context.Context, d *stored, part, key []byte) error {
	id := t.chunkID(part, key)
	for n := range d.State.Chunks {
		var chunk stored
		if err := t.state().FindOne(ctx, bson.D{{Key: "_id", Value: numbered(id, n)}}).Decode(&chunk); err != nil {
			return fmt.Errorf("%w: %d of %d: %w", errChunks, n, d.State.Chunks, err)
		}
		d.State.Value = append(d.State.Value, chunk.State.Value...)
	}
	return nil
}
