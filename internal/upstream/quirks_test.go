package upstream

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tailplane/internal/llm"
)

func quirksOf(t testing.TB, kind, model string, d llm.Dialect, more ...Quirk) *Quirks {
	t.Helper()
	target, err := New("x", Config{Kind: kind, URL: "https://host", Region: "r", Project: "p", Quirks: more}, nil, t0)
	if err != nil {
		t.Fatal(err)
	}
	return target.Quirks(model, d)
}

func features(losses []llm.Loss) string {
	var out []string
	for _, l := range losses {
		out = append(out, l.Feature)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestEdit: what the splice lane makes of bodies, and what it says was lost.
func TestEdit(t *testing.T) {
	cases := []struct {
		kind, model string
		dialect     llm.Dialect
		body, want  string
		lost        string
	}{
		{"openai", "gpt-5-nano", llm.Chat, `{"model":"m", "max_tokens": 9,"x":1.0}`, `{"model":"m", "max_completion_tokens": 9,"x":1.0}`, ""},
		{"openai", "gpt-5-nano", llm.Chat, `{"max_completion_tokens":8,"max_tokens":9}`, `{"max_completion_tokens":8}`, ""},
		{"openai", "gpt-5-nano", llm.Chat, `{"temperature":0.2,"top_p":1,"n":2}`, `{"top_p":1,"n":2}`, "temperature"},
		{"openai", "gpt-5-nano", llm.Chat, `{"temperature":1,"logprobs":false}`, `{"temperature":1,"logprobs":false}`, ""},
		{"openai", "gpt-5-nano", llm.Chat, `{"logprobs":true,"top_logprobs":3,"seed":1}`, `{"seed":1}`, "logprobs"},
		{"openai", "gpt-5-nano", llm.Chat, `{"reasoning_effort":"xhigh"}`, `{"reasoning_effort":"high"}`, "reasoning_effort"},
		{"openai", "gpt-5.4", llm.Responses, `{"temperature":0.5,"reasoning":{"effort":"high"}}`, `{"reasoning":{"effort":"high"}}`, "temperature"},
		{"openai", "gpt-5.4", llm.Responses, `{"temperature":0.5}`, `{"temperature":0.5}`, ""},
		{"openai", "gpt-5.6-sol", llm.Responses, `{"temperature":0.5,"reasoning":{"effort":"none"}}`, `{"temperature":0.5,"reasoning":{"effort":"none"}}`, ""},
		{"openai", "gpt-5.6-sol", llm.Responses, `{"temperature":0.5}`, `{}`, "temperature"},
		{"openai", "gpt-5-mini", llm.Responses, `{"reasoning":{"summary":"auto","effort":"none"}}`, `{"reasoning":{"summary":"auto","effort":"minimal"}}`, "reasoning.effort"},
		{"openai", "gpt-4.1", llm.Responses, `{"max_output_tokens":5}`, `{"max_output_tokens":16}`, "max_output_tokens"},
		{"openai", "gpt-4.1", llm.Chat, `{"stop":["a","b","c","d","e", "f"]}`, `{"stop":["a","b","c","d"]}`, "stop"},
		{"openai", "o1-mini", llm.Chat, `{"messages":[{"role":"system","content":"developer"}]}`, `{"messages":[{"role":"user","content":"developer"}]}`, "system"},
		{"mistral", "mistral-small-latest", llm.Chat, `{"tool_choice":"required","messages":[{"role":"developer","content":"x"}]}`, `{"tool_choice":"any","messages":[{"role":"system","content":"x"}]}`, ""},
		{"mistral", "codestral-latest", llm.Chat, `{"max_completion_tokens":3,"stream_options":{"include_usage":true},"seed":4}`, `{"max_tokens":3}`, "seed"},
		{"perplexity", "sonar", llm.Chat, `{"tools":[{"type":"function"}],"tool_choice":"auto","stream":true}`, `{"stream":true}`, "tools"},
		{"groq", "qwen/qwen3-32b", llm.Chat, `{"reasoning_effort":"low"}`, `{"reasoning_effort":"default"}`, "reasoning_effort"},
		{
			"cohere", "command-a-03-2025", llm.Chat,
			`{"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"minimum":{"type":"integer","minimum":1}},"type":"object"}}}]}`,
			`{"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"minimum":{"type":"integer"}},"type":"object"}}}]}`, "tools[0].schema",
		},
		{"anthropic", "claude-opus-4-8", llm.Anthropic, `{"top_k":5,"max_tokens":5}`, `{"max_tokens":5}`, "top_k"},
		{"anthropic", "claude-sonnet-4-5", llm.Anthropic, `{"temperature":0.5,"top_p":0.9}`, `{"temperature":0.5}`, "top_p"},
		{"anthropic", "claude-opus-4-6", llm.Anthropic, `{"output_config":{"effort":"xhigh"}}`, `{"output_config":{"effort":"max"}}`, "output_config.effort"},
		{"bedrock", "us.anthropic.claude-opus-4-7", llm.Converse, `{"inferenceConfig":{"maxTokens":5,"temperature":0.5}}`, `{"inferenceConfig":{"maxTokens":5}}`, "inferenceConfig.temperature"},
		{"gemini", "gemini-2.5-pro", llm.Gemini, `{"generationConfig":{"stopSequences":["1","2","3","4","5","6"]}}`, `{"generationConfig":{"stopSequences":["1","2","3","4","5"]}}`, "generationConfig.stopSequences"},
		{"xai", "grok-4", llm.Chat, `{"stop":["a"],"reasoning_effort":"high"}`, `{}`, "reasoning_effort stop"},
		{"xai", "grok-4-1-fast-non-reasoning", llm.Chat, `{"stop":["a"]}`, `{"stop":["a"]}`, ""},
		{"deepseek", "deepseek-chat", llm.Chat, `{"max_tokens":null,"max_completion_tokens":7}`, `{"max_tokens":7}`, ""},
	}
	for _, c := range cases {
		q := quirksOf(t, c.kind, c.model, c.dialect)
		if q == nil {
			t.Errorf("%s has no quirks in %s", c.model, c.dialect)
			continue
		}
		got, losses, err := q.Edit(nil, []byte(c.body))
		if err != nil || string(got) != c.want || features(losses) != c.lost {
			t.Errorf("%s in %s, %s:\n got %s, lost %q, %v\nwant %s, lost %q", c.model, c.dialect, c.body, got, features(losses), err, c.want, c.lost)
		}
		if c.body != c.want && !q.Concern([]byte(c.body)) {
			t.Errorf("%s in %s: %s is of no concern", c.model, c.dialect, c.body)
		}
		again, _, err := q.Edit(nil, got)
		if err != nil || string(again) != string(got) {
			t.Errorf("%s: a second time gives %s, %v", c.model, again, err)
		}
	}
	if _, _, err := quirksOf(t, "openai", "gpt-5", llm.Chat).Edit(nil, []byte(`{"temperature":1,"temperature":2}`)); err == nil {
		t.Error("a member that stands twice is edited")
	}
}

// TestApply: the same for translated calls.
func TestApply(t *testing.T) {
	number := func(f float64) *float64 { return &f }
	five := 5
	shared := []llm.Tool{{Name: "f", Schema: []byte(`{"type":"object","additionalProperties":false}`)}}
	cases := []struct {
		kind, model string
		dialect     llm.Dialect
		call        llm.Call
		lost        string
		check       func(c *llm.Call) bool
	}{
		{
			"openai", "gpt-5-nano", llm.Responses,
			llm.Call{Sampling: llm.Sampling{Temperature: number(0.1), TopP: number(1), MaxTokens: 3}},
			"max_tokens temperature",
			func(c *llm.Call) bool {
				return c.Sampling.Temperature == nil && c.Sampling.TopP != nil && c.Sampling.MaxTokens == 16
			},
		},
		{
			"openai", "gpt-5.6", llm.Responses,
			llm.Call{Sampling: llm.Sampling{Temperature: number(0.1)}, Reasoning: llm.Reasoning{Mode: "disabled"}},
			"",
			func(c *llm.Call) bool { return c.Sampling.Temperature != nil },
		},
		{
			"anthropic", "claude-sonnet-4-5", llm.Anthropic,
			llm.Call{Sampling: llm.Sampling{Temperature: number(0.1), TopP: number(0.2)}},
			"top_p",
			func(c *llm.Call) bool { return c.Sampling.Temperature != nil && c.Sampling.TopP == nil },
		},
		{
			"mistral", "mistral-small-latest", llm.Chat,
			llm.Call{Choice: llm.ToolChoice{Mode: llm.ToolRequired}, Reasoning: llm.Reasoning{Effort: "low"}, Logprobs: llm.Logprobs{Want: true, Top: &five}},
			"logprobs reasoning_effort",
			func(c *llm.Call) bool {
				return c.Choice.Extra.Form == 1 && c.Reasoning.Effort == "high" && c.Sampling.OldCap && !c.Logprobs.Want
			},
		},
		{
			"bedrock", "us.amazon.nova-lite-v1:0", llm.Converse,
			llm.Call{Tools: shared, Sampling: llm.Sampling{Stop: []string{"a", "b", "c", "d", "e"}}},
			"stop tools[0].schema",
			func(c *llm.Call) bool {
				return string(c.Tools[0].Schema) == `{"type":"object"}` && len(c.Sampling.Stop) == 4
			},
		},
		{
			"openai", "o1-mini", llm.Chat,
			llm.Call{System: []llm.Part{{Kind: llm.PartText, Text: llm.Text(`"be brief"`)}}, Turns: []llm.Turn{{Role: llm.RoleUser}}},
			"system",
			func(c *llm.Call) bool {
				return c.System == nil && len(c.Turns) == 2 && c.Turns[0].Role == llm.RoleUser && string(c.Turns[0].Parts[0].Text) == `"be brief"`
			},
		},
		{
			"perplexity", "sonar", llm.Chat,
			llm.Call{Tools: shared, Choice: llm.ToolChoice{Mode: llm.ToolAuto}},
			"tools",
			func(c *llm.Call) bool { return c.Tools == nil && c.Choice.Mode == "" },
		},
	}
	for _, c := range cases {
		losses := quirksOf(t, c.kind, c.model, c.dialect).Apply(&c.call, llm.Chat)
		if features(losses) != c.lost || !c.check(&c.call) {
			t.Errorf("%s: lost %q, want %q; %+v", c.model, features(losses), c.lost, c.call)
		}
		for _, l := range losses {
			if !strings.Contains(l.Detail, c.model) {
				t.Errorf("%s: a loss that does not say whose: %+v", c.model, l)
			}
		}
	}
	if string(shared[0].Schema) != `{"type":"object","additionalProperties":false}` {
		t.Error("the caller's own tools were written to")
	}
}

// TestTheConfigHasTheLastWord: a row of the file takes back, adds and replaces.
func TestTheConfigHasTheLastWord(t *testing.T) {
	body := []byte(`{"temperature":0.2,"seed":1,"max_tokens":5}`)
	q := quirksOf(t, "openai", "gpt-5-nano", llm.Chat, Quirk{Models: []string{"gpt-5-n*"}, Accepts: []string{"temperature"}, Refuses: []string{"seed"}, Cap: oldCap})
	if got, _, err := q.Edit(nil, body); err != nil || string(got) != `{"temperature":0.2,"max_tokens":5}` {
		t.Errorf("%s, %v", got, err)
	}
	if q := quirksOf(t, "vllm", "llama", llm.Chat); q != nil {
		t.Errorf("an engine without quirks: %+v", q)
	}
	told := map[string]string{}
	bad := Quirk{
		Models: []string{"["}, Dialects: []llm.Dialect{"x"}, When: "never", Refuses: []string{"temprature"}, Accepts: []string{"x"}, OneOf: []string{"y"},
		Cap: "tokens", MinTokens: -1, Required: "must", Instructions: "root", Efforts: []string{"huge"},
	}
	Config{Kind: "vllm", URL: "http://h", Quirks: []Quirk{bad}}.Validate("x", func(path, wrong, right string) { told[path] = wrong + "; " + right })
	for _, at := range []string{".models[0]", ".dialects[0]", ".when", ".refuses[0]", ".accepts[0]", ".one_of[0]", ".cap", "", ".required", ".instructions", ".efforts[0]"} {
		if told["x.quirks[0]"+at] == "" {
			t.Errorf("no problem at %q: %v", at, told)
		}
	}
	if !strings.Contains(told["x.quirks[0].refuses[0]"], `did you mean "temperature"`) {
		t.Errorf("no suggestion: %s", told["x.quirks[0].refuses[0]"])
	}
}

// TestTheTableIsSound: every row of every kind is one that a config could have,
// and Concern can look for all that a model's rows name.
func TestTheTableIsSound(t *testing.T) {
	for _, k := range Kinds() {
		for i := range k.Quirks {
			row := &k.Quirks[i]
			row.validate(k.Name, func(path, wrong, _ string) { t.Errorf("row %d of %s: %s: %s", i, k.Name, path, wrong) })
			for _, pattern := range append(row.Models, "x") {
				model := strings.ReplaceAll(pattern, "*", "")
				for _, d := range dialects {
					if q := quirksOf(t, k.Name, model, d); q != nil && len(q.names) >= mostNames {
						t.Errorf("%s: %s in %s watches %d members", k.Name, model, d, len(q.names))
					}
				}
			}
		}
	}
}

// TestEditTouchesOnlyWhatItNames: of an object with any members, Edit changes
// none but those that the quirks watch, and what remains stays byte for byte.
func TestEditTouchesOnlyWhatItNames(t *testing.T) {
	q := quirksOf(t, "openai", "gpt-5-nano", llm.Chat)
	names := []string{"model", "temperature", "top_p", "seed", "max_tokens", "max_completion_tokens", "logprobs", "reasoning_effort", "x", "metadata"}
	values := []string{`"m"`, "0.50", "1", "null", `"xhigh"`, `{ "a" : [1.0, 2] }`, "[]", "7"}
	rapid.Check(t, func(t *rapid.T) {
		picked := rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[string]).Draw(t, "names")
		var members []string
		stays := map[string]string{}
		for _, name := range picked {
			value := rapid.SampledFrom(values).Draw(t, name)
			members = append(members, `"`+name+`" : `+value)
			stays[name] = value
		}
		body := "{" + strings.Join(members, " , ") + "}"
		got, _, err := q.Edit(nil, []byte(body))
		if err != nil || !json.Valid(got) {
			t.Fatalf("%s becomes %s, %v", body, got, err)
		}
		if !q.Concern([]byte(body)) && string(got) != body {
			t.Fatalf("%s is of no concern and becomes %s", body, got)
		}
		for _, name := range []string{"model", "seed", "x", "metadata"} {
			if value, was := stays[name]; was && !strings.Contains(string(got), `"`+name+`" : `+value) {
				t.Fatalf("%s loses %s: %s", body, name, got)
			}
		}
	})
}

func TestConcernAllocatesNothing(t *testing.T) {
	q := quirksOf(t, "openai", "gpt-5-nano", llm.Chat)
	body := []byte(`{"model":"gpt-5-nano","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":5}`)
	if n := testing.AllocsPerRun(100, func() {
		if q.Concern(body) {
			t.Error("it is a concern")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStripSchema(t *testing.T) {
	keywords := []string{"additionalProperties", "minLength", "format"}
	cases := []struct{ schema, want string }{
		{`{"type":"string","minLength":1}`, `{"type":"string"}`},
		{`{"properties":{"format":{"type":"string","format":"date"}},"additionalProperties":false}`, `{"properties":{"format":{"type":"string"}}}`},
		{`{"items":[{"format":"x"}],"anyOf":[{"minLength":1},true],"not":{"format":"y"}}`, `{"items":[{}],"anyOf":[{},true],"not":{}}`},
		{`{"$defs":{"a":{"minLength":2}},"default":{"format":"kept"},"enum":[{"minLength":3}]}`, `{"$defs":{"a":{}},"default":{"format":"kept"},"enum":[{"minLength":3}]}`},
		{`{"additionalProperties":{"format":"z"}}`, `{}`},
		{`true`, `true`},
		{``, ``},
		{`{"type":"object"}`, `{"type":"object"}`},
	}
	for _, c := range cases {
		if got, _ := stripSchema([]byte(c.schema), keywords); string(got) != c.want {
			t.Errorf("%s becomes %s, want %s", c.schema, got, c.want)
		}
	}
}

// TestQuirksAgreeWithTheCatalogue holds the table to models.dev: whose models
// take no temperature, and which efforts they know.
func TestQuirksAgreeWithTheCatalogue(t *testing.T) {
	root := "../../../shared/catalog/models.dev/providers"
	if _, err := os.Stat(root); err != nil {
		t.Skip("no catalogue at ../shared/catalog beside the repository")
	}
	efforts := regexp.MustCompile(`type = "effort",?\s*values = (\[[^\]]*\])`)
	checked := 0
	for folder, kind := range map[string]string{
		"openai": "openai", "azure": "azure", "anthropic": "anthropic", "amazon-bedrock": "bedrock", "groq": "groq", "mistral": "mistral",
		"deepseek": "deepseek", "xai": "xai", "cohere": "cohere",
	} {
		err := filepath.WalkDir(filepath.Join(root, folder, "models"), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			model, _ := filepath.Rel(filepath.Join(root, folder, "models"), strings.TrimSuffix(path, ".toml"))
			if unlisted(folder, model) {
				return nil
			}
			k, _ := Find(kind)
			spoken := k.Dialects[0]
			if kind == "openai" || kind == "azure" {
				spoken = llm.Responses
			}
			q := quirksOf(t, kind, model, spoken)
			checked++
			if strings.Contains(string(text), "temperature = false") != (q != nil && slices.ContainsFunc(q.refuses, func(r refusal) bool { return r.name == "temperature" })) &&
				strings.Contains(string(text), "temperature = ") {
				t.Errorf("%s/%s: the table and the catalogue differ about temperature", folder, model)
			}
			if m := efforts.FindStringSubmatch(string(text)); m != nil {
				var want, got []string
				if err := json.Unmarshal([]byte(m[1]), &want); err != nil {
					return err
				}
				if q != nil {
					got = q.efforts
				}
				if !reflect.DeepEqual(want, got) && !allEfforts(want) {
					t.Errorf("%s/%s: efforts %v, in the catalogue %v", folder, model, got, want)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d models of the catalogue agree", checked)
}

// unlisted are models that hold no conversation, or that the kind is not called
// with.
func unlisted(folder, model string) bool {
	for _, word := range []string{"embed", "image", "imagine", "whisper", "orpheus", "guard", "video", "tts"} {
		if strings.Contains(model, word) {
			return true
		}
	}
	return folder == "azure" && strings.HasPrefix(model, "claude")
}

// allEfforts: nothing to say, because the codec writes no other word.
func allEfforts(list []string) bool {
	return reflect.DeepEqual(list, []string{"low", "medium", "high", "xhigh", "max"})
}
