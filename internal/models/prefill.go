package models

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tailplane/internal/suggest"
)

// Prefill is the `prefill:` of a model with a pool: the replicas that compute its
// prompts, so that those of the pool only decode.
type Prefill struct {
	// Pool are the targets that compute prompts; none of them is in the model's own
	// pool. The model's policy chooses among them, auto where it does not rank.
	Pool []string `yaml:"pool"`
	// ServedAs is what they call the model; empty is the name in the model's pool.
	ServedAs string `yaml:"served_as"`
	// Convention is how the two engines are told of each other.
	Convention Convention `yaml:"convention"`
	// Threshold is how many tokens of a prompt must be missing from the cache of the
	// replica that decodes for another one to compute them; 0 is DefaultThreshold.
	Threshold int `yaml:"threshold"`
	// Timeout is the longest that computing a prompt may take, the connection
	// included; 0 is half of the model's timeouts.first_token.
	Timeout time.Duration `yaml:"timeout"`
}

// Convention is how the engine that decodes is told who has computed its prompt.
type Convention string

// The conventions.
const (
	// ConventionLLMD names the prefill replica in the header x-prefiller-host-port; the
	// sidecar of the decode replica asks it (llm-d).
	ConventionLLMD Convention = "llm-d"
	// ConventionVLLM asks the prefill replica for one token, and hands what it says of its
	// blocks (kv_transfer_params) to the decode replica (vLLM's NixlConnector and its like).
	ConventionVLLM Convention = "vllm"
	// ConventionP2P does the same by a request id that both engines find each other by
	// (vLLM's P2pNcclConnector). The engine that decodes cannot compute a prompt itself.
	ConventionP2P Convention = "vllm-p2p"
)

// conventions are all of them, in the order in which they are told.
var conventions = []string{string(ConventionLLMD), string(ConventionVLLM), string(ConventionP2P)}

// Asks reports whether the gateway itself asks the prefill replica.
func (c Convention) Asks() bool { return c != ConventionLLMD }

// Needs reports whether the engine that decodes cannot do without the other one.
func (c Convention) Needs() bool { return c == ConventionP2P }

// DefaultThreshold is the threshold where none is stated.
const DefaultThreshold = 256

// mostThreshold bounds a threshold: no prompt is longer.
const mostThreshold = 100_000_000

// PrefillSide is who computes the prompts of a pool's candidates, and how.
type PrefillSide struct {
	Candidates []Candidate // those of a lower Group are asked while one of them is ready
	Convention Convention
	Threshold  int
	Timeout    time.Duration // 0 is half of the time to the first token
}

// side resolves the prefill side of a model; nil without one.
func (w *walk) side(m Model, policy Policy) *PrefillSide {
	p := m.Prefill
	if p == nil {
		return nil
	}
	out := &PrefillSide{Convention: p.Convention, Threshold: cmp.Or(p.Threshold, DefaultThreshold), Timeout: p.Timeout}
	if policy.Name == PolicyWeighted || policy.Name == PolicyPriority {
		policy = Policy{Name: PolicyAuto} // these do not rank replicas
	}
	for _, target := range p.Pool {
		out.Candidates = append(out.Candidates, expand(w.replicas, Candidate{Target: target, Model: cmp.Or(p.ServedAs, m.ServedAs), Policy: policy, Queue: m.Queue})...)
	}
	return out
}

// validatePrefill reports what is wrong with a `prefill:` section.
func (c Config) validatePrefill(path string, m Model, targets []string, report func(path, wrong, right string)) {
	p := m.Prefill
	if p == nil {
		return
	}
	if len(m.Pool) == 0 {
		report(path, "the prefill side of a model belongs to a pool that decodes, and this model has none", "use pool and served_as instead of a route, or leave it out")
	}
	switch {
	case p.Convention == "":
		report(path, "the engines are not told of each other", "add `convention:` with one of "+strings.Join(conventions, ", "))
	case !slices.Contains(conventions, string(p.Convention)):
		report(path+".convention", fmt.Sprintf("there is no convention %q", p.Convention),
			"use one of "+strings.Join(conventions, ", ")+suggest.Phrase(suggest.Nearest(string(p.Convention), conventions)))
	}
	if len(p.Pool) == 0 {
		report(path, "nobody computes the prompts", "add `pool: [TARGET, ...]`")
	}
	if len(p.Pool) > maxCandidates {
		report(path+".pool", fmt.Sprintf("the prefill side has more than %d targets", maxCandidates), "name fewer; one with `discover` stands for any number of replicas")
	}
	for i, target := range p.Pool {
		at := fmt.Sprintf("%s.pool[%d]", path, i)
		switch {
		case !slices.Contains(targets, target):
			report(at, fmt.Sprintf("there is no target %q", target), "name one of the targets"+near(target, targets))
		case slices.Contains(m.Pool, target):
			report(at, fmt.Sprintf("target %q decodes in the model's pool", target), "keep it on one side")
		}
	}
	if p.Threshold < 0 || p.Threshold > mostThreshold {
		report(path+".threshold", fmt.Sprintf("%d is out of range", p.Threshold), "use a number of tokens from 1, or leave it out for "+fmt.Sprint(DefaultThreshold))
	}
	if p.Convention.Needs() && p.Threshold != 0 {
		report(path+".threshold", fmt.Sprintf("an engine that decodes by %s computes no prompt, however short", p.Convention), "leave it out")
	}
	if p.Timeout < 0 || p.Timeout > 24*time.Hour {
		report(path+".timeout", fmt.Sprintf("%v is out of range", p.Timeout), "use 1ms to 24h, or leave it out")
	}
}
