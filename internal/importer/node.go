package importer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// node is a value of a foreign file, with its place. The zero node is one that
// is not there.
type node struct {
	y    *yaml.Node
	file string
	path string
}

// longest bounds a file, most the values that are looked at, and deepest how they
// nest: aliases multiply, and may hold themselves.
const (
	longest = 1 << 20
	most    = 20_000
	deepest = 32
)

// parse reads a file.
func parse(file string, text []byte) (node, error) {
	var doc yaml.Node
	if len(text) > longest {
		return node{}, fmt.Errorf("%s has more than %d bytes", file, longest)
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		if le, ok := errors.AsType[*yaml.LoadError](err); ok {
			return node{}, fmt.Errorf("%s:%d: this is not YAML: %s", file, max(1, le.Mark.Line), le.Message)
		}
		return node{}, fmt.Errorf("%s:1: this is not YAML: %w", file, err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return node{}, fmt.Errorf("%s:1: this is no LiteLLM config: write a mapping with model_list", file)
	}
	if left := most; !fits(doc.Content[0], &left, 0) {
		return node{}, fmt.Errorf("%s:1: it is too large, or too deep, once its aliases are followed", file)
	}
	return node{doc.Content[0], file, ""}, nil
}

// fits reports whether there are no more values below y than are left.
func fits(y *yaml.Node, left *int, depth int) bool {
	if y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	if *left--; *left < 0 || depth > deepest {
		return false
	}
	for _, c := range y.Content {
		if !fits(c, left, depth+1) {
			return false
		}
	}
	return true
}

func (n node) id() string   { return n.file + "\x00" + n.path }
func (n node) there() bool  { return n.y != nil && n.y.Tag != "!!null" }
func (n node) scalar() bool { return n.y != nil && n.y.Kind == yaml.ScalarNode }
func (n node) isMap() bool  { return n.y != nil && n.y.Kind == yaml.MappingNode }
func (n node) isList() bool { return n.y != nil && n.y.Kind == yaml.SequenceNode }

// children are the members of a mapping or the items of a list.
func (n node) children() []node {
	if n.isList() {
		return n.items()
	}
	var out []node
	for _, m := range n.members(0) {
		out = append(out, m.value)
	}
	return out
}

type entry struct {
	name  string
	value node
}

// members are the entries of a mapping: its own, then those that it merges in.
func (n node) members(depth int) []entry {
	if !n.isMap() || depth > deepest {
		return nil
	}
	var out []entry
	seen := map[string]bool{}
	add := func(name string, value node) {
		if !seen[name] {
			seen[name] = true
			out = append(out, entry{name, value})
		}
	}
	var merged []node
	for i := 0; i+1 < len(n.y.Content); i += 2 {
		key, value := n.y.Content[i], n.y.Content[i+1]
		v := n.child(value, "."+key.Value)
		switch {
		case key.Kind != yaml.ScalarNode:
		case key.Tag == "!!merge" || key.Value == "<<":
			v.path = n.path
			merged = append(merged, v)
			if v.isList() {
				merged = append(merged[:len(merged)-1], v.items()...)
			}
		default:
			add(key.Value, v)
		}
	}
	for _, m := range merged {
		m.path = n.path
		for _, e := range m.members(depth + 1) {
			add(e.name, e.value)
		}
	}
	return out
}

// child is a value inside of n.
func (n node) child(y *yaml.Node, step string) node {
	if y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	return node{y, n.file, strings.TrimPrefix(n.path+step, ".")}
}

// get is a member; the zero node when there is none.
func (n node) get(name string) node {
	for _, e := range n.members(0) {
		if e.name == name {
			return e.value
		}
	}
	return node{}
}

// items are those of a list; a single value counts as a list of one.
func (n node) items() []node {
	if n.scalar() && n.there() {
		return []node{n}
	}
	if !n.isList() {
		return nil
	}
	var out []node
	for i, y := range n.y.Content {
		out = append(out, n.child(y, "["+strconv.Itoa(i)+"]"))
	}
	return out
}

// text is a scalar's text as it was written.
func (n node) text() string {
	if !n.scalar() || !n.there() {
		return ""
	}
	return n.y.Value
}

// rest refuses what nobody has told of, as one item for each subtree.
func (r *Report) rest(n node) {
	if r.told[n.id()] || !n.there() {
		return
	}
	children := n.children()
	if slices.Contains(sections, n.path) || slices.ContainsFunc(children, r.touched) {
		for _, c := range children {
			r.rest(c)
		}
		return
	}
	r.refused(n, "%s", reason(n.path))
}

// sections are told field by field; the file itself has an empty path.
var sections = []string{"", "model_list", "litellm_settings", "router_settings", "general_settings", "credential_list"}

// touched reports whether a value or one below it was told of.
func (r *Report) touched(n node) bool {
	if r.told[n.id()] {
		return true
	}
	return slices.ContainsFunc(n.children(), r.touched)
}
