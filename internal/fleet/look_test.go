package fleet

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tailplane/internal/engine"
)

func TestWhatIsLookedAtFollowsFromTheKind(t *testing.T) {
	cases := []struct {
		name    string
		look    Look
		kind    string
		metrics string // "none" where the engine is not known at all
		health  string
	}{
		{"an engine", Look{}, "vllm", "/metrics", "/health"},
		{"metrics at another path", Look{}, "tensorrt-llm", "/prometheus/metrics", "/health"},
		{"an engine without metrics", Look{}, "ollama", "", "/api/version"},
		{"a provider", Look{}, "openai", "none", ""},
		{"what runs there is said", Look{Engine: "sglang"}, "openai-compatible", "/metrics", "/health"},
		{"off", Look{Metrics: Off, Health: Off}, "vllm", "", ""},
		{"a path", Look{Metrics: "/m", Health: "/h"}, "vllm", "/m", "/h"},
		{"another port", Look{Metrics: "http://h:8002/metrics"}, "triton", "http://h:8002/metrics", "/v2/health/ready"},
		{"an unknown server with names", Look{Signals: map[string]string{"running": "busy"}}, "openai-compatible", "/metrics", ""},
		{"an unknown server with a health path", Look{Health: "/up"}, "openai-compatible", "", "/up"},
	}
	for _, c := range cases {
		e := c.look.EngineOf(c.kind)
		metrics, health := "none", ""
		if e != nil {
			metrics = e.Metrics
			if len(e.Health) > 0 {
				health = e.Health[0].Path
			}
		}
		if metrics != c.metrics || health != c.health {
			t.Errorf("%s: metrics %q, health %q; want %q, %q", c.name, metrics, health, c.metrics, c.health)
		}
		c.look.Validate("watch", c.kind, func(path, wrong, _ string) { t.Errorf("%s: %s: %s", c.name, path, wrong) })
	}
	e := Look{Signals: map[string]string{"kv_usage": "mine"}}.EngineOf("vllm")
	if e.Signals[engine.SignalKVUsage][0].Name != "mine" || e.Signals[engine.SignalRunning][0].Name != "vllm:num_requests_running" {
		t.Errorf("%+v", e.Signals)
	}
	if full := (Look{}).Complete(); full.Interval != 500*time.Millisecond || full.Probe.Interval != 30*time.Second {
		t.Errorf("%+v", full)
	}
}

func TestEveryProblemOfALookIsTold(t *testing.T) {
	cases := []struct {
		look Look
		kind string
		want string // path, and a part of the words
	}{
		{Look{Engine: "vlm"}, "openai-compatible", `w.engine: there is no engine "vlm"; did you mean "vllm"`},
		{Look{Metrics: "/metrics"}, "openai-compatible", "w.metrics: it is not known what the metrics"},
		{Look{Metrics: "metrics"}, "vllm", "w.metrics: \"metrics\" is no place"},
		{Look{Metrics: "http://user:secret@h/m"}, "vllm", "w.metrics:"},
		{Look{Health: "health"}, "vllm", "w.health: "},
		{Look{Interval: time.Millisecond}, "vllm", "w.interval: 1ms is out of range"},
		{Look{Probe: Probe{Interval: time.Minute}}, "vllm", "w.probe: a probe needs a model"},
		{Look{Probe: Probe{Model: "m", Interval: time.Millisecond}}, "vllm", "w.probe.interval: "},
		{Look{Signals: map[string]string{"runing": "x"}}, "vllm", `w.signals.runing: there is no signal "runing"; did you mean "running"`},
		{Look{Signals: map[string]string{"running": "a b"}}, "vllm", "w.signals.running: "},
	}
	for _, c := range cases {
		var told []string
		c.look.Validate("w", c.kind, func(path, wrong, right string) { told = append(told, path+": "+wrong+"; "+right) })
		path, words, _ := strings.Cut(c.want, "; ")
		if len(told) != 1 || !strings.HasPrefix(told[0], path) || !strings.Contains(told[0], words) {
			t.Errorf("%+v: told %q, want %q", c.look, told, c.want)
		}
	}
	if slices.Contains(engine.Kinds(), "openai") {
		t.Error("a provider is taken for an engine")
	}
}
