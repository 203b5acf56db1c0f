package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tailplane/internal/admin"
	"tailplane/internal/config"
	"tailplane/internal/gateway"
	"tailplane/internal/route"
)

// TestRouteExplainByAFile needs no running program, and says what a file cannot tell.
func TestRouteExplainByAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.yaml")
	text := "targets:\n  a: {kind: vllm, url: \"http://a\"}\n  pods: {kind: vllm, discover: {dns: {name: x.svc, port: 8000}}}\nmodels: {m: {pool: [a, pods], served_as: x}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	deps := Deps{Explain: func(_ context.Context, f *config.File, order admin.Explain) (gateway.Explained, bool, error) {
		if f.Name != path || order.Model != "m" || order.Path != "/v1/chat/completions" || len(order.Body) == 0 {
			t.Errorf("%s, %+v", f.Name, order)
		}
		return gateway.Explained{Model: "m", Why: "because", Candidates: []gateway.ExplainedPart{
			{Target: "pods", Model: "x", Place: 2, Terms: &route.Terms{Cost: 2}}, {Target: "a", Model: "x", Place: 1, Terms: &route.Terms{Cost: 1}},
		}}, order.Key != "nobody", nil
	}}
	explain := func(args ...string) (string, string, int) {
		root := NewRoot(deps)
		var stdout, stderr bytes.Buffer
		root.SetArgs(append([]string{"route", "explain", "--model", "m", "-c", path}, args...))
		root.SetOut(&stdout)
		root.SetErr(&stderr)
		code := Report(&stderr, root.ExecuteContext(t.Context()))
		return stdout.String(), stderr.String(), code
	}
	out, errs, code := explain()
	a, pods := strings.Index(out, "1      a/x "), strings.Index(out, "2      pods/x ")
	if code != ExitOK || a < 0 || pods < a || !strings.Contains(out, "\n"+path+" alone does not tell:\n- load") ||
		!strings.Contains(out, "- which replicas pods has") || !strings.Contains(out, "- whose request it is") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if out, _, code := explain("--key", "app", "-o", "json"); code != ExitOK || !strings.Contains(out, `"why": "because"`) ||
		!strings.Contains(out, `"unknown": [`) || strings.Contains(out, "whose request") {
		t.Errorf("exit %d: %s", code, out)
	}
	if _, errs, code := explain("--key", "nobody"); code != ExitNotFound || !strings.Contains(errs, `has no key "nobody"`) {
		t.Errorf("exit %d: %s", code, errs)
	}
	if err := os.WriteFile(path, []byte("models: {m: {pool: [nowhere]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := explain(); code != ExitProblem || !strings.Contains(errs, "nowhere") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
