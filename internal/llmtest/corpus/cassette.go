package corpus

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// This file reads cassettes: YAML files with a list of exchanges. Ruby VCR calls
// the list http_interactions, vcrpy and go-vcr call it interactions. Their
// exchanges differ in the names of a few members and in where a body stands,
// so one reader accepts all spellings.

var cassetteKeys = []string{"http_interactions", "interactions"}

func parseCassette(data []byte) ([]Recording, verdict, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, readable, fmt.Errorf("parse as YAML: %w", err)
	}
	if doc.Kind == 0 || len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil, empty, nil
	}
	root := doc.Content[0]
	var list *yaml.Node
	for _, key := range cassetteKeys {
		if list == nil {
			list = get(root, key)
		}
	}
	switch {
	case list == nil:
		return nil, readable, errors.New("a YAML file without a list of interactions: not a recording that this reader knows")
	case list.Kind != yaml.SequenceNode && !isNull(list):
		return nil, readable, errors.New("interactions: must be a list")
	case len(list.Content) == 0:
		return nil, empty, nil
	}
	var out []Recording
	for i, entry := range list.Content {
		r, err := parseInteraction(entry)
		if err != nil {
			return nil, readable, fmt.Errorf("interactions[%d]: %w", i, err)
		}
		out = append(out, r)
	}
	return out, readable, nil
}

func parseInteraction(entry *yaml.Node) (Recording, error) {
	request, response := get(entry, "request"), get(entry, "response")
	if request == nil && response == nil {
		for _, key := range []string{"request_sample", "request_stream", "collections_method"} {
			if get(entry, key) != nil {
				return Recording{Other: "gRPC calls"}, nil
			}
		}
		// A WebSocket session: a list of messages, not of exchanges.
		if get(entry, "direction") != nil || get(entry, "messages") != nil || get(entry, "kind") != nil {
			return Recording{Other: "websocket messages"}, nil
		}
		return Recording{}, errors.New("neither request nor response")
	}
	r := Recording{Method: strings.ToUpper(text(get(request, "method"))), URL: text(get(request, "uri"))}
	if r.URL == "" {
		r.URL = text(get(request, "url"))
	}
	body, _, err := bodyOf(request, nil)
	if err != nil {
		return r, fmt.Errorf("request: %w", err)
	}
	if isObject(body) {
		r.Request = body
	}
	if r.Header = headersOf(get(response, "headers")); r.Header == nil {
		r.Header = http.Header{}
	}
	if r.Status, err = statusOf(response); err != nil {
		return r, fmt.Errorf("response: %w", err)
	}
	if r.Body, r.ByteExact, err = bodyOf(response, r.Header); err != nil {
		return r, fmt.Errorf("response: %w", err)
	}
	return r, nil
}

// statusOf reads status: {code: 200}, code: 200, or status: 200.
func statusOf(response *yaml.Node) (int, error) {
	status := get(response, "status")
	for _, n := range []*yaml.Node{get(status, "code"), get(response, "code"), get(response, "status_code"), status} {
		if n != nil && n.Kind == yaml.ScalarNode {
			code, _, _ := strings.Cut(n.Value, " ")
			return strconv.Atoi(code)
		}
	}
	return 0, errors.New("no status code")
}

// headersOf reads headers whose values are lists or scalars.
func headersOf(n *yaml.Node) http.Header {
	h := http.Header{}
	if n == nil || n.Kind != yaml.MappingNode {
		return h
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, deref(n.Content[i+1])
		if value.Kind == yaml.ScalarNode {
			h.Add(key, value.Value)
			continue
		}
		for _, v := range value.Content {
			h.Add(key, text(v))
		}
	}
	return h
}

// bodyOf reads a body in any of its places: parsed_body (JSON as YAML), body as
// text or !!binary, body.string, body.base64_string. exact says that the bytes
// are those of the wire.
func bodyOf(n *yaml.Node, header http.Header) (body []byte, exact bool, err error) {
	if parsed := get(n, "parsed_body"); parsed != nil && !isNull(parsed) {
		if parsed.Kind == yaml.ScalarNode {
			return []byte(parsed.Value), false, nil
		}
		var b bytes.Buffer
		err := toJSON(&b, parsed)
		return b.Bytes(), false, err
	}
	at := get(n, "body")
	if at != nil && at.Kind == yaml.MappingNode {
		inner := get(at, "string")
		if inner == nil {
			inner = get(at, "base64_string")
			if inner != nil {
				raw, err := unbase64(inner.Value)
				return decoded(raw, header, true, err)
			}
			return nil, false, nil
		}
		at = inner
	}
	if at == nil || isNull(at) {
		return nil, false, nil
	}
	if tag := at.Tag; tag == "!!binary" || tag == "!binary" || tag == "tag:yaml.org,2002:binary" {
		raw, err := unbase64(at.Value)
		return decoded(raw, header, true, err)
	}
	if at.Kind != yaml.ScalarNode { // a body that was kept as a tree
		var b bytes.Buffer
		err := toJSON(&b, at)
		return b.Bytes(), false, err
	}
	return decoded([]byte(at.Value), header, false, nil)
}

func decoded(raw []byte, header http.Header, exact bool, err error) ([]byte, bool, error) {
	if err != nil {
		return nil, false, err
	}
	raw, err = decompress(raw, header.Get("Content-Encoding"))
	return raw, exact, err
}

func unbase64(s string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		return nil, fmt.Errorf("a binary body: %w", err)
	}
	return raw, nil
}

func get(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return deref(n.Content[i+1])
		}
	}
	return nil
}

func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || isNull(n) {
		return ""
	}
	return n.Value
}

// quoted are the styles of a scalar that is text whatever it looks like.
const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style&quoted == 0 && n.Tag != "!!str" && (n.Value == "" || n.Value == "null" || n.Value == "~")
}

// toJSON writes a tree as JSON, members in their order and numbers as spelled.
// PyYAML wrote these trees: what it leaves unquoted and is no number, boolean
// or null of its own (1e5 is none) was text.
func toJSON(b *bytes.Buffer, n *yaml.Node) error {
	n = deref(n)
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, n.Content[i].Value)
			b.WriteByte(':')
			if err := toJSON(b, n.Content[i+1]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, e := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := toJSON(b, e); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	case yaml.ScalarNode:
		writeScalar(b, n)
	default:
		return fmt.Errorf("line %d: a YAML node of an unknown kind", n.Line)
	}
	return nil
}

func writeScalar(b *bytes.Buffer, n *yaml.Node) {
	switch {
	case n.Style&quoted != 0 || n.Tag == "!!binary":
		writeString(b, n.Value)
	case isNull(n):
		b.WriteString("null")
	case n.Value == "true" || n.Value == "false":
		b.WriteString(n.Value)
	case isNumber(n.Value):
		b.WriteString(n.Value)
	default:
		writeString(b, n.Value)
	}
}

func isNumber(s string) bool {
	c := s[0]
	if c != '-' && (c < '0' || c > '9') || !json.Valid([]byte(s)) {
		return false
	}
	return strings.Contains(s, ".") || !strings.ContainsAny(s, "eE")
}

func writeString(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string into memory cannot fail
	b.Truncate(b.Len() - 1)
}
