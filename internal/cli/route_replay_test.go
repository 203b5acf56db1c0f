package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

func TestRouteReplayShowsWhatWouldChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.yaml")
	text := `
targets:
  a: {kind: vllm, url: "http://a", price: {input: "1", output: "1"}}
  b: {kind: vllm, url: "http://b", price: {input: "2", output: "2"}}
models: {m: {route: [b/x]}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	record := func(n int, target string, first time.Duration) ledger.Exchange {
		return ledger.Exchange{
			ID: fmt.Sprintf("req_%d", n), Start: time.Unix(1_800_000_000+int64(n), 0), Op: llm.OpGenerate, Model: "m", Stream: true, PriceStatus: ledger.Priced, Cost: 1_100_000,
			Attempts: []ledger.Attempt{{Target: target, Kind: "vllm", Model: "x", FirstToken: first, Took: time.Second, Usage: llm.Usage{Input: 1000, Output: 100}}},
		}
	}
	whole := true
	api := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/admin/v1/export" || r.FormValue("from") == "" || r.FormValue("model") != "m" {
			t.Errorf("%s", r.URL)
		}
		enc := json.NewEncoder(w)
		for _, ex := range []ledger.Exchange{record(1, "a", 50*time.Millisecond), record(2, "b", 200*time.Millisecond)} {
			_ = enc.Encode(ex)
		}
		if whole {
			_, _ = w.Write([]byte(`{"end":true,"lines":2}` + "\n"))
		}
	}
	out, errs, code := ask(t, api, "route", "replay", "--with", path, "--model", "m")
	if code != ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, part := range []string{
		"2 requests decided again by " + path + ": 1 would go elsewhere, 0 nowhere\n",
		"cost         $0.002200 -> $0.004400\n", "first token  125 ms -> 200 ms\n",
		"m      b/x          1       2      ", "       a/x          1       0      ",
		"req_1        m      a/x      b/x", "No record tells:\n- what a cache would have held",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is not in\n%s", part, out)
		}
	}
	out, _, _ = ask(t, api, "route", "replay", "--with", path, "--model", "m", "-o", "json")
	var told struct {
		Moved  int64  `json:"moved"`
		Config string `json:"config"`
		Cost   struct {
			After int64 `json:"after_nano"`
		} `json:"cost"`
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || told.Moved != 1 || told.Config != path || told.Cost.After != 4_400_000 {
		t.Errorf("%v: %s", err, out)
	}
	whole = false
	if _, errs, code := ask(t, api, "route", "replay", "--with", path, "--model", "m"); code != ExitFailed || !strings.Contains(errs, "breaks off after 2 records") {
		t.Errorf("a stream without its end: exit %d, %s", code, errs)
	}
	for _, args := range [][]string{{"route", "replay"}, {"route", "replay", "--with", path, "--since", "-1h"}, {"route", "replay", "--with", "/nowhere.yaml"}} {
		if _, errs, code := ask(t, nil, args...); code == ExitOK {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
}
