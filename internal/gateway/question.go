package gateway

import (
	"strings"

	"tailplane/internal/wire"
)

// question is what the user of a conversation says.
type question struct {
	first, last string // of the user's turns, the first and the last that have a text
	turns       int    // of the user
}

// conversation are the members in which dialects keep what is said: chat,
// anthropic and converse; responses; gemini; completions.
var conversation = []string{"messages", "input", "contents", "prompt"}

// questionIn looks for the user's turns in a request of any dialect, without
// decoding it. In one that cannot be read there are none.
func questionIn(body []byte) (a question) {
	var found [4]wire.Member
	if _, err := wire.Scan(body, conversation, found[:]); err != nil {
		return a
	}
	for _, m := range found {
		if m.IsZero() {
			continue
		}
		if text, ok := wire.String(m.Value.Of(body)); ok {
			return question{text, text, 1}
		}
		var turns []wire.Span
		for at := range wire.Elements(body, m.Value) {
			if at := words(body, at); !at.IsZero() {
				turns = append(turns, at.Value)
			}
		}
		a.turns = len(turns)
		for i := 0; i < len(turns) && a.first == ""; i++ {
			a.first = said(body, turns[i])
		}
		for i := len(turns) - 1; i >= 0 && a.last == ""; i-- {
			a.last = said(body, turns[i])
		}
		return a
	}
	return a
}

// words is what a turn says, when it is the user's. Gemini's may have no role.
func words(body []byte, at wire.Span) wire.Member {
	var m [3]wire.Member
	if _, err := wire.ScanAt(body, at, []string{"role", "content", "parts"}, m[:]); err != nil {
		return wire.Member{}
	}
	switch role, content, parts := m[0], m[1], m[2]; {
	case !parts.IsZero() && (role.IsZero() || wire.StringEquals(role.Value.Of(body), "user")):
		return parts
	case !role.IsZero() && wire.StringEquals(role.Value.Of(body), "user"):
		return content
	}
	return wire.Member{}
}

// said is the text of a turn: a string, or the pieces of text in a list. Pictures
// and results of tools say nothing.
func said(body []byte, at wire.Span) string {
	if text, ok := wire.String(at.Of(body)); ok {
		return text
	}
	var pieces []string
	for piece := range wire.Elements(body, at) {
		var m [1]wire.Member
		if _, err := wire.ScanAt(body, piece, []string{"text"}, m[:]); err != nil || m[0].IsZero() {
			continue
		}
		if text, ok := wire.String(m[0].Value.Of(body)); ok && text != "" {
			pieces = append(pieces, text)
		}
	}
	return strings.Join(pieces, "\n")
}
