package upstream

import (
	"slices"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// stripped is the loss of keywords of a schema.
func (q *Quirks) stripped(where string, keywords []string) llm.Loss {
	return q.lost(where+".schema", "does not take "+strings.Join(keywords, ", "))
}

// Where schemas stand inside a schema: as the value of a keyword, in its list,
// or as the members of its object.
var (
	schemaIn     = []string{"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems"}
	schemasIn    = []string{"anyOf", "oneOf", "allOf", "prefixItems", "items"}
	schemasNamed = []string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)

// stripSchema removes keywords from a JSON schema and from every schema inside
// it, and names those that were there. A property that is called like a keyword
// stays, and so does everything in examples and defaults. Schema itself is not
// written to.
func stripSchema(schema []byte, keywords []string) (out []byte, gone []string) {
	if len(schema) == 0 {
		return schema, nil
	}
	object, err := wire.Scan(schema, nil, nil)
	if err != nil {
		return schema, nil // true, false, or something that the provider may judge
	}
	var r wire.Rewrite
	s := stripper{body: schema, keywords: keywords, rewrite: &r}
	s.schema(wire.Span{Start: object.Open, End: object.Close + 1})
	if len(s.gone) == 0 {
		return schema, nil
	}
	slices.Sort(s.gone)
	return r.Append(nil, schema), slices.Compact(s.gone)
}

// stripper walks schemas in a body that was scanned. Its depth is that of the
// text, which the scanner bounds.
type stripper struct {
	body     []byte
	keywords []string
	rewrite  *wire.Rewrite
	gone     []string
}

// schema strips the object at span at; of anything else it strips nothing.
func (s *stripper) schema(at wire.Span) {
	if at.IsZero() || s.body[at.Start] != '{' {
		return
	}
	var changes []wire.Change
	for m := range wire.Members(s.body, at) {
		name, _ := wire.String(m.Key.Of(s.body))
		if slices.Contains(s.keywords, name) {
			changes = append(changes, wire.Change{Name: name, Member: m})
			s.gone = append(s.gone, name)
			continue
		}
		s.inside(name, m.Value)
	}
	if len(changes) > 0 {
		s.rewrite.Change(s.body, wire.Object{Open: at.Start, Close: at.End - 1}, changes)
	}
}

func (s *stripper) inside(keyword string, at wire.Span) {
	switch s.body[at.Start] {
	case '{':
		if slices.Contains(schemasNamed, keyword) {
			for m := range wire.Members(s.body, at) {
				s.schema(m.Value)
			}
		} else if slices.Contains(schemaIn, keyword) {
			s.schema(at)
		}
	case '[':
		if slices.Contains(schemasIn, keyword) {
			for item := range wire.Elements(s.body, at) {
				s.schema(item)
			}
		}
	}
}
