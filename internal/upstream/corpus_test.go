package upstream_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/llmtest/corpus"
	"tailplane/internal/upstream"
)

// TestCorpusErrorsAreClassified reads every recorded error of the providers
// that have a kind and checks what it means for the next step. What it must
// mean follows from the scenario in which it was recorded, which the file's
// name tells (a bad key, a prompt that is too long, an unknown model), or else
// from its status. Run with -v for the counts:
//
//	TAILPLANE_CORPUS=DIR go test ./... -run Corpus -v
func TestCorpusErrorsAreClassified(t *testing.T) {
	dir, ok := corpus.Dir()
	if !ok {
		t.Skip("no recordings: set TAILPLANE_CORPUS, or put them at ../shared/corpus beside the repository")
	}
	recordings, _, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	ran, skipped := 0, map[string]int{}
	for i := range recordings {
		r := &recordings[i]
		bodies := errorsIn(r)
		if len(bodies) == 0 {
			continue
		}
		kind, why := speaker(r)
		if why != "" {
			skipped[why]++
			continue
		}
		ran++
		for _, answer := range bodies {
			fault := kind.Classify(answer)
			if want := expected(r, answer); !slices.Contains(want, fault.Kind) {
				t.Errorf("%s: %s %d %+v is %s, want one of %v", r.Name(), kind.Name, answer.Status, answer.Body, fault.Kind, want)
			}
			if fault.Message == "" || fault.Retry == "" || fault.Scope == "" {
				t.Errorf("%s: an incomplete fault: %+v", r.Name(), fault)
			}
		}
	}
	fmt.Printf("corpus: %d recordings ran, %d skipped (%s)\n", ran, total(skipped), reasons(skipped))
}

// errorsIn is what the provider refused with: the answer itself, or an error
// inside its stream (then the status is 0).
func errorsIn(r *corpus.Recording) []upstream.Answer {
	if r.Surface == "" {
		if r.Status >= 400 {
			return []upstream.Answer{{Status: r.Status}}
		}
		return nil
	}
	if r.Status >= 400 {
		return []upstream.Answer{{Status: r.Status, Body: dialect.For(r.Surface).DecodeError(r.Body)}}
	}
	codec := dialect.CodecFor(r.Surface)
	if codec == nil || !r.Streamed {
		return nil
	}
	var out []upstream.Answer
	for ev := range codec.Events(bytes.NewReader(r.Body)) {
		if ev.Kind == llm.EventFault {
			out = append(out, upstream.Answer{Body: *ev.Fault})
		}
	}
	return out
}

// speaker finds who answered.
func speaker(r *corpus.Recording) (*upstream.Kind, string) {
	if r.Surface == "" {
		return nil, "error of another API: " + r.Other
	}
	name := r.Provider
	if name == "azure" { // speaks OpenAI's dialect with codes of its own
		name = "openai-compatible"
	}
	kind, ok := upstream.Find(name)
	if !ok {
		return nil, "no kind for " + r.Provider
	}
	return kind, ""
}

// scenarios are words in the name of a file or in an error, and what the error
// must be understood as; the first that fits counts.
var scenarios = []struct {
	word string
	want []llm.FaultKind
}{
	{"context_length_exceeded", []llm.FaultKind{llm.FaultTooLong, llm.FaultRateLimit}}, // Azure says 429 to a prompt above the quota
	{"raises_appropriate_auth_error", []llm.FaultKind{llm.FaultCredential}},
	{"handles_invalid_api_keys", []llm.FaultKind{llm.FaultCredential}},
	{"unknown-model", []llm.FaultKind{llm.FaultUnknownModel}},
	{"model_name_suggestion", []llm.FaultKind{llm.FaultUnknownModel}},
	{"tool_use_failed", []llm.FaultKind{llm.FaultServer}},
	{"openai-error.1", []llm.FaultKind{llm.FaultQuota}},
}

// codes are providers' own words for what an error is; they count where no
// scenario is known.
var codes = map[string]llm.FaultKind{
	"model_not_found":         llm.FaultUnknownModel,
	"DeploymentNotFound":      llm.FaultUnknownModel,
	"invalid_api_key":         llm.FaultCredential,
	"context_length_exceeded": llm.FaultTooLong,
	"insufficient_quota":      llm.FaultQuota,
	"rate_limit_exceeded":     llm.FaultRateLimit,
	"RateLimitReached":        llm.FaultRateLimit,
	"overloaded_error":        llm.FaultOverloaded,
	"content_filter":          llm.FaultContentFilter,
}

func expected(r *corpus.Recording, answer upstream.Answer) []llm.FaultKind {
	for _, s := range scenarios {
		if !strings.Contains(r.File, s.word) {
			continue
		}
		if s.word == "context_length_exceeded" && r.Status != 429 {
			return s.want[:1]
		}
		return s.want
	}
	for _, word := range []string{answer.Body.Code, answer.Body.Type} {
		if kind, ok := codes[word]; ok {
			return []llm.FaultKind{kind}
		}
	}
	switch {
	case r.Status == 401 || r.Status == 403:
		return []llm.FaultKind{llm.FaultCredential}
	case r.Status == 404:
		return []llm.FaultKind{llm.FaultUnknownModel, llm.FaultNotFound}
	case r.Status == 429:
		return []llm.FaultKind{llm.FaultRateLimit, llm.FaultQuota, llm.FaultOverloaded, llm.FaultTooLong}
	case r.Status == 503 || r.Status == 529:
		return []llm.FaultKind{llm.FaultOverloaded}
	case r.Status >= 500 || answer.Status == 0:
		return []llm.FaultKind{llm.FaultServer}
	}
	return []llm.FaultKind{
		llm.FaultBadRequest, llm.FaultTooLarge, llm.FaultTooLong, llm.FaultUnsupported, llm.FaultQuota, llm.FaultContentFilter,
		llm.FaultUnknownModel,
	}
}

func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

func reasons(counts map[string]int) string {
	var list []string
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", why, counts[why]))
	}
	return strings.Join(list, ", ")
}
