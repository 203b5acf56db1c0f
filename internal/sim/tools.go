package sim

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tool is a function a request offers.
type tool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	} `json:"function"`
}

// toolChoice is "none", "auto", "required" or a named function.
type toolChoice struct {
	mode string
	name string
}

// UnmarshalJSON reads both forms and null.
func (c *toolChoice) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if json.Unmarshal(b, &c.mode) == nil {
		switch c.mode {
		case "none", "auto", "required":
			return nil
		}
		return badRequest("tool_choice", "tool_choice is %q: want none, auto, required or a named function.", c.mode)
	}
	var named struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if json.Unmarshal(b, &named) != nil || named.Function.Name == "" {
		return badRequest("tool_choice", "tool_choice names no function.")
	}
	c.mode, c.name = "named", named.Function.Name
	return nil
}

// chosenTools returns the tools a request will be answered with: the named one;
// those the last user message names; when a call is required and none is named,
// the first.
func chosenTools(q *chatRequest) ([]tool, error) {
	if len(q.Tools) == 0 {
		if q.ToolChoice.mode == "named" || q.ToolChoice.mode == "required" {
			return nil, badRequest("tool_choice", "When using `tool_choice`, `tools` must be set.")
		}
		return nil, nil
	}
	var chosen []tool
	user, isUser := q.lastUser()
	switch q.ToolChoice.mode {
	case "none":
		return nil, nil
	case "named":
		for _, t := range q.Tools {
			if t.Function.Name == q.ToolChoice.name {
				return []tool{t}, nil
			}
		}
		return nil, badRequest("tool_choice", "The tool %q in `tool_choice` does not match any of the specified `tools`.", q.ToolChoice.name)
	case "required":
		if chosen = namedTools(q.Tools, user); len(chosen) == 0 {
			chosen = q.Tools[:1]
		}
	default:
		if isUser {
			chosen = namedTools(q.Tools, user)
		}
	}
	if q.ParallelToolCalls != nil && !*q.ParallelToolCalls && len(chosen) > 1 {
		chosen = chosen[:1]
	}
	return chosen, nil
}

// namedTools are the tools whose name stands in text as a whole word, with
// underscores or dashes read as spaces or as they are, in the order offered.
func namedTools(tools []tool, text string) []tool {
	text = strings.ToLower(text)
	plain := strings.NewReplacer("_", " ", "-", " ")
	var named []tool
	for _, t := range tools {
		name := strings.ToLower(t.Function.Name)
		if hasWord(text, name) || hasWord(text, plain.Replace(name)) {
			named = append(named, t)
		}
	}
	return named
}

// hasWord reports whether word stands in text with no letter, digit or
// underscore beside it.
func hasWord(text, word string) bool {
	if word == "" {
		return false
	}
	inWord := func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(word)
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if !inWord(before) && !inWord(after) {
			return true
		}
		from = start + 1
	}
}

// toolReply plans the calls of tools with arguments that fit their schemas.
func toolReply(tools []tool, user string, prompt uint64, room int) reply {
	r := reply{finish: "tool_calls"}
	for i, t := range tools {
		args, _ := json.Marshal(instance(t.Function.Parameters, subject(user))) // made of JSON values
		name := t.Function.Name
		r.calls = append(r.calls, call{id: fmt.Sprintf("call_sim%016x", mix(prompt+uint64(i), name)), name: name})
		r.pieces = append(r.pieces, piece{text: name, call: i + 1, head: true})
		for _, token := range tokenize(string(args)) {
			r.pieces = append(r.pieces, piece{text: token, call: i + 1})
		}
	}
	return r.limit(room)
}

// subject is the text a string argument gets: the last capitalised word of the
// user's text after its first word, else "example".
func subject(user string) string {
	found := "example"
	for i, w := range strings.Fields(user) {
		w = strings.Trim(w, ".,;:!?\"'()")
		if first, _ := utf8.DecodeRuneInString(w); i > 0 && w != "" && unicode.IsUpper(first) {
			found = w
		}
	}
	return found
}
