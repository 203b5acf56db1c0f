package gateway

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/owner"
	"tailplane/internal/telemetry"
	"tailplane/internal/wire"
)

// Objects that a target keeps (stored responses, files, batches) can be reached
// there and nowhere else, and only by the key that made them or another one of
// its customer. ADR 8 has the reasons.

// UseOwners sets the index of the objects that targets keep. It is called before
// the first request; without it the index is in memory alone.
func (g *Gateway) UseOwners(x *owner.Index) { g.owners = x }

// memoryOwners is an index that forgets with the process.
func memoryOwners() *owner.Index {
	x, _ := owner.Open("", 0) // only files can fail
	return x
}

// findOwner notes which target keeps an object.
func (c *call) findOwner(id string) *llm.Fault {
	o, ok := c.gateway.owners.Get(id)
	if !ok || !o.BelongsTo(c.key.ID, c.ex.Customer) {
		return &llm.Fault{
			Kind:    llm.FaultNotFound,
			Message: fmt.Sprintf("there is no %s %q that this key could reach; only what was made here can be reached here", c.surface.op, cut(id, 100)),
		}
	}
	c.object = o
	if c.seen.Model == "" {
		c.seen.Model = o.Model
	}
	return nil
}

// destination finds where the request goes: to the target that keeps the object
// which it is about, else where its model's name leads.
func (c *call) destination() (*destination, *llm.Fault) {
	switch {
	case c.object.Target != "":
		return c.toOwner()
	case c.seen.Model == "" && c.surface.forward != nil:
		return c.toOnly()
	}
	dest, err := c.byName()
	if err != nil {
		return nil, &llm.Fault{Kind: llm.FaultUnknownModel, Param: "model", Message: err.Error()}
	}
	if !c.mayCall(c.seen.Model) {
		return nil, &llm.Fault{Kind: llm.FaultForbidden, Param: "model", Message: fmt.Sprintf("this key may not call model %q", cut(c.seen.Model, 100))}
	}
	if c.seen.Dialect == llm.Responses {
		dest, f := c.pinned(dest)
		if f != nil {
			return nil, f
		}
		return c.steered(dest)
	}
	return c.steered(dest)
}

// byName is where the request's model leads, under the rule that it falls under.
func (c *call) byName() (*destination, error) {
	if r := c.ruled(); r != nil {
		c.rule = r
		return c.plane.under(r, c.seen.Model, c.key, c.dry)
	}
	return c.plane.destination(c.seen.Model, c.key, c.dry)
}

func (c *call) toOwner() (*destination, *llm.Fault) {
	if c.surface.forward.once && c.key.Narrow() {
		return nil, c.cannotCheck("a batch names its models in a file")
	}
	dest := c.plane.at(c.object.Target)
	if dest == nil {
		return nil, &llm.Fault{Kind: llm.FaultNotFound, Message: fmt.Sprintf("target %s, which keeps it, is no longer in the config", c.object.Target)}
	}
	return dest, nil
}

// toOnly is the way of a request that names no model: to the one target that
// serves the operation.
func (c *call) toOnly() (*destination, *llm.Fault) {
	if c.surface.forward.optional && c.key.Narrow() {
		return nil, c.cannotCheck("the request names none")
	}
	var names []string
	for _, t := range c.plane.Targets {
		if _, ok := t.ForwardPath(c.surface.op, ""); ok {
			names = append(names, t.Name)
		}
	}
	switch len(names) {
	case 0:
		return nil, &llm.Fault{Kind: llm.FaultUnsupported, Message: fmt.Sprintf("no target serves %s", c.surface.op)}
	case 1:
		return c.plane.at(names[0]), nil
	}
	return nil, badBody("targets %s serve %s: say which with the header x-tailplane-model: TARGET/MODEL", strings.Join(names, ", "), c.surface.op)
}

func (c *call) cannotCheck(why string) *llm.Fault {
	return &llm.Fault{Kind: llm.FaultForbidden, Param: "model", Message: "this key may call only some models, and " + why}
}

// at is the destination that is one target alone; nil when there is none. The
// model is left as it is written.
func (p *Plane) at(target string) *destination {
	if !slices.ContainsFunc(p.Targets, func(t Target) bool { return t.Name == target }) {
		return nil
	}
	return p.build(p.Catalog.Only(target), telemetry.Other, false, false)
}

// pinned leaves only the target that keeps what a Responses request goes on
// from. An id that is not known here passes: its target will say so.
func (c *call) pinned(dest *destination) (*destination, *llm.Fault) {
	for _, id := range c.refersTo() {
		o, ok := c.gateway.owners.Get(id)
		if !ok {
			continue
		}
		if !o.BelongsTo(c.key.ID, c.ex.Customer) {
			return nil, &llm.Fault{Kind: llm.FaultNotFound, Param: "previous_response_id", Message: fmt.Sprintf("there is no response %q that this key could reach", cut(id, 100))}
		}
		keeps := slices.DeleteFunc(slices.Clone(dest.candidates), func(d candidate) bool { return d.Name != o.Target })
		if len(keeps) == 0 {
			return nil, &llm.Fault{
				Kind: llm.FaultUnsupported, Param: "previous_response_id",
				Message: fmt.Sprintf("target %s keeps %q, and model %q does not lead there", o.Target, cut(id, 100), cut(c.seen.Model, 100)),
			}
		}
		only := *dest
		only.candidates, only.why = keeps, "target that keeps the conversation"
		return &only, nil
	}
	return dest, nil
}

// refersTo is the ids that a Responses request goes on from.
func (c *call) refersTo() []string {
	var found [2]wire.Member
	if _, err := wire.Scan(c.body, []string{"previous_response_id", "conversation"}, found[:]); err != nil {
		return nil
	}
	var out []string
	for _, m := range found {
		if id := idOf(c.body, m.Value); id != "" {
			out = append(out, id)
		}
	}
	return out
}

// idOf reads an id that stands alone or as a member of an object.
func idOf(body []byte, at wire.Span) string {
	if at.IsZero() {
		return ""
	}
	var found [1]wire.Member
	if body[at.Start] == '{' {
		if _, err := wire.ScanAt(body, at, []string{"id"}, found[:]); err != nil || found[0].IsZero() {
			return ""
		}
		at = found[0].Value
	}
	id, _ := wire.String(at.Of(body))
	return id
}

// keepResponse notes who keeps a response that the client is about to learn
// the id of, and the conversation that it belongs to.
func (c *call) keepResponse(target *candidate) {
	c.keep(target, c.tap.ID)
	if bytes.Contains(c.body, []byte(`"conversation"`)) {
		var found [1]wire.Member
		if _, err := wire.Scan(c.body, []string{"conversation"}, found[:]); err == nil {
			c.keep(target, idOf(c.body, found[0].Value))
		}
	}
}

// keep notes that a target keeps an object for the caller. What is known already
// stays whose it is.
func (c *call) keep(target *candidate, id string) {
	if _, known := c.gateway.owners.Get(id); known || id == "" || len(id) > 300 {
		return
	}
	o := c.object // what comes from an object belongs to whom that belongs
	if o.Target == "" {
		o = owner.Object{Model: c.ex.Model, Key: c.key.ID, Name: c.key.Name, Customer: c.ex.Customer}
	}
	o.Target, o.Settled = target.Name, false
	if err := c.gateway.owners.Put(id, o); err != nil {
		c.gateway.log.Error("the owner of an object was not written; it is known until the next start", "error", err, "request", c.ex.ID)
	}
}

// keepNamed notes the objects whose ids an answer of the forward lane tells.
func (c *call) keepNamed(target *candidate, body []byte) {
	keeps := c.surface.forward.keeps
	var found [4]wire.Member
	if len(keeps) == 0 {
		return
	}
	if _, err := wire.Scan(body, keeps, found[:]); err != nil {
		return
	}
	for i := range keeps {
		if !found[i].IsZero() {
			id, _ := wire.String(found[i].Value.Of(body))
			c.keep(target, id)
		}
	}
}

// owned cuts out of a list what the caller may not reach: a provider lists the
// objects of the whole account.
func (c *call) owned(dst, body []byte) ([]byte, error) {
	var found [1]wire.Member
	if _, err := wire.Scan(body, []string{"data"}, found[:]); err != nil {
		return nil, err
	}
	if found[0].IsZero() {
		return append(dst, body...), nil
	}
	list := found[0].Value
	dst = append(append(dst, body[:list.Start]...), '[')
	first := true
	for item := range wire.Elements(body, list) {
		o, ok := c.gateway.owners.Get(idOf(body, item))
		if !ok || !o.BelongsTo(c.key.ID, c.ex.Customer) || body[item.Start] != '{' {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, item.Of(body)...)
	}
	return append(append(dst, ']'), body[list.End:]...), nil
}
