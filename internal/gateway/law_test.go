package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/ledger"
	"tailplane/internal/llmtest"
)

// TestLawEveryAdmittedExchangeIsSettledOnce lets upstreams behave at random and
// clients leave at random: whatever dies when, every exchange is in the ledger
// once, every gauge comes back to zero, every connection is closed or pooled, no
// goroutine is left (the bubble would not end), and no stream that was cut ends
// as if it were complete.
func TestLawEveryAdmittedExchangeIsSettledOnce(t *testing.T) {
	if _, err := prices(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) { // without the deadline, which is real time
			r := newRig(t, lawConfig, nil)
			var hosts []*llmtest.Upstream
			for _, host := range []string{"a", "b", "c", "d"} {
				hosts = append(hosts, r.host(host, drawReplies(t, host)...))
			}
			r.serve(r.net.Listen("gateway"))
			clients := rapid.SliceOfN(rapid.Custom(drawClient), 1, 5).Draw(t, "clients")
			answers := make([]answer, len(clients))
			var all sync.WaitGroup
			for i, c := range clients {
				all.Go(func() { answers[i] = c.call(r) })
			}
			all.Wait()
			r.stop()
			for i, u := range hosts {
				if n := u.Open(); n != 0 {
					t.Errorf("upstream %d has %d connections left", i, n)
				}
			}
			r.checkLaw(clients, answers, 0)
		})
	})
}

// TestLawOfSecondAttempts is the same law where late attempts get another one beside
// them: the upstreams behave at random once enough requests have earned two.
func TestLawOfSecondAttempts(t *testing.T) {
	if _, err := prices(); err != nil {
		t.Fatal(err)
	}
	const earns = 20
	seconds := 0
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			r := newRig(t, hedgedLawConfig, nil)
			for _, host := range []string{"e", "f"} {
				replies := slices.Repeat([]*llmtest.Reply{drawnReply(t, streamWhole)}, earns/2)
				r.host(host, append(replies, drawReplies(t, "a")...)...)
			}
			for range earns {
				r.post(`{"model":"ef","messages":[],"stream":true}`)
			}
			r.serve(r.net.Listen("gateway"))
			clients := rapid.SliceOfN(rapid.Custom(drawClient), 1, 5).Draw(t, "clients")
			answers := make([]answer, len(clients))
			var all sync.WaitGroup
			for i := range clients {
				clients[i].model, clients[i].begin = "ef", clients[i].begin+time.Millisecond
				all.Go(func() { answers[i] = clients[i].call(r) })
			}
			all.Wait()
			r.stop()
			r.checkLaw(clients, answers, earns)
			for _, x := range r.recordsAfterStop() {
				for _, a := range x.Attempts {
					if a.Why == "hedge" {
						seconds++
					}
				}
			}
		})
	})
	if seconds == 0 {
		t.Error("no attempt got another beside it")
	}
}

const hedgedLawConfig = `
targets: {e: {kind: vllm, url: "http://e"}, f: {kind: vllm, url: "http://f"}}
models: {ef: {pool: [e, f], served_as: x, policy: round_robin, hedge: 10%}}
timeouts: {connect: 1s, first_token: 3s, idle: 2s, total: 20s}
retry: {attempts: 2, backoff: 100ms, max_wait: 2s}
keys: {required: false}
`

const lawConfig = `
targets:
  a: {kind: vllm, url: "http://a"}
  b: {kind: anthropic, url: "http://b"}
  c: {kind: openai, url: "http://c", dialects: [responses]}
  d: {kind: bedrock, url: "http://d", region: us-east-1, dialects: [anthropic]}
models:
  ab: {route: [a/x, b/y]}
  bc: {route: [b/y, c/z]}
  ca: {route: [{to: c/z, weight: 1}, {to: a/x, weight: 2}], fallback: [b/y]}
  da: {route: [d/anthropic.claude-x, a/x]}
timeouts: {connect: 1s, first_token: 3s, idle: 2s, total: 20s}
retry: {attempts: 2, backoff: 100ms, max_wait: 2s}
keys: {required: false}
`

// checkLaw compares what clients saw with what the ledger says of them, after so
// many others.
func (r *rig) checkLaw(clients []lawClient, answers []answer, others int) {
	records := r.recordsAfterStop()[others:]
	if len(records) != len(clients) {
		r.t.Fatalf("%d exchanges are in the ledger, %d were made", len(records), len(clients))
	}
	byID := map[string]*ledger.Exchange{}
	for _, ex := range records {
		byID[ex.ID] = ex
	}
	if len(byID) != len(records) {
		r.t.Fatalf("ids repeat")
	}
	for i, a := range answers {
		ex := byID[a.header.Get("X-Request-Id")+a.header.Get("Request-Id")]
		if a.status == 0 || a.err != nil {
			if clients[i].leave == 0 {
				r.t.Errorf("a client that stayed got no whole answer: %+v", a.err)
			}
			continue
		}
		if ex == nil {
			r.t.Fatalf("an answer has the id of no record: %v", a.header)
		}
		complete := a.status == 200 && clients[i].complete(a.body)
		if complete != (ex.Outcome == ledger.OutcomeOK) {
			r.t.Errorf("the client's answer is complete: %v, the ledger says %s\n%s", complete, ex.Outcome, a.body)
		}
		if !complete && !bytes.Contains(a.body, []byte(`"error"`)) {
			r.t.Errorf("an answer is neither complete nor an error:\n%s", a.body)
		}
	}
}

// lawClient is one caller.
type lawClient struct {
	dialect string
	model   string
	stream  bool
	begin   time.Duration
	leave   time.Duration // 0: it stays
}

func drawClient(t *rapid.T) lawClient {
	c := lawClient{
		dialect: rapid.SampledFrom([]string{"chat", "anthropic", "responses"}).Draw(t, "dialect"),
		model:   rapid.SampledFrom([]string{"ab", "bc", "ca", "da", "a/x"}).Draw(t, "model"),
		stream:  rapid.Bool().Draw(t, "stream"),
		begin:   time.Duration(rapid.IntRange(0, 3000).Draw(t, "begin ms")) * time.Millisecond,
	}
	if rapid.Bool().Draw(t, "leaves") {
		c.leave = time.Duration(rapid.IntRange(1, 6000).Draw(t, "leave ms")) * time.Millisecond
	}
	return c
}

// call makes the request and reads the answer.
func (c lawClient) call(r *rig) answer {
	time.Sleep(c.begin)
	path, rest := "/v1/chat/completions", `"messages":[{"role":"user","content":"hi"}]`
	switch c.dialect {
	case "anthropic":
		path, rest = "/v1/messages", `"max_tokens":9,`+rest
	case "responses":
		path, rest = "/v1/responses", `"input":"hi"`
	}
	body := fmt.Sprintf(`{"model":%q,"stream":%v,%s}`, c.model, c.stream, rest)
	conn, err := r.net.Dial(context.Background(), "tcp", "gateway:80")
	if err != nil {
		return answer{err: err}
	}
	defer conn.Close()
	if c.leave > 0 {
		defer time.AfterFunc(c.leave, func() { _ = conn.Close() }).Stop()
	}
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body); err != nil {
		return answer{err: err}
	}
	return readAnswer(conn)
}

// complete reports whether a body reached the end of its dialect without an
// error in it.
func (c lawClient) complete(body []byte) bool {
	text := string(body)
	if !c.stream {
		return !strings.HasPrefix(text, `{"error"`) && !strings.HasPrefix(text, `{"type":"error"`)
	}
	end := map[string]string{"chat": "data: [DONE]", "anthropic": "event: message_stop", "responses": "event: response.completed"}[c.dialect]
	return strings.Contains(text, end) && !strings.Contains(text, "event: error") && !strings.Contains(text, `data: {"error"`)
}

// pieces are answers of each host, cut where a script may pause or end.
var pieces = map[string]struct {
	whole  string
	stream []string
	fault  string
}{
	"a": {
		whole: `{"id":"c1","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7}}`,
		stream: []string{
			`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}` + "\n\n",
			`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{"content":"hello"}}]}` + "\n\n",
			`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
		},
		fault: `data: {"error":{"message":"oh","type":"server_error"}}` + "\n\n",
	},
	"b": {
		whole: `{"id":"msg_1","type":"message","role":"assistant","model":"y","content":[{"type":"text","text":"ho"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}`,
		stream: []string{
			`event: message_start` + "\n" + `data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"y","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}` + "\n\n",
			`event: content_block_start` + "\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n",
			`event: content_block_delta` + "\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ho"}}` + "\n\n",
			`event: content_block_stop` + "\n" + `data: {"type":"content_block_stop","index":0}` + "\n\n" + `event: message_delta` + "\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}` + "\n\n",
			`event: message_stop` + "\n" + `data: {"type":"message_stop"}` + "\n\n",
		},
		fault: "event: error\n" + `data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}` + "\n\n",
	},
	"d": {
		whole: `{"id":"msg_1","type":"message","role":"assistant","model":"y","content":[{"type":"text","text":"ho"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}`,
		stream: []string{
			`@chunk {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"y","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}` + "\n",
			`@chunk {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n",
			`@chunk {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ho"}}` + "\n",
			`@chunk {"type":"content_block_stop","index":0}` + "\n" + `@chunk {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}` + "\n",
			`@chunk {"type":"message_stop"}` + "\n",
		},
		fault: `@exception throttlingException {"message":"slow"}` + "\n",
	},
	"c": {
		whole: `{"id":"resp_1","object":"response","created_at":5,"status":"completed","error":null,"incomplete_details":null,"model":"z","output":[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[]}]}],"usage":{"input_tokens":9,"output_tokens":7,"total_tokens":16}}`,
		stream: []string{
			"event: response.created\n" + `data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":5,"status":"in_progress","model":"z","output":[]}}` + "\n\n",
			"event: response.output_item.added\n" + `data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}}` + "\n\n",
			"event: response.output_text.delta\n" + `data: {"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"hi"}` + "\n\n",
			"event: response.completed\n" + `data: {"type":"response.completed","sequence_number":3,"response":{"id":"resp_1","object":"response","created_at":5,"status":"completed","model":"z","output":[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[]}]}],"usage":{"input_tokens":9,"output_tokens":7,"total_tokens":16}}}` + "\n\n",
		},
		fault: "event: error\n" + `data: {"type":"error","sequence_number":2,"code":"server_error","message":"oh","param":null}` + "\n\n",
	},
}

// drawReplies draws what a host does, request after request.
func drawReplies(t *rapid.T, host string) []*llmtest.Reply {
	var out []*llmtest.Reply
	for range rapid.IntRange(1, 4).Draw(t, host+" replies") {
		out = append(out, drawnReply(t, drawReply(t, host)))
	}
	return out
}

func drawnReply(t *rapid.T, text string) *llmtest.Reply {
	r, err := llmtest.ParseReply(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return r
}

func drawReply(t *rapid.T, host string) string {
	p := pieces[host]
	pause := func() string {
		return fmt.Sprintf("@delay %dms\n", rapid.SampledFrom([]int{0, 10, 700, 2500, 4000}).Draw(t, "pause"))
	}
	switch rapid.SampledFrom([]string{"stream", "stream", "stream", "whole", "whole", "500", "429", "hang", "refuse", "html", "stall", "cut"}).Draw(t, "reply of "+host) {
	case "500":
		return pause() + "HTTP 500\ncontent-type: application/json\n\n" + `{"error":{"message":"boom"}}` + "\n"
	case "429":
		return fmt.Sprintf("HTTP 429\nretry-after: %d\ncontent-type: application/json\n\n", rapid.IntRange(0, 3).Draw(t, "after")) + `{"error":{"message":"slow"}}` + "\n"
	case "html":
		return "HTTP 200\ncontent-type: text/html\n\n<html>\n"
	case "whole":
		return pause() + "HTTP 200\ncontent-type: application/json\n\n" + p.whole + "\n"
	case "hang":
		return "@hang\n"
	case "refuse":
		return "@refuse\n"
	case "stall":
		return "@stall\n"
	case "cut":
		return "@cut\n"
	}
	text := "HTTP 200\ncontent-type: text/event-stream\n\n"
	if host == "d" {
		text = "HTTP 200\ncontent-type: application/vnd.amazon.eventstream\n\n"
	}
	for _, event := range p.stream {
		switch rapid.SampledFrom([]string{"go", "go", "go", "go", "go", "pause", "cut", "stall", "fault", "end"}).Draw(t, "then") {
		case "pause":
			text += pause()
		case "cut":
			return text + "@cut\n"
		case "stall":
			return text + event[:len(event)/2] + "\n@stall\n"
		case "fault":
			return text + p.fault
		case "end":
			return text
		}
		text += event
	}
	return text
}
