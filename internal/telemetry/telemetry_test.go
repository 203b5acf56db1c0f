package telemetry

import (
	"bytes"
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func scrape(m *Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestCountsAppearUnderTheirPublishedNames(t *testing.T) {
	m := New("test")
	model, up := m.Model("chat"), m.Upstream("openai")
	model.Settled("ok", 200)
	model.Settled("failed", 503)
	model.Settled("gone", 499)
	model.Spent(10, 4, 0, 5, 2, 1500)
	model.TTFT.Observe(Seconds(120 * time.Millisecond))
	model.ITL.Observe(.01)
	model.Duration.Observe(1)
	model.Overhead.Observe(.0001)
	up.Attempt("first", "", "")
	up.Attempt("retry", "rate_limit", "head")
	up.Fallback("anthropic", "rate_limit")
	text := scrape(m)
	for _, want := range []string{
		`tailplane_requests_total{code_class="2xx",model="chat",outcome="ok"} 1`,
		`tailplane_requests_total{code_class="5xx",model="chat",outcome="failed"} 1`,
		`tailplane_requests_total{code_class="4xx",model="chat",outcome="gone"} 1`,
		`tailplane_tokens_total{direction="cached",model="chat"} 4`,
		`tailplane_cost_microusd_total{model="chat"} 1.5`,
		`tailplane_ttft_seconds_bucket{model="chat",le="0.15"} 1`,
		`tailplane_upstream_attempts_total{error_class="",outcome="ok",phase="",reason="first",upstream="openai"} 1`,
		`tailplane_upstream_attempts_total{error_class="rate_limit",outcome="fault",phase="head",reason="retry",upstream="openai"} 1`,
		`tailplane_fallback_total{cause="rate_limit",from="openai",to="anthropic"} 1`,
		`tailplane_build_info{version="test"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %s", want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { model.Settled("ok", 200); model.ITL.Observe(.01); up.Attempt("first", "", "") }); n != 0 {
		t.Errorf("counting a success makes %v allocations", n)
	}
}

func TestWatchedFiguresComeAndGo(t *testing.T) {
	m, left := New("test"), map[string]float64{"a": 3}
	m.Watch("ratelimit_remaining", "What is left.", []string{"upstream", "kind"}, func(emit func(float64, ...string)) {
		for name, n := range left {
			emit(n, name, "requests")
		}
	})
	if text := scrape(m); !strings.Contains(text, `tailplane_ratelimit_remaining{kind="requests",upstream="a"} 3`) {
		t.Errorf("it is not shown: %s", text)
	}
	delete(left, "a")
	if text := scrape(m); strings.Contains(text, "tailplane_ratelimit_remaining") {
		t.Error("it is shown when nobody knows it any more")
	}
}

// lockedText is a destination that the test looks at while it is written.
type lockedText struct {
	mu  sync.Mutex
	got []byte
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, p...)
	return len(p), nil
}

func (l *lockedText) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.got)
}

func TestLogLinesAreBatchedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedText
		w := NewLogWriter(&out, func() { t.Error("a line was dropped") })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.Run(ctx); close(done) }()
		for _, line := range []string{"a\n", "b\n"} {
			_, _ = w.Write([]byte(line))
		}
		if out.text() != "" {
			t.Error("a line was written at once")
		}
		time.Sleep(logBatch + time.Millisecond)
		synctest.Wait()
		_, _ = w.Write([]byte("c\n"))
		stop()
		<-done
		if out.text() != "a\nb\nc\n" {
			t.Errorf("log %q", out.text())
		}
	})
}

func TestALogThatCannotKeepUpDropsAndCounts(t *testing.T) {
	dropped := 0
	w := NewLogWriter(&bytes.Buffer{}, func() { dropped++ })
	line := bytes.Repeat([]byte("x"), 1<<20)
	for range 6 {
		_, _ = w.Write(line)
	}
	if dropped != 2 {
		t.Errorf("%d lines dropped, want 2", dropped)
	}
}
