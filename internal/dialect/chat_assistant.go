package dialect

import (
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// An assistant message, in a request as in an answer: reasoning, content,
// refusal and tool calls are members beside each other.

// chatAssistant puts the parts of an assistant message in order; content are
// those of its content member.
func chatAssistant(m *object, content []llm.Part) []llm.Part {
	parts := append(chatThinking(m), content...)
	if refusal := m.str("refusal"); refusal != "" {
		parts = append(parts, llm.Part{Kind: llm.PartRefusal, Text: refusal, Extra: llm.Extra{Dialect: llm.Chat}})
	}
	for i, raw := range m.list("tool_calls") {
		parts = append(parts, chatToolCall(m.open(raw, m.under("tool_calls").item(i)), raw))
	}
	return parts
}

// chatThinking reads reasoning_content, reasoning and thinking_blocks.
func chatThinking(m *object) []llm.Part {
	blocks := chatThinkingBlocks(m)
	if blocks != nil {
		text, ok := wire.String(m.peek("reasoning_content"))
		if ok && text != "" && text == thinkingText(blocks) {
			m.raw("reasoning_content")
			blocks[0].Extra.Form |= thinkingJoined
		}
		return blocks
	}
	content, isText := wire.String(m.peek("reasoning_content"))
	plain, isPlain := wire.String(m.peek("reasoning"))
	part := llm.Part{Kind: llm.PartThinking, SignedBy: llm.Chat, Extra: llm.Extra{Dialect: llm.Chat}}
	switch {
	case isText && content != "":
		m.raw("reasoning_content")
		part.Text = content
		if isPlain && plain == content {
			m.raw("reasoning")
			part.Extra.Form = thinkingBoth
		}
	case isPlain && plain != "":
		m.raw("reasoning")
		part.Text, part.Extra.Form = plain, thinkingPlain
	}
	if isText && content == "" {
		m.keep("reasoning_content")
	}
	if isPlain && plain == "" {
		m.keep("reasoning")
	}
	if part.Text == "" {
		return nil
	}
	return []llm.Part{part}
}

func thinkingText(parts []llm.Part) string {
	var b strings.Builder
	for i := range parts {
		if parts[i].Kind == llm.PartThinking {
			b.WriteString(parts[i].Text)
		}
	}
	return b.String()
}

// chatThinkingBlocks takes thinking_blocks when each of them is a block that
// can be given back; else the member stays in Extra.
func chatThinkingBlocks(m *object) []llm.Part {
	raw := m.peek("thinking_blocks")
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	var parts []llm.Part
	for _, item := range elements(raw) {
		part, ok := chatThinkingBlock(item)
		if !ok {
			return nil
		}
		parts = append(parts, part)
	}
	if parts != nil {
		m.raw("thinking_blocks")
	}
	return parts
}

// chatThinkingBlock reads one block. A wrapped signature is unwrapped; any
// other belongs to the chat server that sent it.
func chatThinkingBlock(raw []byte) (llm.Part, bool) {
	part := llm.Part{Kind: llm.PartThinking, SignedBy: llm.Chat}
	o, err := openObject(raw, where{})
	if err != nil {
		return part, false
	}
	var sign string
	switch kind, _ := wire.String(o.raw("type")); kind {
	case "thinking":
		part.Text, sign = o.need("thinking"), o.str("signature")
	case "redacted_thinking":
		part.Redacted, sign = true, o.need("data")
	default:
		return part, false
	}
	if o.err() != nil {
		return part, false
	}
	part.Signature = sign
	if by, inner, ok := unwrapSignature(sign); ok && wrapSignature(by, inner) == sign && by != llm.Chat {
		part.SignedBy, part.Signature = by, inner
	}
	part.Cache = cacheMark(o, 0)
	part.Extra = o.extra(llm.Chat, thinkingBlock)
	return part, true
}

// chatToolCall reads one element of tool_calls: raw, opened as o.
func chatToolCall(o *object, raw []byte) llm.Part {
	form := uint32(0)
	switch kind, ok := wire.String(o.peek("type")); {
	case !o.has("type"):
		form = callNoType
	case wire.IsNull(o.peek("type")) || ok && kind == "":
		o.keep("type")
	case !ok:
		o.wrong("type", "must be a string")
	case kind != "function":
		return chatOther(raw, callItem)
	default:
		o.raw("type")
	}
	call := &llm.ToolCall{ID: o.str("id")}
	o.keep("index")
	in := o.sub("function")
	if in == nil {
		o.wrong("function", "is missing")
		return llm.Part{}
	}
	call.Name = in.str("name")
	var isObject bool
	if call.Arguments, isObject = chatArguments(in); isObject {
		form |= callObject
	}
	part := llm.Part{Kind: llm.PartToolCall, Tool: call, Cache: cacheMark(o, 0)}
	part.Extra = o.extra(llm.Chat, form)
	return part
}

// chatArguments takes the arguments of a call, or a piece of them: a text, or the
// object that some servers send instead.
func chatArguments(function *object) (text string, isObject bool) {
	if raw := function.peek("arguments"); len(raw) > 0 && raw[0] == '{' {
		return string(function.raw("arguments")), true
	}
	return function.str("arguments"), false
}
