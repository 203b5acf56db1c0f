package gateway

import (
	"bytes"
	"net/netip"
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
	for _, name := range c.plane.claims.customer {
		if values := c.r.Header[name]; len(values) > 0 && values[0] != "" {
			return policy.Claim{Customer: values[0], From: strings.ToLower(name)}
		}
	}
	if !c.key.MayNameCustomers || len(c.body) == 0 || c.body[0] != '{' {
		return policy.Claim{}
	}
	for _, path := range policy.ClaimMembers() {
		if value := c.member(path); value != "" {
			return policy.Claim{Customer: value, From: path}
		}
	}
	return policy.Claim{}
}

// mark notes the caller's tags and session.
func (c *call) mark() {
	for _, name := range c.plane.claims.session {
		if values := c.r.Header[name]; len(values) > 0 {
			c.ex.Session = policy.CleanSession(values[0])
			break
		}
	}
	var tags []string
	for _, name := range c.plane.claims.tags {
		for _, value := range c.r.Header[name] {
			tags = append(tags, strings.Split(value, ",")...)
		}
	}
	if bytes.Contains(c.body, []byte(`"tags"`)) {
		for _, path := range policy.TagMembers() {
			tags = append(tags, c.strings(path)...)
		}
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
