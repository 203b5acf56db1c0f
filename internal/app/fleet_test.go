package app

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tailplane/internal/fleet"
)

// TestLimitsAndCapacityAreShown: in the metrics and in the state of a candidate.
func TestLimitsAndCapacityAreShown(t *testing.T) {
	port := listening(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Ratelimit-Limit-Requests", "200")
		w.Header().Set("X-Ratelimit-Remaining-Requests", "50")
		_, _ = fmt.Fprint(w, `{"choices":[],"usage":{"prompt_tokens":900,"completion_tokens":0,"total_tokens":900}}`)
	})
	path := filepath.Join(t.TempDir(), "tailplane.yaml")
	t.Setenv("FIRST_KEY", "first-key-0123456789")
	write(t, path, fmt.Sprintf("targets: {up: {kind: vllm, url: \"http://127.0.0.1:%d\", capacity: {input_tpm: 100, burst: 1h}}}\n"+
		"models: {chat: {route: [up/m]}}\nkeys: {static: [{name: one, key: env:FIRST_KEY}]}\n", port))
	r := serving(t, Options{Config: path, NoWatch: true})
	r.key = "first-key-0123456789"
	if _, body := r.manage(t, http.MethodGet, "/metrics"); strings.Contains(body, "tailplane_ratelimit_") ||
		!strings.Contains(body, `tailplane_upstream_utilisation_ratio{upstream="up"} 0`) {
		t.Error("before the first answer something is known of limits, or nothing of the capacity")
	}
	if status, body := r.ask(t, "chat"); status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	_, metrics := r.manage(t, http.MethodGet, "/metrics")
	for _, want := range []string{
		`tailplane_ratelimit_remaining{kind="requests",upstream="up"} 50`, `tailplane_ratelimit_limit{kind="requests",upstream="up"} 200`,
		`tailplane_upstream_utilisation_ratio{upstream="up"} 0.1`, `tailplane_spill_total{upstream="up"} 0`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics do not show %s", want)
		}
	}
	if _, body := r.manage(t, http.MethodGet, "/admin/v1/models"); !strings.Contains(body, `"state":"ready, 15% of its capacity in use, 25% of its limits left"`) ||
		!strings.Contains(body, `"headroom":0.25`) {
		t.Errorf("the models are shown as %s", body)
	}
	r.stop(t)
}

func TestStateInWords(t *testing.T) {
	cases := []struct {
		view  fleet.View
		share float64
		want  string
	}{
		{fleet.View{}, 1, "ready"},
		{fleet.View{Wait: 2 * time.Second}, 1, "cooling down for 2s"},
		{fleet.View{Broken: true}, 1, "broken: it failed too often in a row"},
		{fleet.View{Utilisation: 1.2, Spills: 12 * time.Second}, 1, "spills for 12s, 120% of its capacity in use"},
		{fleet.View{Utilisation: 1.001, Spills: time.Millisecond}, 0, "spills for 1s, 100% of its capacity in use, 0% of its limits left"},
	}
	for _, c := range cases {
		if got := stateOf(c.view, c.share); got != c.want {
			t.Errorf("%+v: %q, want %q", c.view, got, c.want)
		}
	}
}
