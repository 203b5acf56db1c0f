package gateway_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/route"
)

// One request at a time, each a second long.
const (
	narrowConfig = `
targets: {a: {kind: vllm, url: "http://a", limits: {in_flight: 1}}}
models: {m: {pool: [a], served_as: x, queue: {requests: 20, max_wait: 60s}}}
keys: {static: [{name: app, key: "env:CLIENT_KEY", may_name_customers: true}]}
customers: {many: {}, few: {}, urgent: {priority: high}}
`
	slowScript = "HTTP 200\ncontent-type: application/json\n\n@delay 1s\n{\"choices\":[]}\n"
)

// narrow runs a test with a replica that takes one request at a time.
func narrow(t *testing.T, test func(t *testing.T, r *rig, c *crowd)) {
	t.Helper()
	setSecrets(t)
	bubble(t, narrowConfig, func(t *testing.T, r *rig) {
		r.host("a", reply(t, slowScript))
		test(t, r, &crowd{r: r})
	})
}

// crowd are callers side by side.
type crowd struct {
	r       *rig
	callers sync.WaitGroup
	mu      sync.Mutex
	done    []string // customers, in the order in which they were answered
	refused []*httptest.ResponseRecorder
}

// call makes a request for a customer and returns once it waits, or is sent.
func (c *crowd) call(ctx context.Context, customer string, header ...string) {
	c.callers.Go(func() {
		w := c.r.postFor(ctx, customer, header...)
		c.mu.Lock()
		defer c.mu.Unlock()
		if w == nil {
			return
		}
		if w.Code == http.StatusOK {
			c.done = append(c.done, customer)
			return
		}
		c.refused = append(c.refused, w)
	})
	synctest.Wait()
}

func (r *rig) postFor(ctx context.Context, customer string, header ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(chatBody))
	req.Host = "127.0.0.1:4600"
	req.Header.Set("Authorization", "Bearer "+clientKey)
	req.Header.Set("X-Tailplane-Customer", customer)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	defer func() {
		if bug := recover(); bug != nil && ctx.Err() == nil { // as a server ends the connection of one that left
			panic(bug)
		}
	}()
	r.gateway.ServeHTTP(w, req)
	return w
}

func TestNothingWaitsWhileThereIsRoom(t *testing.T) {
	narrow(t, func(t *testing.T, r *rig, _ *crowd) {
		for range 3 {
			if w := r.postFor(t.Context(), "few"); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		for _, ex := range r.records() {
			if ex.Queued != 0 || ex.Reason != "model of the config" || ex.Total > 1100*time.Millisecond {
				t.Errorf("a request waited %v, took %v and went %q", ex.Queued, ex.Total, ex.Reason)
			}
		}
	})
}

// TestTenantsTakeTurnsUnderOverload: who asks for little is served as if the
// other's twelve requests were not there.
func TestTenantsTakeTurnsUnderOverload(t *testing.T) {
	narrow(t, func(t *testing.T, r *rig, c *crowd) {
		for range 12 {
			c.call(t.Context(), "many")
		}
		for range 3 {
			c.call(t.Context(), "few")
		}
		if n := scrape(r.metrics)[`tailplane_queue_waiting{band="normal",model="x"}`]; n != 14 {
			t.Errorf("the metrics say that %v wait, want 14", n)
		}
		c.callers.Wait()
		if len(c.refused) > 0 {
			t.Fatalf("%d %s", c.refused[0].Code, c.refused[0].Body)
		}
		last := 0
		for i, customer := range c.done {
			if customer == "few" {
				last = i
			}
		}
		if last > 7 {
			t.Errorf("they were answered in the order %v", c.done)
		}
		if n := scrape(r.metrics)[`tailplane_queue_wait_seconds_count{model="x"}`]; n != 14 {
			t.Errorf("the metrics say that %v have waited, want 14", n)
		}
		if n := scrape(r.metrics)[`tailplane_overhead_seconds_sum{model="m"}`]; n > 0.001 {
			t.Errorf("%v s of waiting count as the gateway's own", n)
		}
	})
}

func TestAHigherPriorityGoesFirst(t *testing.T) {
	narrow(t, func(t *testing.T, r *rig, c *crowd) {
		for range 4 {
			c.call(t.Context(), "many")
		}
		c.call(t.Context(), "urgent")
		c.callers.Wait()
		if want := []string{"many", "urgent", "many", "many", "many"}; !slices.Equal(c.done, want) {
			t.Errorf("they were answered in the order %v, want %v", c.done, want)
		}
	})
}

// TestADeadlineThatCannotBeKeptIsRefusedAtOnce, with a wait that is true: whoever
// comes back then finds room.
func TestADeadlineThatCannotBeKeptIsRefusedAtOnce(t *testing.T) {
	narrow(t, func(t *testing.T, r *rig, c *crowd) {
		for range 6 {
			c.call(t.Context(), "many")
		}
		time.Sleep(1500 * time.Millisecond)
		begin := time.Now()
		w := r.postFor(t.Context(), "many", "X-Tailplane-Deadline-Ms", "1")
		if took := time.Since(begin); took > 100*time.Millisecond || w.Code != http.StatusTooManyRequests {
			t.Fatalf("after %v: %d %s", took, w.Code, w.Body)
		}
		if after, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || after < 1 {
			t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
		}
		if !strings.Contains(w.Body.String(), "this model is busy") {
			t.Errorf("it is told %s", w.Body)
		}
		if n := scrape(r.metrics)[`tailplane_queue_refused_total{band="normal",model="x",reason="deadline"}`]; n != 1 {
			t.Errorf("%v refusals are counted", n)
		}
		c.callers.Wait()
	})
}

func TestACallerThatLeavesFreesItsPlace(t *testing.T) {
	narrow(t, func(t *testing.T, r *rig, c *crowd) {
		ctx, leave := context.WithCancel(t.Context())
		c.call(t.Context(), "many")
		for range 5 {
			c.call(ctx, "few")
		}
		c.call(t.Context(), "many")
		leave()
		begin := time.Now()
		c.callers.Wait()
		if took := time.Since(begin); len(c.done) != 2 || took > 2100*time.Millisecond {
			t.Errorf("%v were answered after %v", c.done, took)
		}
		gone := 0
		for _, ex := range r.records() {
			if ex.Outcome == ledger.OutcomeGone && ex.Fault == llm.FaultClientGone && len(ex.Attempts) == 0 {
				gone++
			}
		}
		if gone != 5 {
			t.Errorf("%d records say that the caller left while it waited, want 5", gone)
		}
	})
}

// TestWhoFindsNoRoomGoesToTheFallback, when the queue is full.
func TestWhoFindsNoRoomGoesToTheFallback(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}}
models: {m: {pool: [a], served_as: x, fallback: [b/y], queue: {requests: 1}}}
keys: {static: [{name: app, key: "env:CLIENT_KEY"}]}
`
	setSecrets(t)
	bubble(t, config, func(t *testing.T, r *rig) {
		r.host("a", reply(t, "HTTP 429\ncontent-type: application/json\nretry-after: 0\n\n{\"error\":{\"message\":\"busy\"}}\n"), reply(t, slowScript))
		b := r.host("b", reply(t, okScript))
		c := &crowd{r: r}
		c.call(t.Context(), "") // is refused, so that a is known to take one at a time
		before := len(b.Heard())
		for range 3 {
			c.call(t.Context(), "")
		}
		c.callers.Wait()
		if len(c.done) != 4 {
			t.Errorf("%d were answered", len(c.done))
		}
		if got := len(b.Heard()) - before; got != 1 {
			t.Errorf("the fallback was asked %d times, want once: one is sent, one waits", got)
		}
	})
}

func TestARefusalSpeaksTheCallersDialect(t *testing.T) {
	narrow(t, func(t *testing.T, r *rig, c *crowd) {
		for range 2 {
			c.call(t.Context(), "many")
		}
		w := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/messages", strings.NewReader(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`))
		req.Host = "127.0.0.1:4600"
		req.Header.Set("X-Api-Key", clientKey)
		req.Header.Set("X-Slo-Ttft-Ms", "10")
		r.gateway.ServeHTTP(w, req)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"type":"rate_limit_error"`) {
			t.Errorf("%d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
		}
		c.callers.Wait()
	})
}

// TestWhatWaitsOutlivesAReload, and the new bounds hold.
func TestWhatWaitsOutlivesAReload(t *testing.T) {
	narrow(t, func(t *testing.T, r *rig, c *crowd) {
		for range 3 {
			c.call(t.Context(), "many")
		}
		r.gateway.Swap(r.plane(strings.Replace(narrowConfig, "requests: 20", "requests: 2", 1)))
		w := r.postFor(t.Context(), "many")
		if w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), "queue_full") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		c.callers.Wait()
		if len(c.done) != 3 {
			t.Errorf("%d of those that waited were answered, want 3", len(c.done))
		}
	})
}

// TestAnEngineThatComputesIsLeftAlone: a second prompt is held back until the first
// has its first token, and goes on while the first is still being written.
func TestAnEngineThatComputesIsLeftAlone(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a"}}
models: {m: {pool: [a], served_as: x}}
keys: {required: false}
`
	const script = "HTTP 200\ncontent-type: text/event-stream\n\n@delay 300ms\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n@delay 5s\ndata: [DONE]\n\n"
	bubble(t, config, func(t *testing.T, r *rig) {
		r.host("a", reply(t, script))
		body := `{"model":"m","stream":true,"messages":[{"role":"user","content":"` + strings.Repeat("word ", 20_000) + `"}]}`
		var callers sync.WaitGroup
		for range 2 {
			callers.Go(func() { r.post(body) })
			synctest.Wait()
		}
		callers.Wait()
		waited := time.Duration(0)
		for _, ex := range r.records() {
			waited = max(waited, ex.Queued)
		}
		if waited != 300*time.Millisecond {
			t.Errorf("the second waited %v, want until the first token after 300ms", waited)
		}
	})
}

// TestARequestIsHeldUntilOthersAreHeard: its gateway's own replica is busy, and while
// it is held back another gateway sends a request where it would have gone. What
// stands behind the replicas makes no difference.
func TestARequestIsHeldUntilOthersAreHeard(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}, c: {kind: vllm, url: "http://c"}, d: {kind: vllm, url: "http://d"}}
models:
  m: {pool: [a, b], served_as: x%s}
  behind: {pool: [c, d], served_as: y}
keys: {required: false}
`
	t.Run("alone", func(t *testing.T) { heldUntilHeard(t, fmt.Sprintf(config, "")) })
	t.Run("before a fallback", func(t *testing.T) { heldUntilHeard(t, fmt.Sprintf(config, ", fallback: [behind]")) })
}

func heldUntilHeard(t *testing.T, config string) {
	bubble(t, config, func(t *testing.T, r *rig) {
		r.host("a", reply(t, okScript))
		r.host("b", reply(t, okScript))
		long := func(word string) string {
			return `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat(word+" ", 20_000) + `"}]}`
		}
		r.post(long("other")) // what is typical
		tell := func(target string, kind route.DeltaKind) {
			r.groups.Apply(time.Now(), "peer", route.Delta{Group: route.Hash("x"), Replica: route.Hash(target + "/x"), Kind: kind, Work: 3, Tokens: 50_000})
		}
		tell("a", route.DeltaSent)
		var callers sync.WaitGroup
		callers.Go(func() { r.post(long("word")) })
		time.Sleep(40 * time.Millisecond)
		tell("b", route.DeltaSent)
		tell("a", route.DeltaFirst)
		tell("a", route.DeltaDone)
		callers.Wait()
		ex := slices.MaxFunc(r.records(), func(a, b *ledger.Exchange) int { return cmp.Compare(a.Queued, b.Queued) })
		if ex.Queued < 50*time.Millisecond || ex.Queued > 100*time.Millisecond || len(ex.Attempts) != 1 || ex.Attempts[0].Target != "a" {
			t.Errorf("it was held back for %v and went to %+v", ex.Queued, ex.Attempts)
		}
	})
}
