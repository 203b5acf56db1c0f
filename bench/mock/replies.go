//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"

	"tailplane/bench/internal/answer"
)

// The tokens that every answer of the mock reports.
const (
	promptTokens     = 250
	completionTokens = 64
)

// smallBody is the size of a whole chat answer's body in bytes.
const smallBody = 732

// replies are the prebuilt bytes. Those of a stream event are whole HTTP
// chunks with a hole of 20 digits at stampAt for the send time.
type replies struct {
	chat, message    []byte
	tooMany, broken  []byte
	notFound, models []byte
	badRequest       []byte
	streamHead       []byte
	chatFirst        []byte
	chatEvent        []byte
	chatStampAt      int
	chatFinish       []byte
	chatUsage        []byte
	chatEnd          []byte
	messageFirst     []byte
	messageEvent     []byte
	messageStampAt   int
	messageEnd       []byte
}

func whole(status, headers, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", status, headers, len(body), body)
}

func chunk(s string) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(s), s) }

func event(data string) string { return "data: " + data + "\n\n" }

func named(name, data string) string { return "event: " + name + "\n" + event(data) }

// hole stands for the digits of a send time.
var hole = strings.Repeat("0", 20)

func build() *replies {
	r := &replies{
		message:    whole("200 OK", "request-id: req_bench\r\n", padded(anthropicBody, smallBody)),
		chat:       whole("200 OK", "x-request-id: req_bench\r\n", padded(chatBody, smallBody)),
		tooMany:    whole("429 Too Many Requests", "retry-after-ms: 1\r\n", `{"type":"error","error":{"type":"rate_limit_error","message":"slow down","code":"rate_limit_exceeded"}}`),
		broken:     whole("500 Internal Server Error", "", `{"type":"error","error":{"type":"api_error","message":"broken on purpose"}}`),
		notFound:   whole("404 Not Found", "", `{"error":{"type":"not_found_error","message":"no such path"}}`),
		badRequest: whole("400 Bad Request", "Connection: close\r\n", `{"error":{"type":"invalid_request_error","message":"not understood"}}`),
		models:     whole("200 OK", "", `{"object":"list","data":[{"id":"bench-small","object":"model","created":1700000000,"owned_by":"bench"}]}`),
		streamHead: []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"),
	}
	r.chatStream()
	r.messageStream()
	return r
}

const (
	chatBody = `{"id":"chatcmpl-bench0000000000000000000000","object":"chat.completion","created":1700000000,"model":"bench-small","choices":[{"index":0,"message":{"role":"assistant","content":"%s","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":250,"completion_tokens":64,"total_tokens":314,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_bench"}`

	anthropicBody = `{"id":"msg_bench0000000000000000000","type":"message","role":"assistant","model":"bench-small","content":[{"type":"text","text":"%s"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":250,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":64,"service_tier":"standard"}}`
)

// padded fills the template's hole with words until the body has n bytes.
func padded(template string, n int) string {
	words := strings.Repeat("The wing keeps level because the tail does its small part. ", 20)
	return fmt.Sprintf(template, words[:n-len(template)+len("%s")])
}

func (r *replies) chatStream() {
	frame := func(delta, finish string) string {
		return event(`{"id":"chatcmpl-bench0000000000000000000000","object":"chat.completion.chunk","created":1700000000,"model":"bench-small","system_fingerprint":"fp_bench","choices":[{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + `}]}`)
	}
	r.chatFirst = chunk(frame(`{"role":"assistant","content":"","refusal":null}`, "null"))
	r.chatEvent = chunk(frame(`{"content":"@`+hole+` level"}`, "null"))
	r.chatStampAt = strings.Index(string(r.chatEvent), answer.Stamp) + len(answer.Stamp)
	r.chatFinish = chunk(frame(`{}`, `"stop"`))
	r.chatUsage = chunk(event(`{"id":"chatcmpl-bench0000000000000000000000","object":"chat.completion.chunk","created":1700000000,"model":"bench-small","choices":[],"usage":{"prompt_tokens":250,"completion_tokens":64,"total_tokens":314}}`))
	r.chatEnd = append(chunk(event("[DONE]")), "0\r\n\r\n"...)
}

func (r *replies) messageStream() {
	r.messageFirst = append(
		chunk(named("message_start", `{"type":"message_start","message":{"id":"msg_bench0000000000000000000","type":"message","role":"assistant","model":"bench-small","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":250,"output_tokens":1}}}`)),
		chunk(named("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`))...)
	filler := strings.Repeat(" level flight", 11)
	r.messageEvent = chunk(named("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@`+hole+filler+`"}}`))
	r.messageStampAt = strings.Index(string(r.messageEvent), answer.Stamp) + len(answer.Stamp)
	end := named("content_block_stop", `{"type":"content_block_stop","index":0}`) +
		named("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":64}}`) +
		named("message_stop", `{"type":"message_stop"}`)
	r.messageEnd = append(chunk(end), "0\r\n\r\n"...)
}

// stamp writes a time into the hole at the front of b.
func stamp(b []byte, at int64) {
	for i := len(hole) - 1; i >= 0; i-- {
		b[i] = byte('0' + at%10)
		at /= 10
	}
}

// since is how long ago a monotonic time was, never negative.
func since(now, then int64) time.Duration { return time.Duration(max(0, now-then)) }
