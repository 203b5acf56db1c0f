package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/ledger"
)

// TestWhateverComputesWaits: at a replica that takes one request at a time the second
// waits for the first, whatever is asked for, and is fair and bounded as any other.
func TestWhateverComputesWaits(t *testing.T) {
	const config = `
targets: {a: {kind: openai-compatible, url: "http://a/v1", limits: {in_flight: 1}}}
models: {m: {pool: [a], served_as: x, queue: {requests: 1}}}
keys: {required: false}
`
	audio, kind := form(t, "model", "m")
	const plain = "application/json"
	for _, c := range []struct{ path, kind, body string }{
		{"/v1/chat/completions", plain, chatBody},
		{"/v1/embeddings", plain, `{"model":"m","input":["a","b"]}`},
		{"/v1/rerank", plain, `{"model":"m","query":"q","documents":["a","b"]}`},
		{"/v1/moderations", plain, `{"model":"m","input":"a"}`},
		{"/v1/audio/transcriptions", kind, audio},
		{"/v1/audio/speech", plain, `{"model":"m","input":"hello","voice":"v"}`},
		{"/v1/images/generations", plain, `{"model":"m","prompt":"a cat"}`},
	} {
		t.Run(c.path, func(t *testing.T) {
			setSecrets(t)
			bubble(t, config, func(t *testing.T, r *rig) {
				r.host("a", reply(t, "HTTP 200\ncontent-type: application/json\n\n@delay 1s\n{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[1]}],\"results\":[],\"choices\":[]}\n"))
				var callers sync.WaitGroup
				var codes [3]int
				for i := range codes {
					callers.Go(func() { codes[i] = r.send(http.MethodPost, c.path, c.kind, c.body).Code })
					synctest.Wait()
				}
				callers.Wait()
				if codes != [3]int{200, 200, http.StatusTooManyRequests} {
					t.Errorf("one is sent, one waits and one is refused: %v", codes)
				}
				if waited := longest(r.records()); waited < time.Second || waited > 1010*time.Millisecond {
					t.Errorf("the second waited for %v", waited)
				}
			})
		})
	}
}

func longest(list []*ledger.Exchange) (waited time.Duration) {
	for _, ex := range list {
		waited = max(waited, ex.Queued)
	}
	return waited
}

// TestQuestionsThatCostNothingDoNotWait for prompts that are computed.
func TestQuestionsThatCostNothingDoNotWait(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a"}}
models: {m: {pool: [a], served_as: x}}
keys: {required: false}
`
	setSecrets(t)
	bubble(t, config, func(t *testing.T, r *rig) {
		r.host("a", reply(t, slowScript))
		var callers sync.WaitGroup
		long := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":%q}]}`, strings.Repeat("word ", 20_000))
		callers.Go(func() { r.send(http.MethodPost, "/v1/chat/completions", "application/json", long) })
		synctest.Wait()
		callers.Go(func() {
			r.send(http.MethodPost, "/tokenize", "application/json", `{"model":"m","prompt":"`+strings.Repeat("word ", 20_000)+`"}`)
		})
		callers.Wait()
		if waited := longest(r.records()); waited != 0 {
			t.Errorf("it waited for %v", waited)
		}
	})
}

// TestVectorsOfALongTextAreLeftToBeComputed: an engine without a limit has no room for
// another text while it computes one that is long, by the speed that it has shown.
func TestVectorsOfALongTextAreLeftToBeComputed(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a"}}
models: {m: {pool: [a], served_as: x}}
keys: {required: false}
`
	setSecrets(t)
	bubble(t, config, func(t *testing.T, r *rig) {
		r.host("a", reply(t, "HTTP 200\ncontent-type: application/json\n\n@delay 200ms\n{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[1]}],\"usage\":{\"prompt_tokens\":25000,\"total_tokens\":25000}}\n"))
		body := fmt.Sprintf(`{"model":"m","input":%q}`, strings.Repeat("word ", 20_000))
		both := func() time.Duration {
			before := len(r.records())
			var callers sync.WaitGroup
			for range 2 {
				callers.Go(func() { r.send(http.MethodPost, "/v1/embeddings", "application/json", body) })
				synctest.Wait()
			}
			callers.Wait()
			return longest(slices.Clone(r.records()[before:]))
		}
		if waited := both(); waited != 200*time.Millisecond {
			t.Errorf("the second waited for %v, want until the first was answered", waited)
		}
		for range 60 {
			r.send(http.MethodPost, "/v1/embeddings", "application/json", body)
		}
		// 25,000 tokens are 0.8 s by the prior, and 0.2 s as they were seen, a part of which
		// every answer is thought to take: for the last 50 ms another may be sent.
		if waited := both(); waited < 80*time.Millisecond || waited >= 200*time.Millisecond {
			t.Errorf("with what was learned, the second waited for %v", waited)
		}
	})
}
