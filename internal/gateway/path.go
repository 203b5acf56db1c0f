package gateway

import (
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// table is every path that is served. Most are known in whole; the others have a
// name in them.
type table struct {
	exact    map[string]surface
	patterns []pattern
}

// pattern is a path with the name of a model or the id of an object between its
// prefix and its suffix. With an infix, as in Vertex' paths, the name begins
// behind its first occurrence, and what stands before it does not matter.
type pattern struct {
	prefix, infix, suffix string
	object                bool // the name is an object's id, which has no slash in it
	surface
}

// place is what a path names.
type place struct {
	model string
	id    string // of an object
}

// row is one operation at the paths below each of its bases. In a path {model}
// and {id} stand for a name, and {..} before another one for anything.
type row struct {
	path  string
	bases []string
	surface
}

// add takes a row into the table. Rows with the same path and other methods
// belong together.
func (t *table) add(r row) {
	for _, base := range r.bases {
		path := base + r.path
		if !strings.Contains(path, "{") {
			t.exact[path] = joined(t.exact[path], r.surface)
			continue
		}
		p := parsePattern(path, r.surface)
		known := false
		for i, have := range t.patterns {
			if have.prefix == p.prefix && have.infix == p.infix && have.suffix == p.suffix {
				t.patterns[i].surface, known = joined(have.surface, r.surface), true
			}
		}
		if !known {
			t.patterns = append(t.patterns, p)
		}
	}
}

// joined is a path's surfaces, one for each method.
func joined(have, next surface) surface {
	if have.method == "" {
		return next
	}
	next.more = have.more
	have.more = &next
	return have
}

func parsePattern(path string, s surface) pattern {
	p := pattern{surface: s}
	var name string
	p.prefix, name, p.suffix = cutName(path)
	if name == ".." {
		p.infix, name, p.suffix = cutName(p.suffix)
	}
	p.object = name == "id"
	return p
}

// cutName splits a path at its first name.
func cutName(path string) (before, name, behind string) {
	before, rest, _ := strings.Cut(path, "{")
	name, behind, _ = strings.Cut(rest, "}")
	return before, name, behind
}

// match returns the name in a path that has the pattern's form.
func (p *pattern) match(path string) (place, bool) {
	if len(path) <= len(p.prefix)+len(p.suffix) || !strings.HasPrefix(path, p.prefix) || !strings.HasSuffix(path, p.suffix) {
		return place{}, false
	}
	name := path[len(p.prefix) : len(path)-len(p.suffix)]
	if p.infix != "" {
		var ok bool
		if _, name, ok = strings.Cut(name, p.infix); !ok || name == "" {
			return place{}, false
		}
	}
	if !p.object {
		return place{model: name}, true
	}
	return place{id: name}, !strings.Contains(name, "/")
}

// find returns the surface of a path, for the method where the path has several.
func (t *table) find(path, method string) (surface, place, bool) {
	if s, ok := t.exact[path]; ok {
		return s.taking(method), place{}, true
	}
	for i := range t.patterns {
		if at, ok := t.patterns[i].match(path); ok {
			return t.patterns[i].taking(method), at, true
		}
	}
	return surface{}, place{}, false
}

// taking is the surface of the same path that takes a method, or s.
func (s surface) taking(method string) surface {
	for m := s.more; s.method != method && m != nil; m = m.more {
		if m.method == method {
			return *m
		}
	}
	return s
}

// methods lists what the path takes.
func (s surface) methods() string {
	var out strings.Builder
	out.WriteString(s.method)
	for m := s.more; m != nil; m = m.more {
		out.WriteString(", " + m.method)
	}
	return out.String()
}

// writePlace writes the model of the path into the body, where the dialect has
// it: Azure's classic paths name the deployment, and bodies need not. A body that
// is no object is left to Glance.
func (c *call) writePlace() {
	if c.place.model == "" || c.ownPlace() {
		return
	}
	var found [1]wire.Member
	object, err := wire.Scan(c.body, []string{"model"}, found[:])
	if err != nil {
		return
	}
	edit, _ := wire.SetMember(nil, object, found[0], "model", wire.AppendString(nil, c.place.model))
	c.body = wire.Splice(nil, c.body, edit)
}

// readPlace completes what Glance saw by what only the path says.
func (c *call) readPlace() {
	if c.place.model != "" && c.ownPlace() {
		c.seen.Model, c.seen.Stream = c.place.model, c.surface.stream
		c.asArray()
	}
}

// ownPlace reports whether the dialect has its model in the path and nowhere
// else.
func (c *call) ownPlace() bool {
	d := c.surface.dialect.Name()
	return d == llm.Gemini || d == llm.Converse
}
