package corpus

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/llm"
)

// TestCorpusEveryRecordingIsReadable reads all recordings; one that cannot be
// read is a failure. See package dialect for what is done with them.
func TestCorpusEveryRecordingIsReadable(t *testing.T) {
	dir, ok := Dir()
	if !ok {
		t.Skip("no recordings: set TAILPLANE_CORPUS, or put them at ../shared/corpus beside the repository")
	}
	recordings, report, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range report.Unreadable {
		t.Error(err)
	}
	ran, others := 0, map[string]int{}
	for i := range recordings {
		r := &recordings[i]
		if (r.Surface == "") == (r.Other == "") {
			t.Errorf("%s: surface %q and other %q", r.Name(), r.Surface, r.Other)
		}
		if r.Surface != "" {
			ran++
		} else {
			others[r.Other]++
		}
	}
	skipped := len(recordings) - ran + len(report.Empty)
	if len(report.Empty) > 0 {
		others["empty file"] = len(report.Empty)
	}
	var reasons []string
	for _, why := range slices.Sorted(maps.Keys(others)) {
		reasons = append(reasons, fmt.Sprintf("%s %d", why, others[why]))
	}
	fmt.Printf("corpus: %d recordings ran, %d skipped (%s)\n", ran, skipped, strings.Join(reasons, ", "))
}

func compressed(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// chunked is a raw HTTP exchange in a trace.
func chunked() string {
	ask := "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: 27\r\n\r\n" + `{"messages":[],"model":"m"}`
	answer := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n" +
		"7\r\ndata: x\r\n2\r\n\n\n\r\n0\r\n\r\n"
	return fmt.Sprintf("httprr trace v1\n%d %d\n%s%s", len(ask), len(answer), ask, answer)
}

func TestFormats(t *testing.T) {
	cases := []struct {
		file, text string
		want       Recording // Header is not compared
	}{
		{
			"a/ruby.yml", `---
http_interactions:
- request:
    method: post
    uri: https://api.groq.com/openai/v1/chat/completions
    body: {encoding: UTF-8, string: '{"model":"m","messages":[]}'}
  response:
    status: {code: 401, message: no}
    headers: {Content-Type: [application/json]}
    body: {encoding: ASCII-8BIT, string: !binary "eyJhIjoxfQ=="}
`,
			Recording{
				Provider: "groq", Surface: llm.Chat, Method: "POST", URL: "https://api.groq.com/openai/v1/chat/completions",
				Path: "/openai/v1/chat/completions", Request: []byte(`{"model":"m","messages":[]}`), Status: 401, Body: []byte(`{"a":1}`), ByteExact: true,
			},
		},
		{
			"b/vcr.yaml", `interactions:
- request:
    body: '{"input":"x","model":"m"}'
    method: POST
    uri: <OLLAMA_API_BASE>/embeddings?x=1
  response:
    body:
      string: !!binary |
        ` + compressed(`{"data":[]}`) + `
    headers: {Content-Encoding: gzip}
    status: {code: 200}
`,
			Recording{
				Provider: "ollama", Surface: llm.Embeddings, Method: "POST", URL: "<OLLAMA_API_BASE>/embeddings?x=1", Path: "/embeddings",
				Request: []byte(`{"input":"x","model":"m"}`), Status: 200, Body: []byte(`{"data":[]}`), ByteExact: true,
			},
		},
		{
			"c/parsed.yaml", `interactions:
- request:
    method: POST
    uri: https://api.anthropic.com/v1/messages
    parsed_body: {model: m, messages: [], temperature: 1.0, a: null, b: true, c: '1', d: 1e5, e: 2.5e-05, f: "x\ny", g: 12e34567}
  response:
    parsed_body: {type: message, content: []}
    status: 200
`,
			Recording{
				Provider: "anthropic", Surface: llm.Anthropic, Method: "POST", URL: "https://api.anthropic.com/v1/messages", Path: "/v1/messages",
				Request: []byte(`{"model":"m","messages":[],"temperature":1.0,"a":null,"b":true,"c":"1","d":"1e5","e":2.5e-05,"f":"x\ny","g":"12e34567"}`),
				Status:  200, Body: []byte(`{"type":"message","content":[]}`),
			},
		},
		{
			"d/go.yaml", `version: 2
interactions:
- id: 0
  request: {url: "https://x.openai.azure.com/openai/deployments/d/completions?api-version=1", method: POST, body: '{"prompt":"p"}'}
  response: {body: "data: {}\n\n", status: 200 OK, code: 200, headers: {Content-Type: [text/event-stream]}}
`,
			Recording{
				Provider: "azure", Surface: llm.Completions, Method: "POST",
				URL:  "https://x.openai.azure.com/openai/deployments/d/completions?api-version=1",
				Path: "/openai/deployments/d/completions", Request: []byte(`{"prompt":"p"}`), Status: 200, Body: []byte("data: {}\n\n"), Streamed: true,
			},
		},
		{
			"e/trace.httprr", chunked(),
			Recording{
				Provider: "openai", Surface: llm.Chat, Method: "POST", URL: "https://api.openai.com/v1/chat/completions", Path: "/v1/chat/completions",
				Request: []byte(`{"messages":[],"model":"m"}`), Status: 200, Body: []byte("data: x\n\n"), ByteExact: true, Streamed: true,
			},
		},
		{
			"f/openai/src/chat/x.chunks.txt", `{"object":"chat.completion.chunk","choices":[]}` + "\n\n",
			Recording{
				Provider: "openai", Surface: llm.Chat, URL: "file://fixture/f/openai/src/chat/x.chunks.txt", Path: "/f/openai/src/chat/x.chunks.txt",
				Status: 200, Body: []byte("data: {\"object\":\"chat.completion.chunk\",\"choices\":[]}\n\ndata: [DONE]\n\n"), Streamed: true,
			},
		},
		{
			"f/anthropic/src/y.chunks.txt", `{"type":"message_start","message":{}}` + "\n",
			Recording{
				Provider: "anthropic", Surface: llm.Anthropic, URL: "file://fixture/f/anthropic/src/y.chunks.txt", Path: "/f/anthropic/src/y.chunks.txt",
				Status: 200, Body: []byte("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n"), Streamed: true,
			},
		},
		{
			"f/xai/src/responses/z.json", `{"error":{"message":"m"}}`,
			Recording{
				Provider: "xai", Surface: llm.Responses, URL: "file://fixture/f/xai/src/responses/z.json", Path: "/f/xai/src/responses/z.json",
				Status: 400, Body: []byte(`{"error":{"message":"m"}}`),
			},
		},
		{
			"g/socket.yaml", "interactions:\n- {kind: text, direction: sent, data: x}\n",
			Recording{Other: "websocket messages", Path: "/"},
		},
		{
			"g/native.yaml", `interactions:
- request: {uri: "http://localhost:11434/api/chat", method: POST, body: '{"messages":[]}'}
  response: {body: {string: x}, status: {code: 200}}
`,
			Recording{
				Provider: "ollama", Other: "ollama native", Method: "POST", URL: "http://localhost:11434/api/chat", Path: "/api/chat",
				Request: []byte(`{"messages":[]}`), Status: 200, Body: []byte("x"),
			},
		},
	}
	dir := t.TempDir()
	for _, c := range cases {
		write(t, dir, c.file, c.text)
	}
	recordings, report, err := Load(dir)
	if err != nil || len(report.Unreadable) > 0 || len(recordings) != len(cases) {
		t.Fatalf("%d recordings, %v, %v", len(recordings), report.Unreadable, err)
	}
	for _, c := range cases {
		i := slices.IndexFunc(recordings, func(r Recording) bool { return r.File == c.file })
		got := recordings[i]
		got.Header, c.want.File = nil, c.file
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: - want, + got:\n%s", c.file, diff)
		}
	}
}

func TestWhatIsNoRecordingIsSaid(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{
		"a/LICENSE": "free", "a/table.tsv": "x\ty", "a/empty.yaml": "", "a/none.yaml": "interactions: []\n", "a/head.httprr": "httprr trace v1\n",
		"a/other.yaml": "a: 1\n", "a/broken.yaml": "a: [", "a/half.httprr": "httprr trace v1\n10 10\nabc", "a/bad.json": "{",
		"a/status.yaml": "interactions:\n- request: {uri: x}\n  response: {body: {string: y}}\n",
	} {
		write(t, dir, file, text)
	}
	recordings, report, err := Load(dir)
	if err != nil || len(recordings) != 0 {
		t.Errorf("%v %v", recordings, err)
	}
	if len(report.Ignored) != 2 || len(report.Empty) != 3 || len(report.Unreadable) != 5 || report.Files != 8 {
		t.Errorf("%+v", report)
	}
}

func write(t *testing.T, dir, file, text string) {
	t.Helper()
	path := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
