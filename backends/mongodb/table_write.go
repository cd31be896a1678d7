package mongodb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// chunkBytes is how much one document holds, of the 16 MiB that MongoDB allows.
const chunkBytes = 4 << 20

// stored is the document of a pair, or a chunk of its value.
type stored struct {
	ID     string `bson:"_id"`
	Value  []byte `bson:"v"`
	Chunks int    `bson:"c,omitempty"` // 0: Value is whole
}

// The names of documents are texts with a letter for each byte, so that those of a part
// follow each other: "k", the length of the part, the part, the key; or "c", the same and
// the SHA-256 of the key and a number.
func letters(b *strings.Builder, bytes []byte) {
	for _, c := range bytes {
		b.WriteRune(rune(c))
	}
}

func partID(kind byte, part []byte) string {
	var b strings.Builder
	b.WriteByte(kind)
	b.WriteRune(rune(len(part)))
	letters(&b, part)
	return b.String()
}

func keyID(part, key []byte) string {
	var b strings.Builder
	b.WriteString(partID('k', part))
	letters(&b, key)
	return b.String()
}

func chunkID(part, key []byte) string {
	return fmt.Sprintf("%s%x", partID('c', part), sha256.Sum256(key))
}

func numbered(id string, n int) string { return fmt.Sprintf("%s%06d", id, n) }

// parseID gives the part and the key of a document's name.
func parseID(id string) (part, key []byte, ok bool) {
	var all []byte
	for _, c := range id {
		all = append(all, byte(c))
	}
	if len(all) < 2 || all[0] != 'k' || len(all) < 2+int(all[1]) {
		return nil, nil, false
	}
	return all[2 : 2+all[1]], all[2+all[1]:], true
}

// within matches names that begin with a text: no letter is as high as that behind it.
func within(begin string) bson.D {
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: begin}, {Key: "$lt", Value: begin + "\u0100"}}}}
}

// Write implements sessions.Table.
func (t *Table) Write(ctx context.Context, ws []sessions.Write) error {
	release, err := t.take(ctx)
	if err != nil {
		return t.fault("write", err)
	}
	defer release()
	if t.token == "" {
		return sessions.ErrUnclaimed
	}
	return t.fault("write", t.write(ctx, sessions.Net(ws)))
}

func (t *Table) write(ctx context.Context, changes []sessions.Change) error {
	if t.unsettled.Load() {
		if err := t.settle(ctx); err != nil {
			return err
		}
	}
	if err := t.note(ctx, sessions.AppendChanges(nil, changes)); err != nil {
		return err
	}
	if err := t.apply(ctx, t.state(t.epoch.Load()), changes); err != nil {
		return err
	}
	t.unsettled.Store(false)
	return nil
}

// note decides that the Write is done.
func (t *Table) note(ctx context.Context, text []byte) error {
	epoch := t.epoch.Load()
	of, chunks := fmt.Sprintf("%s %d %d", t.namespace, epoch, t.seq+1), 0
	if len(text) > chunkBytes {
		t.noted = true
		for ; len(text) > 0; chunks++ {
			n := min(len(text), chunkBytes)
			doc := bson.D{{Key: "_id", Value: numbered(of+" ", chunks)}, {Key: "namespace", Value: t.namespace}, {Key: "of", Value: of}, {Key: "v", Value: text[:n]}}
			if _, err := t.d.db.Collection(notes).InsertOne(ctx, doc); err != nil {
				t.unsettled.Store(true) // what is there is of an epoch that ends
				return err
			}
			text = text[n:]
		}
	}
	t.unsettled.Store(true)
	where := bson.D{{Key: "_id", Value: t.namespace}, {Key: "token", Value: t.token}, {Key: "epoch", Value: epoch}, {Key: "seq", Value: t.seq}}
	if t.seq == 0 {
		where[3].Value = bson.D{{Key: "$exists", Value: false}}
	}
	set := bson.D{{Key: "seq", Value: t.seq + 1}, {Key: "note", Value: text}, {Key: "chunks", Value: chunks}, {Key: "of", Value: of}}
	result, err := t.claims().UpdateOne(ctx, where, bson.D{{Key: "$set", Value: set}})
	if err != nil {
		return err
	}
	if result.MatchedCount == 0 {
		return t.claimed(ctx)
	}
	t.seq++
	if !t.noted {
		return nil
	}
	_, err = t.d.db.Collection(notes).DeleteMany(ctx, bson.D{{Key: "namespace", Value: t.namespace}, {Key: "of", Value: bson.D{{Key: "$ne", Value: of}}}})
	t.noted = err != nil || chunks > 0
	return err
}

// repeat makes the changes that are noted.
func (t *Table) repeat(ctx context.Context, state *mongo.Collection, c *claim) error {
	text := c.Note
	for n := range c.Chunks {
		var chunk stored
		if err := t.d.db.Collection(notes).FindOne(ctx, bson.D{{Key: "_id", Value: numbered(c.Of+" ", n)}}).Decode(&chunk); err != nil {
			return fmt.Errorf("chunk %d of %d of write %d: %w", n, c.Chunks, c.Seq, err)
		}
		text = append(text, chunk.Value...)
	}
	if len(text) == 0 {
		return nil
	}
	changes, err := sessions.ReadChanges(text)
	if err != nil {
		return fmt.Errorf("write %d: %w", c.Seq, err)
	}
	return t.apply(ctx, state, changes)
}

// apply makes changes: first what goes, then what comes.
func (t *Table) apply(ctx context.Context, state *mongo.Collection, changes []sessions.Change) error {
	var goes, comes []mongo.WriteModel
	var gone []string
	for i := range changes {
		c := &changes[i]
		if c.Clear {
			goes = append(goes, mongo.NewDeleteManyModel().SetFilter(within(partID('k', c.Part))))
			if t.chunked {
				goes = append(goes, mongo.NewDeleteManyModel().SetFilter(within(partID('c', c.Part))))
			}
		}
		for _, key := range c.Deletes {
			gone = append(gone, keyID(c.Part, key))
			goes = t.unchunk(goes, c.Part, key)
		}
		for _, p := range c.Sets {
			if !c.Clear {
				goes = t.unchunk(goes, c.Part, p.Key)
			}
			comes = appendSet(comes, c.Part, p)
		}
	}
	for len(gone) > 0 {
		n := min(len(gone), 1000)
		goes = append(goes, mongo.NewDeleteManyModel().SetFilter(bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: gone[:n]}}}}))
		gone = gone[n:]
	}
	for _, models := range [][]mongo.WriteModel{goes, comes} {
		if len(models) == 0 {
			continue
		}
		if _, err := state.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false)); err != nil {
			return err
		}
	}
	if len(comes) > 0 && !t.chunked {
		t.chunked = hasChunks(changes)
	}
	return nil
}

func (t *Table) unchunk(models []mongo.WriteModel, part, key []byte) []mongo.WriteModel {
	if !t.chunked {
		return models
	}
	return append(models, mongo.NewDeleteManyModel().SetFilter(within(chunkID(part, key))))
}

func hasChunks(changes []sessions.Change) bool {
	for i := range changes {
		for _, p := range changes[i].Sets {
			if len(p.Value) > chunkBytes {
				return true
			}
		}
	}
	return false
}

// appendSet adds what sets a pair.
func appendSet(models []mongo.WriteModel, part []byte, p sessions.Pair) []mongo.WriteModel {
	d := stored{ID: keyID(part, p.Key), Value: p.Value}
	if len(p.Value) > chunkBytes {
		d.Chunks, d.Value = (len(p.Value)+chunkBytes-1)/chunkBytes, []byte{}
		id := chunkID(part, p.Key)
		for n := range d.Chunks {
			chunk := stored{ID: numbered(id, n), Value: p.Value[n*chunkBytes : min(len(p.Value), (n+1)*chunkBytes)]}
			models = append(models, replaces(chunk))
		}
	}
	return append(models, replaces(d))
}

func replaces(d stored) mongo.WriteModel {
	return mongo.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: d.ID}}).SetReplacement(d).SetUpsert(true)
}

var errChunks = errors.New("a chunk of a value is missing")
