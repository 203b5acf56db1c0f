package main

import (
	"net/http"
	"strings"

	"tailplane/internal/wire"
)

// chatVoice says replies as OpenAI's chat completions do; reasoning stands in
// reasoning_content, as DeepSeek and vLLM write it.
type chatVoice struct{}

var chatStops = map[string]string{"stop": "stop", "tools": "tool_calls", "length": "length"}

func chatUsage(r reply) obj {
	return obj{
		"prompt_tokens": r.in, "completion_tokens": r.out, "total_tokens": r.in + r.out,
		"prompt_tokens_details": obj{"cached_tokens": r.cached},
	}
}

func (chatVoice) whole(q request, r reply) any {
	message := obj{"role": "assistant", "content": nil, "refusal": nil}
	if len(r.text) > 0 {
		message["content"] = strings.Join(r.text, "")
	}
	if r.think != "" {
		message["reasoning_content"] = r.think
	}
	var calls []obj
	for _, c := range r.calls {
		calls = append(calls, obj{"id": c.id, "type": "function", "function": obj{"name": c.name, "arguments": c.args}})
	}
	if calls != nil {
		message["tool_calls"] = calls
	}
	return obj{
		"id": q.id("chatcmpl-"), "object": "chat.completion", "created": 1_700_000_000, "model": q.Model,
		"choices": []obj{{"index": 0, "message": message, "finish_reason": chatStops[r.stop], "logprobs": nil}},
		"usage":   chatUsage(r),
	}
}

func (chatVoice) events(q request, r reply) [][]byte {
	var out [][]byte
	head := func() obj {
		return obj{"id": q.id("chatcmpl-"), "object": "chat.completion.chunk", "created": 1_700_000_000, "model": q.Model}
	}
	say := func(delta obj, stop any) {
		v := head()
		v["choices"] = []obj{{"index": 0, "delta": delta, "finish_reason": stop, "logprobs": nil}}
		out = append(out, data(v))
	}
	say(obj{"role": "assistant", "content": ""}, nil)
	for _, piece := range halves(r.think) {
		say(obj{"reasoning_content": piece}, nil)
	}
	for _, piece := range r.text {
		say(obj{"content": piece}, nil)
	}
	for i, c := range r.calls {
		say(obj{"tool_calls": []obj{{"index": i, "id": c.id, "type": "function", "function": obj{"name": c.name, "arguments": ""}}}}, nil)
		for _, piece := range halves(c.args) {
			say(obj{"tool_calls": []obj{{"index": i, "function": obj{"arguments": piece}}}}, nil)
		}
	}
	say(obj{}, chatStops[r.stop])
	if q.StreamOptions.IncludeUsage {
		v := head()
		v["choices"], v["usage"] = []obj{}, chatUsage(r)
		out = append(out, data(v))
	}
	return append(out, []byte("data: [DONE]\n\n"))
}

// halves cuts a text in two, so that every reader has something to join.
func halves(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s[:len(s)/2], s[len(s)/2:]}
}

func openAIFailure(f failure) obj {
	kind := f.kind
	var code any
	if f.status == http.StatusTooManyRequests {
		kind, code = "requests", "rate_limit_exceeded"
	} else if f.status >= 500 {
		kind = "server_error"
	}
	return obj{"error": obj{"message": f.text, "type": kind, "param": nil, "code": code}}
}

func refuse(w http.ResponseWriter, f failure, body any) {
	for name, value := range f.header {
		w.Header().Set(name, value)
	}
	answer(w, f.status, body)
}

func openAILimits() map[string]string {
	return map[string]string{
		"X-Ratelimit-Limit-Requests": "500", "X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "37s",
		"X-Request-Id": "req_replay",
	}
}

func (chatVoice) fail(w http.ResponseWriter, f failure) { refuse(w, f, openAIFailure(f)) }

func (chatVoice) broken() []byte {
	return data(openAIFailure(failure{status: 500, text: "scripted break"}))
}

func (chatVoice) framing() wire.Framing { return wire.SSE }

func (chatVoice) limits() map[string]string { return openAILimits() }
