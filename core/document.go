package core

import "strings"

// Documents are small things that an administrator settled and that must survive. The
// store keeps them among the retained messages, under names that no Topic Name can
// have, so that no client reaches them and no engine needs operations of its own.

// documentPrefix begins their names: '+' is no part of a Topic Name. [MQTT-3.3.2-2]
const documentPrefix = "+/document/"

func (g *Gateway) putDocument(t *Turn, name string, data []byte) Op {
	m := &Message{Topic: documentPrefix + name, Payload: data, ID: g.newMessageID(), Published: t.now, Retain: true}
	return Op{Kind: OpPutRetained, Msg: m}
}

func deleteDocument(name string) Op {
	return Op{Kind: OpDeleteRetained, Filter: documentPrefix + name}
}

// documentName is the name of the document that the store kept as m; ok is false for
// a retained message.
func documentName(m *Message) (name string, ok bool) {
	return strings.CutPrefix(m.Topic, documentPrefix)
}
