package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
)

// fake is a dialect whose codec is not here.
type fake struct {
	dialect.Surface
	name llm.Dialect
}

func (f fake) Name() llm.Dialect { return f.name }

// everyCodec has a surface for every dialect.
func everyCodec(d llm.Dialect) dialect.Surface {
	if s := codecs(d); s != nil {
		return s
	}
	return fake{dialect.For(llm.Chat), d}
}

// TestPaths is the table of paths as clients see it.
func TestPaths(t *testing.T) {
	table := surfaces(everyCodec)
	cases := []struct {
		method, path string
		want         string // op, dialect, model or id, stream
	}{
		{"POST", "/v1/chat/completions", "generate chat  "},
		{"POST", "/anthropic/v1/messages/count_tokens", "count anthropic  "},
		{"POST", "/v1beta/models/gemini-2.5-pro:generateContent", "generate gemini gemini-2.5-pro "},
		{"POST", "/v1beta/models/gemini-2.5-pro:streamGenerateContent", "generate gemini gemini-2.5-pro stream"},
		{"POST", "/v1/models/a/b:countTokens", "count gemini a/b "},
		{"POST", "/genai/v1beta/models/text-embedding:embedContent", "embed gemini text-embedding "},
		{"POST", "/gemini/v1beta/models/e:batchEmbedContents", "embed gemini e "},
		{"POST", "/v1/projects/p/locations/l/publishers/google/models/g:generateContent", "generate gemini g "},
		{"POST", "/v1beta1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent", "generate gemini g stream"},
		{"POST", "/v1beta1/publishers/google/models/g:generateContent", "generate gemini g "},
		{"GET", "/v1beta/models", "  gemini  "},
		{"GET", "/v1/models", "  chat  "},
		{"POST", "/model/anthropic.claude-3:0/converse", "generate converse anthropic.claude-3:0 "},
		{"POST", "/model/arn:aws:bedrock:eu:1:inference-profile/x/converse-stream", "generate converse arn:aws:bedrock:eu:1:inference-profile/x stream"},
		{"POST", "/bedrock/model/m/invoke", "invoke converse m "},
		{"POST", "/model/m/invoke-with-response-stream", "invoke converse m stream"},
		{"POST", "/model/m/count-tokens", "count converse m "},
		{"POST", "/openai/deployments/gpt/chat/completions", "generate chat gpt "},
		{"POST", "/openai/deployments/gpt/embeddings", "embed embeddings gpt "},
		{"POST", "/openai/deployments/gpt/completions", "generate completions gpt "},
		{"POST", "/openai/deployments/w/audio/transcriptions", "transcribe openai w "},
		{"POST", "/openai/v1/chat/completions", "generate chat  "},
		{"POST", "/openai/v1/images/edits", "image openai  "},
		{"POST", "/v2/rerank", "rerank openai  "},
		{"GET", "/v1/files/file-1/content", "file openai file-1 "},
		{"DELETE", "/files/file-1", "file openai file-1 "},
		{"GET", "/v1/batches/batch_1", "batch openai batch_1 "},
		{"POST", "/v1/batches/batch_1/cancel", "batch openai batch_1 "},
		{"GET", "/v1/responses/resp_1", "response openai resp_1 "},
		{"GET", "/v1/responses/resp_1/input_items", "response openai resp_1 "},
		{"GET", "/v1/realtime", "realtime openai  "},
		{"POST", "/tokenize", "tokenize openai  "},
		{"POST", "/v1beta/models/:generateContent", ""},
		{"POST", "/v1/projects/p/models:generateContent", ""},
		{"POST", "/model//converse", ""},
		{"GET", "/v1/files/", ""},
		{"GET", "/v1/files/a/b", ""},
		{"POST", "/v1/responses/a/b/cancel", ""},
		{"GET", "/v1/models/gpt", ""},
		{"POST", "/", ""},
	}
	for _, c := range cases {
		s, at, found := table.find(c.path, c.method)
		got := ""
		if found {
			stream := ""
			if s.stream {
				stream = "stream"
			}
			got = strings.Join([]string{string(s.op), string(s.dialect.Name()), at.model + at.id, stream}, " ")
			if s.op == "" {
				got = "  " + string(s.dialect.Name()) + "  "
			}
		}
		if got != c.want {
			t.Errorf("%s %s: %q, want %q", c.method, c.path, got, c.want)
		}
		if found && s.method != c.method {
			t.Errorf("%s %s takes %s", c.method, c.path, s.methods())
		}
	}
}

// TestPathsOfADialectWithoutACodecAreNotThere, so that a program without it says
// 404 and does not fail in the middle.
func TestPathsOfADialectWithoutACodecAreNotThere(t *testing.T) {
	table := surfaces(func(d llm.Dialect) dialect.Surface {
		if d == llm.Gemini || d == llm.Converse {
			return nil
		}
		return codecs(d)
	})
	for _, path := range []string{"/v1beta/models/g:generateContent", "/model/m/converse"} {
		if s, _, found := table.find(path, "POST"); found {
			t.Errorf("%s is %s", path, s.op)
		}
	}
}

func TestUnknownPathsFailInTheWordsOfTheirCallers(t *testing.T) {
	for path, want := range map[string]llm.Dialect{
		"/v1beta/nothing": llm.Gemini, "/genai/x": llm.Gemini, "/model/m/nothing": llm.Converse, "/bedrock/x": llm.Converse,
		"/anthropic/x": llm.Anthropic, "/v1/x": llm.Chat,
	} {
		if dialect.For(want) == nil {
			want = llm.Chat
		}
		if got := unknownSurface(httptest.NewRequest(http.MethodPost, path, nil)).dialect.Name(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// FuzzPath: any path leads to one surface or none, and what it names is a part of
// it that is not empty.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/v1beta/models/g:generateContent", "/model/m/converse", "/v1/files/x/content", "/v1/projects/p/models/m:countTokens", "//"} {
		f.Add(path)
	}
	table := surfaces(everyCodec)
	f.Fuzz(func(t *testing.T, path string) {
		s, at, found := table.find(path, http.MethodPost)
		name := at.model + at.id
		switch {
		case !found:
		case s.dialect == nil || s.method == "":
			t.Fatalf("%q has an empty surface", path)
		case at.id != "" && at.model != "", !strings.Contains(path, name):
			t.Fatalf("%q names %+v", path, at)
		case strings.Contains(at.id, "/"):
			t.Fatalf("%q names %+v", path, at)
		}
	})
}

func TestEventsBecomeAnArray(t *testing.T) {
	const first, second = "data: {\"a\":1}\r\n\r\n", "data: {\"b\":2}\n\n"
	for name, pieces := range map[string][]string{"events": {first, second}, "one write": {first + second}} {
		w := httptest.NewRecorder()
		a := &reframed{ResponseWriter: w, kind: "application/json", events: dialect.NewGeminiArrayWriter(w)}
		a.Header().Set("Content-Type", "text/event-stream")
		for _, p := range pieces {
			if n, err := a.Write([]byte(p)); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
			a.Flush()
		}
		(&call{w: a}).endFrames()
		if got := w.Body.String(); got != "[{\"a\":1}\n,{\"b\":2}]" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %q %v", name, got, w.Header())
		}
	}
	w := httptest.NewRecorder()
	a := &reframed{ResponseWriter: w, kind: "application/json", events: dialect.NewGeminiArrayWriter(w)}
	a.Header().Set("Content-Type", "application/json")
	a.WriteHeader(http.StatusBadRequest)
	_, _ = a.Write([]byte(`{"error":{}}`))
	(&call{w: a}).endFrames()
	if w.Body.String() != `{"error":{}}` || w.Code != http.StatusBadRequest {
		t.Errorf("an answer that is no stream became %d %q", w.Code, w.Body)
	}
}
