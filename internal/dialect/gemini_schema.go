package dialect

import (
	"slices"
	"strconv"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Gemini's older schemas (parameters, responseSchema) are a part of OpenAPI 3.0:
// types in capitals, nullable in place of a type null, numbers that count
// elements as strings. Every schema of that kind has a JSON Schema; the way back
// exists for those alone that use nothing else, and the others are sent as
// parametersJsonSchema and responseJsonSchema.

// geminiTypes are the types, by their number in protobuf.
var geminiTypes = [...]string{1: "string", 2: "number", 3: "integer", 4: "boolean", 5: "array", 6: "object", 7: "null"}

// geminiCounts are the members that protobuf's JSON may spell as strings.
var geminiCounts = []string{"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}

// geminiToSchema is the JSON Schema of one of Gemini's. What it cannot read it
// leaves as it is.
func geminiToSchema(raw []byte) []byte {
	o, err := openObject(raw, where{})
	if err != nil {
		return slices.Clone(raw)
	}
	nullable, _ := wire.Bool(o.peek("nullable"))
	w := newObject(llm.Extra{})
	for i := range o.members {
		m := &o.members[i]
		name := geminiSchemaName(m.name())
		value := m.value
		switch name {
		case "nullable", "propertyOrdering":
			continue
		case "type":
			value = geminiToType(value, nullable)
		case "items":
			value = geminiToSchema(value)
		case "properties":
			value = geminiEach(value, geminiToSchema)
		case "anyOf":
			if len(value) > 0 && value[0] == '[' {
				value = geminiList(value, geminiToSchema)
			}
		default:
			if n, ok := wire.Unquote(value); ok && slices.Contains(geminiCounts, name) {
				if _, err := strconv.ParseInt(n, 10, 64); err == nil {
					value = []byte(n)
				}
			}
		}
		w.comma()
		w.buf = append(append(append(w.buf, stringJSON(name)...), ':'), value...)
	}
	return w.end()
}

// geminiSchemaName is a member's name in JSON Schema.
func geminiSchemaName(name string) string {
	switch name {
	case "any_of":
		return "anyOf"
	case "property_ordering":
		return "propertyOrdering"
	}
	for _, count := range geminiCounts {
		if strings.EqualFold(strings.ReplaceAll(name, "_", ""), count) {
			return count
		}
	}
	return name
}

func geminiToType(raw []byte, nullable bool) []byte {
	word, ok := wire.Unquote(raw)
	if n, isInt := wire.Int(raw); isInt && n > 0 && n < int64(len(geminiTypes)) {
		word, ok = geminiTypes[n], true
	}
	if !ok {
		return raw
	}
	word = strings.ToLower(word)
	if nullable {
		return arrayJSON([][]byte{stringJSON(word), []byte(`"null"`)})
	}
	return stringJSON(word)
}

// geminiEach applies f to the values of an object.
func geminiEach(raw []byte, f func([]byte) []byte) []byte {
	o, err := openObject(raw, where{})
	if err != nil {
		return raw
	}
	for i := range o.members {
		o.members[i].value = f(o.members[i].value)
	}
	if len(o.members) == 0 {
		return []byte("{}")
	}
	return o.left()
}

// geminiList applies f to the elements of a list.
func geminiList(raw []byte, f func([]byte) []byte) []byte {
	items := elements(raw)
	for i := range items {
		items[i] = f(items[i])
	}
	return arrayJSON(items)
}

// geminiFromSchema is the Gemini schema of a JSON Schema; ok is false when it
// uses anything that has no equal there.
func geminiFromSchema(raw []byte) (out []byte, ok bool) {
	o, err := openObject(raw, where{})
	if err != nil || !o.has("type") && !o.has("anyOf") {
		return nil, false
	}
	ok = true
	each := func(raw []byte) []byte {
		inner, fine := geminiFromSchema(raw)
		if ok = ok && fine; !ok {
			return []byte("null")
		}
		return inner
	}
	w := newObject(llm.Extra{})
	for i := range o.members {
		m := &o.members[i]
		name, value := m.name(), m.value
		switch name {
		case "title", "description", "required", "minimum", "maximum", "pattern", "default", "enum",
			"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties":
		case "type":
			word, nullable, fine := geminiFromType(value)
			if ok = ok && fine; nullable {
				w.bool("nullable", true)
			}
			value = stringJSON(word)
		case "items":
			value = each(value)
		case "properties":
			if ofSuch(value, func([]byte) bool { return false }) {
				return nil, false // Gemini refuses an object without properties
			}
			value = geminiEach(value, each)
		case "anyOf":
			value = geminiList(value, each)
		default:
			return nil, false
		}
		w.put(name, value)
	}
	return w.end(), ok && geminiRegular(o)
}

// geminiRegular refuses what Gemini reads otherwise than JSON Schema means it: an
// object that names no properties, and a choice of values that are no strings.
func geminiRegular(o *object) bool {
	kind, _, _ := geminiFromType(o.peek("type"))
	if kind == "OBJECT" && !o.has("properties") {
		return false
	}
	for _, item := range elements(o.peek("enum")) {
		if _, isText := wire.Unquote(item); !isText {
			return false
		}
	}
	return !o.has("enum") || kind == "STRING"
}

func geminiFromType(raw []byte) (word string, nullable, ok bool) {
	if items := elements(raw); len(items) == 2 && wire.StringEquals(items[1], "null") {
		raw, nullable = items[0], true
	}
	word, ok = wire.Unquote(raw)
	if !ok || word == "null" || !slices.Contains(geminiTypes[1:], word) {
		return "", false, false
	}
	return strings.ToUpper(word), nullable, true
}
