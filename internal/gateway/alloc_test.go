package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llmtest"
)

// What a request may allocate beyond what its server and its caller do. Keys,
// routing, metering, ledger, metrics and access log are on.
const (
	mostAllocsPerRequest = 12
	mostAllocsPerEvent   = 0
)

func TestASplicedRequestAllocatesNextToNothing(t *testing.T) {
	got := measure(t, wholeAnswer, false)
	t.Logf("a spliced request makes %.1f allocations", got)
	if got > mostAllocsPerRequest {
		t.Errorf("a spliced request makes %.1f allocations, want at most %d", got, mostAllocsPerRequest)
	}
}

// TestLimitsAndCapacityAllocateNothing: weighing them costs time and no memory.
func TestLimitsAndCapacityAllocateNothing(t *testing.T) {
	const weighed = `
targets:
  a: {kind: openai, url: "http://a", key: "env:PROVIDER_KEY", capacity: {ptu: 100, model: gpt-5.2}}
  b: {kind: vllm, url: "http://b"}
models:
  fast: {prefer: headroom, route: [{to: a/gpt-5-nano, weight: 3}, {to: a/gpt-5-mini, weight: 1}], fallback: [b/local]}
keys: {static: [{name: app, key: "env:CLIENT_KEY", customer: acme}]}
`
	limited := strings.Replace(wholeAnswer, "X-Ratelimit-Remaining-Requests: 99\r\n",
		"X-Ratelimit-Remaining-Requests: 99\r\nX-Ratelimit-Limit-Requests: 100\r\nX-Ratelimit-Reset-Requests: 6m0s\r\n", 1)
	plain, got := measureWith(t, gateConfig, limited, false), measureWith(t, weighed, limited, false)
	t.Logf("a request makes %.1f allocations, and %.1f with limits and capacity weighed", plain, got)
	if got > plain || got > mostAllocsPerRequest {
		t.Errorf("a request whose limits and capacity are weighed makes %.1f allocations, want the %.1f of any other", got, plain)
	}
}

// TestAPlaceInTheQueueAllocatesNothing: while there is room, asking for it costs
// time and no memory.
func TestAPlaceInTheQueueAllocatesNothing(t *testing.T) {
	got := measureWith(t, pooledConfig, wholeAnswer, false)
	t.Logf("a request to a pool makes %.1f allocations", got)
	if got > mostAllocsPerRequest {
		t.Errorf("a request to a pool makes %.1f allocations, want at most %d", got, mostAllocsPerRequest)
	}
}

func TestAStreamedEventAllocatesNothing(t *testing.T) {
	short, long := measure(t, streamedAnswer(200), true), measure(t, streamedAnswer(400), true)
	each := (long - short) / 200
	t.Logf("a spliced stream makes %.1f allocations, and %.3f for each event", short, each)
	if each > mostAllocsPerEvent {
		t.Errorf("a streamed event makes %.3f allocations, want %d", each, mostAllocsPerEvent)
	}
}

// measure counts the allocations of one request, less those of a handler that
// does nothing.
func measure(t *testing.T, answer string, stream bool) float64 {
	return measureWith(t, gateConfig, answer, stream)
}

func measureWith(t *testing.T, config, answer string, stream bool) float64 {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	caller, r := newCallerWith(t, config, answer, stream, ledger.JournalOptions{Sync: time.Hour}) // the drain into the store is not the request's
	defer r.stop()
	idle := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for range 50 { // warm the pools
		caller.call(r.gateway)
	}
	caller.call(r.gateway)
	if caller.w.status != 0 && caller.w.status != http.StatusOK || caller.w.sent == 0 {
		t.Fatalf("the measured request failed: %d", caller.w.status)
	}
	least := math.Inf(1) // what runs beside it, and a collection that empties pools, only adds
	for range 3 {
		least = min(least, testing.AllocsPerRun(300, func() { caller.call(r.gateway) }))
	}
	return least - testing.AllocsPerRun(300, func() { caller.call(idle) })
}

func BenchmarkSplicedRequest(b *testing.B) { benchmark(b, wholeAnswer, false) }

func BenchmarkSplicedStreamOf200Events(b *testing.B) { benchmark(b, streamedAnswer(200), true) }

// BenchmarkPooledRequest has a policy and a queue on its way.
func BenchmarkPooledRequest(b *testing.B) { benchmarkWith(b, pooledConfig, wholeAnswer, false) }

func benchmark(b *testing.B, answer string, stream bool) {
	benchmarkWith(b, gateConfig, answer, stream)
}

func benchmarkWith(b *testing.B, config, answer string, stream bool) {
	caller, r := newCallerWith(b, config, answer, stream, ledger.JournalOptions{})
	defer r.stop()
	b.ReportAllocs()
	for b.Loop() {
		caller.call(r.gateway)
	}
}

const gateConfig = `
targets:
  a: {kind: openai, url: "http://a", key: "env:PROVIDER_KEY"}
  b: {kind: vllm, url: "http://b"}
models:
  fast: {route: [{to: a/gpt-5-nano, weight: 3}, {to: a/gpt-5-mini, weight: 1}], fallback: [b/local]}
keys: {static: [{name: app, key: "env:CLIENT_KEY", customer: acme}]}
`

const pooledConfig = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}}
models: {fast: {pool: [a, b], served_as: local}}
keys: {static: [{name: app, key: "env:CLIENT_KEY", customer: acme, priority: high}]}
`

const answerBody = `{"id":"c1","object":"chat.completion","model":"gpt-5-nano-2026","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}`

var wholeAnswer = "HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\nX-Request-Id: theirs\r\n" +
	"X-Ratelimit-Remaining-Requests: 99\r\nContent-Length: " + strconv.Itoa(len(answerBody)) + "\r\n\r\n" + answerBody

// streamedAnswer has n content events in chunks of their own, with usage at the
// end.
func streamedAnswer(n int) string {
	event := `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-5-nano","choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}` + "\n\n"
	last := `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-5-nano","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}` + "\n\ndata: [DONE]\n\n"
	chunk := func(s string) string { return strconv.FormatInt(int64(len(s)), 16) + "\r\n" + s + "\r\n" }
	return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
		strings.Repeat(chunk(event), n) + chunk(last) + "0\r\n\r\n"
}

// caller makes the same request again and again with memory of its own, so that
// what is counted is the gateway's.
type caller struct {
	request http.Request
	header  http.Header
	body    bytes.Reader
	raw     []byte
	w       reusedWriter
}

func newCallerWith(t testing.TB, config, answer string, stream bool, o ledger.JournalOptions) (*caller, *rig) {
	t.Setenv("CLIENT_KEY", clientKey)
	t.Setenv("PROVIDER_KEY", providerKey)
	dial := func(context.Context, string, string) (net.Conn, error) {
		return &cannedConn{answer: []byte(answer)}, nil
	}
	r := newRigWith(t, config, dial, o)
	c := &caller{
		raw:    []byte(`{"model":"fast","stream":` + strconv.FormatBool(stream) + `,"messages":[{"role":"user","content":"` + strings.Repeat("word ", 200) + `"}]}`),
		header: http.Header{"Authorization": {"Bearer " + clientKey}, "Content-Type": {"application/json"}, "User-Agent": {"OpenAI/JS 6.49.0"}},
		w:      reusedWriter{header: http.Header{}},
	}
	c.request = http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/v1/chat/completions"}, Host: "127.0.0.1:4600", Header: c.header,
		ContentLength: int64(len(c.raw)), Body: io.NopCloser(&c.body), ProtoMajor: 1, ProtoMinor: 1,
	}
	return c, r
}

// call makes the request. Its context can end, as one of a server can.
func (c *caller) call(h http.Handler) {
	c.body.Reset(c.raw)
	clear(c.w.header)
	c.w.status, c.w.sent = 0, 0
	ctx, cancel := context.WithCancel(context.Background())
	h.ServeHTTP(&c.w, c.request.WithContext(ctx))
	cancel()
}

// reusedWriter is a ResponseWriter that can do what that of a server can.
type reusedWriter struct {
	header http.Header
	status int
	sent   int
}

func (w *reusedWriter) Header() http.Header              { return w.header }
func (w *reusedWriter) WriteHeader(status int)           { w.status = status }
func (w *reusedWriter) Write(p []byte) (int, error)      { w.sent += len(p); return len(p), nil }
func (w *reusedWriter) Flush()                           {}
func (w *reusedWriter) SetReadDeadline(time.Time) error  { return nil }
func (w *reusedWriter) SetWriteDeadline(time.Time) error { return nil }

// cannedConn answers each request that is written to it with the same bytes, a
// few hundred with each read.
type cannedConn struct {
	llmtest.NoConn
	answer  []byte
	pending []byte
}

func (c *cannedConn) Write(p []byte) (int, error) {
	c.pending = c.answer
	return len(p), nil
}

func (c *cannedConn) Read(p []byte) (int, error) {
	if len(c.pending) == 0 {
		return 0, errors.New("nothing was asked")
	}
	n := copy(p[:min(len(p), 400)], c.pending)
	c.pending = c.pending[n:]
	return n, nil
}
