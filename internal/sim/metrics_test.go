package sim

import (
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	prommodel "github.com/prometheus/common/model"
)

// serve calls the handler directly.
func serve(h http.Handler, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

// series is one series of /metrics; value is a histogram's count.
type series struct {
	name       string
	labels     map[string]string
	value, sum float64
}

// scrape reads /metrics with Prometheus' own parser.
func (r *rig) scrape() []series {
	r.t.Helper()
	parser := expfmt.NewTextParser(prommodel.UTF8Validation)
	families, err := parser.TextToMetricFamilies(serve(r.sim, "/metrics", "").Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var all []series
	for name, f := range families {
		for _, m := range f.GetMetric() {
			h := m.GetHistogram()
			s := series{name: name, labels: make(map[string]string), sum: h.GetSampleSum()}
			s.value = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(h.GetSampleCount())
			for _, l := range m.GetLabel() {
				s.labels[l.GetName()] = l.GetValue()
			}
			all = append(all, s)
		}
	}
	return all
}

// find is the one series with this name and, among others, these labels.
func (r *rig) find(name string, labels map[string]string) series {
	r.t.Helper()
	for _, s := range r.scrape() {
		both := maps.Clone(s.labels)
		maps.Copy(both, labels)
		if s.name == name && maps.Equal(both, s.labels) {
			return s
		}
	}
	r.t.Fatalf("no series of %s with %v", name, labels)
	return series{}
}

func (r *rig) metric(name string, labels map[string]string) float64 {
	r.t.Helper()
	return r.find(name, labels).value
}

func TestMetricsSayWhatHappened(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		body := `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"Count the tokens of this prompt"}]}`
		a := r.json("/v1/chat/completions", body)
		b := r.json("/v1/chat/completions", body)
		prompt := float64(a.Usage.Prompt)
		want := map[string]float64{
			"vllm:prompt_tokens_total":            2 * prompt,
			"vllm:generation_tokens_total":        10,
			"vllm:prefix_cache_queries_total":     2 * prompt,
			"vllm:prefix_cache_hits_total":        float64(b.Usage.Details.Cached),
			"vllm:time_to_first_token_seconds":    2,
			"vllm:inter_token_latency_seconds":    8,
			"vllm:e2e_request_latency_seconds":    2,
			"vllm:request_queue_time_seconds":     2,
			"vllm:num_preemptions_total":          0,
			"vllm:num_requests_running":           0,
			"vllm:num_requests_waiting":           0,
			"vllm:kv_cache_usage_perc":            0,
			"vllm:num_requests_waiting_by_reason": 0,
			"vllm:cache_config_info":              1,
		}
		for name, v := range want {
			if got := r.metric(name, map[string]string{"model_name": "m"}); got != v {
				t.Errorf("%s is %g, want %g", name, got, v)
			}
		}
		if b.Usage.Details.Cached == 0 {
			t.Error("the repeated prompt has no cached tokens")
		}
		if got := r.metric("vllm:request_success_total", map[string]string{"finished_reason": "length"}); got != 2 {
			t.Errorf("%g requests finished by length", got)
		}
		wantSum := (31+prompt)/1000 + (31+prompt-float64(b.Usage.Details.Cached))/1000
		if got := r.find("vllm:time_to_first_token_seconds", nil).sum; math.Abs(got-wantSum) > 1e-9 {
			t.Errorf("TTFT adds up to %g s, want %g s", got, wantSum)
		}
	})
}

func TestMetricsListEveryModelAndEscapeItsName(t *testing.T) {
	odd := steady()
	odd.ID = "a\"b\\c\nd"
	s, err := New(Options{Models: []Model{steady(), odd}})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, sim: s}
	count := make(map[string]int)
	for _, s := range r.scrape() {
		count[s.name]++
	}
	for name, n := range count {
		if n%2 != 0 {
			t.Errorf("%s has %d series for two models", name, n)
		}
	}
	if got := r.metric("vllm:cache_config_info", map[string]string{"model_name": odd.ID, "block_size": "4", "num_gpu_blocks": "1024"}); got != 1 {
		t.Errorf("cache_config_info is %g", got)
	}
}
