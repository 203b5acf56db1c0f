package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tailplane/internal/admin"
	"tailplane/internal/meter"
)

func TestRerateSendsThePricesOfAFile(t *testing.T) {
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := []struct {
		prices, errs string
		code         int
	}{
		{write("p.yaml", "gpu-1/big-2.5: {input: 2.50, output: \"10\", cache_read: 0.25}\n"), "", ExitOK},
		{write("p.json", `{"gpu-1/big-2.5": {"input": "2.50", "output": "10", "cache_read": "0.25"}}`), "", ExitOK},
		{write("p.yaml", "gpu-1/big: {inptu: 2.50, output: 10}\n"), `there is no key "inptu"`, ExitUsage},
		{write("p.yaml", "gpu-1/big: {input: 2.50}\n"), "both input and output", ExitUsage},
		{write("p.yaml", ""), "has no prices", ExitUsage},
		{"/nowhere/p.yaml", "cannot be read", ExitUsage},
	}
	for _, c := range cases {
		var got admin.RerateOrder
		out, errs, code := ask(t, func(w http.ResponseWriter, r *http.Request) {
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.URL.Path != "/admin/v1/rerate" {
				t.Errorf("%s: %v", r.URL.Path, err)
			}
			_, _ = w.Write([]byte(`{"run":"r1","prices":"v","looked":9,"changed":2,"old_cost_nano":1000,"new_cost_nano":3000,"unpriced":1,"left":[{"target":"gpu-2","model":"m","attempts":1}]}`))
		}, "rerate", "--from", "2026-11-01", "--note", "why", "--dry-run", "--prices", c.prices)
		if code != c.code || !strings.Contains(errs, c.errs) {
			t.Errorf("%s: exit %d, %s", c.prices, code, errs)
		}
		if code != ExitOK {
			continue
		}
		want := meter.Override{Input: "2.50", Output: "10", CacheRead: "0.25"}
		if got.Prices["gpu-1/big-2.5"] != want || got.From != "2026-11-01" || got.Note != "why" || !got.DryRun {
			t.Errorf("%+v", got)
		}
		for _, part := range []string{"2 of 9 requests", "before   $0.000001\n", "after    $0.000003 (+$0.000002)", "1 requests stay without a known price", "gpu-2   m      1"} {
			if !strings.Contains(out, part) {
				t.Errorf("%q is not in\n%s", part, out)
			}
		}
	}
	if _, errs, code := ask(t, nil, "rerate"); code != ExitUsage || !strings.Contains(errs, "--from is missing") {
		t.Errorf("without --from: exit %d, %s", code, errs)
	}
}
