package upstream

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tailplane/internal/secret"
)

// TestEveryFormOfListIsRead: as the providers' API references have them.
func TestEveryFormOfListIsRead(t *testing.T) {
	cases := []struct {
		name, body string
		want       string // names, "..." when there is more; "-" when it is no list
	}{
		{"OpenAI's", `{"object":"list","data":[{"id":"gpt-5","object":"model"},{"id":"gpt-5-mini"}]}`, "gpt-5 gpt-5-mini"},
		{"Anthropic's", `{"data":[{"type":"model","id":"claude-opus-4-1-20250805","display_name":"x"}],"has_more":true}`, "claude-opus-4-1-20250805 ..."},
		{"Gemini's", `{"models":[{"name":"models/gemini-2.5-pro"}],"nextPageToken":"x"}`, "gemini-2.5-pro ..."},
		{"Cohere's", `{"models":[{"name":"command-a-03-2025"}]}`, "command-a-03-2025"},
		{"Bedrock's models", `{"modelSummaries":[{"modelArn":"arn:x","modelId":"amazon.nova-pro-v1:0","modelName":"Nova Pro"}]}`, "amazon.nova-pro-v1:0"},
		{"Bedrock's profiles", `{"inferenceProfileSummaries":[{"inferenceProfileId":"eu.amazon.nova-pro-v1:0","inferenceProfileName":"n"}],"nextToken":"t"}`, "eu.amazon.nova-pro-v1:0 ..."},
		{"Together's", `[{"id":"meta-llama/Llama-3.3-70B-Instruct-Turbo","type":"chat"}]`, "meta-llama/Llama-3.3-70B-Instruct-Turbo"},
		{"an empty one", `{"data":[]}`, ""},
		{"an error", `{"error":{"message":"no"}}`, "-"},
		{"a page", `<html></html>`, "-"},
	}
	for _, c := range cases {
		models, whole, ok := Served([]byte(c.body))
		got := strings.Join(models, " ")
		if !whole {
			got += " ..."
		}
		if !ok {
			got = "-"
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzServed(f *testing.F) {
	f.Add([]byte(`{"data":[{"id":"a"}],"has_more":false}`))
	f.Add([]byte(`[{"id":"a"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		models, _, ok := Served(body)
		if !ok && len(models) > 0 || slices.Contains(models, "") {
			t.Fatalf("%q, %v", models, ok)
		}
	})
}

func TestAModelIsListedUnderItsNameOrAsItsNewest(t *testing.T) {
	list := []string{"claude-sonnet-4-5-20250929", "gpt-5-2025-08-07", "gpt-5-mini", "mistral-small-2509", "llama3:latest", "gemini-2.0-flash-001", "openai/gpt-5", "claude-opus-4@20250514"}
	for model, want := range map[string]bool{
		"claude-sonnet-4-5-20250929": true, "claude-sonnet-4-5": true, "claude-sonnet-4": false, "gpt-5": true, "gpt-5-mini": true,
		"gpt-5-nano": false, "mistral-small-latest": true, "mistral-large-latest": false, "llama3": true, "gemini-2.0-flash": true,
		"openai/gpt-5:nitro": true, "claude-opus-4": true, "gpt": false, "": false,
	} {
		if Lists(list, model) != want {
			t.Errorf("%q: want %v", model, want)
		}
	}
}

// TestQuestionsAreFree: every kind is asked by GET, for lists, keys and roots
// alone, and first at its own address.
func TestQuestionsAreFree(t *testing.T) {
	t.Setenv("TEST_KEY", "k")
	for _, kind := range Kinds() {
		c := Config{Kind: kind.Name, Key: secret.Env("TEST_KEY"), Project: "p", Region: "eu-west-1"}
		if !(kind.Needs | kind.Takes).Has(MemberRegion) {
			c.Region, c.Project = "", ""
		}
		if kind.URL == "" && kind.Locate == nil {
			c.URL = "http://h:1"
		}
		target, err := New("t", c, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		questions := target.Questions()
		if kind == &simulator {
			continue
		}
		if len(questions) == 0 || questions[0].Host != "" {
			t.Errorf("%s: %+v", kind.Name, questions)
		}
		for _, q := range questions {
			path, _, _ := strings.Cut(q.Path, "?")
			if last := path[strings.LastIndexByte(path, '/')+1:]; !slices.Contains([]string{"", "models", "key", "foundation-models", "inference-profiles"}, last) {
				t.Errorf("%s is asked %s", kind.Name, q.Path)
			}
			if q.Lists && q.Partly != "" {
				t.Errorf("%s: %+v lists and does not", kind.Name, q)
			}
		}
		if got := len(target.Asides()); (got > 0) != (kind == &bedrock) {
			t.Errorf("%s has %d destinations aside", kind.Name, got)
		}
	}
}

func TestSkewIsTold(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for date, want := range map[string]string{
		"Sat, 28 Nov 2026 12:04:00 GMT": "", "Sat, 28 Nov 2026 12:10:00 GMT": "10m0s behind the target's", "Sat, 28 Nov 2026 11:50:00 GMT": "10m0s ahead of the target's",
		"": "", "yesterday": "",
	} {
		_, words := Skew(date, now)
		if (want == "") != (words == "") || !strings.Contains(words, want) {
			t.Errorf("%q: %q, want %q", date, words, want)
		}
	}
	if _, words := Skew("Sat, 28 Nov 2026 12:10:00 GMT", time.Time{}); words != "" {
		t.Errorf("without a clock: %q", words)
	}
}
