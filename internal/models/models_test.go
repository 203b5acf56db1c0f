package models

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/llm"
)

var targets = []Target{
	{Name: "openai", Owns: []string{"gpt-*", "o3*"}},
	{Name: "anthropic", Owns: []string{"claude-*"}},
	{Name: "acme/vllm-a"},
	{Name: "acme/vllm-b"},
	{Name: "ollama", Lists: []string{"qwen3:8b"}},
}

func candidates(p *Plan) string {
	var out []string
	for _, c := range p.Candidates {
		s := fmt.Sprintf("%d:%s=%s", c.Group, c.Target, c.Model)
		if c.Weight > 0 {
			s += fmt.Sprintf("*%d", c.Weight)
		}
		if !c.Policy.IsZero() {
			s += "~" + c.Policy.Name
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestResolveOrdersCandidates(t *testing.T) {
	c := Config{Models: map[string]Model{
		"chat":     {Route: []Step{{To: "anthropic/claude-sonnet-4-6"}, {To: "openai/gpt-5-mini"}}},
		"split":    {Route: []Step{{To: "openai/gpt-5", Weight: 9}, {To: "openai/gpt-5-mini", Weight: 1}, {To: "ollama/qwen3:8b"}}},
		"pooled":   {Pool: []string{"acme/vllm-a", "acme/vllm-b"}, ServedAs: "llama", Fallback: []Fallback{{To: "chat"}}},
		"one":      {Route: []Step{{To: "openai/gpt-5"}}},
		"ab":       {Route: []Step{{To: "one", Weight: 90}, {To: "chat", Weight: 10}}},
		"nested":   {Route: []Step{{To: "split"}, {To: "chat"}}},
		"gpt-5":    {Route: []Step{{To: "ollama/qwen3:8b"}}},
		"spread":   {Route: []Step{{To: "openai/gpt-5"}, {To: "chat"}}, Policy: Policy{Name: "least_request"}},
		"ordered":  {Route: []Step{{To: "openai/gpt-5"}, {To: "pooled"}}, Policy: Policy{Name: PolicyPriority}},
		"fallsout": {Route: []Step{{To: "ollama/qwen3:8b"}}, Fallback: []Fallback{{To: "openai/gpt-5"}}},
	}}
	cat := New(c, targets)
	cases := []struct{ name, want string }{
		{"chat", "0:anthropic=claude-sonnet-4-6 1:openai=gpt-5-mini"},
		{"split", "0:openai=gpt-5*9 0:openai=gpt-5-mini*1 1:ollama=qwen3:8b"},
		{"pooled", "0:acme/vllm-a=llama~auto 0:acme/vllm-b=llama~auto 1:anthropic=claude-sonnet-4-6 2:openai=gpt-5-mini"},
		{"nested", "0:openai=gpt-5*9 0:openai=gpt-5-mini*1 1:ollama=qwen3:8b 2:anthropic=claude-sonnet-4-6 3:openai=gpt-5-mini"},
		{"ab", "0:openai=gpt-5*90 0:anthropic=claude-sonnet-4-6*10 1:openai=gpt-5-mini"},
		{"spread", "0:openai=gpt-5~least_request 0:anthropic=claude-sonnet-4-6~least_request 1:openai=gpt-5-mini"},
		{"ordered", "0:openai=gpt-5 1:acme/vllm-a=llama~auto 1:acme/vllm-b=llama~auto 2:anthropic=claude-sonnet-4-6 3:openai=gpt-5-mini"},
		{"fallsout", "0:ollama=qwen3:8b 1:openai=gpt-5"},
		{"gpt-5", "0:ollama=qwen3:8b"},                 // a name of the file wins over one that a target owns
		{"openai/gpt-5", "0:openai=gpt-5"},             // named with its target
		{"acme/vllm-a/x/y", "0:acme/vllm-a=x/y"},       // both names may contain slashes
		{"qwen3:8b", "0:ollama=qwen3:8b"},              // listed
		{"claude-opus-9", "0:anthropic=claude-opus-9"}, // owned
	}
	for _, tc := range cases {
		p, err := cat.Resolve(tc.name)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := candidates(p); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestResolveSuggestsForUnknownNames(t *testing.T) {
	cat := New(Config{Models: map[string]Model{"chat-large": {Route: []Step{{To: "openai/gpt-5"}}}}}, targets)
	_, err := cat.Resolve("chat-lagre")
	var unknown *UnknownError
	if !errors.As(err, &unknown) || !slices.Equal(unknown.Near, []string{"chat-large"}) {
		t.Errorf("error %v", err)
	}
	if near := cat.Near("opneai/gpt-5"); !slices.Equal(near, []string{"openai/gpt-5"}) {
		t.Errorf("a typo in a target suggests %q", near)
	}
	if near := cat.Near("ollama/qwen3:8c"); !slices.Contains(near, "ollama/qwen3:8b") || slices.Contains(near, "ollama/qwen3:8c") {
		t.Errorf("a typo in a model suggests %q", near)
	}
	if _, err := cat.Resolve(strings.Repeat("x", 1<<16)); len(err.Error()) > 300 {
		t.Errorf("a huge name makes a huge error: %d bytes", len(err.Error()))
	}
}

func TestRulesInheritFromTheFileAndItsDefaults(t *testing.T) {
	c := Config{
		Models: map[string]Model{"m": {
			Route:    []Step{{To: "openai/gpt-5"}},
			Timeouts: Timeouts{Idle: 7 * time.Second},
			Retry:    Retry{Attempts: 5},
		}},
		Timeouts: Timeouts{Total: time.Minute},
	}
	p, err := New(c, targets).Resolve("m")
	if err != nil {
		t.Fatal(err)
	}
	d := Default()
	want := Timeouts{Connect: d.Timeouts.Connect, FirstToken: d.Timeouts.FirstToken, Idle: 7 * time.Second, Total: time.Minute}
	if p.Timeouts != want {
		t.Errorf("timeouts %+v, want %+v", p.Timeouts, want)
	}
	if p.Retry.Attempts != 5 || p.Retry.Backoff != d.Retry.Backoff {
		t.Errorf("retry %+v", p.Retry)
	}
}

func TestValidateReportsEveryProblemAtItsPlace(t *testing.T) {
	c := Config{
		Models: map[string]Model{
			"a":    {Route: []Step{{To: "b"}}},
			"b":    {Route: []Step{{To: "openai/gpt-5"}}, Fallback: []Fallback{{To: "a"}}},
			"bad":  {Route: []Step{{To: "opneai/gpt-5", Weight: -1}}},
			"pool": {Pool: []string{"acme/vllm-c"}, ServedAs: "x"},
			"none": {},
			"half": {Pool: []string{"ollama"}},
			"ok":   {Route: []Step{{To: "openai/gpt-5"}}, Fallback: []Fallback{{To: "ollama/qwen3:8b"}}},
			"rank": {Route: []Step{{To: "openai/gpt-5", Weight: 1}, {To: "ollama/x", Weight: 1}}, Prefer: "heedroom"},
			"solo": {Route: []Step{{To: "openai/gpt-5"}, {To: "ollama/x"}}, Prefer: PreferHeadroom},
			"best": {Pool: []string{"openai", "ollama"}, ServedAs: "x", Prefer: PreferHeadroom},
			"far":  {Route: []Step{{To: "best"}, {To: "openai/gpt-5"}}, Prefer: PreferHeadroom},
		},
		Timeouts: Timeouts{Idle: -1},
		Retry:    Retry{Attempts: 99},
	}
	var got []string
	c.Validate([]string{"openai", "acme/vllm-a", "ollama"}, func(path, wrong, right string) {
		if wrong == "" || right == "" {
			t.Errorf("%s: a problem without words", path)
		}
		got = append(got, path)
	})
	slices.Sort(got)
	want := []string{
		"models.a", "models.b", "models.bad.route[0]", "models.bad.route[0].weight", "models.half", "models.none",
		"models.pool.pool[0]", "models.rank.prefer", "models.solo.prefer", "retry.attempts", "timeouts.idle",
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems at\n %q\nwant\n %q", got, want)
	}
}

// TestDenseReferencesAreBounded: thirty models that each name all others have
// more ways through them than there are atoms; those that only look ahead have
// no loop and still 2^29 candidates.
func TestDenseReferencesAreBounded(t *testing.T) {
	name := func(i int) string { return fmt.Sprintf("m%02d", i) }
	const n = 30
	for _, loops := range []bool{true, false} {
		c := Config{Models: map[string]Model{}}
		for i := range n {
			m := Model{}
			if i == n-1 {
				m.Route = []Step{{To: "openai/x"}}
			}
			for k := range n {
				if loops || k > i {
					m.Fallback = append(m.Fallback, Fallback{To: name(k)}, Fallback{To: name(k)})
				}
			}
			c.Models[name(i)] = m
		}
		told := map[string]string{}
		c.Validate([]string{"openai"}, func(path, wrong, _ string) { told[path] += wrong })
		want := "more than 16 candidates"
		if loops {
			want = "leads back to itself"
		}
		if !strings.Contains(told["models.m00"], want) {
			t.Errorf("loops %v: %q", loops, told["models.m00"])
		}
		if len(told["models.m00"]) > 400 {
			t.Errorf("loops %v: a problem of %d bytes", loops, len(told["models.m00"]))
		}
		if p, err := New(c, targets).Resolve("m00"); err != nil || len(p.Candidates) > mostSteps {
			t.Errorf("loops %v: %d candidates, %v", loops, len(p.Candidates), err)
		}
	}
}

// TestAConditionHoldsForAllBehindIt: the candidates of a fallback with `on`
// carry its faults under one number; those behind a condition of their own keep
// that one.
func TestAConditionHoldsForAllBehindIt(t *testing.T) {
	long, filter := []llm.FaultKind{llm.FaultTooLong}, []llm.FaultKind{llm.FaultContentFilter}
	c := Config{Models: map[string]Model{
		"m":     {Route: []Step{{To: "openai/small"}}, Fallback: []Fallback{{To: "large", On: long}, {To: "ollama/last"}}},
		"large": {Route: []Step{{To: "openai/a"}, {To: "openai/b"}}, Fallback: []Fallback{{To: "ollama/open", On: filter}}},
	}}
	c.Validate([]string{"openai", "ollama"}, func(path, wrong, _ string) { t.Errorf("%s: %s", path, wrong) })
	p, err := New(c, []Target{{Name: "openai"}, {Name: "ollama"}}).Resolve("m")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range p.Candidates {
		got = append(got, fmt.Sprintf("%s %d %v %d", c.Model, c.Group, c.On, c.Chain))
	}
	want := []string{"small 0 [] 0", "a 1 [context_too_long] 2", "b 2 [context_too_long] 2", "open 3 [content_filter] 1", "last 4 [] 0"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	c.Models["m"] = Model{Route: []Step{{To: "openai/small"}}, Fallback: []Fallback{{To: "large", On: []llm.FaultKind{"context_to_long"}}, {On: long}}}
	told := map[string]string{}
	c.Validate([]string{"openai", "ollama"}, func(path, wrong, right string) { told[path] = wrong + "; " + right })
	if !strings.Contains(told["models.m.fallback[0].on[0]"], `did you mean "context_too_long"`) || told["models.m.fallback[1]"] == "" {
		t.Errorf("told: %v", told)
	}
}

// TestEveryLoopIsTold: a model that reaches itself has a loop told at one of
// the models on the way, and one that does not is never called a loop.
func TestEveryLoopIsTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d", "e"}
		c := Config{Models: map[string]Model{}}
		for _, name := range names {
			var m Model
			for _, to := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 3).Draw(t, name) {
				m.Fallback = append(m.Fallback, Fallback{To: to})
			}
			c.Models[name] = m
		}
		loops := c.loops()
		for name, loop := range loops {
			for i, at := range loop[:len(loop)-1] {
				if !slices.Contains(c.Models[at].references(), loop[i+1]) {
					t.Fatalf("%s: no reference from %s to %s in %v", name, at, loop[i+1], loop)
				}
			}
			if loop[0] != name || loop[len(loop)-1] != name {
				t.Fatalf("%s: %v does not lead back to it", name, loop)
			}
		}
		for name := range loops {
			m := c.Models[name]
			m.Fallback = nil // mend what was told
			c.Models[name] = m
		}
		if left := c.loops(); len(left) > 0 {
			t.Fatalf("not told before: %v", left)
		}
	})
}

// TestResolveTerminatesAndOrdersGroups: whatever references whatever, resolving
// ends and groups never go backwards.
func TestResolveTerminatesAndOrdersGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		refs := []string{"a", "b", "c", "openai/x", "ollama/y"}
		c := Config{Models: map[string]Model{}}
		for _, name := range refs[:3] {
			var m Model
			for range rapid.IntRange(0, 3).Draw(t, "steps") {
				m.Route = append(m.Route, Step{To: rapid.SampledFrom(refs).Draw(t, "to"), Weight: Weight(rapid.IntRange(0, 2).Draw(t, "weight"))})
			}
			for range rapid.IntRange(0, 2).Draw(t, "fallbacks") {
				m.Fallback = append(m.Fallback, Fallback{To: rapid.SampledFrom(refs).Draw(t, "fallback")})
			}
			c.Models[name] = m
		}
		p, err := New(c, targets).Resolve("a")
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(p.Candidates); i++ {
			if p.Candidates[i].Group < p.Candidates[i-1].Group {
				t.Fatalf("groups go backwards: %s", candidates(p))
			}
		}
	})
}
