package dialect

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"tailplane/internal/llm"
)

// withCallID returns a part of an answer, for a client whose dialect demands
// an id for each tool call. Some OpenAI-compatible servers (Gemini's) send an
// empty one; it becomes one that no other call has, made of the answer's id
// and the part's index, so that the client can name the call in its result.
func withCallID(p llm.Part, reply string, index int) llm.Part {
	if p.Kind != llm.PartToolCall || p.Tool == nil || p.Tool.ID != "" || p.Extra.Dialect == llm.Anthropic || p.Extra.Dialect == llm.Responses || p.Extra.Dialect == llm.Converse {
		return p
	}
	p.Tool = new(*p.Tool)
	p.Tool.ID = "call_" + strconv.Itoa(index)
	if reply != "" {
		p.Tool.ID = "call_" + toolID(reply) + "_" + strconv.Itoa(index)
	}
	return p
}

// toolID makes a tool call's id acceptable to Anthropic (letters, digits, _
// and -). Another id keeps its acceptable characters and gets a hash of
// itself, so that the call and its result still agree and no two ids meet.
func toolID(id string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, id)
	if clean == id && id != "" {
		return id
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	if clean == "" {
		clean = "call"
	}
	return fmt.Sprintf("%s_%016x", clean, h.Sum64())
}
