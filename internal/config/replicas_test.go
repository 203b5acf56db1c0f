package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tailplane/internal/discover"
)

func TestDiscoveredTargets(t *testing.T) {
	f, problems := Parse("f.yaml", []byte(`
targets:
  dns:  {kind: vllm, discover: {dns: {name: vllm.models.svc, port: 8000, interval: 5s}, empty_grace: 1m}}
  kube: {kind: vllm, discover: {kubernetes: {namespace: models, selector: app=vllm, port: http}}, price: {input: 1, output: 2}}
  file: {kind: sglang, discover: {file: {path: replicas.yaml}, scheme: https}}
models:
  llama: {pool: [dns, kube, file], served_as: m}
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := map[string]discover.Config{
		"dns":  {DNS: discover.DNS{Name: "vllm.models.svc", Port: 8000, Interval: 5 * time.Second}, EmptyGrace: time.Minute},
		"kube": {Kubernetes: discover.Kubernetes{Namespace: "models", Selector: "app=vllm", Port: "http"}},
		"file": {File: discover.File{Path: "replicas.yaml"}, Scheme: "https"},
	}
	for name, c := range f.Discovered() {
		if c != want[name] {
			t.Errorf("%s: %+v", name, c)
		}
	}
	prices := f.Prices()
	if len(f.Discovered()) != 3 || prices["kube/*"].Input != "1" || prices["kube/**"].Input != "1" {
		t.Errorf("the prices are %v", prices)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	if got := fmt.Sprint(f.Destinations()); got != "[{vllm.models.svc:8000 target dns  false}]" { // no pod: there is no token
		t.Errorf("the destinations are %s", got)
	}
}

func TestProblemsOfDiscovery(t *testing.T) {
	cases := []struct{ name, target, want string }{
		{"a url beside it", "kind: vllm, url: 'http://a', discover: {file: {path: x}}", "f.yaml:2:24: the target has a url and says where its addresses are found; keep one of url and discover"},
		{"no engine", "kind: openai, discover: {file: {path: x}}", "f.yaml:2:31: replicas are found of engines alone, and openai is none"},
		{"the simulator", "kind: sim, discover: {file: {path: x}}", "f.yaml:2:28: replicas are found of engines alone, and sim is none"},
		{"two sources", "kind: vllm, discover: {file: {path: x}, dns: {name: a, port: 1}}", "f.yaml:2:29: the section has 2 sources; write exactly one of dns, kubernetes and file"},
		{"an empty section", "kind: vllm, discover: {}", "f.yaml:2:3: a target of kind vllm needs a url"},
		{"a port", "kind: vllm, discover: {dns: {name: a, port: 70000}}", "f.yaml:2:51: 70000 is not a port"},
		{"an unknown key", "kind: vllm, discover: {dns: {name: a, port: 1, nam: a}}", `f.yaml:2:54: there is no key "nam" in targets.x.discover.dns; use one of name, port, type, interval, not_found; did you mean "name"?`},
		{"one address for all", "kind: vllm, discover: {file: {path: x}}, egress: {address: a}", "f.yaml:2:66: every replica would be dialed at one address"},
	}
	for _, c := range cases {
		_, problems := Parse("f.yaml", []byte("targets:\n  x: {"+c.target+"}\n"))
		if len(problems) == 0 || !strings.HasPrefix(problems[0].String(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.name, problems, c.want)
		}
	}
}

func TestAKubeconfigThatIsNotThereIsAProblem(t *testing.T) {
	text := []byte("targets:\n  x: {kind: vllm, discover: {kubernetes: {service: a, kubeconfig: " + filepath.Join(t.TempDir(), "gone") + "}}}\n")
	f, problems := Parse("f.yaml", text)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := f.Secrets(text); len(got) != 1 || got[0].Line != 2 || !strings.Contains(got[0].Wrong, "no such file") {
		t.Errorf("the problems are %v", got)
	}
}

func TestListsOfReplicas(t *testing.T) {
	cases := []struct{ text, want string }{
		{"[]", "[]"},
		{`["10.0.0.7:8000"]`, "[{10.0.0.7:8000 []  0 false   []}]"},
		{"- 10.0.0.7:8000\n- {address: b:1, weight: 3, draining: true, zone: z, node: n, labels: [eu], name: b}\n- targets: [c:1, d:1]\n", "[{10.0.0.7:8000 []  0 false   []} {b:1 [] b 3 true z n [eu]} { [c:1 d:1]  0 false   []}]"},
		{"# nothing yet\n", "! r.yaml:1:1: there is no list; write [] when there is no replica"},
		{"null", "! r.yaml:1:1: there is no list; write [] when there is no replica"},
		{"{targets: [a:1]}", "! r.yaml:1:1: here stands a mapping; write a list: [A, B]"},
		{"- {address: a:1, wieght: 2}", `! r.yaml:1:18: there is no key "wieght" in [0]; use one of address, targets, name, weight, draining, zone, node, labels; did you mean "weight"?`},
		{`["a:1", "b`, "! r.yaml:"},
	}
	for _, c := range cases {
		items, err := Replicas("r.yaml", []byte(c.text))
		got := fmt.Sprint(items)
		if err != nil {
			got = "! " + err.Error()
		}
		if got != c.want && !(err != nil && strings.HasPrefix(got, c.want)) {
			t.Errorf("%q:\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

// FuzzReplicas: whatever stands in a file, what is taken from it can be dialed.
func FuzzReplicas(f *testing.F) {
	f.Add([]byte(`["10.0.0.7:8000", {address: "[fd00::7]:8000", weight: 3}]`))
	f.Add([]byte("- &a {targets: [a:1, b:2]}\n- *a\n- <<: *a\n  name: x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		items, err := Replicas("r.yaml", text)
		if err != nil {
			return
		}
		problems := 0
		list := discover.Endpoints(items, func(_, wrong, right string) {
			problems++
			if wrong == "" || right == "" {
				t.Error("a problem without words")
			}
		})
		for _, e := range list {
			if problems == 0 && (e.Address == "" || e.Weight < 0 || !e.Serving) {
				t.Errorf("%+v is taken from %q", e, text)
			}
		}
	})
}
