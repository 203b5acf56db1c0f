package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestIndexComplete: every Engine that a file of this package declares is in the
// table of contents.
func TestIndexComplete(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			if lit, ok := spec.Values[0].(*ast.CompositeLit); ok {
				if name, ok := lit.Type.(*ast.Ident); ok && name.Name == "Engine" {
					declared++
				}
			}
			return true
		})
	}
	kinds := map[string]bool{}
	for _, k := range Kinds() {
		kinds[k] = true
	}
	if len(kinds) != declared || declared == 0 {
		t.Errorf("%d engines are declared, %d are in the index", declared, len(kinds))
	}
}

// TestEveryEngineIsWhole: one that publishes signals has a recorded page that
// shows each of them, or an older page does; one has a health check at least.
func TestEveryEngineIsWhole(t *testing.T) {
	for _, e := range Engines() {
		if len(e.Health) == 0 {
			t.Errorf("%s has no health check", e.Kind)
		}
		for _, c := range e.Health {
			if !strings.HasPrefix(c.Path, "/") {
				t.Errorf("%s: health path %q", e.Kind, c.Path)
			}
		}
		if e.Kind == "sim" || len(e.Signals) == 0 {
			continue
		}
		text, err := os.ReadFile(filepath.Join("testdata", e.Kind+".prom"))
		if err != nil {
			t.Errorf("%s has signals and no recorded page: %v", e.Kind, err)
			continue
		}
		s := readText(t, e, string(text), "")
		missing := e.Publishes() &^ s.Known
		if e.Kind == "lmdeploy" {
			missing &^= SignalPrefixCache // off where the page was made
		}
		if missing != 0 || len(e.Moves) == 0 {
			t.Errorf("%s: %v are not on its page; moves by %v", e.Kind, missing.Names(), e.Moves)
		}
		if !s.Known.Has(SignalRunning | SignalWaiting) {
			t.Errorf("%s does not publish its load", e.Kind)
		}
	}
}

func TestSignalsHaveNames(t *testing.T) {
	for _, name := range SignalNames() {
		if got := SignalOf(name).Names(); len(got) != 1 || got[0] != name {
			t.Errorf("%q is %v", name, got)
		}
	}
	if len(SignalNames()) != len(signalNames) || SignalOf("x") != 0 {
		t.Error("there are more signals than names, or fewer")
	}
}

func TestHealthIsWhatTheAnswerProves(t *testing.T) {
	cases := []struct {
		kind   string
		status int
		body   string
		want   Health
	}{
		{"vllm", 200, "", Ready},
		{"vllm", 503, "", NotReady},
		{"vllm", 500, "", Sick},
		{"vllm", 404, `{"detail":"Not Found"}`, NoCheck},
		{"vllm", 401, "", NoCheck},
		{"vllm", 429, "", Ready},
		{"sglang", 503, "", NotReady},
		{"llamacpp", 503, `{"error":{"code":503,"message":"Loading model"}}`, NotReady},
		{"dynamo", 200, `{"status":"healthy","instances":[{}]}`, Ready},
		{"dynamo", 200, `{"status":"unhealthy","instances":[]}`, NotReady},
		{"triton", 400, "", Sick},
	}
	for _, c := range cases {
		if got := Find(c.kind).Health[0].Judge(c.status, []byte(c.body)); got != c.want {
			t.Errorf("%s, %d %s: %v, want %v", c.kind, c.status, c.body, got, c.want)
		}
	}
}

func TestIdentities(t *testing.T) {
	cases := []struct {
		name, body string
		want       []Identity
		ok         bool
	}{
		{
			"vLLM with an adapter", `{"object":"list","data":[
			{"id":"llama","created":1,"root":"/models/llama","parent":null,"max_model_len":8192},
			{"id":"adapter","created":1,"root":"/loras/a","parent":"llama"}]}`,
			[]Identity{{"adapter", "root=/loras/a", true}, {"llama", "root=/models/llama max_model_len=8192", false}},
			true,
		},
		{
			"Ollama", `{"models":[{"name":"qwen3:8b","digest":"abc"},{"name":"nomic","digest":"def"}]}`,
			[]Identity{{"nomic", "digest=def", false}, {"qwen3:8b", "digest=abc", false}},
			true,
		},
		{
			"SGLang", `{"model_path":"Qwen/Qwen3-8B","weight_version":"v2","is_generation":true}`,
			[]Identity{{"", "model_path=Qwen/Qwen3-8B weight_version=v2", false}},
			true,
		},
		{"TGI", `{"model_id":"x/y","model_sha":"0123","version":"3.0"}`, []Identity{{"", "model_id=x/y model_sha=0123", false}}, true},
		{"an empty list", `{"object":"list","data":[]}`, nil, true},
		{"something else", `{"status":"ok"}`, nil, false},
		{"a web page", `<html>`, nil, false},
	}
	for _, c := range cases {
		got, ok := Identities([]byte(c.body))
		if diff := cmp.Diff(c.want, got); diff != "" || ok != c.ok {
			t.Errorf("%s: ok %v (-want +got):\n%s", c.name, ok, diff)
		}
	}
}

func FuzzIdentities(f *testing.F) {
	f.Add([]byte(`{"data":[{"id":"a","root":"b","max_model_len":4}],"models":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, ok := Identities(body)
		if !ok && list != nil || len(list) > 2*mostModels {
			t.Fatal(list, ok)
		}
	})
}
