//go:build linux

package main

import (
	"fmt"
	"strings"
)

// order is what a request asks for.
type order struct {
	host, path, key string
	model           string
	size            int // of the body, in bytes, about
	stream, usage   bool
}

// text is a paragraph with what real prompts have: about one escape in sixty
// bytes (quotes, line ends, a code point) and a few characters beyond ASCII.
const text = `The tailplane keeps an aircraft level: it pushes the tail down so that the nose stays up. ` +
	`An engineer once called it \"the quiet half of flying\", and wrote in the margin of the manual that nobody ` +
	`thanks it.\n\nShe was right: a pilot feels it only when it is gone. In a caf\u00e9 near the field, ` +
	`over a naïve drawing on a napkin, they set down what lift, weight, drag and thrust demand of it.\n`

// prebuilt is the request's bytes, with the headers that OpenAI's Python SDK
// sends and the model last, where that SDK puts it.
func prebuilt(o order) []byte {
	tail := `"}],"model":"` + o.model + `","max_tokens":256,"temperature":0.2`
	if o.stream {
		tail += `,"stream":true`
		if o.usage {
			tail += `,"stream_options":{"include_usage":true}`
		}
	}
	tail += "}"
	head := `{"messages":[{"role":"system","content":"You are a careful assistant."},{"role":"user","content":"`
	room := max(0, o.size-len(head)-len(tail))
	body := head + strings.Repeat(text, room/len(text)) + strings.Repeat("x", room%len(text)) + tail
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\n"+
		"Host: %s\r\n"+
		"Accept-Encoding: gzip, deflate\r\n"+
		"Connection: keep-alive\r\n"+
		"Accept: application/json\r\n"+
		"Content-Type: application/json\r\n"+
		"User-Agent: OpenAI/Python 2.8.1\r\n"+
		"X-Stainless-Lang: python\r\n"+
		"X-Stainless-Package-Version: 2.8.1\r\n"+
		"X-Stainless-OS: Linux\r\n"+
		"X-Stainless-Arch: x64\r\n"+
		"X-Stainless-Runtime: CPython\r\n"+
		"X-Stainless-Runtime-Version: 3.12.7\r\n"+
		"X-Stainless-Async: false\r\n"+
		"x-stainless-retry-count: 0\r\n"+
		"x-stainless-read-timeout: 600\r\n"+
		"Authorization: Bearer %s\r\n"+
		"Content-Length: %d\r\n\r\n%s", o.path, o.host, o.key, len(body), body)
}
