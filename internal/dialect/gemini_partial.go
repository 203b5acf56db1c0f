package dialect

import (
	"bytes"
	"strconv"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Gemini streams the arguments of a call, where the client asks for it, as
// values at paths: {"jsonPath":"$.list[0].name","stringValue":"Rom",
// "willContinue":true}. A JSON text in pieces can come of that only when all of
// them are there, so the arguments are gathered and told at the end of the call.

// geminiNode is a value that is being put together: an object, a list, a text or
// a finished value.
type geminiNode struct {
	names []string // of an object, in order
	list  []*geminiNode
	text  []byte
	whole []byte // a finished value
	kind  byte   // '{', '[', '"', or 0 for whole
}

// maxPartialDepth bounds the steps of a path.
const maxPartialDepth = 100

// set puts one piece of an argument into the tree.
func (n *geminiNode) set(o *object) {
	path, _ := wire.Unquote(o.peek("jsonPath"))
	node, ok := n.find(path)
	if !ok {
		o.wrong("jsonPath", "is no path to an argument: %q", path)
		return
	}
	if s, ok := wire.Unquote(o.peek("stringValue")); ok {
		if node.kind != '"' {
			*node = geminiNode{kind: '"'}
		}
		node.text = append(node.text, s...)
		return
	}
	for _, name := range [...]string{"numberValue", "boolValue"} {
		if value := o.get(name); value != nil {
			*node = geminiNode{whole: bytes.Clone(value)}
		}
	}
	if o.has("nullValue") {
		*node = geminiNode{whole: []byte("null")}
	}
}

// find makes the nodes of a path where they are not there yet. The elements of
// a list come in order, so a path makes one node for each of its steps.
func (n *geminiNode) find(path string) (*geminiNode, bool) {
	rest, ok := strings.CutPrefix(path, "$")
	if !ok || rest == "" {
		return nil, false
	}
	for steps := 0; rest != ""; steps++ {
		var step string
		if steps == maxPartialDepth {
			return nil, false
		}
		switch {
		case rest[0] == '.':
			rest = rest[1:]
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			step, rest = rest[:end], rest[end:]
			n = n.member(step)
		case strings.HasPrefix(rest, "['") || strings.HasPrefix(rest, `["`):
			step, rest, ok = strings.Cut(rest[2:], rest[1:2]+"]")
			if !ok {
				return nil, false
			}
			n = n.member(step)
		case rest[0] == '[':
			step, rest, ok = strings.Cut(rest[1:], "]")
			i, err := strconv.Atoi(step)
			if !ok || err != nil || i < 0 || i > len(n.list) || n.kind != '[' && i > 0 {
				return nil, false
			}
			n = n.element(i)
		default:
			return nil, false
		}
	}
	return n, true
}

func (n *geminiNode) member(name string) *geminiNode {
	if n.kind != '{' {
		*n = geminiNode{kind: '{'}
	}
	for i, have := range n.names {
		if have == name {
			return n.list[i]
		}
	}
	n.names = append(n.names, name)
	n.list = append(n.list, &geminiNode{whole: []byte("null")})
	return n.list[len(n.list)-1]
}

func (n *geminiNode) element(i int) *geminiNode {
	if n.kind != '[' {
		*n = geminiNode{kind: '['}
	}
	if len(n.list) == i {
		n.list = append(n.list, &geminiNode{whole: []byte("null")})
	}
	return n.list[i]
}

// json is the value so far.
func (n *geminiNode) json() []byte {
	var j jsonWriter
	n.write(&j)
	return j.buf
}

func (n *geminiNode) write(j *jsonWriter) {
	switch n.kind {
	case '{':
		w := j.object(llm.Extra{})
		for i, name := range n.names {
			j.string(name)
			j.buf = append(j.buf, ':')
			n.list[i].write(j)
		}
		w.end()
	case '[':
		j.openList()
		for _, e := range n.list {
			e.write(j)
		}
		j.closeList()
	case '"':
		j.string(string(n.text))
	default:
		j.value(n.whole)
	}
}
