package app

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tailplane/internal/complexity"
)

// trainedAt writes a model that was trained on a few words.
func trainedAt(t *testing.T, path string) {
	t.Helper()
	var e complexity.Extractor
	samples := make([]complexity.Sample, 240)
	for i := range samples {
		samples[i] = complexity.Sample{Vector: e.Extract(0, fmt.Sprintf("hello number %d", i%9)).Clone(), Weak: float32(i % 2), Strong: 1}
	}
	m, err := complexity.Train(t.Context(), complexity.Training{Weak: "fast", Strong: "slow", Samples: samples, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(m.Encode()))
}

// TestAGuardOutlivesAReload while its model is the same; a model that is broken
// refuses the reload, and says where it is named. Feedback reaches the log.
func TestAGuardOutlivesAReload(t *testing.T) {
	dir := t.TempDir()
	path, model := filepath.Join(dir, "tailplane.yaml"), filepath.Join(dir, "model.tpc")
	trainedAt(t, model)
	t.Setenv("FIRST_KEY", "first-key-0123456789")
	text := "targets: {s: {kind: sim}}\nkeys: {static: [{name: one, key: env:FIRST_KEY}]}\nmodels:\n  m: {complexity: {weak: s/fast, strong: s/slow, floor: 0.99,\n    file: " + model + "}}\n"
	write(t, path, text)
	r := serving(t, Options{Config: path, NoWatch: true, State: filepath.Join(dir, "state")})
	r.key = "first-key-0123456789"
	for range 64 {
		r.gateway.Plane().Routers()["m"].Route(complexity.Ask{Text: "hello number 1"})
	}
	write(t, path, text+"# changed\n")
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := r.gateway.Plane().Routers()["m"].Sight().Verdict; got == complexity.Cold {
		t.Error("the guard has forgotten the traffic")
	}

	status, body := r.ask(t, "m")
	list, _ := r.manage(t, http.MethodGet, "/admin/v1/exchanges")
	if status != http.StatusOK || list != http.StatusOK {
		t.Fatalf("status %d, %d: %s", status, list, body)
	}
	_, recent := r.manage(t, http.MethodGet, "/admin/v1/exchanges")
	_, after, _ := strings.Cut(recent, `"req_`)
	id, _, _ := strings.Cut("req_"+after, `"`)
	if status, body := r.do(t, http.MethodPost, "/v1/feedback", `{"request_id":"`+id+`","good":true}`); status != http.StatusOK {
		t.Errorf("feedback: %d %s", status, body)
	}
	_, figures := r.get(t, "/metrics")
	for _, want := range []string{`tailplane_complexity_guard{model="m",verdict=`, `tailplane_outcome_log{what="added"} 1`, `tailplane_outcomes_total{source="feedback"} 1`, `tailplane_complexity_decisions_total{choice="strong",model="m",reason=`} {
		if !strings.Contains(figures, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}

	write(t, model, "damaged")
	if err := r.Reload(); err == nil || !strings.Contains(err.Error(), "tailplane.yaml:5:") {
		t.Errorf("a damaged model: %v", err)
	}
	r.stop(t)
	if !strings.Contains(r.err.String(), "do not support a floor of 0.99") {
		t.Errorf("the start does not warn:\n%s", r.err)
	}
	if kept, err := os.ReadFile(filepath.Join(dir, "state", "outcomes", "outcomes-00000001.jsonl")); err != nil || !strings.Contains(string(kept), id) || strings.Contains(string(kept), "hello") {
		t.Errorf("outcomes: %s, %v", kept, err)
	}
}
