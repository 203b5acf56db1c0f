package dialect

import (
	"strconv"

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
		p.Tool.ID = "call_" + antID(reply) + "_" + strconv.Itoa(index)
	}
	return p
}
