package dialect

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestGeminiSchemasThatHaveAnEqual(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"object","properties":{"a":{"type":["string","null"]},"b":{"type":"array","items":{"type":"integer"},"minItems":1}},"required":["a"]}`: `{"type":"OBJECT","properties":{"a":{"nullable":true,"type":"STRING"},"b":{"type":"ARRAY","items":{"type":"INTEGER"},"minItems":1}},"required":["a"]}`,
		`{"anyOf":[{"type":"string","enum":["x"]},{"type":"number"}],"title":"t"}`:                                                                      `{"anyOf":[{"type":"STRING","enum":["x"]},{"type":"NUMBER"}],"title":"t"}`,
		`{"type":"object"}`:                 "",
		`{"type":"object","properties":{}}`: "",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string"}}}`: "",
		`{"$ref":"#/$defs/a"}`:                 "",
		`{"type":"integer","enum":[1]}`:        "",
		`{"enum":["a"]}`:                       "",
		`{"type":["string","number"]}`:         "",
		`{"type":"null"}`:                      "",
		`{"type":"string","format":"uuid"}`:    "",
		`{"type":"array","items":{"const":1}}`: "",
		`true`:                                 "",
	} {
		out, ok := geminiFromSchema([]byte(schema))
		if ok != (want != "") || ok && string(out) != want {
			t.Errorf("%s: %s %v", schema, out, ok)
		}
	}
	for schema, want := range map[string]string{
		`{"type":6,"properties":{"a":{"type":"STRING","nullable":true,"max_length":"3"}},"propertyOrdering":["a"],"any_of":[{"type":"TYPE"}]}`: `{"type":"object","properties":{"a":{"type":["string","null"],"maxLength":3}},"anyOf":[{"type":"type"}]}`,
		`{"items":{"type":"ARRAY","items":7},"anyOf":1,"properties":2}`:                                                                        `{"items":{"type":"array","items":7},"anyOf":1,"properties":2}`,
		`{}`: `{}`,
	} {
		if out := geminiToSchema([]byte(schema)); string(out) != want {
			t.Errorf("%s: %s, want %s", schema, out, want)
		}
	}
}

// TestGeminiSchemasComeBack: what has an equal in Gemini's form is the same
// JSON Schema when it is read there.
func TestGeminiSchemasComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schema := drawSchema(t, 3)
		out, ok := geminiFromSchema(schema)
		if !ok {
			return
		}
		if back := geminiToSchema(out); !geminiSameValue(back, schema) {
			t.Fatalf("%s became %s and %s", schema, out, back)
		}
	})
}

// drawSchema makes a JSON Schema of a few keywords, some of which Gemini lacks.
func drawSchema(t *rapid.T, depth int) []byte {
	var members [][]byte
	add := func(name string, value []byte) {
		members = append(members, append(append(stringJSON(name), ':'), value...))
	}
	kind := rapid.SampledFrom([]string{"string", "integer", "number", "boolean", "array", "object"}).Draw(t, "type")
	if rapid.Bool().Draw(t, "nullable") {
		add("type", []byte(`["`+kind+`","null"]`))
	} else {
		add("type", []byte(`"`+kind+`"`))
	}
	if depth > 0 && kind == "array" {
		add("items", drawSchema(t, depth-1))
	}
	if depth > 0 && kind == "object" {
		add("properties", append(append([]byte(`{"a_b":`), drawSchema(t, depth-1)...), append(append([]byte(`,"type":`), drawSchema(t, depth-1)...), '}')...))
	}
	for _, extra := range []string{`"title":"t"`, `"description":"d"`, `"minItems":2`, `"pattern":"x"`, `"const":1`, `"default":null`} {
		if rapid.IntRange(0, 9).Draw(t, extra) == 0 {
			members = append(members, []byte(extra))
		}
	}
	return append(append([]byte{'{'}, bytes.Join(members, []byte{','})...), '}')
}
