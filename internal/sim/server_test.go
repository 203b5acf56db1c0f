package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipeListener is a listener whose connections are net.Pipes, so that a whole
// HTTP exchange can run inside a synctest bubble.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "sim", Net: "pipe"} }

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// rig is a running simulator with a client.
type rig struct {
	t      testing.TB
	sim    *Server
	client *http.Client
	stop   func() // ends Run and waits; may be called twice
}

// bubble runs f with a simulator inside a synctest bubble.
func bubble(t *testing.T, o Options, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		// net/http lingers half a second on a connection it closes itself.
		t.Cleanup(func() { time.Sleep(time.Second) })
		f(newRig(t, o))
	})
}

func newRig(t testing.TB, o Options) *rig {
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	web := &http.Server{Handler: s}
	var wg sync.WaitGroup
	wg.Go(func() { _ = web.Serve(l) })
	var run sync.WaitGroup
	run.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	tr := &http.Transport{DialContext: l.dial}
	r := &rig{t: t, sim: s, client: &http.Client{Transport: tr}}
	r.stop = func() { cancel(); run.Wait() }
	t.Cleanup(func() {
		r.stop()
		tr.CloseIdleConnections()
		_ = web.Close()
		wg.Wait()
	})
	return r
}

func (r *rig) request(ctx context.Context, path, body string, header ...string) *http.Request {
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://sim"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// call sends a request and reads the whole answer.
func (r *rig) call(path, body string, header ...string) (*http.Response, string) {
	r.t.Helper()
	resp, err := r.client.Do(r.request(context.Background(), path, body, header...))
	if err != nil {
		r.t.Fatalf("%s: %v", path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatalf("%s: reading the answer: %v", path, err)
	}
	return resp, string(b)
}

// answer is what the tests read of a completion or of one event.
type answer struct {
	ID      string
	Object  string
	Model   string
	Choices []struct {
		Text    string
		Message struct {
			Role      string
			Content   *string
			ToolCalls []toolCall `json:"tool_calls"`
		}
		Delta struct {
			Role      string
			Content   string
			ToolCalls []toolCall `json:"tool_calls"`
		}
		Logprobs *struct {
			Content []struct {
				Token   string
				Logprob float64
				Bytes   []byte
				Top     []struct{ Logprob float64 } `json:"top_logprobs"`
			}
			Tokens     []string
			TextOffset []int `json:"text_offset"`
		}
		FinishReason *string `json:"finish_reason"`
		StopReason   *string `json:"stop_reason"`
	}
	Usage *usage
	Error *struct {
		Message string
		Type    string
		Param   any
		Code    any
	}
}

type toolCall struct {
	Index    int
	ID       string
	Function struct{ Name, Arguments string }
}

func (r *rig) json(path, body string, header ...string) answer {
	r.t.Helper()
	resp, text := r.call(path, body, header...)
	var a answer
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		r.t.Fatalf("%s answers %d %s: %v", path, resp.StatusCode, text, err)
	}
	return a
}

// event is one SSE event with the bubble's time at which it came.
type event struct {
	answer
	data string
	at   time.Duration
}

// stream reads events until the end; err is how it ended, nil when clean.
func (r *rig) stream(path, body string, header ...string) (events []event, err error) {
	r.t.Helper()
	start := time.Now()
	resp, err := r.client.Do(r.request(context.Background(), path, body, header...))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		r.t.Fatalf("answer is %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		e := event{data: data, at: time.Since(start)}
		_ = json.Unmarshal([]byte(data), &e.answer)
		events = append(events, e)
	}
	return events, lines.Err()
}

func content(events []event) string {
	var all strings.Builder
	for _, e := range events {
		for _, c := range e.Choices {
			all.WriteString(c.Delta.Content + c.Text)
		}
	}
	return all.String()
}

// steady is a profile whose times add up by hand: TTFT of a prompt of n tokens
// is 20+10+n+1 ms, ITL is 11 ms.
func steady() Model {
	p := exact()
	p.Entry = 20 * time.Millisecond
	p.KVTokens, p.StepTokens, p.MaxContext, p.BlockSize = 4096, 1024, 1024, 4
	return Model{ID: "m", Profile: p}
}

func one(m Model) Options { return Options{Models: []Model{m}, AllowFaultHeader: true} }

func TestStreamTimesAreThoseOfTheEngine(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		body := `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Tell me something about tails"}]}`
		events, err := r.stream("/v1/chat/completions", body)
		if err != nil {
			t.Fatal(err)
		}
		n := len(events)
		u := events[n-2].Usage
		if u == nil || len(events[n-2].Choices) != 0 || events[n-1].data != "[DONE]" {
			t.Fatalf("the stream does not end with usage and [DONE]: %s, %s", events[n-2].data, events[n-1].data)
		}
		if u.Completion != n-4 || u.Total != u.Prompt+u.Completion {
			t.Errorf("usage is %+v for %d content events", *u, n-4)
		}
		ttft := time.Duration(31+u.Prompt) * time.Millisecond
		if events[0].Choices[0].Delta.Role != "assistant" {
			t.Errorf("the first event has no role: %s", events[0].data)
		}
		for i, e := range events[1 : n-3] {
			if want := ttft + time.Duration(i)*11*time.Millisecond; e.at != want {
				t.Errorf("token %d came at %v, want %v", i, e.at, want)
			}
		}
		if reason := events[n-3].Choices[0].FinishReason; reason == nil || *reason != "stop" {
			t.Errorf("finish_reason event is %s", events[n-3].data)
		}
		if text := content(events); !strings.Contains(text, marker) || len(tokenize(text)) != u.Completion {
			t.Errorf("%d tokens: %q", u.Completion, text)
		}
	})
}

func TestSpeedupDividesDelays(t *testing.T) {
	o := one(steady())
	o.Speedup = 10
	bubble(t, o, func(r *rig) {
		start := time.Now()
		a := r.json("/v1/chat/completions", `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`)
		want := time.Duration(31+a.Usage.Prompt) * time.Millisecond / 10
		if got := time.Since(start); got < want || got > want+time.Microsecond {
			t.Errorf("took %v, want %v", got, want)
		}
	})
}

func TestFastAnswersInAboutEightyMilliseconds(t *testing.T) {
	bubble(t, Options{}, func(r *rig) {
		events, err := r.stream("/v1/chat/completions", `{"model":"fast","stream":true,"messages":[{"role":"user","content":"say hi"}]}`)
		if err != nil {
			t.Fatal(err)
		}
		if at := events[0].at; at < 72*time.Millisecond || at > 88*time.Millisecond {
			t.Errorf("first token at %v", at)
		}
		if text := content(events); text != "Hi! (simulated)" {
			t.Errorf("the greeting is answered with %q", text)
		}
	})
}

func TestSecondTurnFindsFirstInCache(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		first := r.json("/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"Explain the tailplane of an aircraft, please."}]}`)
		if first.Usage.Details.Cached != 0 {
			t.Errorf("the first turn has %d cached tokens", first.Usage.Details.Cached)
		}
		body, _ := json.Marshal(map[string]any{"model": "m", "messages": []map[string]any{
			{"role": "user", "content": "Explain the tailplane of an aircraft, please."},
			{"role": "assistant", "content": *first.Choices[0].Message.Content},
			{"role": "user", "content": "Thanks. And the fin?"},
		}})
		second := r.json("/v1/chat/completions", string(body))
		// Everything but the last token of the reply was computed, in blocks of 4.
		want := (first.Usage.Total - 1) / 4 * 4
		if got := int(second.Usage.Details.Cached); got != want {
			t.Errorf("the second turn has %d cached tokens, want %d of %d", got, want, first.Usage.Total)
		}
	})
}

func TestRequestOfADepartedClientLeavesTheBatch(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		ctx, cancel := context.WithCancel(context.Background())
		req := r.request(ctx, "/v1/chat/completions", `{"model":"m","stream":true,"max_tokens":500,"ignore_eos":true,"messages":[{"role":"user","content":"long"}]}`)
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if got := r.metric("vllm:num_requests_running", nil); got != 1 {
			t.Errorf("%g requests run before the client leaves", got)
		}
		cancel()
		_ = resp.Body.Close()
		synctest.Wait()
		want := map[string]float64{"abort": 1, "stop": 0, "length": 0}
		for reason, n := range want {
			if got := r.metric("vllm:request_success_total", map[string]string{"finished_reason": reason}); got != n {
				t.Errorf("%g requests finished with %s, want %g", got, reason, n)
			}
		}
		for _, gauge := range []string{"vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"} {
			if got := r.metric(gauge, nil); got != 0 {
				t.Errorf("%s is %g after the client left", gauge, got)
			}
		}
	})
}

func TestFullQueueIsAnsweredWith503(t *testing.T) {
	m := steady()
	m.Profile.MaxSeqs, m.Profile.MaxWaiting, m.Profile.Entry = 1, 1, 0
	bubble(t, one(m), func(r *rig) {
		var wg sync.WaitGroup
		codes := make(chan int, 5)
		for range 5 {
			wg.Go(func() {
				resp, _ := r.call("/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"x"}]}`)
				codes <- resp.StatusCode
			})
		}
		wg.Wait()
		close(codes)
		count := make(map[int]int)
		for c := range codes {
			count[c]++
		}
		if count[200] != 2 || count[503] != 3 {
			t.Errorf("answers are %v, want two 200 and three 503", count)
		}
		if got := r.metric("vllm:admission_rejections_total", nil); got != 3 {
			t.Errorf("%g rejections counted", got)
		}
	})
}

func TestStoppingCutsStreamsAndRefusesNewRequests(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		time.AfterFunc(100*time.Millisecond, r.stop)
		_, err := r.stream("/v1/chat/completions", `{"model":"m","stream":true,"ignore_eos":true,"max_tokens":500,"messages":[{"role":"user","content":"x"}]}`)
		if err == nil {
			t.Error("the stream ends as if it were complete")
		}
		for path, body := range map[string]string{"/health": "", "/v1/completions": `{"model":"m","prompt":"x"}`} {
			if resp, _ := r.call(path, body); resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%s answers %d after the end", path, resp.StatusCode)
			}
		}
		if r.sim.Run(context.Background()) == nil {
			t.Error("Run runs twice")
		}
	})
}

func TestRequestsWaitForRunWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{StartWait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		resp := serve(s, "/v1/completions", `{"model":"fast","prompt":"x"}`)
		if resp.Code != http.StatusServiceUnavailable || time.Since(start) != time.Second {
			t.Errorf("without Run: %d after %v", resp.Code, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		time.AfterFunc(500*time.Millisecond, func() { wg.Go(func() { _ = s.Run(ctx) }) })
		if resp := serve(s, "/v1/completions", `{"model":"fast","prompt":"x"}`); resp.Code != http.StatusOK {
			t.Errorf("with Run in time: %d", resp.Code)
		}
		cancel()
		wg.Wait()
	})
}
