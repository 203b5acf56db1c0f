package main

import (
	"fmt"
	"maps"
	"net/http"
	"strings"

	"tailplane/internal/wire"
)

// responsesVoice says replies as OpenAI's Responses API does.
type responsesVoice struct{}

func responsesUsage(r reply) obj {
	return obj{
		"input_tokens": r.in, "output_tokens": r.out, "total_tokens": r.in + r.out,
		"input_tokens_details":  obj{"cached_tokens": r.cached, "cache_write_tokens": 0},
		"output_tokens_details": obj{"reasoning_tokens": 0},
	}
}

func textPart(text string) obj {
	return obj{"type": "output_text", "text": text, "annotations": []any{}, "logprobs": []any{}}
}

// items are the finished output items of a reply.
func items(q request, r reply) []obj {
	var list []obj
	if r.think != "" {
		list = append(list, obj{
			"type": "reasoning", "id": "rs_1", "summary": []obj{{"type": "summary_text", "text": r.think}}, "encrypted_content": r.sign,
		})
	}
	if len(r.text) > 0 {
		list = append(list, obj{
			"type": "message", "id": q.id("msg_"), "role": "assistant", "status": "completed",
			"content": []obj{textPart(strings.Join(r.text, ""))},
		})
	}
	for i, c := range r.calls {
		list = append(list, obj{
			"type": "function_call", "id": fmt.Sprintf("fc_%d", i+1), "call_id": c.id, "name": c.name, "arguments": c.args, "status": "completed",
		})
	}
	return list
}

func response(q request, status string, output []obj) obj {
	return obj{
		"id": q.id("resp_"), "object": "response", "created_at": 1_700_000_000, "model": q.Model, "status": status,
		"output": output, "error": nil, "incomplete_details": nil, "instructions": nil, "metadata": obj{}, "usage": nil,
		"parallel_tool_calls": true, "temperature": 1.0, "top_p": 1.0, "tool_choice": "auto", "tools": []any{},
	}
}

func finished(q request, r reply) (string, obj) {
	v, status := response(q, "completed", items(q, r)), "completed"
	if r.stop == "length" {
		status = "incomplete"
		v["incomplete_details"] = obj{"reason": "max_output_tokens"}
	}
	v["status"], v["usage"] = status, responsesUsage(r)
	return status, v
}

func (responsesVoice) whole(q request, r reply) any {
	_, v := finished(q, r)
	return v
}

// script numbers the events of a Responses stream.
type script struct{ out [][]byte }

func (s *script) say(name string, v obj) {
	v["sequence_number"] = len(s.out)
	s.out = append(s.out, named(name, v))
}

func (responsesVoice) events(q request, r reply) [][]byte {
	s := &script{}
	s.say("response.created", obj{"response": response(q, "in_progress", []obj{})})
	s.say("response.in_progress", obj{"response": response(q, "in_progress", []obj{})})
	for i, item := range items(q, r) {
		switch item["type"] {
		case "reasoning":
			s.reasoning(i, item, r)
		case "message":
			s.message(i, item, r)
		default:
			s.call(i, item)
		}
	}
	status, v := finished(q, r)
	s.say("response."+status, obj{"response": v})
	return s.out
}

func (s *script) reasoning(i int, item obj, r reply) {
	at := func(v obj) obj {
		v["item_id"], v["output_index"], v["summary_index"] = item["id"], i, 0
		return v
	}
	s.say("response.output_item.added", obj{"output_index": i, "item": obj{
		"type": "reasoning", "id": item["id"], "summary": []any{}, "encrypted_content": r.sign,
	}})
	s.say("response.reasoning_summary_part.added", at(obj{"part": obj{"type": "summary_text", "text": ""}}))
	for _, piece := range halves(r.think) {
		s.say("response.reasoning_summary_text.delta", at(obj{"delta": piece}))
	}
	s.say("response.reasoning_summary_text.done", at(obj{"text": r.think}))
	s.say("response.reasoning_summary_part.done", at(obj{"part": obj{"type": "summary_text", "text": r.think}}))
	s.say("response.output_item.done", obj{"output_index": i, "item": item})
}

func (s *script) message(i int, item obj, r reply) {
	at := func(v obj) obj {
		v["item_id"], v["output_index"], v["content_index"] = item["id"], i, 0
		return v
	}
	text := strings.Join(r.text, "")
	s.say("response.output_item.added", obj{
		"output_index": i, "item": obj{"type": "message", "id": item["id"], "role": "assistant", "status": "in_progress", "content": []any{}},
	})
	s.say("response.content_part.added", at(obj{"part": textPart("")}))
	for _, piece := range r.text {
		s.say("response.output_text.delta", at(obj{"delta": piece, "logprobs": []any{}}))
	}
	s.say("response.output_text.done", at(obj{"text": text, "logprobs": []any{}}))
	s.say("response.content_part.done", at(obj{"part": textPart(text)}))
	s.say("response.output_item.done", obj{"output_index": i, "item": item})
}

func (s *script) call(i int, item obj) {
	open := obj{}
	maps.Copy(open, item)
	open["arguments"], open["status"] = "", "in_progress"
	s.say("response.output_item.added", obj{"output_index": i, "item": open})
	for _, piece := range halves(item["arguments"].(string)) {
		s.say("response.function_call_arguments.delta", obj{"item_id": item["id"], "output_index": i, "delta": piece})
	}
	s.say("response.function_call_arguments.done", obj{
		"item_id": item["id"], "output_index": i, "name": item["name"], "arguments": item["arguments"],
	})
	s.say("response.output_item.done", obj{"output_index": i, "item": item})
}

func (responsesVoice) fail(w http.ResponseWriter, f failure) { refuse(w, f, openAIFailure(f)) }

func (responsesVoice) broken() []byte {
	return named("error", obj{"code": "server_error", "message": "scripted break", "param": nil, "sequence_number": 99})
}

func (responsesVoice) framing() wire.Framing { return wire.SSE }

func (responsesVoice) limits() map[string]string { return openAILimits() }
