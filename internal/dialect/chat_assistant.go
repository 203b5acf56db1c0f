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
func chatAssistant(m *object, content []llm.Part) ([]llm.Part, error) {
	parts, err := chatThinking(m)
	if err != nil {
		return nil, err
	}
	parts = append(parts, content...)
	refusal, err := m.str("refusal")
	if err != nil {
		return nil, err
	}
	if refusal != "" {
		parts = append(parts, llm.Part{Kind: llm.PartRefusal, Text: refusal, Extra: llm.Extra{Dialect: llm.Chat}})
	}
	calls, err := m.list("tool_calls")
	if err != nil {
		return nil, err
	}
	for i, raw := range calls {
		part, err := chatToolCall(raw, m.under("tool_calls").item(i))
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// chatThinking reads reasoning_content, reasoning and thinking_blocks.
func chatThinking(m *object) ([]llm.Part, error) {
	blocks := chatThinkingBlocks(m)
	if blocks != nil {
		text, ok := wire.String(m.peek("reasoning_content"))
		if ok && text != "" && text == thinkingText(blocks) {
			m.raw("reasoning_content")
			blocks[0].Extra.Form |= thinkingJoined
		}
		return blocks, nil
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
		return nil, nil
	}
	return []llm.Part{part}, nil
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
		if part.Text, err = o.need("thinking"); err != nil {
			return part, false
		}
		if sign, err = o.str("signature"); err != nil {
			return part, false
		}
	case "redacted_thinking":
		part.Redacted = true
		if sign, err = o.need("data"); err != nil {
			return part, false
		}
	default:
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

// chatToolCall reads one element of tool_calls.
func chatToolCall(raw []byte, at where) (llm.Part, error) {
	o, err := openObject(raw, at)
	if err != nil {
		return llm.Part{}, err
	}
	form := uint32(0)
	switch kind, ok := wire.String(o.peek("type")); {
	case !o.has("type"):
		form = callNoType
	case wire.IsNull(o.peek("type")) || ok && kind == "":
		o.keep("type")
	case !ok:
		return llm.Part{}, o.under("type").wrong("must be a string")
	case kind != "function":
		return chatOther(raw, callItem), nil
	default:
		o.raw("type")
	}
	call := &llm.ToolCall{}
	if call.ID, err = o.str("id"); err != nil {
		return llm.Part{}, err
	}
	o.keep("index")
	in, err := o.sub("function")
	if err != nil {
		return llm.Part{}, err
	}
	if in == nil {
		return llm.Part{}, o.under("function").wrong("is missing")
	}
	if call.Name, err = in.str("name"); err != nil {
		return llm.Part{}, err
	}
	if args := in.peek("arguments"); len(args) > 0 && args[0] == '{' {
		call.Arguments = string(in.raw("arguments"))
		form |= callObject
	} else if call.Arguments, err = in.str("arguments"); err != nil {
		return llm.Part{}, err
	}
	part := llm.Part{Kind: llm.PartToolCall, Tool: call, Cache: cacheMark(o, 0)}
	part.Extra = o.extra(llm.Chat, form)
	return part, nil
}
