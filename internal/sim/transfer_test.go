package sim

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestAPromptIsComputedByOneEngineAndDecodedByAnother: the first says what it keeps,
// the second counts that as cached and computes its last token alone.
func TestAPromptIsComputedByOneEngineAndDecodedByAnother(t *testing.T) {
	o := Options{Models: []Model{{ID: "m", Profile: exact(), ReplyMin: 4, ReplyMax: 4}}}
	bubble(t, o, func(first *rig) {
		second := newRig(first.t, o)
		type told struct {
			Params json.RawMessage `json:"kv_transfer_params"`
			Usage  usage           `json:"usage"`
		}
		ask := func(r *rig, words int, more string) (a told, took time.Duration) {
			begin := time.Now()
			resp, body := r.call("/v1/completions", fmt.Sprintf(`{"model":"m","prompt":%q%s}`, strings.Repeat("word ", words), more))
			if err := json.Unmarshal([]byte(body), &a); err != nil || resp.StatusCode != 200 {
				t.Fatalf("%d %s: %v", resp.StatusCode, body, err)
			}
			return a, time.Since(begin)
		}
		kept, long := ask(first, 40, `,"max_tokens":1,"kv_transfer_params":{"do_remote_decode":true,"do_remote_prefill":false,"remote_block_ids":null}`)
		var p transfer
		if err := json.Unmarshal(kept.Params, &p); err != nil || !p.RemotePrefill || p.RemoteDecode || p.remote(exact().BlockSize) < kept.Usage.Prompt {
			t.Fatalf("the first engine says %s", kept.Params)
		}
		got, short := ask(second, 40, `,"max_tokens":1,"kv_transfer_params":`+string(kept.Params))
		if int(got.Usage.Details.Cached) != got.Usage.Prompt-1 || got.Params != nil || short >= long {
			t.Errorf("%d of %d tokens are cached, in %v after %v: %s", got.Usage.Details.Cached, got.Usage.Prompt, short, long, got.Params)
		}
		for more, want := range map[string]string{
			``: ``, `,"kv_transfer_params":null`: ``, `,"kv_transfer_params":{"do_remote_prefill":true}`: ``, // of nobody's blocks
			`,"max_tokens":90,"kv_transfer_params":{"do_remote_decode":true}`: `null`, // it has ended by itself
		} {
			if a, _ := ask(first, 7, more); string(a.Params) != want || a.Usage.Details.Cached > 7 {
				t.Errorf("%s: %s, %d cached", more, a.Params, a.Usage.Details.Cached)
			}
		}
	})
}
