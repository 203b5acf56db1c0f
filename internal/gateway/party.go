package gateway

import (
	"net/netip"
	"slices"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/policy"
	"tailplane/internal/wire"
)

// scoped refuses what the key may not do, whatever the request says.
func (c *call) scoped() *llm.Fault {
	if !c.key.MayUse(string(c.surface.op), string(c.surface.dialect.Name())) {
		return &llm.Fault{Kind: llm.FaultForbidden, Message: "this key may not use " + cut(c.r.URL.Path, 100) + "; ask its owner for the surface " + string(c.surface.op)}
	}
	if len(c.key.Networks) == 0 {
		return nil
	}
	at, err := netip.ParseAddrPort(c.r.RemoteAddr)
	if err != nil || !c.key.MayFrom(at.Addr()) {
		return &llm.Fault{Kind: llm.FaultForbidden, Message: "this key may not be used from this address"}
	}
	return nil
}

// attribute finds out for whom the request is counted: the key's own binding, what
// its token or certificate says, or a claim of the caller where the key may name
// customers.
func (c *call) attribute() *llm.Fault {
	c.mark()
	party, how, no := c.plane.Keys.Attribute(c.key, c.claimed())
	c.ex.Attributed = how
	if no != nil {
		return &llm.Fault{Kind: llm.FaultForbidden, Code: no.Code, Message: no.Message}
	}
	c.countFor(party)
	return nil
}

// countFor notes a party and those above it in the record, and draws on their
// accounts.
func (c *call) countFor(party *policy.Party) {
	c.party = party
	c.ex.Organisation, c.ex.Team, c.ex.Customer = party.Names()
	c.chain = c.key.AppendChain(c.chain[:0], party)
}

// mayCall reports whether the caller, and whom the request is for, may use a model.
func (c *call) mayCall(model string) bool {
	return c.key.MayCall(model) && c.party.MayCall(model)
}

// claimed is the customer that a token or certificate proves, or that the caller
// names. The body is looked at only for keys that may name one.
func (c *call) claimed() policy.Claim {
	if c.proven.Customer != "" {
		return c.proven
	}
	if c.says.customer.Customer != "" {
		return c.says.customer
	}
	if !c.key.MayNameCustomers || len(c.body) == 0 || c.body[0] != '{' {
		return policy.Claim{}
	}
	var claim policy.Claim
	c.look(policy.ClaimMembers(), func(path string, value []byte) bool {
		claim.Customer, _ = wire.String(value)
		claim.From = path
		return claim.Customer == ""
	})
	if claim.Customer == "" {
		return policy.Claim{}
	}
	return claim
}

// mark notes the caller's tags and session.
func (c *call) mark() {
	c.ex.Session = c.says.session
	tags := slices.Clone(c.says.tags) // they are cleaned in place
	if c.mentions(wordTags) {
		c.look(policy.TagMembers(), func(_ string, value []byte) bool {
			for at := range wire.Elements(value, wire.Span{End: len(value)}) {
				if tag, ok := wire.String(at.Of(value)); ok {
					tags = append(tags, tag)
				}
			}
			return true
		})
	}
	if len(tags) == 0 {
		return
	}
	var dropped int
	if c.ex.Tags, dropped = policy.CleanTags(tags); dropped > 0 {
		c.gateway.metrics.TagsDropped.Add(float64(dropped))
	}
}

// look calls see for what stands in the body at each of some paths of at most two
// names, in the order of the paths, until it says false. One scan finds them all;
// in a body that is no object there is nothing.
func (c *call) look(paths []string, see func(path string, value []byte) bool) {
	outer, found := make([]string, len(paths)), make([]wire.Member, len(paths))
	for i, path := range paths {
		outer[i], _, _ = strings.Cut(path, ".")
	}
	if _, err := wire.Scan(c.body, outer, found); err != nil {
		return
	}
	for i, path := range paths {
		m := found[i]
		if _, inner, nested := strings.Cut(path, "."); nested && !m.IsZero() {
			var in [1]wire.Member
			if _, err := wire.ScanAt(c.body, m.Value, []string{inner}, in[:]); err != nil {
				continue
			}
			m = in[0]
		}
		if !m.IsZero() && !see(path, m.Value.Of(c.body)) {
			return
		}
	}
}
