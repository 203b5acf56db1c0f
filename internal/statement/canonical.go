package statement

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The canonical form is RFC 8785 (JCS), over a part of JSON in which it is
// simple: members have names in ASCII, so that their order by UTF-16 is the one
// by bytes, and numbers are whole and within 2^53, so that they have one
// spelling.

// mostWhole is the largest number that every reader of JSON takes exactly.
const mostWhole = 1<<53 - 1

// mostDeep is how deep values nest; a statement needs five.
const mostDeep = 8

// node is a JSON value: object, []node, string, whole or bool.
type node any

type (
	object []member
	member struct {
		name  string
		value node
	}
	whole int64
)

func (o object) get(name string) node {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

var errNotJSON = errors.New("it is no JSON; was it cut, or wrapped within a text?")

// parse reads a value with nothing behind it. It refuses what two readers could
// take for different things.
func parse(text []byte) (node, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	v, err := parseValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something follows the end of the JSON")
	}
	return v, nil
}

func parseValue(dec *json.Decoder, depth int) (node, error) {
	if depth > mostDeep {
		return nil, errors.New("its values nest too deep")
	}
	t, err := dec.Token()
	if err != nil {
		return nil, errNotJSON
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			return parseList(dec, depth)
		}
		return parseObject(dec, depth)
	case json.Number:
		n, err := strconv.ParseInt(string(t), 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != string(t) || n > mostWhole || n < -mostWhole {
			return nil, fmt.Errorf("the number %.40s is not whole, or beyond 2^53", t)
		}
		return whole(n), nil
	case string, bool:
		return t, nil
	}
	return nil, errors.New("it holds a null")
}

func parseList(dec *json.Decoder, depth int) (node, error) {
	out := []node{}
	for dec.More() {
		v, err := parseValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	if _, err := dec.Token(); err != nil {
		return nil, errNotJSON
	}
	return out, nil
}

func parseObject(dec *json.Decoder, depth int) (node, error) {
	out := object{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errNotJSON
		}
		if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return nil, fmt.Errorf("the member %.40q has a name beyond ASCII", name)
		}
		v, err := parseValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, member{name, v})
	}
	if _, err := dec.Token(); err != nil {
		return nil, errNotJSON
	}
	slices.SortFunc(out, func(a, b member) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(out); i++ {
		if out[i].name == out[i-1].name {
			return nil, fmt.Errorf("the member %.40q stands twice", out[i].name)
		}
	}
	return out, nil
}

// canonical appends the canonical bytes of a value that parse returned.
func canonical(b []byte, v node) []byte {
	switch v := v.(type) {
	case object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(canonicalText(b, m.name), ':')
			b = canonical(b, m.value)
		}
		return append(b, '}')
	case []node:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = canonical(b, e)
		}
		return append(b, ']')
	case string:
		return canonicalText(b, v)
	case whole:
		return strconv.AppendInt(b, int64(v), 10)
	case bool:
		return strconv.AppendBool(b, v)
	}
	return b
}

func canonicalText(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r >= ' ':
			b = utf8.AppendRune(b, r)
		default:
			if i := strings.IndexRune("\b\f\n\r\t", r); i >= 0 {
				b = append(b, '\\', "bfnrt"[i])
			} else {
				b = fmt.Appendf(b, `\u%04x`, r)
			}
		}
	}
	return append(b, '"')
}

// ascii escapes what is beyond ASCII, in JSON, so that no mail changes it.
func ascii(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
