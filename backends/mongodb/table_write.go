package mongodb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// chunkBytes is how much one document holds, of the 16 MiB that MongoDB allows.
const chunkBytes = 4 << 20

// stored is the document of a pair, or a chunk of its value.
type stored struct {
	ID    string  `bson:"_id"`
	State version `bson:"d"`
}

// version is what a Write has made of a document. Of two of them MongoDB's $max keeps the
// one with the higher number, as it compares documents field by field.
type version struct {
	Seq    int64      `bson:"s"`
	Value  []byte     `bson:"v,omitempty"` // none is empty
	Chunks int        `bson:"c,omitempty"` // 0: Value is whole
	Gone   *time.Time `bson:"gone,omitempty"`
}

// notePart is a document of fairlead_note.
type notePart struct {
	Value []byte `bson:"v"`
}

// The names of documents are texts with a letter for each byte, so that those of a part
// follow each other: the namespace, a blank, "k", the length of the part, the part, the key;
// or "c", the same and the SHA-256 of the key and a number.
func letters(b *strings.Builder, bytes []byte) {
	for _, c := range bytes {
		b.WriteRune(rune(c))
	}
}

func (t *Table) partID(kind byte, part []byte) string {
	var b strings.Builder
	b.WriteString(t.namespace)
	b.WriteByte(' ')
	b.WriteByte(kind)
	b.WriteRune(rune(len(part)))
	letters(&b, part)
	return b.String()
}

func (t *Table) keyID(part, key []byte) string {
	var b strings.Builder
	b.WriteString(t.partID('k', part))
	letters(&b, key)
	return b.String()
}

func (t *Table) chunkID(part, key []byte) string {
	return fmt.Sprintf("%s%x", t.partID('c', part), sha256.Sum256(key))
}

func numbered(id string, n int) string { return fmt.Sprintf("%s%06d", id, n) }

// parseID gives the part and the key of a document's name.
func (t *Table) parseID(id string) (part, key []byte, ok bool) {
	id, ok = strings.CutPrefix(id, t.namespace+" ")
	var all []byte
	for _, c := range id {
		all = append(all, byte(c))
	}
	if !ok || len(all) < 2 || all[0] != 'k' || len(all) < 2+int(all[1]) {
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
	return t.fault("write", t.write(ctx, sessions.NetByKey(ws)))
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
	if err := t.apply(ctx, t.seq, changes); err != nil {
		return err
	}
	t.unsettled.Store(false)
	return nil
}

// note decides that the Write is done.
func (t *Table) note(ctx context.Context, text []byte) error {
	seq := max(t.seq+2, time.Now().UnixMicro()) // what is deleted has the number before, so that sets of the same Write count
	of, chunks := fmt.Sprintf("%s %d %d", t.namespace, t.epoch, seq), 0
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
	where := bson.D{{Key: "_id", Value: t.namespace}, {Key: "token", Value: t.token}, {Key: "epoch", Value: t.epoch}, {Key: "seq", Value: t.seq}}
	set := bson.D{{Key: "seq", Value: seq}, {Key: "note", Value: text}, {Key: "chunks", Value: chunks}, {Key: "of", Value: of}}
	result, err := t.claims().UpdateOne(ctx, where, bson.D{{Key: "$set", Value: set}})
	if err != nil {
		return err
	}
	if result.MatchedCount == 0 { // epoch and number are ours alone
		t.unsettled.Store(false) // it is others' to settle
		return t.claimed(ctx)
	}
	t.seq = seq
	if !t.noted {
		return nil
	}
	_, err = t.d.db.Collection(notes).DeleteMany(ctx, bson.D{{Key: "namespace", Value: t.namespace}, {Key: "of", Value: bson.D{{Key: "$ne", Value: of}}}})
	t.noted = err != nil || chunks > 0
	return err
}

// repeat makes the changes that are noted.
func (t *Table) repeat(ctx context.Context, c *claim) error {
	text := c.Note
	for n := range c.Chunks {
		var chunk notePart
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
	return t.apply(ctx, c.Seq, changes)
}

// apply makes changes, in any order: of two the later counts.
func (t *Table) apply(ctx context.Context, seq int64, changes []sessions.Change) error {
	began := time.Now().Round(0)
	a := applying{t: t, seq: seq, gone: version{Seq: seq - 1, Gone: &began}}
	for i := range changes {
		a.change(&changes[i])
	}
	a.removeRanges()
	for _, models := range [][]mongo.WriteModel{a.models, a.many} {
		if time.Now().Round(0).Sub(began) > stale { // also when the machine was suspended
			return errors.New("it took more than an hour")
		}
		if len(models) == 0 {
			continue
		}
		if _, err := t.state().BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false)); err != nil {
			return err
		}
	}
	t.chunked = t.chunked || a.chunked
	return nil
}

// applying gathers what one Write does.
type applying struct {
	t       *Table
	seq     int64
	gone    version            // of what is deleted
	models  []mongo.WriteModel // about one document each
	many    []mongo.WriteModel // about ranges
	ranges  bson.A             // of names that are deleted
	chunked bool               // there are values in chunks
}

func (a *applying) change(c *sessions.Change) {
	t := a.t
	if c.Clear {
		a.remove(within(t.partID('k', c.Part)))
		if t.chunked {
			a.remove(within(t.partID('c', c.Part)))
		}
	}
	for _, key := range c.Deletes {
		a.put(t.keyID(c.Part, key), a.gone, false)
		a.unchunk(c.Part, key)
	}
	for _, p := range c.Sets {
		if !c.Clear {
			a.unchunk(c.Part, p.Key)
		}
		a.set(c.Part, p)
	}
}

// mostRanges is how many ranges one update looks for.
const mostRanges = 64

// remove marks all documents of a range.
func (a *applying) remove(names bson.D) {
	if a.ranges = append(a.ranges, names); len(a.ranges) == mostRanges {
		a.removeRanges()
	}
}

func (a *applying) removeRanges() {
	if len(a.ranges) == 0 {
		return
	}
	a.many = append(a.many, mongo.NewUpdateManyModel().SetFilter(bson.D{{Key: "$or", Value: a.ranges}}).SetUpdate(newer(a.gone)))
	a.ranges = nil
}

func (a *applying) unchunk(part, key []byte) {
	if a.t.chunked {
		a.remove(within(a.t.chunkID(part, key)))
	}
}

// set puts a pair there.
func (a *applying) set(part []byte, p sessions.Pair) {
	v := version{Seq: a.seq, Value: p.Value}
	if len(p.Value) > chunkBytes {
		a.chunked = true
		v.Chunks, v.Value = (len(p.Value)+chunkBytes-1)/chunkBytes, nil
		id := a.t.chunkID(part, p.Key)
		for n := range v.Chunks {
			a.put(numbered(id, n), version{Seq: a.seq, Value: p.Value[n*chunkBytes : min(len(p.Value), (n+1)*chunkBytes)]}, true)
		}
	}
	a.put(a.t.keyID(part, p.Key), v, true)
}

// put makes v of a document, which is there or, with create, need not be.
func (a *applying) put(id string, v version, create bool) {
	a.models = append(a.models, mongo.NewUpdateOneModel().SetUpsert(create).SetFilter(bson.D{{Key: "_id", Value: id}}).SetUpdate(newer(v)))
}

// newer is the update that leaves a document as it is if it is newer than v.
func newer(v version) bson.D {
	return bson.D{{Key: "$max", Value: bson.D{{Key: "d", Value: v}}}}
}

var errChunks = errors.New("a chunk of a value is missing")
