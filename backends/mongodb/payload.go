package mongodb

import (
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// payloadValue is how a payload is stored.
func payloadValue(format string, p []byte) any {
	switch {
	case format == "bytes", !utf8.Valid(p):
		return bson.Binary{Data: p}
	case format == "json":
		var doc bson.D
		if err := bson.UnmarshalExtJSON(p, false, &doc); err == nil {
			return doc
		}
	}
	return string(p)
}

// payloadOf reads what payloadValue, or a program of the user's, has stored.
func payloadOf(v bson.RawValue) []byte {
	switch v.Type {
	case bson.TypeString:
		return []byte(v.StringValue())
	case bson.TypeBinary:
		_, data := v.Binary()
		return data
	case bson.TypeEmbeddedDocument, bson.TypeArray:
		var doc any
		if v.Unmarshal(&doc) == nil {
			if text, err := bson.MarshalExtJSON(bson.D{{Key: "v", Value: doc}}, false, false); err == nil {
				return text[len(`{"v":`) : len(text)-1]
			}
		}
	case bson.TypeNull, 0:
		return nil
	}
	return []byte(v.String())
}
