package gateway

import (
	"encoding/json"
	"maps"
	"testing"

	"tailplane/internal/models"
)

func TestARequestForSeveralAnswersIsNotDivided(t *testing.T) {
	for body, divided := range map[string]bool{
		`{"prompt":"a"}`:                true,
		`{"prompt":["a"],"n":1}`:        true,
		`{"prompt":[1,2,3]}`:            true,
		`{"prompt":[[1,2,3]]}`:          true,
		`{"messages":[],"n":null}`:      true,
		`{"prompt":["a","b"]}`:          false,
		`{"prompt":[[1],[2]]}`:          false,
		`{"prompt":"a","best_of":2}`:    false,
		`{"messages":[],"n":2}`:         false,
		`{"messages":[],"\u006e":3}`:    false,
		`{"n":1,"messages":[],"n":1}`:   false, // nobody knows which one counts
		`{"messages":[],"stream":false`: false,
	} {
		if _, why := legBody(nil, []byte(body), models.ConventionVLLM); (why == "") != divided {
			t.Errorf("%s: %q", body, why)
		}
	}
}

// FuzzLegBody: a leg is the request for one token, and nothing else in it changes.
func FuzzLegBody(f *testing.F) {
	for _, body := range []string{
		`{}`, `{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":7}`,
		`{"min_tokens":5,"max_tokens":9,"kv_transfer_params":{"remote_host":"h"},"min_completion_tokens":1}`, ` { "stream_options" : 1 , "a" : [ ] } `, `{"n":2}`, `[`,
	} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	changed := []string{"stream", "stream_options", "max_tokens", "max_completion_tokens", "min_tokens", "min_completion_tokens", kvParams}
	f.Fuzz(func(t *testing.T, body []byte, nixl bool) {
		convention := models.ConventionP2P
		if nixl {
			convention = models.ConventionVLLM
		}
		out, why := legBody([]byte("x")[:0], body, convention)
		var before, after map[string]json.RawMessage
		if why != "" || json.Unmarshal(body, &before) != nil {
			return
		}
		if err := json.Unmarshal(out, &after); err != nil {
			t.Fatalf("%s became %s: %v", body, out, err)
		}
		_, capped := before["max_completion_tokens"]
		want := map[string]string{"stream": "false", "max_tokens": "1"}
		if capped {
			want["max_completion_tokens"] = "1"
		}
		if nixl {
			want[kvParams] = remoteDecode
		}
		for _, name := range changed {
			if got, there := after[name]; string(got) != want[name] || there != (want[name] != "") {
				t.Fatalf("%s of %s is %s, want %s", name, out, got, want[name])
			}
			delete(before, name)
			delete(after, name)
		}
		if !maps.EqualFunc(before, after, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Fatalf("%s became %s", body, out)
		}
	})
}
