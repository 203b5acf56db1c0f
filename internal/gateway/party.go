package gateway

import (
	"bytes"
	"net/netip"
	"strings"

	"tailplane/internal/account"
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
	if err != nil || !c.key.MayFrom(at.Addr().Unmap()) {
		return &llm.Fault{Kind: llm.FaultForbidden, Message: "this key may not be used from this address"}
	}
	return nil
}

// attribute finds out for whom the request is counted: the key's own binding, or
// a claim of the caller where the key may name customers.
func (c *call) attribute() *llm.Fault {
	c.mark()
	claim := c.claimed()
	party, how, err := c.plane.Keys.Attribute(c.key, claim)
	c.ex.Attributed = how
	if err != nil {
		return &llm.Fault{Kind: llm.FaultForbidden, Param: claim.From, Message: err.Error()}
	}
	c.countFor(party)
	if party != nil && !party.MayCall(c.seen.Model) {
		return &llm.Fault{Kind: llm.FaultForbidden, Param: "model", Message: "customer " + party.Name + " may not call this model"}
	}
	return nil
}

// countFor notes a party and those above it in the record, and draws on their
// accounts.
func (c *call) countFor(party *policy.Party) {
	c.chain = append(c.chain[:0], c.key.Account)
	for ; party != nil; party = party.Parent {
		switch party.Level {
		case account.Customer:
			c.ex.Customer = party.Name
		case account.Team:
			c.ex.Team = party.Name
		default:
			c.ex.Organisation = party.Name
		}
		c.chain = append(c.chain, party.Account)
	}
}

// claimed is the customer that the caller names. The body is looked at only for
// keys that may name one.
func (c *call) claimed() policy.Claim {
	for _, name := range c.plane.Keys.CustomerHeaders() {
		if value := c.r.Header.Get(name); value != "" {
			return policy.Claim{Customer: value, From: name}
		}
	}
	if !c.key.MayNameCustomers || len(c.body) == 0 || c.body[0] != '{' {
		return policy.Claim{}
	}
	for _, path := range policy.CustomerMembers() {
		if value := c.member(path); value != "" {
			return policy.Claim{Customer: value, From: path}
		}
	}
	return policy.Claim{}
}

// mark notes the caller's tags and session.
func (c *call) mark() {
	for _, name := range policy.SessionHeaders() {
		if value := c.r.Header.Get(name); value != "" {
			c.ex.Session = cut(value, 128)
			break
		}
	}
	var tags []string
	for _, name := range policy.TagHeaders() {
		if value := c.r.Header.Get(name); value != "" {
			tags = append(tags, strings.Split(value, ",")...)
		}
	}
	if bytes.Contains(c.body, []byte(`"tags"`)) {
		tags = append(tags, c.strings("metadata.tags")...)
	}
	if len(tags) == 0 {
		return
	}
	var dropped int
	if c.ex.Tags, dropped = policy.CleanTags(tags); dropped > 0 {
		c.gateway.metrics.TagsDropped.Add(float64(dropped))
	}
}

// member is the text at a path of the body of at most two names; empty when
// there is none.
func (c *call) member(path string) string {
	text, _ := wire.String(c.value(path))
	return text
}

// strings are the texts of the list at a path of the body.
func (c *call) strings(path string) []string {
	raw := c.value(path)
	var out []string
	for at := range wire.Elements(raw, wire.Span{End: len(raw)}) {
		if text, ok := wire.String(at.Of(raw)); ok {
			out = append(out, text)
		}
	}
	return out
}

// value is the bytes of the value at a path of the body; nil when there is none.
func (c *call) value(path string) []byte {
	outer, inner, nested := strings.Cut(path, ".")
	found := [1]wire.Member{}
	if _, err := wire.Scan(c.body, []string{outer}, found[:]); err != nil || found[0].IsZero() {
		return nil
	}
	if !nested {
		return found[0].Value.Of(c.body)
	}
	at := found[0].Value
	if c.body[at.Start] != '{' {
		return nil
	}
	found = [1]wire.Member{}
	if _, err := wire.ScanAt(c.body, at, []string{inner}, found[:]); err != nil || found[0].IsZero() {
		return nil
	}
	return found[0].Value.Of(c.body)
}
