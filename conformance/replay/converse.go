package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"tailplane/internal/wire"
)

// converseVoice says replies as Amazon Bedrock's Converse does: its streams are
// binary frames, and prompt tokens read from a cache are not part of inputTokens.
type converseVoice struct{}

var converseStops = map[string]string{"stop": "end_turn", "tools": "tool_use", "length": "max_tokens"}

func converseUsage(r reply) obj {
	return obj{
		"inputTokens": r.in - r.cached, "outputTokens": r.out, "totalTokens": r.in + r.out,
		"cacheReadInputTokens": r.cached, "cacheWriteInputTokens": 0,
	}
}

func (converseVoice) whole(_ request, r reply) any {
	content := []obj{}
	if r.think != "" {
		content = append(content, obj{"reasoningContent": obj{"reasoningText": obj{"text": r.think, "signature": r.sign}}})
	}
	if len(r.text) > 0 {
		content = append(content, obj{"text": strings.Join(r.text, "")})
	}
	for _, c := range r.calls {
		content = append(content, obj{"toolUse": obj{"toolUseId": c.id, "name": c.name, "input": json.RawMessage(c.args)}})
	}
	return obj{
		"output":     obj{"message": obj{"role": "assistant", "content": content}},
		"stopReason": converseStops[r.stop], "usage": converseUsage(r), "metrics": obj{"latencyMs": 12},
	}
}

// frames numbers the content blocks of a stream.
type frames struct {
	out  [][]byte
	next int
}

func (f *frames) say(name string, v obj) { f.out = append(f.out, frame(name, v)) }

func (f *frames) block(start obj, deltas []obj) {
	if start != nil {
		f.say("contentBlockStart", obj{"contentBlockIndex": f.next, "start": start})
	}
	for _, d := range deltas {
		f.say("contentBlockDelta", obj{"contentBlockIndex": f.next, "delta": d})
	}
	f.say("contentBlockStop", obj{"contentBlockIndex": f.next})
	f.next++
}

func (converseVoice) events(_ request, r reply) [][]byte {
	f := &frames{}
	f.say("messageStart", obj{"role": "assistant"})
	if r.think != "" {
		var deltas []obj
		for _, piece := range halves(r.think) {
			deltas = append(deltas, obj{"reasoningContent": obj{"text": piece}})
		}
		f.block(nil, append(deltas, obj{"reasoningContent": obj{"signature": r.sign}}))
	}
	if len(r.text) > 0 {
		var deltas []obj
		for _, piece := range r.text {
			deltas = append(deltas, obj{"text": piece})
		}
		f.block(nil, deltas)
	}
	for _, c := range r.calls {
		deltas := []obj{{"toolUse": obj{"input": ""}}}
		for _, piece := range halves(c.args) {
			deltas = append(deltas, obj{"toolUse": obj{"input": piece}})
		}
		f.block(obj{"toolUse": obj{"toolUseId": c.id, "name": c.name}}, deltas)
	}
	f.say("messageStop", obj{"stopReason": converseStops[r.stop]})
	f.say("metadata", obj{"usage": converseUsage(r), "metrics": obj{"latencyMs": 12}})
	return f.out
}

var exceptions = map[int]string{
	http.StatusBadRequest: "ValidationException", http.StatusNotFound: "ResourceNotFoundException",
	http.StatusTooManyRequests: "ThrottlingException", http.StatusInternalServerError: "InternalServerException",
	http.StatusServiceUnavailable: "ServiceUnavailableException",
}

// fail answers with an exception. Bedrock demands no wait with a 429.
func (converseVoice) fail(w http.ResponseWriter, f failure) {
	f.header = map[string]string{"X-Amzn-Errortype": exceptions[f.status] + ":http://internal.amazon.com/coral/com.amazon.bedrock/"}
	refuse(w, f, obj{"message": f.text})
}

func (converseVoice) broken() []byte {
	return wire.AppendException(nil, "internalServerException", []byte(`{"message":"scripted break"}`))
}

func (converseVoice) limits() map[string]string {
	return map[string]string{"X-Amzn-Requestid": "00000000-0000-4000-8000-000000000000"}
}

func (converseVoice) framing() wire.Framing { return wire.EventStream }

// invokeVoice is Anthropic's dialect inside Bedrock's InvokeModel: each event of
// a stream is wrapped in a chunk frame, and refusals are Bedrock's own.
type invokeVoice struct{ converseVoice }

func (invokeVoice) whole(q request, r reply) any { return anthropicVoice{}.whole(q, r) }

func (invokeVoice) events(q request, r reply) [][]byte {
	var out [][]byte
	for _, event := range (anthropicVoice{}).events(q, r) {
		_, payload, _ := strings.Cut(string(event), "data: ")
		out = append(out, frame("chunk", obj{"bytes": base64.StdEncoding.EncodeToString([]byte(strings.TrimSpace(payload)))}))
	}
	return out
}

// invoke serves InvokeModel: Titan's embeddings, and Anthropic's dialect.
func (s *server) invoke(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.PathValue("model"), "titan-embed") {
		s.tell(obj{"embedding": vector(0), "inputTextTokenCount": 3})(w, r)
		return
	}
	s.play(invokeVoice{})(w, r)
}

// frame is one event of an AWS event stream.
func frame(name string, v obj) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // made of JSON values
	}
	return wire.AppendFrame(nil, name, body)
}
