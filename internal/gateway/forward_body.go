package gateway

import (
	"fmt"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// named is where the body of a request of the forward lane names its model, so
// that the name can be changed and nothing else. The zero value is a body in
// which nothing is changed.
type named struct {
	how    naming
	object wire.Object // the JSON object, with its member
	member wire.Member
	items  []wire.Span // Gemini: every place where the body repeats the path's model
	field  wire.Field  // the form's field, or where it can be inserted
	end    int
	bound  string
}

// naming is how a body names its model.
type naming uint8

const (
	namedNowhere naming = iota
	namedMember
	namedField
	namedItems
)

// append appends the body with the target's name of the model in it. A target
// that is asked because of an object, or as the only one, has no name to write.
func (n *named) append(dst, body []byte, target *candidate) []byte {
	if target.model == "" {
		return append(dst, body...)
	}
	model := target.ModelName(target.model)
	switch n.how {
	case namedMember:
		edit, _ := wire.SetMember(nil, n.object, n.member, "model", wire.AppendString(nil, model))
		return wire.Splice(dst, body, edit)
	case namedField:
		if n.field.IsZero() {
			return wire.Splice(dst, body, wire.InsertField(n.end, n.bound, "model", model))
		}
		return wire.Splice(dst, body, wire.Edit{At: n.field.Value, With: []byte(model)})
	case namedItems:
		text := wire.AppendString(nil, "models/"+model)
		edits := make([]wire.Edit, len(n.items))
		for i, at := range n.items {
			edits[i] = wire.Edit{At: at, With: text}
		}
		return wire.Splice(dst, body, edits...)
	}
	return append(dst, body...)
}

// glanceForward finds out what an operation of the forward lane is for.
func (c *call) glanceForward() *llm.Fault {
	fwd := c.surface.forward
	c.seen = llm.Glance{
		Op: c.surface.op, Dialect: c.surface.dialect.Name(), Model: c.place.model, Stream: c.surface.stream, Bytes: len(c.body),
	}
	var f *llm.Fault
	switch fwd.find {
	case findBody:
		f = c.findInBody()
	case findPath:
		f = c.findRepeated()
	case findQuery:
		f = c.findInQuery()
	case findObject:
		f = c.findOwner(c.place.id)
	case findTarget:
		f = c.findReferred()
	}
	c.ex.Model, c.ex.Stream = cut(c.seen.Model, 200), c.seen.Stream
	return f
}

func badBody(format string, args ...any) *llm.Fault {
	return &llm.Fault{Kind: llm.FaultBadRequest, Message: fmt.Sprintf(format, args...)}
}

// findInBody finds the model in a form or in a JSON object. The name in the
// path, where there is one, wins; a name in neither is the header's.
func (c *call) findInBody() *llm.Fault {
	var model string
	var f *llm.Fault
	if kind := c.r.Header.Get("Content-Type"); strings.HasPrefix(strings.ToLower(kind), "multipart/") {
		model, f = c.findInForm(kind)
	} else {
		model, f = c.findInObject()
	}
	if f != nil {
		return f
	}
	switch {
	case c.seen.Model != "":
	case model != "":
		c.seen.Model = model
	default:
		c.seen.Model = c.r.Header.Get(modelHeader)
	}
	if c.seen.Model == "" && !c.surface.forward.optional {
		f := badBody("model: is missing: name the model to use")
		f.Param = "model"
		return f
	}
	return nil
}

// modelHeader names the model, or the target as TARGET/MODEL, of a request whose
// body has no place for it.
const modelHeader = "X-Tailplane-Model"

func (c *call) findInForm(contentType string) (string, *llm.Fault) {
	n := &c.named
	var ok bool
	if n.bound, ok = wire.Boundary(contentType); !ok {
		return "", badBody("the content type %q is no form: send multipart/form-data with a boundary", cut(contentType, 80))
	}
	var found [2]wire.Field
	end, err := wire.Form(c.body, n.bound, []string{"model", "stream"}, found[:])
	if err != nil {
		return "", badBody("%v", err)
	}
	n.how, n.end, n.field = namedField, end, found[0]
	if !found[1].IsZero() {
		c.seen.Stream = string(found[1].Value.Of(c.body)) == "true"
	}
	if n.field.IsZero() {
		return "", nil
	}
	return string(n.field.Value.Of(c.body)), nil
}

func (c *call) findInObject() (string, *llm.Fault) {
	n := &c.named
	var found [2]wire.Member
	var err error
	if n.object, err = wire.Scan(c.body, []string{"model", "stream"}, found[:]); err != nil {
		return "", badBody("%v", err)
	}
	n.how, n.member = namedMember, found[0]
	if !found[1].IsZero() {
		c.seen.Stream, _ = wire.Bool(found[1].Value.Of(c.body))
	}
	if n.member.IsZero() || wire.IsNull(n.member.Value.Of(c.body)) {
		return "", nil
	}
	model, ok := wire.String(n.member.Value.Of(c.body))
	if !ok {
		f := badBody("model: must be a string")
		f.Param = "model"
		return "", f
	}
	return model, nil
}

// findRepeated finds the places where a body repeats the model of its path, as
// Gemini's do: model, requests[].model, generateContentRequest.model.
func (c *call) findRepeated() *llm.Fault {
	if c.surface.op == llm.OpInvoke {
		return nil // the body is the model maker's own
	}
	var found [3]wire.Member
	if _, err := wire.Scan(c.body, []string{"model", "requests", "generateContentRequest"}, found[:]); err != nil {
		return badBody("%v", err)
	}
	n := &c.named
	n.how, n.items = namedItems, n.items[:0]
	for i, m := range found {
		switch {
		case m.IsZero():
		case i == 0:
			n.items = append(n.items, m.Value)
		case i == 1:
			for at := range wire.Elements(c.body, m.Value) {
				n.addModel(c.body, at)
			}
		default:
			n.addModel(c.body, m.Value)
		}
	}
	sortSpans(n.items)
	return nil
}

func (n *named) addModel(body []byte, at wire.Span) {
	var found [1]wire.Member
	if _, err := wire.ScanAt(body, at, []string{"model"}, found[:]); err == nil && !found[0].IsZero() {
		n.items = append(n.items, found[0].Value)
	}
}

func (c *call) findInQuery() *llm.Fault {
	q := c.r.URL.Query()
	for _, name := range []string{"model", "deployment"} {
		if c.seen.Model == "" {
			c.seen.Model = q.Get(name)
		}
	}
	if c.seen.Model == "" {
		f := badBody("model: is missing: name it in the query, as in %s?model=NAME", c.r.URL.Path)
		f.Param = "model"
		return f
	}
	return nil
}

// findReferred finds the target of a request that names no model: the one that
// keeps the object which it refers to, or the one that the header names.
func (c *call) findReferred() *llm.Fault {
	fwd := c.surface.forward
	c.seen.Model = c.r.Header.Get(modelHeader)
	switch {
	case fwd.refers != "":
		var found [1]wire.Member
		if _, err := wire.Scan(c.body, []string{fwd.refers}, found[:]); err != nil {
			return badBody("%v", err)
		}
		id, ok := wire.String(found[0].Value.Of(c.body))
		if !ok || id == "" {
			f := badBody("%s: is missing", fwd.refers)
			f.Param = fwd.refers
			return f
		}
		return c.findOwner(id)
	case c.surface.method == "POST":
		_, f := c.findInForm(c.r.Header.Get("Content-Type"))
		c.named.how = namedNowhere
		return f
	}
	return nil
}
