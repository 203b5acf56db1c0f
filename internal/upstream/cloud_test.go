package upstream

import (
	"strings"
	"testing"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
	"tailplane/internal/secret"
)

// TestRequestTargets: where a call goes, for every kind whose path is more than a
// table. The paths are those of the recordings and of the providers' reference.
func TestRequestTargets(t *testing.T) {
	azureAt := "https://acme.openai.azure.com"
	east := Config{Kind: "bedrock", Region: "us-east-1"}
	eu := Config{Kind: "vertex", Region: "europe-west4", Project: "acme-1"}
	claude := "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
	cases := []struct {
		config Config
		call   Call
		want   string
	}{
		{Config{Kind: "azure", URL: azureAt}, Call{Dialect: llm.Chat, Model: "gpt-5"}, "acme.openai.azure.com:443 /openai/v1/chat/completions"},
		{Config{Kind: "azure", URL: azureAt + "/"}, Call{Dialect: llm.Responses, Model: "gpt-5"}, "acme.openai.azure.com:443 /openai/v1/responses"},
		{Config{Kind: "azure", URL: azureAt, APIVersion: "preview"}, Call{Dialect: llm.Embeddings}, "acme.openai.azure.com:443 /openai/v1/embeddings?api-version=preview"},
		{
			Config{Kind: "azure", URL: azureAt, APIVersion: "2024-10-21", Deployments: map[string]string{"gpt-5": "prod#gpt"}},
			Call{Dialect: llm.Chat, Model: "gpt-5"},
			"acme.openai.azure.com:443 /openai/deployments/prod%23gpt/chat/completions?api-version=2024-10-21",
		},
		{
			Config{Kind: "azure", URL: azureAt, APIVersion: "2024-10-21"},
			Call{Op: llm.OpEmbed, Dialect: llm.Embeddings, Model: "ada"},
			"acme.openai.azure.com:443 /openai/deployments/ada/embeddings?api-version=2024-10-21",
		},
		{
			Config{Kind: "azure", URL: azureAt, APIVersion: "2025-03-01-preview"},
			Call{Dialect: llm.Responses, Model: "gpt-5"},
			"acme.openai.azure.com:443 /openai/responses?api-version=2025-03-01-preview",
		},
		{
			Config{Kind: "azure", URL: "https://acme.services.ai.azure.com/models", APIVersion: "2024-05-01-preview"},
			Call{Dialect: llm.Chat, Model: "grok-4"},
			"acme.services.ai.azure.com:443 /models/chat/completions?api-version=2024-05-01-preview",
		},
		{
			Config{Kind: "azureml", URL: "https://ep.eastus.inference.ml.azure.com/score", Deployments: map[string]string{"llama": "blue"}},
			Call{Dialect: llm.Chat, Model: "llama"},
			"ep.eastus.inference.ml.azure.com:443 /v1/chat/completions azureml-model-deployment=blue",
		},
		{east, Call{Dialect: llm.Converse, Model: claude}, "bedrock-runtime.us-east-1.amazonaws.com:443 /model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"},
		{east, Call{Dialect: llm.Converse, Model: "amazon.nova-lite-v1:0", Stream: true}, "bedrock-runtime.us-east-1.amazonaws.com:443 /model/amazon.nova-lite-v1%3A0/converse-stream"},
		{east, Call{Dialect: llm.Anthropic, Model: claude}, "bedrock-runtime.us-east-1.amazonaws.com:443 /model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"},
		{east, Call{Dialect: llm.Anthropic, Model: claude, Stream: true}, "bedrock-runtime.us-east-1.amazonaws.com:443 /model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream"},
		{east, Call{Op: llm.OpCount, Dialect: llm.Converse, Model: "m"}, "bedrock-runtime.us-east-1.amazonaws.com:443 /model/m/count-tokens"},
		{east, Call{Op: llm.OpEmbed, Dialect: llm.Embeddings, Model: "cohere.embed-v4:0"}, "bedrock-runtime.us-east-1.amazonaws.com:443 /model/cohere.embed-v4%3A0/invoke"},
		{
			Config{Kind: "bedrock", Region: "cn-north-1", Deployments: map[string]string{"m": "arn:aws:bedrock:cn-north-1:1:inference-profile/x"}},
			Call{Dialect: llm.Converse, Model: "m"},
			"bedrock-runtime.cn-north-1.amazonaws.com.cn:443 /model/arn%3Aaws%3Abedrock%3Acn-north-1%3A1%3Ainference-profile%2Fx/converse",
		},
		{Config{Kind: "gemini"}, Call{Dialect: llm.Gemini, Model: "gemini-2.5-flash"}, "generativelanguage.googleapis.com:443 /v1beta/models/gemini-2.5-flash:generateContent"},
		{Config{Kind: "gemini"}, Call{Dialect: llm.Gemini, Model: "gemini-2.5-flash", Stream: true}, "generativelanguage.googleapis.com:443 /v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"},
		{Config{Kind: "gemini"}, Call{Op: llm.OpCount, Dialect: llm.Gemini, Model: "models/gemini-2.5-flash"}, "generativelanguage.googleapis.com:443 /v1beta/models/gemini-2.5-flash:countTokens"},
		{Config{Kind: "gemini"}, Call{Op: llm.OpEmbed, Dialect: llm.Gemini, Model: "e", Body: []byte(`{"content":{}}`)}, "generativelanguage.googleapis.com:443 /v1beta/models/e:embedContent"},
		{Config{Kind: "gemini"}, Call{Op: llm.OpEmbed, Dialect: llm.Gemini, Model: "e", Body: []byte(`{"requests":[]}`)}, "generativelanguage.googleapis.com:443 /v1beta/models/e:batchEmbedContents"},
		{Config{Kind: "gemini"}, Call{Dialect: llm.Chat, Model: "gemini-2.5-flash"}, "generativelanguage.googleapis.com:443 /v1beta/openai/chat/completions"},
		{Config{Kind: "gemini"}, Call{Dialect: llm.Gemini, Model: "tunedModels/my tune"}, "generativelanguage.googleapis.com:443 /v1beta/tunedModels/my%20tune:generateContent"},
		{eu, Call{Dialect: llm.Gemini, Model: "gemini-2.5-pro"}, "europe-west4-aiplatform.googleapis.com:443 /v1/projects/acme-1/locations/europe-west4/publishers/google/models/gemini-2.5-pro:generateContent"},
		{eu, Call{Dialect: llm.Anthropic, Model: "claude-sonnet-4-5@20250929", Stream: true}, "europe-west4-aiplatform.googleapis.com:443 /v1/projects/acme-1/locations/europe-west4/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"},
		{eu, Call{Dialect: llm.Anthropic, Op: llm.OpCount, Model: "claude-sonnet-4-5"}, "europe-west4-aiplatform.googleapis.com:443 /v1/projects/acme-1/locations/europe-west4/publishers/anthropic/models/count-tokens:rawPredict"},
		{eu, Call{Dialect: llm.Chat, Model: "meta/llama-4"}, "europe-west4-aiplatform.googleapis.com:443 /v1/projects/acme-1/locations/europe-west4/endpoints/openapi/chat/completions"},
		{
			Config{Kind: "vertex", Region: "global", Project: "p", Deployments: map[string]string{"gemini-x": "endpoints/42"}},
			Call{Dialect: llm.Gemini, Model: "gemini-x"},
			"aiplatform.googleapis.com:443 /v1/projects/p/locations/global/endpoints/42:generateContent",
		},
		{Config{Kind: "vertex", Region: "eu", Project: "p"}, Call{Dialect: llm.Anthropic, Model: "claude-x"}, "aiplatform.eu.rep.googleapis.com:443 /v1/projects/p/locations/eu/publishers/anthropic/models/claude-x:rawPredict"},
		{Config{Kind: "kserve", URL: "http://llama.models.svc"}, Call{Dialect: llm.Chat}, "llama.models.svc:80 /openai/v1/chat/completions"},
		{Config{Kind: "cohere"}, Call{Dialect: llm.Embeddings}, "api.cohere.ai:443 /compatibility/v1/embeddings"},
		{Config{Kind: "voyage"}, Call{Dialect: llm.Embeddings}, "api.voyageai.com:443 /v1/embeddings"},
	}
	for _, c := range cases {
		c.config.Validate("x", func(path, wrong, right string) { t.Errorf("%+v: %s: %s; %s", c.config, path, wrong, right) })
		target, err := New("x", c.config, nil, t0)
		if err != nil {
			t.Fatal(err)
		}
		var req h1.Request
		if c.call.Op == "" {
			c.call.Op = llm.OpGenerate
		}
		target.Fill(&req, c.call, t0)
		var got strings.Builder
		got.WriteString(req.Address + " " + req.Target)
		for _, f := range req.Header {
			if strings.HasPrefix(f.Name, "azureml") {
				got.WriteString(" " + f.Name + "=" + f.Value)
			}
		}
		if got.String() != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.config.Kind, c.call.Model, got.String(), c.want)
		}
	}
}

func TestKeysAreShownAsEachProviderWantsThem(t *testing.T) {
	t.Setenv("UPSTREAM_TEST_KEY", "k-1234567890abcdef")
	for kind, want := range map[string]string{
		"openai": "authorization: Bearer k-1234567890abcdef", "anthropic": "x-api-key: k-1234567890abcdef", "azure": "api-key: k-1234567890abcdef",
		"gemini": "x-goog-api-key: k-1234567890abcdef", "bedrock": "authorization: Bearer k-1234567890abcdef",
	} {
		target, err := New("x", Config{Kind: kind, URL: "https://host", Region: "us-east-1", Key: secret.Env("UPSTREAM_TEST_KEY")}, nil, t0)
		if err != nil {
			t.Fatal(err)
		}
		var req h1.Request
		target.Fill(&req, Call{Dialect: target.Dialects[0], Model: "m"}, t0)
		if _, f := target.Authorize(t.Context(), &req, "", "", t0); f != nil {
			t.Fatal(f)
		}
		var got []string
		for _, f := range req.Header {
			got = append(got, f.Name+": "+f.Value)
		}
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
}

// TestModelsAreAddressedInADialectThatTheySpeak: at the clouds that depends on
// the model.
func TestModelsAreAddressedInADialectThatTheySpeak(t *testing.T) {
	cases := []struct {
		config Config
		model  string
		client llm.Dialect
		want   llm.Dialect
	}{
		{Config{Kind: "bedrock", Region: "us-east-1"}, "us.anthropic.claude-sonnet-4-6", llm.Anthropic, llm.Anthropic},
		{Config{Kind: "bedrock", Region: "us-east-1"}, "amazon.nova-lite-v1:0", llm.Anthropic, llm.Converse},
		{Config{Kind: "bedrock", Region: "us-east-1", Deployments: map[string]string{"claude-x": "arn:aws:x/1"}}, "claude-x", llm.Anthropic, llm.Anthropic},
		{Config{Kind: "bedrock", Region: "us-east-1"}, "us.anthropic.claude-sonnet-4-6", llm.Chat, llm.Converse},
		{Config{Kind: "bedrock", Region: "us-east-1", Dialects: []llm.Dialect{llm.Chat, llm.Converse}}, "openai.gpt-oss-120b-1:0", llm.Responses, llm.Chat},
		{Config{Kind: "vertex", Region: "global", Project: "p"}, "claude-sonnet-4-6", llm.Chat, llm.Anthropic},
		{Config{Kind: "vertex", Region: "global", Project: "p"}, "gemini-2.5-pro", llm.Anthropic, llm.Gemini},
		{Config{Kind: "gemini"}, "gemini-2.5-pro", llm.Chat, llm.Gemini},
		{Config{Kind: "gemini", Dialects: []llm.Dialect{llm.Chat}}, "gemini-2.5-pro", llm.Anthropic, llm.Chat},
		{Config{Kind: "voyage"}, "voyage-3", llm.Chat, ""},
	}
	for _, c := range cases {
		target, err := New("x", c.config, nil, t0)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := target.Conversation(c.client, c.model); got != c.want || ok != (c.want != "") {
			t.Errorf("%s, model %s, client of %s: %q, want %q", c.config.Kind, c.model, c.client, got, c.want)
		}
	}
}

func TestWhatACloudNeedsIsNamedAtItsPlace(t *testing.T) {
	cases := []struct {
		config Config
		path   string
		says   string
	}{
		{Config{Kind: "bedrock"}, "x", "add `region:"},
		{Config{Kind: "vertex", Region: "global"}, "x", "add `project:"},
		{Config{Kind: "azure"}, "x", "add `url:"},
		{Config{Kind: "openai", Region: "us-east-1"}, "x.region", "remove it"},
		{Config{Kind: "gemini", APIVersion: "2024-10-21"}, "x.api_version", "remove it"},
		{Config{Kind: "groq", Deployments: map[string]string{"a": "b"}}, "x.deployments", "remove it"},
		{Config{Kind: "bedrock", Region: "us-east-1.evil.example/"}, "x.region", "us-east-1"},
		{Config{Kind: "vertex", Region: "global", Project: "a/b"}, "x.project", "as the provider does"},
		{Config{Kind: "azure", URL: "https://a", APIVersion: "2024&x=1"}, "x.api_version", "as the provider does"},
		{Config{Kind: "azure", URL: "https://a", Deployments: map[string]string{"gpt-5": ""}}, "x.deployments.gpt-5", "as the provider shows it"},
		{Config{Kind: "anthropic", Dialects: []llm.Dialect{llm.Converse}}, "x.dialects[0]", "use one of"},
		{Config{Kind: "bedrock", Region: "r", Dialects: []llm.Dialect{llm.Responses}}, "x.dialects[0]", "converse"},
	}
	for _, c := range cases {
		told := map[string]string{}
		c.config.Validate("x", func(path, wrong, right string) { told[path] = wrong + "; " + right })
		if !strings.Contains(told[c.path], c.says) || len(told) != 1 {
			t.Errorf("%+v: %v, want one at %s that says %q", c.config, told, c.path, c.says)
		}
	}
}

func TestTargetsOfTheEnvironment(t *testing.T) {
	cases := []struct {
		kind string
		env  map[string]string
		want string
	}{
		{"openai", map[string]string{"OPENAI_API_KEY": "k"}, "OPENAI_API_KEY||"},
		{"openai", nil, ""},
		{"openai", map[string]string{"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "https://llm.acme/v1"}, "OPENAI_API_KEY|https://llm.acme/v1|"},
		{"openai", map[string]string{"OPENAI_BASE_URL": "https://llm.acme/v1"}, ""},
		{"openai", map[string]string{"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "acme"}, "OPENAI_API_KEY beside OPENAI_BASE_URL"},
		{"anthropic", map[string]string{"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "https://llm.acme"}, "ANTHROPIC_API_KEY|https://llm.acme|"},
		{"anthropic", map[string]string{"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "https://llm.acme/anthropic/"}, "ANTHROPIC_API_KEY|https://llm.acme/anthropic/v1|"},
		{"gemini", map[string]string{"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": "https://llm.acme/g"}, "GEMINI_API_KEY|https://llm.acme/g/v1beta|"},
		{"gemini", map[string]string{"GOOGLE_API_KEY": "k"}, "GOOGLE_API_KEY||"},
		{"azure", map[string]string{"AZURE_OPENAI_API_KEY": "k"}, ""},
		{"azure", map[string]string{"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "acme"}, "AZURE_OPENAI_API_KEY beside AZURE_OPENAI_ENDPOINT"},
		{"azure", map[string]string{"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://acme.openai.azure.com/"}, "AZURE_OPENAI_API_KEY|https://acme.openai.azure.com/|"},
		{"bedrock", map[string]string{"AWS_BEARER_TOKEN_BEDROCK": "k"}, ""},
		{"bedrock", map[string]string{"AWS_BEARER_TOKEN_BEDROCK": "k", "AWS_DEFAULT_REGION": "eu-west-1"}, "AWS_BEARER_TOKEN_BEDROCK||eu-west-1"},
		{"bedrock", map[string]string{"AWS_BEARER_TOKEN_BEDROCK": "k", "AWS_REGION": "a/b"}, "AWS_BEARER_TOKEN_BEDROCK beside AWS_REGION"},
		{"vllm", map[string]string{"OPENAI_API_KEY": "k"}, ""},
	}
	for _, c := range cases {
		kind, _ := Find(c.kind)
		config, key, ok := kind.FromEnv(func(name string) string { return c.env[name] })
		got := ""
		if ok {
			got = key + "|" + config.URL + "|" + config.Region
		}
		if key, variable := kind.Unusable(func(name string) string { return c.env[name] }); key != "" {
			got += key + " beside " + variable
		}
		if got != c.want {
			t.Errorf("%s in %v: %q, want %q", c.kind, c.env, got, c.want)
		}
	}
}

func TestEnvelopes(t *testing.T) {
	beta := []h1.Field{{Name: "Anthropic-Beta", Value: "a-1, b-2"}, {Name: "anthropic-version", Value: "2023-06-01"}, {Name: "traceparent", Value: "t"}}
	cases := []struct {
		kind    string
		op      llm.Op
		body    string
		forward []h1.Field
		want    string
		headers string
	}{
		{
			"bedrock", llm.OpGenerate, `{"model":"m", "max_tokens" : 5,"stream":true,"x":1.0}`, beta,
			`{"max_tokens" : 5,"x":1.0,"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["a-1","b-2"]}`, "traceparent",
		},
		{
			"bedrock", llm.OpGenerate, `{"anthropic_beta":["b-2"],"anthropic_version":"vertex-2023-10-16","model":"m"}`, beta,
			`{"anthropic_beta":["b-2","a-1"],"anthropic_version":"bedrock-2023-05-31"}`, "traceparent",
		},
		{"bedrock", llm.OpGenerate, `{"anthropic_beta":["b-2"],"model":"m"}`, nil, `{"anthropic_beta":["b-2"],"anthropic_version":"bedrock-2023-05-31"}`, ""},
		{
			"vertex", llm.OpGenerate, `{"model":"m","stream":true}`, beta,
			`{"stream":true,"anthropic_version":"vertex-2023-10-16"}`, "Anthropic-Beta traceparent",
		},
		{"vertex", llm.OpCount, `{"model":"m"}`, nil, `{"model":"m","anthropic_version":"vertex-2023-10-16"}`, ""},
		{"bedrock", llm.OpGenerate, `{"model":"m"}`, nil, `{"anthropic_version":"bedrock-2023-05-31"}`, ""},
	}
	for _, c := range cases {
		target, err := New("x", Config{Kind: c.kind, Region: "us-east-1", Project: "p"}, nil, t0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := target.Envelope(c.op, llm.Anthropic).Apply(nil, []byte(c.body), c.forward)
		if err != nil || string(got) != c.want {
			t.Errorf("%s %s:\n got %s, %v\nwant %s", c.kind, c.body, got, err, c.want)
		}
		var req h1.Request
		target.Fill(&req, Call{Op: c.op, Dialect: llm.Anthropic, Model: "claude", Stream: true, Forward: c.forward}, t0)
		var names []string
		for _, f := range req.Header {
			if has(c.forward, f.Name) {
				names = append(names, f.Name)
			}
			if f.Name == "accept" && (f.Value == "application/vnd.amazon.eventstream") != (c.kind == "bedrock") {
				t.Errorf("%s accepts %s", c.kind, f.Value)
			}
		}
		if got := strings.Join(names, " "); got != c.headers {
			t.Errorf("%s forwards %q, want %q", c.kind, got, c.headers)
		}
	}
	bedrockTarget, _ := New("x", Config{Kind: "bedrock", Region: "r"}, nil, t0)
	if bedrockTarget.Envelope(llm.OpGenerate, llm.Converse) != nil || bedrockTarget.Envelope(llm.OpGenerate, llm.Anthropic).Chunk != "bytes" {
		t.Error("bedrock's envelopes")
	}
	for _, body := range []string{`[]`, `{"model":1,"model":2}`, `{`} {
		if _, err := bedrockTarget.Envelope(llm.OpGenerate, llm.Anthropic).Apply(nil, []byte(body), nil); err == nil {
			t.Errorf("%s is put in an envelope", body)
		}
	}
}
