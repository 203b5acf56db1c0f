package models

import (
	"fmt"
	"testing"
	"time"
)

// TestAPoolHasAPrefillSide: the model's policy is for that side, discovered targets
// stand for their replicas on both, and what leads to the pool leads to it as well.
func TestAPoolHasAPrefillSide(t *testing.T) {
	targets := []Target{
		{Name: "d"},
		{Name: "o"},
		{Name: "fleet", Discovered: true, Replicas: []Replica{{Target: "fleet/a", Weight: 2}, {Target: "fleet/b", Rank: 1}}},
		{Name: "fleet/a"},
		{Name: "fleet/b"},
	}
	side := func(p Prefill) *Prefill { return &p }
	c := Config{Models: map[string]Model{
		"plain":    {Pool: []string{"d"}, ServedAs: "m"},
		"split":    {Pool: []string{"d"}, ServedAs: "m", Prefill: side(Prefill{Pool: []string{"o"}, Convention: ConventionVLLM}), Fallback: []Fallback{{To: "o/m"}}},
		"told":     {Pool: []string{"d"}, ServedAs: "m", Policy: Policy{Name: "chwbl"}, Prefill: side(Prefill{Pool: []string{"o"}, ServedAs: "p", Convention: ConventionLLMD, Threshold: 1, Timeout: time.Second})},
		"unranked": {Pool: []string{"d"}, ServedAs: "m", Policy: Policy{Name: PolicyWeighted}, Prefill: side(Prefill{Pool: []string{"o"}, Convention: ConventionP2P})},
		"found":    {Pool: []string{"d"}, ServedAs: "m", Prefill: side(Prefill{Pool: []string{"o", "fleet"}, Convention: ConventionVLLM})},
		"both":     {Pool: []string{"fleet"}, ServedAs: "m", Prefill: side(Prefill{Pool: []string{"o"}, Convention: ConventionVLLM})},
		"behind":   {Route: []Step{{To: "split"}}},
	}}
	cat := New(c, targets)
	for _, one := range []struct{ name, pool, prefill string }{
		{"plain", "0:d=m~auto", ""},
		{"split", "0:d=m~least_kv 1:o=m", "vllm 256 0s 0:o=m~auto"},
		{"told", "0:d=m~least_kv", "llm-d 1 1s 0:o=p~chwbl"},
		{"unranked", "0:d=m~least_kv", "vllm-p2p 256 0s 0:o=m~auto"},
		{"found", "0:d=m~least_kv", "vllm 256 0s 0:o=m~auto 0:fleet/a=m*2~auto 1:fleet/b=m~auto"},
		{"both", "0:fleet/a=m*2~least_kv 1:fleet/b=m~least_kv", "vllm 256 0s 0:o=m~auto"},
		{"behind", "0:d=m~least_kv 1:o=m", "vllm 256 0s 0:o=m~auto"},
	} {
		plan, err := cat.Resolve(one.name)
		if err != nil {
			t.Fatal(err)
		}
		if got := candidates(plan); got != one.pool {
			t.Errorf("%s leads to [%s], want [%s]", one.name, got, one.pool)
		}
		got := ""
		if p := plan.Candidates[0].Prefill; p != nil {
			got = fmt.Sprintf("%s %d %v %s", p.Convention, p.Threshold, p.Timeout, candidates(&Plan{Candidates: p.Candidates}))
		}
		if got != one.prefill {
			t.Errorf("%s has its prompts computed by [%s], want [%s]", one.name, got, one.prefill)
		}
		if last := plan.Candidates[len(plan.Candidates)-1]; last.Target == "o" && last.Prefill != nil {
			t.Errorf("the fallback of %s has a prefill side", one.name)
		}
	}
}
