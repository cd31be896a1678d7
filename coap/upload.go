package coap

import (
	"slices"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// upload is a payload that comes block by block. [Block-2.5-1]
type upload struct {
	key   string // method, path, query and Request-Tag
	body  []byte
	until int64 // Unix milliseconds
}

// uploadKey tells transfers apart. [Echo-3.3-1]
func (q *request) uploadKey() string {
	return string([]byte{byte(q.code)}) + strings.Join(q.path, "/") + "?" + strings.Join(q.query, "&") + "\x00" + string(q.tag)
}

// gather takes one block. When it is the last, q has the whole payload, and true says
// that the request is to be performed; its answer then carries the block, too.
func (m *Machine) gather(t *core.Turn, a *protocols.Actions, q *request, x *asking) bool {
	b := q.block1
	key := q.uploadKey()
	i := slices.IndexFunc(m.uploads, func(u *upload) bool { return u.key == key })
	if b.num == 0 { // a new one, whatever was before [Block-2.5-2]
		m.dropUpload(i)
		if !b.more {
			x.block1 = b
			return true
		}
		if r, bad := m.beginUpload(t, q, key); bad {
			m.reply(t, a, *x, r)
			return false
		}
		i = len(m.uploads) - 1
	}
	switch {
	case i < 0 || b.offset() != len(m.uploads[i].body), b.more && len(q.payload) != b.size(): // [Block-2.9.2-1]
		m.dropUpload(i)
		m.reply(t, a, *x, failure(codes.RequestEntityIncomplete, "blocks are missing; begin again with the first"))
		return false
	case len(m.uploads[i].body)+len(q.payload) > m.adapter.cfg.MaxBody:
		m.dropUpload(i)
		m.reply(t, a, *x, m.tooLarge(t))
		return false
	}
	u := m.uploads[i]
	m.adapter.transfers.Add(int64(len(q.payload)))
	u.body = append(u.body, q.payload...)
	u.until = t.Now() + m.adapter.cfg.Lifetime.Milliseconds()
	x.block1 = block{there: true, num: b.num, szx: min(b.szx, m.adapter.szx), more: b.more}
	if b.more {
		m.reply(t, a, *x, answer(codes.Continue)) // [Block-2.5-3]
		return false
	}
	q.payload = u.body
	m.dropUpload(i)
	return true
}

// beginUpload makes room for a transfer, within the bounds of the peer and of all.
func (m *Machine) beginUpload(t *core.Turn, q *request, key string) (r response, bad bool) {
	cfg := &m.adapter.cfg
	switch {
	case q.size1 > int64(cfg.MaxBody):
		return m.tooLarge(t), true
	case m.adapter.transfers.Load()+int64(len(q.payload)) > int64(cfg.MaxTransferBytes):
		m.refuse(t, core.QuotaExceeded, "max_transfer_bytes are under way block by block")
		return m.busy("too many transfers are under way"), true
	case len(m.uploads) >= cfg.MaxTransfers:
		m.dropUpload(0) // the oldest gives way
	}
	m.uploads = append(m.uploads, &upload{key: key})
	return r, false
}

// tooLarge is the answer to a payload beyond max_body. [Block-2.9.3-1]
func (m *Machine) tooLarge(t *core.Turn) response {
	m.refuse(t, core.PacketTooLarge, "a payload of more than max_body")
	r := failure(codes.RequestEntityTooLarge, "the payload is too large")
	r.size1 = int64(m.adapter.cfg.MaxBody)
	return r
}

func (m *Machine) dropUpload(i int) {
	if i >= 0 {
		m.adapter.transfers.Add(-int64(len(m.uploads[i].body)))
		m.uploads = slices.Delete(m.uploads, i, i+1)
	}
}

func (m *Machine) dropUploads() {
	for len(m.uploads) > 0 {
		m.dropUpload(0)
	}
}

// expireUploads forgets transfers that do not go on. [Block-2.5-4]
func (m *Machine) expireUploads(now int64) {
	for i := len(m.uploads) - 1; i >= 0; i-- {
		if m.uploads[i].until <= now {
			m.dropUpload(i)
		}
	}
}
