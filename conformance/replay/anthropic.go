package main

import (
	"encoding/json"
	"net/http"
	"strings"

	"tailplane/internal/wire"
)

// anthropicVoice says replies as Anthropic's Messages API does. Prompt tokens
// read from a cache are not part of input_tokens there.
type anthropicVoice struct{}

var anthropicStops = map[string]string{"stop": "end_turn", "tools": "tool_use", "length": "max_tokens"}

func anthropicUsage(r reply, out int) obj {
	return obj{
		"input_tokens": r.in - r.cached, "cache_read_input_tokens": r.cached, "cache_creation_input_tokens": 0, "output_tokens": out,
	}
}

func (anthropicVoice) whole(q request, r reply) any {
	content := []obj{}
	if r.think != "" {
		content = append(content, obj{"type": "thinking", "thinking": r.think, "signature": r.sign})
	}
	if len(r.text) > 0 {
		content = append(content, obj{"type": "text", "text": strings.Join(r.text, "")})
	}
	for _, c := range r.calls {
		content = append(content, obj{"type": "tool_use", "id": c.id, "name": c.name, "input": json.RawMessage(c.args)})
	}
	return message(q, content, anthropicStops[r.stop], anthropicUsage(r, r.out))
}

func message(q request, content []obj, stop any, usage obj) obj {
	return obj{
		"id": q.id("msg_"), "type": "message", "role": "assistant", "model": q.Model, "content": content,
		"stop_reason": stop, "stop_sequence": nil, "usage": usage,
	}
}

// blocks numbers the content blocks of a stream.
type blocks struct {
	out  [][]byte
	next int
}

func (b *blocks) say(name string, v obj) { b.out = append(b.out, named(name, v)) }

func (b *blocks) block(start obj, deltas []obj) {
	b.say("content_block_start", obj{"index": b.next, "content_block": start})
	for _, d := range deltas {
		b.say("content_block_delta", obj{"index": b.next, "delta": d})
	}
	b.say("content_block_stop", obj{"index": b.next})
	b.next++
}

func (anthropicVoice) events(q request, r reply) [][]byte {
	b := &blocks{}
	b.say("message_start", obj{"message": message(q, []obj{}, nil, anthropicUsage(r, 1))})
	b.say("ping", obj{})
	if r.think != "" {
		var deltas []obj
		for _, piece := range halves(r.think) {
			deltas = append(deltas, obj{"type": "thinking_delta", "thinking": piece})
		}
		deltas = append(deltas, obj{"type": "signature_delta", "signature": r.sign})
		b.block(obj{"type": "thinking", "thinking": "", "signature": ""}, deltas)
	}
	if len(r.text) > 0 {
		var deltas []obj
		for _, piece := range r.text {
			deltas = append(deltas, obj{"type": "text_delta", "text": piece})
		}
		b.block(obj{"type": "text", "text": ""}, deltas)
	}
	for _, c := range r.calls {
		// A call without arguments streams one empty piece, as recorded.
		deltas := []obj{{"type": "input_json_delta", "partial_json": ""}}
		if c.args != "{}" {
			for _, piece := range halves(c.args) {
				deltas = append(deltas, obj{"type": "input_json_delta", "partial_json": piece})
			}
		}
		b.block(obj{"type": "tool_use", "id": c.id, "name": c.name, "input": obj{}}, deltas)
	}
	b.say("message_delta", obj{"delta": obj{"stop_reason": anthropicStops[r.stop], "stop_sequence": nil}, "usage": obj{"output_tokens": r.out}})
	b.say("message_stop", obj{})
	return b.out
}

func anthropicFailure(f failure) obj {
	return obj{"type": "error", "error": obj{"type": f.kind, "message": f.text}, "request_id": "req_replay"}
}

func (anthropicVoice) fail(w http.ResponseWriter, f failure) { refuse(w, f, anthropicFailure(f)) }

func (anthropicVoice) broken() []byte {
	return named("error", anthropicFailure(failure{kind: "overloaded_error", text: "scripted break"}))
}

func (anthropicVoice) framing() wire.Framing { return wire.SSE }

func (anthropicVoice) limits() map[string]string {
	return map[string]string{
		"Anthropic-Ratelimit-Requests-Limit": "50", "Anthropic-Ratelimit-Requests-Remaining": "0",
		"Anthropic-Ratelimit-Requests-Reset": "2030-01-01T00:00:00Z", "Request-Id": "req_replay",
	}
}
