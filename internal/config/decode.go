package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"tailplane/internal/secret"
	"tailplane/internal/suggest"
)

// decoder fills Go values from YAML nodes. It goes on after every problem, so
// that all of them are told at once, and remembers where every value stands.
type decoder struct {
	name     string
	lines    []string
	root     *yaml.Node
	at       map[string]*yaml.Node // path -> where to point
	failed   []string              // paths of single values that could not be decoded
	problems []Problem
	broken   bool // the file could not be decoded far enough to be validated
	visits   int
	merging  []*yaml.Node // mappings that are being merged in
}

// mostVisits bounds the nodes that are looked at, so that a file whose aliases
// multiply cannot keep us busy.
const mostVisits = 200_000

func newDecoder(name string, text []byte) *decoder {
	d := &decoder{name: name, lines: strings.Split(string(text), "\n"), at: map[string]*yaml.Node{}}
	if len(bytes.TrimSpace(text)) == 0 {
		return d
	}
	if d.broken = d.alien(text); d.broken {
		return d
	}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		err := documents.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF):
			return d
		case err != nil:
			d.broken = true
			d.syntax(err)
			return d
		case len(doc.Content) == 0 || doc.Content[0].Tag == "!!null": // says nothing
		case d.root == nil:
			d.root = doc.Content[0]
		default:
			d.problem(doc.Content[0], "here a second document begins, and a config is one", "join the two, or remove one of them")
			return d
		}
	}
}

// alien reports a text that is not UTF-8, at its first byte that is not: the
// parser does not tell where that stands. UTF-16 begins with its mark and is read.
func (d *decoder) alien(text []byte) bool {
	if utf8.Valid(text) || bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return false
	}
	for i, line := range d.lines {
		if utf8.ValidString(line) {
			continue
		}
		col := 1
		for r, n := utf8.DecodeRuneInString(line); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRuneInString(line) {
			line = line[n:]
			col++
		}
		d.add(Problem{File: d.name, Line: i + 1, Col: col, Wrong: "this is not UTF-8", Right: "save the file as UTF-8"})
		return true
	}
	return false
}

// syntax reports what the parser says.
func (d *decoder) syntax(err error) {
	p := Problem{File: d.name, Line: 1, Col: 1, Wrong: "this is not YAML: " + err.Error(), Right: "correct the syntax"}
	if le, ok := errors.AsType[*yaml.LoadError](err); ok {
		p.Line, p.Col = max(1, le.Mark.Line), max(1, le.Mark.Column)
		p.Wrong = "this is not YAML: " + le.Message
	}
	d.add(p)
}

// file decodes the document.
func (d *decoder) file(f *File) {
	if d.root == nil {
		return
	}
	d.value(d.root, reflect.ValueOf(f).Elem(), "")
}

// report adds a problem at the place of a path, or of the nearest path above
// it that stands in the file. What follows only from a value that could not be
// decoded is not told again.
func (d *decoder) report(path, wrong, right string) {
	if slices.ContainsFunc(d.failed, func(f string) bool { return strings.HasPrefix(f, path) }) {
		return
	}
	for {
		if n, ok := d.at[path]; ok {
			d.problem(n, wrong, right)
			return
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			d.add(Problem{File: d.name, Line: 1, Col: 1, Wrong: wrong, Right: right})
			return
		}
		path = path[:cut]
	}
}

func (d *decoder) problem(n *yaml.Node, wrong, right string) {
	d.add(Problem{File: d.name, Line: n.Line, Col: n.Column, Wrong: wrong, Right: right})
}

func (d *decoder) add(p Problem) {
	p.excerpt = d.excerpt(p.Line, p.Col)
	d.problems = append(d.problems, p)
}

// sorted are the problems in the order of their places.
func (d *decoder) sorted() []Problem { return inOrder(d.problems) }

func inOrder(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	return slices.Compact(problems)
}

// value decodes a node into v.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if d.visits++; d.visits > mostVisits {
		if d.visits == mostVisits+1 {
			d.broken = true
			d.problem(n, fmt.Sprintf("the file has more than %d values, those that its aliases repeat included", mostVisits), "write fewer, or use fewer aliases")
		}
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if _, known := d.at[path]; !known {
		d.at[path] = n
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind == yaml.ScalarNode {
		defer func(before int) {
			if len(d.problems) > before {
				d.failed = append(d.failed, path)
			}
		}(len(d.problems))
		if d.text(n, v) {
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem(), path)
	default:
		d.scalar(n, v)
	}
}

// text decodes a scalar into a type that reads its own text.
func (d *decoder) text(n *yaml.Node, v reflect.Value) bool {
	reader, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	if !ok {
		return false
	}
	if err := reader.UnmarshalText([]byte(n.Value)); err != nil {
		wrong, right, _ := strings.Cut(err.Error(), "; ")
		if right == "" {
			right = "correct the value"
		}
		d.problem(n, wrong, right)
		if _, is := reader.(*secret.Ref); is {
			d.problems[len(d.problems)-1].excerpt = ""
		}
	}
	return true
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, fmt.Sprintf("here stands %s", kindOf(n)), "write a mapping with "+strings.Join(fields(v.Type()), ", "))
		return
	}
	d.pairs(n, func(key, value *yaml.Node) {
		i := field(v.Type(), key.Value)
		if i < 0 {
			near := suggest.Phrase(suggest.Nearest(key.Value, fields(v.Type())))
			d.problem(key, fmt.Sprintf("there is no key %q %s", key.Value, where(path)), "use one of "+strings.Join(fields(v.Type()), ", ")+near)
			return
		}
		d.value(value, v.Field(i), join(path, key.Value))
	})
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, fmt.Sprintf("here stands %s", kindOf(n)), "write a mapping of names to values")
		return
	}
	out := reflect.MakeMap(v.Type())
	d.pairs(n, func(key, value *yaml.Node) {
		at := join(path, key.Value)
		if value.Kind != yaml.ScalarNode {
			d.at[at] = key
		}
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(value, item, at)
		out.SetMapIndex(reflect.ValueOf(key.Value), item)
	})
	v.Set(out)
}

// pairs walks a mapping: its own keys first, then those that it merges in
// (`<<: *anchor`) and does not have itself.
func (d *decoder) pairs(n *yaml.Node, visit func(key, value *yaml.Node)) {
	seen := map[string]bool{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" || key.Value == "<<" {
			merged = append(merged, value)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			d.problem(key, "a key must be a plain word", "write a name")
			continue
		}
		if seen[key.Value] {
			d.problem(key, fmt.Sprintf("the key %q stands twice here", key.Value), "keep one of them")
			continue
		}
		seen[key.Value] = true
		visit(key, value)
	}
	for _, m := range merged {
		if m.Kind == yaml.AliasNode {
			m = m.Alias
		}
		if m.Kind != yaml.MappingNode {
			d.problem(m, "only a mapping can be merged in", "write `<<: *NAME` with the anchor of a mapping")
			continue
		}
		if m == n || slices.Contains(d.merging, m) {
			d.problem(m, "the mapping merges itself in", "name the anchor of another one")
			continue
		}
		d.merge(m, func(key, value *yaml.Node) {
			if !seen[key.Value] {
				seen[key.Value] = true
				visit(key, value)
			}
		})
	}
}

// merge walks a mapping that another one merges in.
func (d *decoder) merge(m *yaml.Node, visit func(key, value *yaml.Node)) {
	if d.visits++; d.visits > mostVisits {
		return // value tells
	}
	d.merging = append(d.merging, m)
	d.pairs(m, visit)
	d.merging = d.merging[:len(d.merging)-1]
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.problem(n, fmt.Sprintf("here stands %s", kindOf(n)), "write a list: [A, B]")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(out)
}

var durationType = reflect.TypeFor[time.Duration]()

// scalar decodes plain values.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.problem(n, fmt.Sprintf("here stands %s", kindOf(n)), "write a single value")
		return
	}
	switch {
	case v.Type() == durationType:
		t, err := parseDuration(n.Value)
		if err != nil {
			d.problem(n, fmt.Sprintf("%q is not a duration", n.Value), "write a number with a unit, such as 500ms, 30s, 2m or 7d")
			return
		}
		v.SetInt(int64(t))
	case v.Kind() == reflect.String:
		v.SetString(n.Value)
	case v.Kind() == reflect.Bool:
		switch n.Value {
		case "true", "false":
			v.SetBool(n.Value == "true")
		default:
			d.problem(n, fmt.Sprintf("%q is neither true nor false", n.Value), "write true or false")
		}
	case v.Kind() == reflect.Int64:
		size, err := parseSize(n.Value)
		if err != nil {
			d.problem(n, fmt.Sprintf("%q is not a size", n.Value), "write a whole number of bytes, or one with a unit such as 64MiB")
			return
		}
		v.SetInt(size)
	case v.Kind() == reflect.Int:
		i, err := strconv.Atoi(n.Value)
		if err != nil {
			d.problem(n, fmt.Sprintf("%q is not a whole number", n.Value), "write a whole number")
			return
		}
		v.SetInt(int64(i))
	case v.Kind() == reflect.Float64:
		x, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			d.problem(n, fmt.Sprintf("%q is not a number", n.Value), "write a number such as 0.3")
			return
		}
		v.SetFloat(x)
	default:
		panic("config: no decoding for " + v.Type().String()) // a field type that nobody has taught us
	}
}

// parseSize reads bytes: a whole number, with KB, MB, GB or KiB, MiB, GiB.
func parseSize(text string) (int64, error) {
	units := []struct {
		suffix string
		factor int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"", 1}}
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n > (1<<62)/u.factor || n < -(1<<62)/u.factor {
			return 0, errors.New("not a size")
		}
		return n * u.factor, nil
	}
	return 0, errors.New("not a size")
}

func fields(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("yaml"); tag != "" && tag != "-" {
			out = append(out, tag)
		}
	}
	return out
}

func field(t reflect.Type, name string) int {
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("yaml"); tag == name && tag != "-" {
			return i
		}
	}
	return -1
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func where(path string) string {
	if path == "" {
		return "in the file"
	}
	return "in " + path
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}
