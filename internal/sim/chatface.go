package sim

import (
	"strconv"
)

// Rules of this file: the bytes of OpenAI chat completions, as vLLM writes
// them. One event per token.

// chatFace writes a reply as a chat completion.
type chatFace struct {
	reply    reply
	logprobs bool
	top      int
}

type chatLogprob struct {
	alternative
	Top []alternative `json:"top_logprobs"`
}

type chatMessage struct {
	Role      string         `json:"role"`
	Content   *string        `json:"content"`
	Refusal   *string        `json:"refusal"` // the simulator has none
	ToolCalls []chatToolCall `json:"tool_calls,omitempty"`
}

type chatToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
}

type chatFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

func (f *chatFace) prefix() string { return "chatcmpl-" }
func (f *chatFace) chunk() string  { return "chat.completion.chunk" }

// open is the event that carries the role.
func (f *chatFace) open(dst []byte) []byte {
	return append(dst, `"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]`...)
}

// token is the event of the i-th token.
func (f *chatFace) token(dst []byte, i int) []byte {
	p := f.reply.pieces[i]
	dst = append(dst, `"choices":[{"index":0,"delta":{`...)
	switch {
	case p.call == 0:
		dst = append(dst, `"content":`...)
		dst = appendQuoted(dst, p.text)
	case p.head:
		dst = append(dst, `"tool_calls":[{"index":`...)
		dst = strconv.AppendInt(dst, int64(p.call-1), 10)
		dst = append(dst, `,"id":`...)
		dst = appendQuoted(dst, f.reply.calls[p.call-1].id)
		dst = append(dst, `,"type":"function","function":{"name":`...)
		dst = appendQuoted(dst, p.text)
		dst = append(dst, `,"arguments":""}}]`...)
	default:
		dst = append(dst, `"tool_calls":[{"index":`...)
		dst = strconv.AppendInt(dst, int64(p.call-1), 10)
		dst = append(dst, `,"function":{"arguments":`...)
		dst = appendQuoted(dst, p.text)
		dst = append(dst, `}}]`...)
	}
	dst = append(dst, `},"logprobs":`...)
	if f.logprobs {
		dst = append(dst, `{"content":`...)
		dst = appendJSON(dst, []chatLogprob{f.logprob(i)})
		dst = append(dst, `,"refusal":null}`...)
	} else {
		dst = append(dst, "null"...)
	}
	return append(dst, `,"finish_reason":null}]`...)
}

// close is the event with the finish reason.
func (f *chatFace) close(dst []byte) []byte {
	dst = append(dst, `"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"`...)
	dst = append(dst, f.reply.finish...)
	dst = append(dst, `","stop_reason":`...)
	dst = appendStop(dst, f.reply.match)
	return append(dst, "}]"...)
}

func (f *chatFace) logprob(i int) chatLogprob {
	all := alternatives(f.reply.pieces[i].text, i, max(f.top, 1))
	return chatLogprob{alternative: all[0], Top: all[:f.top]}
}

// whole is the choice of a response without streaming.
func (f *chatFace) whole(dst []byte) []byte {
	m := chatMessage{Role: "assistant"}
	for k, c := range f.reply.calls {
		m.ToolCalls = append(m.ToolCalls, chatToolCall{
			ID: c.id, Type: "function",
			Function: chatFunction{Name: c.name, Arguments: f.reply.arguments(k + 1)},
		})
	}
	if len(m.ToolCalls) == 0 {
		m.Content = new(f.reply.content())
	}
	dst = append(dst, `"choices":[{"index":0,"message":`...)
	dst = appendJSON(dst, m)
	dst = append(dst, `,"logprobs":`...)
	if f.logprobs {
		content := make([]chatLogprob, len(f.reply.pieces))
		for i := range content {
			content[i] = f.logprob(i)
		}
		dst = append(dst, `{"content":`...)
		dst = appendJSON(dst, content)
		dst = append(dst, `,"refusal":null}`...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"finish_reason":"`...)
	dst = append(dst, f.reply.finish...)
	dst = append(dst, `","stop_reason":`...)
	dst = appendStop(dst, f.reply.match)
	return append(dst, "}]"...)
}

func (f *chatFace) object() string { return "chat.completion" }

// appendStop appends vLLM's stop_reason: the stop string that matched, or null.
func appendStop(dst []byte, match string) []byte {
	if match == "" {
		return append(dst, "null"...)
	}
	return appendQuoted(dst, match)
}
