package fleet

import (
	"sync"
	"time"

	"tailplane/internal/llm"
)

// quotas are what a target's answers told of its limits, by the credential they
// were for and the model: providers count both apart.
type quotas struct {
	mu    sync.Mutex
	known map[scope]*llm.Quota
}

// scope is what a limit holds for.
type scope struct{ credential, model string }

// maxScopes bounds the limits of one target that are remembered. Those that say
// nothing any more make room; while none does, no further one is kept.
const maxScopes = 256

// Learn takes over what an answer told of the limits of a credential for a
// model. credential is its name, empty where there is only one.
func (t *Target) Learn(now time.Time, credential, model string, told *llm.Quota) {
	t.quotas.mu.Lock()
	defer t.quotas.mu.Unlock()
	at := scope{credential, model}
	if q, ok := t.quotas.known[at]; ok {
		q.Learn(told)
		return
	}
	if t.quotas.known == nil {
		t.quotas.known = make(map[scope]*llm.Quota)
	}
	if len(t.quotas.known) >= maxScopes {
		t.quotas.forget(now)
	}
	if len(t.quotas.known) < maxScopes {
		q := *told
		t.quotas.known[at] = &q
	}
}

// forget drops the limits of which nothing is known any more.
func (q *quotas) forget(now time.Time) {
	for at, quota := range q.known {
		if _, known := quota.Headroom(now); !known {
			delete(q.known, at)
		}
	}
}

// Quota is what is known of the limits of a credential for a model.
func (t *Target) Quota(credential, model string) llm.Quota {
	t.quotas.mu.Lock()
	defer t.quotas.mu.Unlock()
	if q, ok := t.quotas.known[scope{credential, model}]; ok {
		return *q
	}
	return llm.Quota{}
}

// Headroom is what is left for a model at its best credential: the share, 1 when
// nothing is known, and how long nothing is left.
func (t *Target) Headroom(now time.Time, model string) (share float64, wait time.Duration) {
	t.quotas.mu.Lock()
	defer t.quotas.mu.Unlock()
	found := false
	for at, q := range t.quotas.known {
		if at.model != model {
			continue
		}
		s, _ := q.Headroom(now)
		w := min(q.Wait(now), longestWait)
		if !found || w < wait || w == wait && s > share {
			found, share, wait = true, s, w
		}
	}
	if !found {
		return 1, 0
	}
	return share, wait
}

// longestWait bounds how long a limit keeps requests off a target: what was
// learnt is looked at again.
const longestWait = time.Hour

// Tightest is, for each resource, the limit of the target of which the least
// share is left now; the zero Allowance where none is known.
func (t *Target) Tightest(now time.Time) llm.Quota {
	t.quotas.mu.Lock()
	defer t.quotas.mu.Unlock()
	var out llm.Quota
	var least [llm.Resources]float64
	for _, q := range t.quotas.known {
		for r := range q {
			left, known := q[r].Left(now)
			if !known {
				continue
			}
			share := left / float64(max(1, q[r].Limit))
			if !out[r].Known || share < least[r] {
				out[r], least[r] = q[r], share
				out[r].Remaining = int64(left)
			}
		}
	}
	return out
}
