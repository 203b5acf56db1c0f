package openapi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const document = `
openapi: 3.1.0
paths: {/x: {get: {responses: {200: {description: a name that is a number}}}}}
components:
  schemas:
    Reply:
      type: object
      required: [id, items]
      properties:
        id: {type: string}
        end: {type: string, enum: [stop], nullable: true}
        usage: {$ref: "#/components/schemas/Usage", nullable: true}
        items: {type: array, items: {$ref: "#/components/schemas/Item"}}
    Usage: {type: object, required: [total], properties: {total: {type: integer}}}
    Item:
      oneOf:
        - $ref: "#/components/schemas/Text"
        - $ref: "#/components/schemas/Call"
      discriminator: {propertyName: type}
    Text: {type: object, required: [type, text], properties: {type: {enum: [text]}, text: {type: string}}}
    Call:
      type: object
      required: [type, name, arguments, id]
      properties: {type: {const: call}, name: {type: string}, arguments: {type: string}, id: {type: string}}
`

func TestDeviations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "openapi.yaml")
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	spec, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ body, want string }{
		{`{"id":"1","items":[{"type":"text","text":"x"}]}`, ""},
		{`{"id":"1","items":[],"end":null,"usage":null,"more":1}`, ""},
		{`{"id":"1","items":[],"end":"stop","usage":{"total":1}}`, ""},
		{`{"items":[]}`, "Reply lacks id"},
		{`{"id":null,"items":[],"end":"length"}`, "Reply/end is length; Reply/id is null"},
		{`{"id":"1","items":[],"usage":{"total":"1"}}`, "Usage/total is string"},
		// The branch that its type names, though the other one is nearer.
		{`{"id":"1","items":[{"type":"call"},{"type":"call","id":"2"}]}`, "Call lacks arguments; Call lacks id; Call lacks name"},
		{`{`, "no JSON"},
	}
	for _, tt := range tests {
		got, err := spec.Deviations("Reply", []byte(tt.body))
		if err != nil || strings.Join(got, "; ") != tt.want {
			t.Errorf("%s: %q %v, want %q", tt.body, got, err, tt.want)
		}
	}
	if _, err := spec.Deviations("Nothing", []byte(`{}`)); err == nil {
		t.Error("a schema that does not exist was found")
	}
}
