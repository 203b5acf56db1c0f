package sim

import (
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// Rules of this file: instance returns a small value that fits a JSON schema.
// It covers what structured-output APIs accept: types, enum, const, required,
// nested objects and arrays, local $ref, anyOf/oneOf/allOf, numeric bounds,
// lengths, common formats. A pattern is only met where a usual value meets it.

// Limits that end recursive schemas: past them every value is null.
const (
	maxSchemaDepth  = 24
	maxSchemaValues = 4096
)

type instancer struct {
	root  map[string]any
	hint  string // text offered for unconstrained strings
	depth int
	count int // values made so far
}

// instance returns a value that fits schema, which may be empty or null.
// Unconstrained strings get hint.
func instance(schema json.RawMessage, hint string) any {
	var root any
	if json.Unmarshal(schema, &root) != nil {
		return map[string]any{}
	}
	m, ok := root.(map[string]any)
	if !ok {
		return map[string]any{}
	}
	return (&instancer{root: m, hint: hint}).value(m)
}

func (g *instancer) value(s map[string]any) any {
	if g.depth >= maxSchemaDepth || g.count >= maxSchemaValues {
		return nil
	}
	g.depth++
	g.count++
	defer func() { g.depth-- }()

	if ref, ok := s["$ref"].(string); ok {
		return g.value(g.resolve(ref))
	}
	if c, ok := s["const"]; ok {
		return c
	}
	if enum, ok := s["enum"].([]any); ok && len(enum) > 0 {
		return enum[0]
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if first := firstSchema(s[key]); first != nil {
			return g.value(merge(s, first, key))
		}
	}
	if all, ok := s["allOf"].([]any); ok {
		for _, part := range all {
			if m, ok := part.(map[string]any); ok {
				s = merge(s, g.deref(m), "allOf")
			}
		}
	}
	return g.typed(s)
}

func (g *instancer) typed(s map[string]any) any {
	switch kind(s) {
	case "object":
		return g.object(s)
	case "array":
		return g.array(s)
	case "integer":
		return int64(number(s, true))
	case "number":
		return number(s, false)
	case "boolean":
		return true
	case "null":
		return nil
	}
	return text(s, g.hint)
}

// kind is the schema's type, or the one its other keywords imply.
func kind(s map[string]any) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if name, ok := one.(string); ok && name != "null" {
				return name
			}
		}
		return "null"
	}
	switch {
	case s["properties"] != nil || len(s) == 0:
		return "object"
	case s["items"] != nil || s["prefixItems"] != nil:
		return "array"
	case s["minimum"] != nil || s["maximum"] != nil || s["multipleOf"] != nil:
		return "number"
	}
	return "string"
}

// object fills the required properties; where none is required, all of them.
func (g *instancer) object(s map[string]any) any {
	props, _ := s["properties"].(map[string]any)
	var names []string
	if required, ok := s["required"].([]any); ok {
		for _, r := range required {
			if name, ok := r.(string); ok {
				names = append(names, name)
			}
		}
	} else if g.depth <= 4 {
		names = slices.Sorted(maps.Keys(props))
	}
	out := make(map[string]any, len(names))
	for _, name := range names {
		p, _ := props[name].(map[string]any)
		if p == nil {
			p = map[string]any{"type": "string"}
		}
		out[name] = g.value(p)
	}
	return out
}

func (g *instancer) array(s map[string]any) any {
	out := []any{}
	if prefix, ok := s["prefixItems"].([]any); ok {
		for _, p := range prefix {
			m, _ := p.(map[string]any)
			out = append(out, g.value(m))
		}
	}
	item, _ := s["items"].(map[string]any)
	least := int(float(s, "minItems", 0))
	for len(out) < min(least, 1024) {
		out = append(out, g.value(item))
	}
	return out
}

// number is the value nearest to one that the bounds and the step allow.
func number(s map[string]any, integer bool) float64 {
	step := float(s, "multipleOf", 0)
	nudge := step
	if nudge == 0 {
		nudge = 1
		if !integer {
			nudge = 0.5
		}
	}
	low, high := float(s, "minimum", math.Inf(-1)), float(s, "maximum", math.Inf(1))
	if x, ok := s["exclusiveMinimum"].(float64); ok {
		low = max(low, x+nudge)
	}
	if x, ok := s["exclusiveMaximum"].(float64); ok {
		high = min(high, x-nudge)
	}
	v := min(max(1, low), high)
	if integer {
		v = math.Ceil(v)
	}
	if step > 0 {
		v = math.Ceil(v/step) * step
		if v > high {
			v -= step
		}
	}
	if math.IsNaN(v) || math.IsInf(v, 0) { // bounds beyond what a double can step through
		return 1
	}
	return v
}

// text is a string of the schema's format and length.
func text(s map[string]any, hint string) string {
	if format, ok := s["format"].(string); ok {
		if v := formatted(format); v != "" {
			return v
		}
	}
	if pattern, ok := s["pattern"].(string); ok {
		if re, err := regexp.Compile(pattern); err == nil {
			for _, v := range usualStrings(hint) {
				if re.MatchString(v) {
					return v
				}
			}
		}
	}
	r := []rune(hint)
	if most := float(s, "maxLength", -1); most >= 0 && float64(len(r)) > most {
		r = r[:int(most)]
	}
	for least := min(int(float(s, "minLength", 0)), 4096); len(r) < least; {
		r = append(r, '.')
	}
	return string(r)
}

func formatted(name string) string {
	switch name {
	case "date":
		return "2026-01-01"
	case "time":
		return "12:00:00Z"
	case "date-time":
		return "2026-01-01T12:00:00Z"
	case "duration":
		return "PT1S"
	case "email":
		return "sim@example.com"
	case "hostname":
		return "example.com"
	case "ipv4":
		return "192.0.2.1"
	case "ipv6":
		return "2001:db8::1"
	case "uri", "url":
		return "https://example.com/"
	case "uuid":
		return "00000000-0000-4000-8000-000000000000"
	}
	return ""
}

func usualStrings(hint string) []string {
	return []string{
		hint, "a", "A", "1", "abc", "ABC", "123", "12345", "a1", "A1", "1.0", "1.0.0", "2026-01-01", "12:00", "#000000",
		"sim@example.com", "https://example.com/", "example.com", "USD", "en", "en-US", "+15550100", "555-0100",
	}
}

func (g *instancer) deref(s map[string]any) map[string]any {
	for range maxSchemaDepth {
		ref, ok := s["$ref"].(string)
		if !ok {
			break
		}
		s = g.resolve(ref)
	}
	return s
}

// resolve follows a local reference ("#", "#/$defs/x"); anything else is an
// unconstrained string.
func (g *instancer) resolve(ref string) map[string]any {
	var at any = g.root
	path, local := strings.CutPrefix(ref, "#")
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if part == "" {
			continue
		}
		m, _ := at.(map[string]any)
		at = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	m, ok := at.(map[string]any)
	if !local || !ok {
		return map[string]any{"type": "string"}
	}
	return m
}

// firstSchema is the first alternative that is not null, else the first.
func firstSchema(v any) map[string]any {
	list, _ := v.([]any)
	var first map[string]any
	for _, one := range list {
		m, ok := one.(map[string]any)
		if ok && m["type"] != "null" {
			return m
		}
		if first == nil {
			first = m
		}
	}
	return first
}

// merge lays part over s without the keyword it came from. Properties and
// required lists of both are kept.
func merge(s, part map[string]any, keyword string) map[string]any {
	out := maps.Clone(s)
	delete(out, keyword)
	for k, v := range part {
		switch old := out[k].(type) {
		case map[string]any:
			if m, ok := v.(map[string]any); ok && k == "properties" {
				both := maps.Clone(old)
				maps.Copy(both, m)
				v = both
			}
		case []any:
			if l, ok := v.([]any); ok && k == "required" {
				v = slices.Concat(old, l)
			}
		}
		out[k] = v
	}
	return out
}

func float(s map[string]any, key string, absent float64) float64 {
	if v, ok := s[key].(float64); ok {
		return v
	}
	return absent
}
