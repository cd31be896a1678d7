package core

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
)

// BanKind is what a ban is by.
type BanKind string

// The kinds of bans.
const (
	BanClientID BanKind = "client_id"
	BanUsername BanKind = "username"
	// BanAddress is by a network or one address.
	BanAddress BanKind = "address"
	// BanClientAt is by a ClientID as it comes from one address, CLIENTID@ADDRESS: what
	// flapping leads to, so that nobody can have another's ClientID banned.
	BanClientAt BanKind = "client_id_at"
)

// Ban keeps clients out until it expires or is lifted.
type Ban struct {
	Kind    BanKind `json:"kind"`
	Value   string  `json:"value"` // networks in their canonical form
	Reason  string  `json:"reason,omitempty"`
	By      string  `json:"by,omitempty"`      // who made it
	Created int64   `json:"created,omitempty"` // Unix milliseconds
	Expires int64   `json:"expires,omitempty"` // Unix milliseconds; 0 never
	// Source is where it is kept: "configuration", "store", or "memory" for those that
	// end with the process.
	Source string `json:"-"`
}

// Where bans are kept.
const (
	BanConfigured = "configuration"
	BanStored     = "store"
	BanInMemory   = "memory"
)

// banText bounds the texts of a ban, in bytes.
const banText = 1024

func (b *Ban) expired(now int64) bool { return b.Expires != 0 && now >= b.Expires }

func (b *Ban) key() banKey { return banKey{b.Kind, b.Value} }

type banKey struct {
	kind  BanKind
	value string
}

// check brings b into its canonical form, or says what is wrong.
func (b *Ban) check() error {
	if b.Value == "" || len(b.Value) > banText || len(b.Reason) > banText || len(b.By) > banText {
		return Errorf(UnspecifiedError, "a ban needs a value, and its texts may have at most %d bytes", banText)
	}
	switch b.Kind {
	case BanClientID, BanUsername:
	case BanAddress:
		p, err := parseNetwork(b.Value)
		if err != nil {
			return Errorf(UnspecifiedError, "%q is no address and no network such as 192.0.2.0/24", b.Value)
		}
		b.Value = p.String()
	case BanClientAt:
		i := strings.LastIndexByte(b.Value, '@')
		a, err := netip.ParseAddr(b.Value[i+1:])
		if i < 1 || err != nil {
			return Errorf(UnspecifiedError, "%q is not CLIENTID@ADDRESS", b.Value)
		}
		b.Value = clientAt(b.Value[:i], a)
	default:
		return Errorf(UnspecifiedError, "kind %q must be client_id, username, address or client_id_at", b.Kind)
	}
	return nil
}

func clientAt(id string, a netip.Addr) string { return id + "@" + plainAddr(a).String() }

// plainAddr is a without what makes one address look like two.
func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = plainAddr(a)
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, err
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// bans is the table of bans. Every connect asks it, so that it takes no lock while it
// is empty.
type bans struct {
	count atomic.Int64
	mu    sync.RWMutex
	all   map[banKey]*Ban
	// at is how many networks of each length there are: a look-up asks for those only.
	at4 [33]int
	at6 [129]int
	// pairs is how many of BanClientAt there are.
	pairs int
}

func (b *bans) init(configured []string) {
	b.all = map[banKey]*Ban{}
	for _, text := range configured {
		if ban, err := parseBan(text); err == nil { // Validate told what is wrong
			b.put(ban, 0)
		}
	}
}

// parseBan reads one line of the configuration, KIND = VALUE.
func parseBan(text string) (*Ban, error) {
	kind, value, ok := strings.Cut(text, "=")
	if !ok {
		return nil, fmt.Errorf("%q must be KIND = VALUE", text)
	}
	b := &Ban{Kind: BanKind(strings.TrimSpace(kind)), Value: strings.TrimSpace(value), By: "configuration", Source: BanConfigured}
	if err := b.check(); err != nil {
		return nil, err
	}
	return b, nil
}

// put takes ban in, or its new terms; false when max (0: none) are there already, or
// when the configuration has it.
func (b *bans) put(ban *Ban, max int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.all[ban.key()]
	if old != nil && old.Source == BanConfigured || old == nil && max > 0 && len(b.all) >= max {
		return false
	}
	b.all[ban.key()] = ban
	if old == nil {
		b.note(ban, 1)
	}
	return true
}

// note keeps the counts. With mu held.
func (b *bans) note(ban *Ban, n int) {
	b.count.Add(int64(n))
	switch ban.Kind {
	case BanClientAt:
		b.pairs += n
	case BanAddress:
		p := netip.MustParsePrefix(ban.Value) // it was checked
		if p.Addr().Is4() {
			b.at4[p.Bits()] += n
		} else {
			b.at6[p.Bits()] += n
		}
	}
}

// remove takes a ban out, unless the configuration has it.
func (b *bans) remove(k banKey) *Ban {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.all[k]
	if old == nil || old.Source == BanConfigured {
		return nil
	}
	delete(b.all, k)
	b.note(old, -1)
	return old
}

// find gives a ban that keeps the client out, or nil. Texts that are empty and an
// address that is not valid match nothing.
func (b *bans) find(now int64, id, user string, a netip.Addr) *Ban {
	return b.look(now, id, user, a, true)
}

// look is find; pairs says whether bans of the kind BanClientAt count.
func (b *bans) look(now int64, id, user string, a netip.Addr, pairs bool) *Ban {
	if b.count.Load() == 0 {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	is := func(k BanKind, v string) *Ban {
		if ban := b.all[banKey{k, v}]; ban != nil && !ban.expired(now) {
			return ban
		}
		return nil
	}
	if ban := is(BanClientID, id); ban != nil {
		return ban
	}
	if ban := is(BanUsername, user); ban != nil {
		return ban
	}
	if !a.IsValid() {
		return nil
	}
	a = plainAddr(a)
	if pairs && b.pairs > 0 && id != "" {
		if ban := is(BanClientAt, clientAt(id, a)); ban != nil {
			return ban
		}
	}
	lengths := b.at6[:]
	if a.Is4() {
		lengths = b.at4[:]
	}
	for bits, n := range lengths {
		if n == 0 {
			continue
		}
		p, _ := a.Prefix(bits) // of the address's own kind
		if ban := is(BanAddress, p.String()); ban != nil {
			return ban
		}
	}
	return nil
}

// list copies all that hold at now.
func (b *bans) list(now int64) []Ban {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]Ban, 0, len(b.all))
	for _, ban := range b.all {
		if !ban.expired(now) {
			out = append(out, *ban)
		}
	}
	return out
}

// lapsed gives the bans that are over.
func (b *bans) lapsed(now int64) []banKey {
	if b.count.Load() == 0 {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []banKey
	for k, ban := range b.all {
		if ban.expired(now) {
			out = append(out, k)
		}
	}
	return out
}

// document is the ban as the store keeps it.
func (b *Ban) document() (name string, data []byte) {
	data, _ = json.Marshal(b) // texts and numbers: it cannot fail
	return b.documentName(), data
}

func (b *Ban) documentName() string { return banDocuments + string(b.Kind) + "/" + b.Value }

// banDocuments begins the names of the documents that are bans.
const banDocuments = "ban/"
