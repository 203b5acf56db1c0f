package app

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestARestartIsKnownWithoutCacheEvents: a prompt that a replica had is expected there
// until its engine starts anew, and from then on no more.
func TestARestartIsKnownWithoutCacheEvents(t *testing.T) {
	var start atomic.Int64
	start.Store(1000)
	port := listening(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics":
			_, _ = fmt.Fprintf(w, "process_start_time_seconds %d\nvllm:num_requests_running 0\n", start.Load())
		case "/health":
		default:
			_, _ = io.Copy(io.Discard, r.Body)
			complete(w, r)
		}
	})
	path := filepath.Join(t.TempDir(), "tailplane.yaml")
	write(t, path, fmt.Sprintf("targets: {up: {kind: vllm, url: \"http://127.0.0.1:%d\", watch: {interval: 100ms}}}\nmodels: {chat: {pool: [up], served_as: m}}\n", port))
	r := serving(t, Options{Config: path, NoWatch: true})
	body := `{"model":"chat","messages":[{"role":"user","content":"` + strings.Repeat("a long prompt ", 500) + `"}]}`
	expected := func(hit bool) {
		t.Helper()
		eventually(t, func() (string, bool) {
			status, told := call(t, "http://"+r.admin.Addr().String()+"/admin/v1/route/explain", http.MethodPost, r.token.Reveal(), `{"body":`+body+`}`)
			return told, status == http.StatusOK && strings.Contains(told, `"hit":`) == hit
		})
	}
	expected(false)
	if status, told := r.do(t, http.MethodPost, "/v1/chat/completions", body); status != http.StatusOK {
		t.Fatalf("%d %s", status, told)
	}
	expected(true)
	if _, metrics := r.manage(t, http.MethodGet, "/metrics"); strings.Contains(metrics, "tailplane_engine_restarts_total{") {
		t.Error("a restart is counted where there was none")
	}
	eventually(t, func() (string, bool) { // its first page has been read
		_, metrics := r.manage(t, http.MethodGet, "/metrics")
		return "it is not looked at", strings.Contains(metrics, `tailplane_engine_running{upstream="up"} 0`)
	})
	start.Store(2000)
	expected(false)
	if _, metrics := r.manage(t, http.MethodGet, "/metrics"); !strings.Contains(metrics, `tailplane_engine_restarts_total{upstream="up"} 1`) {
		t.Error("the restart is not counted")
	}
	r.stop(t)
}
