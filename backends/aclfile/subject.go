package aclfile

import (
	"net/netip"
	"strings"

	"github.com/fairlead-iot/fairlead/core"
)

// clauseKind is what a clause asks about.
type clauseKind uint8

const (
	userIs clauseKind = iota
	clientIs
	listenerIs
	addressIn
	noAddress
	noUser
)

// clause is one condition of a rule; all of a rule's clauses must hold.
type clause struct {
	kind   clauseKind
	prefix bool   // text is the beginning of the names meant
	text   string // userIs, clientIs, listenerIs
	nets   []netip.Prefix
}

// asker is who asks, prepared once for all rules.
type asker struct {
	id   *core.Identity
	peer netip.Addr // without zone, an IPv4 address never as IPv6
}

func newAsker(id *core.Identity) asker {
	return asker{id: id, peer: id.Peer.Unmap().WithZone("")}
}

func (c *clause) holds(a *asker) bool {
	switch c.kind {
	case userIs:
		return a.id.Username != "" && c.named(a.id.Username)
	case clientIs:
		return c.named(a.id.ClientID)
	case listenerIs:
		return c.named(a.id.Listener)
	case noAddress:
		return !a.peer.IsValid()
	case noUser:
		return a.id.Username == ""
	case addressIn:
		for _, n := range c.nets {
			if n.Contains(a.peer) {
				return true
			}
		}
	}
	return false
}

func (c *clause) named(name string) bool {
	if c.prefix {
		return strings.HasPrefix(name, c.text)
	}
	return name == c.text
}
