// Package openapi holds bodies of the OpenAI surfaces to OpenAI's own
// description of them, for tests.
//
// It owns how an OpenAPI 3.1 document becomes JSON Schema, and how a body's
// deviations are named so that a table can list them. It never judges which
// deviations are fine: that is the caller's table. The document stays where it
// is, beside the recordings.
//
// Start reading at [Load].
package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v4"

	"tailplane/internal/llmtest/corpus"
)

// Spec is an OpenAPI document whose component schemas can be validated against.
// It is used by one goroutine.
type Spec struct {
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

// address is what the document is called inside the compiler.
const address = "mem:///openapi.json"

// components is where its schemas stand.
const components = address + "#/components/schemas/"

// Path is where OpenAI's document is: spec/openai/openapi.yaml beside the
// folder of the recordings; ok is false when there is no such file.
func Path() (path string, ok bool) {
	dir, ok := corpus.Dir()
	if !ok {
		return "", false
	}
	path = filepath.Join(dir, "..", "spec", "openai", "openapi.yaml")
	_, err := os.Stat(path)
	return path, err == nil
}

// Load reads the document at path. Its schemas are compiled when they are first
// asked for.
func Load(path string) (*Spec, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Components struct {
			Schemas map[string]any `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	for name, schema := range doc.Components.Schemas {
		doc.Components.Schemas[name] = plain(schema)
	}
	// Numbers take the form that the compiler expects on the way through JSON.
	body, err := json.Marshal(map[string]any{"components": map[string]any{"schemas": doc.Components.Schemas}})
	if err != nil {
		return nil, fmt.Errorf("%s as JSON: %w", path, err)
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(address, resource); err != nil {
		return nil, err
	}
	return &Spec{compiler: c, compiled: map[string]*jsonschema.Schema{}}, nil
}

// plain makes a schema of JSON Schema 2020-12 of one of OpenAPI: a name of any
// type becomes text, and nullable, which 3.1 no longer knows and the document
// still uses, becomes the type null.
func plain(v any) any {
	switch v := v.(type) {
	case map[any]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[fmt.Sprint(k)] = e
		}
		return plain(out)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
		// 2019's words for recursion, for what may stand inside a filter: what
		// they say of it is not looked at.
		delete(v, "$recursiveAnchor")
		delete(v, "$recursiveRef")
		if v["nullable"] == true {
			return orNull(v)
		}
	}
	return v
}

func orNull(schema map[string]any) any {
	name, simple := schema["type"].(string)
	if !simple {
		return map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
	}
	schema["type"] = []any{name, "null"}
	if list, ok := schema["enum"].([]any); ok && !slices.Contains(list, any(nil)) {
		schema["enum"] = append(slices.Clone(list), nil)
	}
	return schema
}

// Deviations validates a body against a component schema and names what is
// wrong with it, each way once, sorted: "Schema/member required other". Indexes
// and values are left out, so one name stands for all bodies that deviate in
// one way. The error says that there is no such schema.
func (s *Spec) Deviations(schema string, body []byte) ([]string, error) {
	compiled := s.compiled[schema]
	if compiled == nil {
		var err error
		if compiled, err = s.compiler.Compile(components + schema); err != nil {
			return nil, fmt.Errorf("compile %s: %w", schema, err)
		}
		s.compiled[schema] = compiled
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return []string{"no JSON"}, nil
	}
	err = compiled.Validate(value)
	if err == nil {
		return nil, nil
	}
	failed, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return nil, err
	}
	names := classes(failed)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// classes names the failures below e. Of a union it follows the branch that was
// meant.
func classes(e *jsonschema.ValidationError) []string {
	if union(e) && len(e.Causes) > 0 {
		return classes(slices.MinFunc(e.Causes, func(a, b *jsonschema.ValidationError) int {
			return distance(a, e.InstanceLocation) - distance(b, e.InstanceLocation)
		}))
	}
	if len(e.Causes) == 0 {
		return leaf(e)
	}
	var out []string
	for _, cause := range e.Causes {
		out = append(out, classes(cause)...)
	}
	return out
}

func union(e *jsonschema.ValidationError) bool {
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		return true
	}
	return false
}

// distance is how far a branch of a union is from a value: a branch of another
// JSON type or with another discriminator was not meant.
func distance(e *jsonschema.ValidationError, at []string) int {
	const notMeant = 1 << 10
	if union(e) && len(e.Causes) > 0 {
		nearest := distance(e.Causes[0], at)
		for _, cause := range e.Causes[1:] {
			nearest = min(nearest, distance(cause, at))
		}
		return nearest
	}
	if len(e.Causes) > 0 {
		sum := 0
		for _, cause := range e.Causes {
			sum += distance(cause, at)
		}
		return sum
	}
	switch e.ErrorKind.(type) {
	case *kind.Type:
		if len(e.InstanceLocation) == len(at) {
			return notMeant
		}
	case *kind.Enum, *kind.Const:
		last := len(e.InstanceLocation) - 1
		if last == len(at) && slices.Contains([]string{"type", "object", "role"}, e.InstanceLocation[last]) {
			return notMeant
		}
	}
	return 1
}

func leaf(e *jsonschema.ValidationError) []string {
	at := place(e.SchemaURL)
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		var out []string
		for _, name := range k.Missing {
			out = append(out, at+" lacks "+name)
		}
		return out
	case *kind.Type:
		return []string{fmt.Sprintf("%s is %s", at, k.Got)}
	case *kind.Enum:
		return []string{fmt.Sprintf("%s is %v", at, k.Got)}
	case *kind.Const:
		return []string{fmt.Sprintf("%s is %v", at, k.Got)}
	case *kind.AdditionalProperties:
		var out []string
		for _, name := range k.Properties {
			out = append(out, at+" has "+name)
		}
		return out
	}
	return []string{at + " breaks " + strings.Join(e.ErrorKind.KeywordPath(), "/")}
}

// place shortens the address of a schema to its component and the members on
// the way.
func place(url string) string {
	path := strings.TrimPrefix(url, components)
	var out []string
	steps := strings.Split(path, "/")
	for i := 0; i < len(steps); i++ {
		switch step := steps[i]; step {
		case "properties":
		case "items":
			out = append(out, "[]")
		case "anyOf", "oneOf", "allOf":
			i++ // the number of the branch
		default:
			out = append(out, step)
		}
	}
	return strings.Join(out, "/")
}
