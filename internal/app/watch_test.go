package app

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTargetsAreWatched: what an engine says is in the metrics, how a target
// stands as well; the file drains one, and a reload takes that back.
func TestTargetsAreWatched(t *testing.T) {
	port := listening(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics":
			_, _ = io.WriteString(w, "vllm:num_requests_running 3\nvllm:num_requests_waiting 9e99\nvllm:kv_cache_usage_perc 0.25\n")
		case "/health":
		default:
			complete(w, r)
		}
	})
	path := filepath.Join(t.TempDir(), "tailplane.yaml")
	file := func(more string) string {
		return fmt.Sprintf("targets: {up: {kind: vllm, url: \"http://127.0.0.1:%d\"%s}}\nmodels: {chat: {route: [up/m]}}\n", port, more)
	}
	write(t, path, file(", watch: {interval: 100ms}"))
	r := serving(t, Options{Config: path, NoWatch: true})
	eventually(t, func() (string, bool) {
		_, metrics := r.manage(t, http.MethodGet, "/metrics")
		for _, want := range []string{
			`tailplane_engine_running{upstream="up"} 3`, `tailplane_engine_kv_usage_ratio{upstream="up"} 0.25`,
			`tailplane_engine_signal_missing{signal="kv_tokens",upstream="up"} 1`, `tailplane_engine_signal_refused_total{signal="waiting",upstream="up"}`,
			`tailplane_target_state{state="healthy",upstream="up"} 1`, `tailplane_target_state{state="ejected",upstream="up"} 0`,
		} {
			if !strings.Contains(metrics, want) {
				return want + " is not among the metrics", false
			}
		}
		return "", !strings.Contains(metrics, "tailplane_engine_waiting{")
	})
	if _, body := r.manage(t, http.MethodGet, "/admin/v1/targets"); !strings.Contains(body, `"state":"healthy"`) || !strings.Contains(body, `"running":3`) {
		t.Errorf("targets: %s", body)
	}
	write(t, path, file(", drain: true"))
	if status, body := r.manage(t, http.MethodPost, "/admin/v1/reload"); status != http.StatusOK {
		t.Fatalf("reload: %d %s", status, body)
	}
	if status, body := r.ask(t, "chat"); status != http.StatusServiceUnavailable || !strings.Contains(body, "it is drained") {
		t.Errorf("drained: %d %s", status, body)
	}
	write(t, path, file(""))
	if status, body := r.manage(t, http.MethodPost, "/admin/v1/reload"); status != http.StatusOK {
		t.Fatalf("reload: %d %s", status, body)
	}
	if status, body := r.ask(t, "chat"); status != http.StatusOK {
		t.Errorf("no longer drained: %d %s", status, body)
	}
	r.stop(t)
}

// eventually waits until something is so; why is told when it never is.
func eventually(t *testing.T, is func() (why string, ok bool)) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		why, ok := is()
		if ok {
			return
		}
		select {
		case <-deadline:
			t.Fatal(why)
		case <-tick.C:
		}
	}
}
