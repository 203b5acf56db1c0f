package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

const forwardConfig = `
targets:
  a: {kind: openai, url: "http://a", key: "env:PROVIDER_KEY"}
  b: {kind: openai-compatible, url: "http://b"}
models:
  whisper: {route: [a/whisper-1]}
keys: {required: false}
`

// form is a multipart body and its content type.
func form(t *testing.T, fields ...string) (string, string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", "a.wav")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte("RIFF\r\n--" + w.Boundary()[:20] + "\r\nsound"))
	for i := 0; i < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	return b.String(), w.FormDataContentType()
}

// send makes a request without a server in between.
func (r *rig) send(method, path, kind, body string, header ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Host = "127.0.0.1:4600"
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	r.gateway.ServeHTTP(w, req)
	return w
}

func jsonReply(body string) string {
	return "HTTP 200\ncontent-type: application/json\n\n" + body + "\n"
}

func TestATranscriptionPassesWithItsModelEdited(t *testing.T) {
	setSecrets(t)
	answers := map[string]struct {
		script string
		want   llm.Usage
	}{
		"seconds":  {jsonReply(`{"text":"hi","usage":{"type":"duration","seconds":9}}`), llm.Usage{AudioMillis: 9000, Source: llm.UsageReported}},
		"duration": {jsonReply(`{"text":"hi","duration":2.5}`), llm.Usage{AudioMillis: 2500, Source: llm.UsageReported}},
		"tokens": {
			jsonReply(`{"text":"hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":45,"total_tokens":59}}`),
			llm.Usage{Input: 14, InputAudio: 14, Output: 45, Source: llm.UsageReported},
		},
		"text": {"HTTP 200\ncontent-type: text/plain\n\nhi\n", llm.Usage{AudioMillis: 3, Source: llm.UsageEstimated}},
		"stream": {
			"HTTP 200\ncontent-type: text/event-stream\n\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\"h\"}\n\n" +
				"data: {\"type\":\"transcript.text.done\",\"text\":\"hi\",\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}\n\n",
			llm.Usage{Input: 3, Output: 2, Source: llm.UsageReported},
		},
	}
	for name, c := range answers {
		t.Run(name, func(t *testing.T) {
			bubble(t, forwardConfig, func(t *testing.T, r *rig) {
				host := r.host("a", reply(t, c.script))
				body, kind := form(t, "model", "whisper", "language", "de")
				w := r.send(http.MethodPost, "/v1/audio/transcriptions", kind, body)
				_, want, _ := strings.Cut(c.script, "\n\n")
				if w.Code != http.StatusOK || w.Body.String() != want {
					t.Errorf("%d %q, want %q", w.Code, w.Body, want)
				}
				heard := host.Heard()
				if len(heard) != 1 || heard[0].Target != "/v1/audio/transcriptions" || heard[0].Header.Get("Content-Type") != kind ||
					string(heard[0].Body) != strings.Replace(body, "\r\n\r\nwhisper\r\n", "\r\n\r\nwhisper-1\r\n", 1) {
					t.Fatalf("the target heard %+v", heard)
				}
				ex := r.records()[0]
				got := ex.Attempts[0].Usage
				if len(r.records()) != 1 || ex.Op != llm.OpTranscribe || got.Source != c.want.Source || got.Input != c.want.Input ||
					got.InputAudio != c.want.InputAudio || got.Output != c.want.Output {
					t.Errorf("%s", asJSON(t, ex))
				}
			})
		})
	}
}

// TestABatchIsSettledOnce: a file goes to the target that is named, its batch
// follows it, and what the batch has used is one exchange however often it is
// looked at.
func TestABatchIsSettledOnce(t *testing.T) {
	setSecrets(t)
	bubble(t, forwardConfig, func(t *testing.T, r *rig) {
		const done = `{"id":"batch_1","object":"batch","status":"completed","model":"gpt-5-nano","output_file_id":"file-2","errors":null,` +
			`"usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":200},"output_tokens":500,"total_tokens":1500}}`
		r.host("a",
			reply(t, jsonReply(`{"id":"file-1","object":"file"}`)),
			reply(t, jsonReply(`{"id":"batch_1","object":"batch","status":"validating"}`)),
			reply(t, jsonReply(`{"id":"batch_1","object":"batch","status":"in_progress","usage":{"input_tokens":1,"output_tokens":1}}`)),
			reply(t, jsonReply(done)), reply(t, jsonReply(done)),
			reply(t, jsonReply(`{"object":"list","data":[{"id":"file-9"},{"id":"file-1"}, {"id":"file-2","x":[1]}],"has_more":true}`)),
			reply(t, "HTTP 200\ncontent-type: application/octet-stream\n\n{\"line\":1}\n{\"line\":2}\n"),
			reply(t, jsonReply(`{"id":"file-2","deleted":true}`)),
		)
		body, kind := form(t, "purpose", "batch")
		ok := func(w *httptest.ResponseRecorder, want string) {
			t.Helper()
			if w.Code != http.StatusOK || strings.TrimSuffix(w.Body.String(), "\n") != want {
				t.Errorf("%d %s, want %s", w.Code, w.Body, want)
			}
		}
		ok(r.send(http.MethodPost, "/v1/files", kind, body, "X-Tailplane-Model", "a/any"), `{"id":"file-1","object":"file"}`)
		ok(r.send(http.MethodPost, "/v1/batches", "application/json", `{"input_file_id":"file-1"}`), `{"id":"batch_1","object":"batch","status":"validating"}`)
		if w := r.send(http.MethodGet, "/v1/batches/batch_1", "", ""); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		ok(r.send(http.MethodGet, "/v1/batches/batch_1", "", ""), done)
		ok(r.send(http.MethodGet, "/v1/batches/batch_1", "", ""), done)
		ok(r.send(http.MethodGet, "/v1/files", "", "", "X-Tailplane-Model", "a/any"), `{"object":"list","data":[{"id":"file-1"},{"id":"file-2","x":[1]}],"has_more":true}`)
		ok(r.send(http.MethodGet, "/v1/files/file-2/content", "", ""), "{\"line\":1}\n{\"line\":2}")
		ok(r.send(http.MethodDelete, "/v1/files/file-2", "", ""), `{"id":"file-2","deleted":true}`)
		if w := r.send(http.MethodGet, "/v1/files/file-2", "", ""); w.Code != http.StatusNotFound {
			t.Errorf("a deleted file: %d", w.Code)
		}
		var settled []*ledger.Exchange
		var charged int64
		for _, ex := range r.records() {
			charged += ex.Cost
			if ex.Reason == "settlement" {
				settled = append(settled, ex)
			}
		}
		if len(settled) != 1 {
			t.Fatalf("%d settlements", len(settled))
		}
		ex := settled[0]
		if ex.Model != "gpt-5-nano" || ex.Key != "anonymous" || ex.Usage.Input != 1000 || ex.Usage.CacheRead != 200 || ex.Usage.Output != 500 ||
			ex.Cost == 0 || ex.Cost != charged {
			t.Errorf("%d charged in all; %s", charged, asJSON(t, ex))
		}
	})
}

// TestABatchIsNotMadeTwice: when nobody knows whether the target has made it,
// asking again could make another.
func TestABatchIsNotMadeTwice(t *testing.T) {
	setSecrets(t)
	bubble(t, forwardConfig, func(t *testing.T, r *rig) {
		host := r.host("a", reply(t, jsonReply(`{"id":"file-1","object":"file"}`)), reply(t, failScript))
		body, kind := form(t, "purpose", "batch")
		r.send(http.MethodPost, "/v1/files", kind, body, "X-Tailplane-Model", "a/any")
		if w := r.send(http.MethodPost, "/v1/batches", "application/json", `{"input_file_id":"file-1"}`); w.Code != http.StatusBadGateway {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if n := len(host.Heard()); n != 2 {
			t.Errorf("the target was asked %d times", n)
		}
	})
}

// TestObjectsOfOthersAreNotThere: another key, without a customer in common, gets
// the same answer as for an id that nobody knows.
func TestObjectsOfOthersAreNotThere(t *testing.T) {
	setSecrets(t)
	config := strings.Replace(forwardConfig, "keys: {required: false}", `keys: {required: false, static: [{name: app, key: "env:CLIENT_KEY"}]}`, 1)
	bubble(t, config, func(t *testing.T, r *rig) {
		host := r.host("a", reply(t, jsonReply(`{"id":"resp_1","object":"response","output":[]}`)))
		if w := r.send(http.MethodPost, "/v1/responses", "", `{"model":"a/gpt-5-nano","input":"x"}`); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		get := func(id string) string {
			w := r.send(http.MethodGet, "/v1/responses/"+id, "", "", "Authorization", "Bearer "+clientKey)
			return fmt.Sprint(w.Code, strings.ReplaceAll(w.Body.String(), id, "ID"))
		}
		if other, unknown := get("resp_1"), get("resp_2"); other != unknown || !strings.HasPrefix(other, "404") {
			t.Errorf("%s, for an unknown one %s", other, unknown)
		}
		w := r.send(http.MethodPost, "/v1/responses", "", `{"model":"a/gpt-5-nano","input":"x","previous_response_id":"resp_1"}`, "Authorization", "Bearer "+clientKey)
		if w.Code != http.StatusNotFound || len(host.Heard()) != 1 {
			t.Errorf("%d %s; the target was asked %d times", w.Code, w.Body, len(host.Heard()))
		}
	})
}

// TestSoundThatIsCutIsNotTakenForWhole: the connection ends with it.
func TestSoundThatIsCutIsNotTakenForWhole(t *testing.T) {
	setSecrets(t)
	bubble(t, forwardConfig, func(t *testing.T, r *rig) {
		r.host("a", reply(t, "HTTP 200\ncontent-type: audio/mpeg\ncontent-length: 100\n\nhalf\n@cut\n"))
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("the answer ended as if it were complete")
			}
			ex := r.records()[0]
			if ex.Outcome != ledger.OutcomeBroken || ex.Attempts[0].Usage.Source != llm.UsageTapped {
				t.Errorf("%s", asJSON(t, ex))
			}
		}()
		r.send(http.MethodPost, "/v1/audio/speech", "application/json", `{"model":"a/tts-1","input":"hello"}`)
	})
}

func TestErrorsOfTheLaneAreOpenAIs(t *testing.T) {
	bubble(t, chatConfig, func(t *testing.T, r *rig) {
		w := r.send(http.MethodPost, "/v1/rerank", "application/json", `{"model":"m","query":`)
		var got struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusBadRequest || got.Error.Code != "bad_request" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// TestAKeyForSomeModelsMakesNoRequestWithoutOne: what cannot be checked is not
// allowed.
func TestAKeyForSomeModelsMakesNoRequestWithoutOne(t *testing.T) {
	setSecrets(t)
	const config = `
targets: {a: {kind: openai, url: "http://a"}}
keys: {static: [{name: app, key: "env:CLIENT_KEY", models: ["a/gpt-*"]}]}
listen: {max_body: 4KiB}
`
	bubble(t, config, func(t *testing.T, r *rig) {
		host := r.host("a", reply(t, jsonReply(`{"id":"file-1","object":"file"}`)))
		body, kind := form(t, "purpose", "batch")
		as := []string{"Authorization", "Bearer " + clientKey}
		for name, c := range map[string]struct {
			path, kind, body string
			want             int
		}{
			"no model":      {"/v1/images/generations", "application/json", `{"prompt":"x"}`, http.StatusForbidden},
			"another model": {"/v1/images/generations", "application/json", `{"model":"a/dall-e-3","prompt":"x"}`, http.StatusForbidden},
			"too large":     {"/v1/files", kind, body + strings.Repeat("x", 5<<10), http.StatusRequestEntityTooLarge},
		} {
			if w := r.send(http.MethodPost, c.path, c.kind, c.body, as...); w.Code != c.want {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		if w := r.send(http.MethodPost, "/v1/files", kind, body, as...); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := r.send(http.MethodPost, "/v1/batches", "", `{"input_file_id":"file-1"}`, as...); w.Code != http.StatusForbidden {
			t.Errorf("a batch of any models: %d %s", w.Code, w.Body)
		}
		if n := len(host.Heard()); n != 1 {
			t.Errorf("the target was asked %d times", n)
		}
	})
}
