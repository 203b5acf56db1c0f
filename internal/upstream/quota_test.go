package upstream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// head makes a response's header of lines "name: value".
func head(t testing.TB, lines ...string) *h1.Header {
	t.Helper()
	near, far := net.Pipe()
	go func() {
		_, _ = far.Read(make([]byte, 4<<10))
		_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\n"+strings.Join(lines, "\r\n")+"\r\ncontent-length: 0\r\n\r\n")
		_ = far.Close()
	}()
	client := h1.New(h1.Options{Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
	defer client.CloseIdle()
	resp, err := client.Do(t.Context(), &h1.Request{Method: "GET", Address: "x:80", Host: "x", Target: "/"})
	if err != nil {
		t.Fatal(err)
	}
	resp.Close()
	return &resp.Header
}

// shown is a quota in one line: resource remaining/limit, in how much time, and
// ~ for one that fills evenly.
func shown(q *llm.Quota) string {
	var out []string
	for r := range q {
		a := &q[r]
		if a.Learned.IsZero() {
			continue
		}
		s := fmt.Sprint(llm.Resource(r), " ?/", a.Limit)
		if a.Known {
			s = fmt.Sprint(llm.Resource(r), " ", a.Remaining, "/", a.Limit)
		}
		if !a.Reset.IsZero() {
			s += " " + map[bool]string{true: "~"}[a.Steady] + a.Reset.Sub(t0).String()
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// TestQuotaHeaders has the headers of each provider with the values in which
// they were recorded.
func TestQuotaHeaders(t *testing.T) {
	cases := []struct{ who, head, want string }{
		{
			"OpenAI", "X-RateLimit-Limit-Requests: 10000|x-ratelimit-remaining-requests: 9999|x-ratelimit-reset-requests: 6ms|" +
				"x-ratelimit-limit-tokens: 200000|x-ratelimit-remaining-tokens: 0|x-ratelimit-reset-tokens: 6m0s",
			"requests 9999/10000 ~6ms, tokens 0/200000 ~6m0s",
		},
		{
			"OpenAI, images and usage-based tokens", "x-ratelimit-limit-input-images: 250000|x-ratelimit-remaining-input-images: 249999|x-ratelimit-reset-input-images: 0s|" +
				"x-ratelimit-limit-tokens_usage_based: 9|x-ratelimit-remaining-tokens_usage_based: 8",
			"usage_tokens 8/9, images 249999/250000 ~0s",
		},
		{
			"Azure: the unit of reset varies", "x-ratelimit-limit-requests: 120|x-ratelimit-remaining-requests: 119|x-ratelimit-renewalperiod-requests: 60|x-ratelimit-reset-requests: 500|" +
				"x-ratelimit-limit-tokens: 120000|x-ratelimit-remaining-tokens: 60000|x-ratelimit-reset-tokens: 7|x-ratelimit-renewalperiod-tokens: 60|x-ratelimit-abusepenalty-active: False",
			"requests 119/120 ~500ms, tokens 60000/120000 ~30s",
		},
		{
			"Azure Foundry, which counts seconds", "x-ratelimit-limit-requests: 50|x-ratelimit-remaining-requests: 49|x-ratelimit-renewalperiod-requests: 60|x-ratelimit-reset-requests: 1|x-ratelimit-key: gpt-5-nano",
			"requests 49/50 ~1.2s",
		},
		{"Azure does not know", "x-ratelimit-limit-tokens: -1|x-ratelimit-remaining-tokens: -1", ""},
		{"a number without a unit", "x-ratelimit-reset-requests: 500", ""},
		{
			"Anthropic", "anthropic-ratelimit-requests-limit: 4000|anthropic-ratelimit-requests-remaining: 3999|anthropic-ratelimit-requests-reset: 2026-11-24T12:00:01Z|" +
				"anthropic-ratelimit-input-tokens-limit: 2000000|anthropic-ratelimit-input-tokens-remaining: 1000000|anthropic-ratelimit-input-tokens-reset: 2026-11-24T12:00:30Z|" +
				"anthropic-ratelimit-output-tokens-limit: 400000|anthropic-ratelimit-output-tokens-remaining: 400000|anthropic-ratelimit-output-tokens-reset: 2026-11-24T12:00:00Z",
			"requests 3999/4000 ~1s, input_tokens 1000000/2000000 ~30s, output_tokens 400000/400000 ~0s",
		},
		{
			"Mistral", "x-ratelimit-limit-req-minute: 60|x-ratelimit-remaining-req-minute: 59|x-ratelimit-limit-tokens-minute: 100000|x-ratelimit-remaining-tokens-minute: 99000|" +
				"x-ratelimit-tokens-query-cost: 28|x-ratelimit-limit-tokens-month: 9|x-ratelimit-remaining-tokens-month: 4|x-ratelimit-limit-ocr-pages-minute: 1250|x-ratelimit-remaining-ocr-pages-minute: 1249",
			"requests 59/60 1m0s, tokens 99000/100000 1m0s, month_tokens 4/9, pages 1249/1250 1m0s",
		},
		{"Mistral, older", "x-ratelimit-limit-req-10-second: 10|x-ratelimit-remaining-req-10-second: 0", "requests 0/10 10s"},
		{
			"Groq", "x-ratelimit-limit-requests: 14400|x-ratelimit-remaining-requests: 14397|x-ratelimit-reset-requests: 17.399999999s|x-ratelimit-limit-tokens: 6000|x-ratelimit-remaining-tokens: 5997|x-ratelimit-reset-tokens: 26ms",
			"requests 14397/14400 ~17.399999999s, tokens 5997/6000 ~26ms",
		},
		{"xAI", "x-ratelimit-limit-requests: 8300|x-ratelimit-remaining-requests: 8299|x-ratelimit-limit-tokens: 4000000|x-ratelimit-remaining-tokens: 3999999", "requests 8299/8300, tokens 3999999/4000000"},
		{"Cohere", "x-trial-endpoint-call-limit: 40|x-trial-endpoint-call-remaining: 39|x-endpoint-monthly-call-limit: 1000", "requests 39/40"},
		{"Together", "x-ratelimit-limit: 2|x-ratelimit-remaining: 0|x-ratelimit-reset: 1", "requests 0/2 1s"},
		{"OpenRouter", fmt.Sprintf("X-RateLimit-Limit: 1|X-RateLimit-Remaining: 0|X-RateLimit-Reset: %d", t0.Add(42*time.Second).UnixMilli()), "requests 0/1 42s"},
		{"epoch seconds", fmt.Sprintf("x-ratelimit-reset: %d", t0.Add(9*time.Second).Unix()), "requests ?/0 9s"},
		{"a clock that is wrong", "anthropic-ratelimit-requests-remaining: 0|anthropic-ratelimit-requests-reset: 2126-01-01T00:00:00Z", "requests 0/0 ~24h0m0s"},
		{"nonsense", "x-ratelimit-limit-requests: many|x-ratelimit-remaining-requests: |x-ratelimit-reset-tokens: soon|anthropic-ratelimit-requests: 1|x-ratelimit-limit-9: 9", ""},
		{"none", "x-request-id: abc|content-type: application/json|retry-after: 3", ""},
	}
	for _, c := range cases {
		var told Told
		told.Read(head(t, strings.Split(c.head, "|")...), t0)
		if got := shown(&told.Quota); got != c.want || told.Limited != (c.want != "") {
			t.Errorf("%s: %q (%v), want %q", c.who, got, told.Limited, c.want)
		}
	}
}

func TestCountsAndSpilloverInTheHead(t *testing.T) {
	cases := []struct {
		head    string
		want    llm.Usage
		counted bool
		spilled bool
	}{
		{"x-amzn-bedrock-input-token-count: 68|x-amzn-bedrock-output-token-count: 508|x-amzn-bedrock-cache-read-input-token-count: 10|x-amzn-bedrock-cache-write-input-token-count: 2|x-amzn-bedrock-invocation-latency: 91", llm.Usage{Input: 80, Output: 508, CacheRead: 10, CacheWrite: 2}, true, false},
		{"num-tokens: 133|num-chars: 700", llm.Usage{Input: 133}, true, false},
		{"x-ms-is-spilled-over: true", llm.Usage{}, false, true},
		{"x-ms-is-spilled-over: false", llm.Usage{}, false, false},
		{"x-amzn-bedrock-input-token-count: x", llm.Usage{}, false, false},
	}
	var told Told // one for all: nothing of an answer may be left for the next
	for _, c := range cases {
		told.Read(head(t, strings.Split(c.head, "|")...), t0)
		if told.Usage != c.want || told.Counted != c.counted || told.Spilled != c.spilled || told.Limited {
			t.Errorf("%s: %+v", c.head, told)
		}
	}
}

const geminiRefusal = `{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED","details":[
	{"@type":"type.googleapis.com/google.rpc.Help"},
	{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[
		{"quotaMetric":"generativelanguage.googleapis.com/generate_content_paid_tier_input_token_count","quotaId":"GenerateContentPaidTierInputTokensPerModelPerMinute","quotaValue":"1000000"},
		{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaValue":15}]},
	{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}`

func TestQuotaInTheBody(t *testing.T) {
	cases := []struct{ body, want string }{
		{geminiRefusal, "requests 0/15 34.4s, input_tokens 0/1000000 34.4s"},
		{"[" + geminiRefusal + "\n]", "requests 0/15 34.4s, input_tokens 0/1000000 34.4s"},
		{`{"error":{"details":[{"@type":"x/google.rpc.QuotaFailure","violations":[{"quotaId":"TokensPerDay"}]}]}}`, "tokens 0/0"},
		{`{"error":{"details":[{"@type":"x/google.rpc.RetryInfo","retryDelay":"3s"}]}}`, ""},
		{`{"error":{"details":[1,{"@type":"x/google.rpc.QuotaFailure","violations":[{"quotaId":"Unheard"},7]}]}}`, ""},
		{`{"error":{"message":"no"}}`, ""},
		{`{"error":"no"}`, ""},
		{`{`, ""},
		{``, ""},
		{`[]`, ""},
	}
	for _, c := range cases {
		q, known := BodyQuota([]byte(c.body), t0)
		if got := shown(&q); got != c.want || known != (c.want != "") {
			t.Errorf("%s: %q %v, want %q", c.body, got, known, c.want)
		}
	}
}

// TestTheLongestDemandCounts: the head's, the body's, the kind's own and that of
// an exhausted limit; of a success none.
func TestTheLongestDemandCounts(t *testing.T) {
	spent := &llm.Quota{llm.QuotaRequests: {Limit: 10, Known: true, Learned: t0, Reset: t0.Add(20 * time.Second)}}
	body := func(after time.Duration) llm.ErrorBody { return llm.ErrorBody{After: after} }
	kind := &Kind{Name: "k", LeastWait: time.Second}
	cases := []struct {
		name   string
		answer Answer
		want   time.Duration
	}{
		{"nothing is demanded", Answer{Status: 500}, 0},
		{"the kind's own", Answer{Status: 429}, time.Second},
		{"and when it is overloaded", Answer{Status: 503}, time.Second},
		{"the head's", Answer{Status: 429, After: 3 * time.Second, Body: body(2 * time.Second)}, 3 * time.Second},
		{"the body's", Answer{Status: 429, After: 3 * time.Second, Body: body(34400 * time.Millisecond)}, 34400 * time.Millisecond},
		{"the limit's, where nothing is demanded", Answer{Status: 429, Quota: spent, At: t0}, 20 * time.Second},
		{"a demand knows better than the limit", Answer{Status: 429, After: 2 * time.Second, Quota: spent, At: t0}, 2 * time.Second},
		{"but not better than the kind", Answer{Status: 429, After: time.Millisecond, Quota: spent, At: t0}, time.Second},
		{"a limit is no matter of a server error", Answer{Status: 500, Quota: spent, At: t0}, 0},
		{"in a stream", Answer{Status: 0, Body: body(2 * time.Second)}, 2 * time.Second},
		{"of a success", Answer{Status: 200, After: time.Minute, Body: body(time.Minute)}, 0},
		{"a typo", Answer{Status: 429, Body: body(1000 * time.Hour)}, longestAfter},
	}
	for _, c := range cases {
		if f := kind.Classify(c.answer); f.After != c.want {
			t.Errorf("%s: %v, want %v", c.name, f.After, c.want)
		}
	}
}

// TestARequestAboveTheLimitIsNotRetried: waiting does not make it smaller.
func TestARequestAboveTheLimitIsNotRetried(t *testing.T) {
	q, _ := BodyQuota([]byte(geminiRefusal), t0)
	a := Answer{Status: 429, Quota: &q, At: t0, Input: 1_000_001}
	if f := compatible.Classify(a); f.Kind != llm.FaultTooLong || f.Retry != llm.RetryElsewhere || f.Scope != llm.ScopeRequest || f.After != 0 || !strings.HasSuffix(f.Message, "a wait does not help") {
		t.Errorf("above the limit: %+v", f)
	}
	a.Input = 1_000_000
	if f := compatible.Classify(a); f.Kind != llm.FaultRateLimit || f.Retry != llm.RetrySame || f.After != 34400*time.Millisecond {
		t.Errorf("at the limit: %+v", f)
	}
	a.Input = 0
	if f := compatible.Classify(a); f.Kind != llm.FaultRateLimit {
		t.Errorf("of unknown size: %+v", f)
	}
}

// quotaHeads are heads of the size that providers send.
var quotaHeads = map[string][]string{
	"none": {
		"date: Tue, 24 Nov 2026 12:00:00 GMT", "content-type: application/json", "x-request-id: req_1", "alt-svc: h3=\":443\"", "server: uvicorn",
		"x-content-type-options: nosniff", "strict-transport-security: max-age=1", "access-control-allow-origin: *", "vary: Origin", "x-frame-options: DENY",
	},
	"openai": {
		"date: Tue, 24 Nov 2026 12:00:00 GMT", "content-type: application/json", "x-request-id: req_1", "openai-processing-ms: 91", "server: cloudflare",
		"x-ratelimit-limit-requests: 10000", "x-ratelimit-limit-tokens: 200000", "x-ratelimit-remaining-requests: 9999",
		"x-ratelimit-remaining-tokens: 199984", "x-ratelimit-reset-requests: 8.64s", "x-ratelimit-reset-tokens: 4ms",
	},
	"azure": {
		"x-ratelimit-limit-requests: 120", "x-ratelimit-remaining-requests: 119", "x-ratelimit-renewalperiod-requests: 60", "x-ratelimit-reset-requests: 500",
		"x-ratelimit-limit-tokens: 120000", "x-ratelimit-remaining-tokens: 119986", "x-ratelimit-renewalperiod-tokens: 60", "x-ratelimit-reset-tokens: 7",
		"x-ratelimit-abusepenalty-active: False", "x-ms-is-spilled-over: false",
	},
	"anthropic": {
		"anthropic-ratelimit-requests-limit: 4000", "anthropic-ratelimit-requests-remaining: 3999", "anthropic-ratelimit-requests-reset: 2026-11-24T12:00:01Z",
		"anthropic-ratelimit-input-tokens-limit: 2000000", "anthropic-ratelimit-input-tokens-remaining: 1000000", "anthropic-ratelimit-input-tokens-reset: 2026-11-24T12:00:30Z",
		"anthropic-ratelimit-output-tokens-limit: 400000", "anthropic-ratelimit-output-tokens-remaining: 400000", "anthropic-ratelimit-output-tokens-reset: 2026-11-24T12:00:00Z",
	},
}

func TestReadingAHeadAllocatesNothing(t *testing.T) {
	for name, lines := range quotaHeads {
		h, told := head(t, lines...), &Told{}
		if n := testing.AllocsPerRun(100, func() { told.Read(h, t0) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkTold(b *testing.B) {
	for name, lines := range quotaHeads {
		h, told := head(b, lines...), &Told{}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				told.Read(h, t0)
			}
		})
	}
}

// FuzzQuota: whatever a server sends is read without harm, and what is
// understood is in range.
func FuzzQuota(f *testing.F) {
	f.Add("x-ratelimit-reset-requests", "17.399999999s", []byte(geminiRefusal))
	f.Add("anthropic-ratelimit-tokens-reset", "2026-11-24T12:00:01+99:99", []byte(`[{"error":{"details":[]}}]`))
	f.Add("x-ratelimit-remaining-tokens", "-1", []byte(`{"error":{"details":{}}}`))
	f.Add("x-ratelimit-reset", "99999999999999999999", []byte("["))
	f.Add("x-amzn-bedrock-input-token-count", "1e9", []byte("]"))
	f.Fuzz(func(t *testing.T, name, value string, body []byte) {
		var told Told
		told.field(name, value, t0)
		told.finish(t0)
		q, _ := BodyQuota(bytes.Clone(body), t0)
		for _, q := range []*llm.Quota{&told.Quota, &q} {
			for r := range q {
				a := &q[r]
				if a.Limit < 0 || a.Remaining < 0 || a.Reset.Sub(t0) > longestReset {
					t.Fatalf("%q: %q and %q give %+v", name, value, body, a)
				}
			}
		}
	})
}
