package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"tailplane/internal/complexity"
	"tailplane/internal/replay"
)

// The models of RouteLLM's published results, by the names of their columns.
const (
	weakModel   = "mistralai/Mixtral-8x7B-Instruct-v0.1"
	strongModel = "gpt-4-1106-preview"
)

// complexitySeeds is how often all is trained and tested, where the flags say nothing.
const complexitySeeds = 5

// needsStrong is how well complexity tells prompts that need the strong model: what
// `tailplane route eval` measures, once for each seed.
func needsStrong(ctx context.Context, o *options) (aside, error) {
	a := aside{title: "Which prompts need the strong model", unit: "share of the gap between the models that is recovered on average (APGR; chance 0.5)"}
	data, err := complexity.Read(complexity.From{Path: filepath.Join(o.traces, "routellm"), Weak: weakModel, Strong: strongModel})
	if err != nil {
		return a, err
	}
	tests, err := overSeeds(ctx, data.Sets, cmp.Or(o.seeds, complexitySeeds))
	if err != nil {
		return a, err
	}
	if err := complete(tests); err != nil {
		return a, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `RouteLLM's published results and protocol, without contaminated prompts ([the guide](../guides/complexity.md) has the terms). %d seeds draw folds and
training. CPT50 and CPT80 are the percentage of calls to the strong model that recovers half and four fifths of the gap. With the guard, a prompt
unlike the training goes to the strong model; a lift is over a router by chance with as many strong calls, at the worst threshold.

| set | split | APGR | CPT50 | CPT80 | APGR with the guard | lift with the guard | without |
|---|---|---|---|---|---|---|---|
`, cmp.Or(o.seeds, complexitySeeds))
	var lifts []verdict
	for i := range tests {
		t := &tests[i]
		name := t.set + ", " + t.split
		a.marks = append(a.marks, mark{name: name, value: t.apgr.Mean, ci: t.apgr, ours: true})
		guarded := " | | "
		if t.guarded {
			guarded = fmt.Sprintf("%s | %s | %s", number(t.safe), fine(t.lift), fine(t.bare))
		}
		if t.guarded && strings.HasPrefix(t.split, elsewhere) {
			lifts = append(lifts, verdict{atLeast("lift over chance with the guard, "+name, 0), t.lift})
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s %% | %s %% | %s |\n", t.set, t.split, number(t.apgr), number(t.cpt50), number(t.cpt80), guarded)
		a.verdicts = append(a.verdicts, t.bars(name)...)
	}
	a.verdicts = append(a.verdicts, lifts...)
	a.text = b.String()
	return a, nil
}

// tested is a test over all seeds.
type tested struct {
	set, split         string
	guarded            bool
	apgr, cpt50, cpt80 replay.Interval
	safe, lift, bare   replay.Interval // with the guard; the last is the lift without it
}

// overSeeds measures once for each seed, so that every figure has an interval.
func overSeeds(ctx context.Context, sets []complexity.Set, seeds int) ([]tested, error) {
	reports := make([]complexity.Report, seeds)
	for i := range reports {
		var err error
		reports[i], err = complexity.Measure(ctx, sets, complexity.Plan{Folds: 5, Seeds: 1, Seed: uint64(i) + 1, LeaveGroupOut: true})
		if err != nil {
			return nil, err
		}
	}
	out := make([]tested, len(reports[0].Tests))
	for k := range out {
		of := func(f func(*complexity.Test) float64) replay.Interval {
			xs := make([]float64, seeds)
			for i := range reports {
				xs[i] = f(&reports[i].Tests[k])
			}
			return replay.IntervalOf(xs)
		}
		first := &reports[0].Tests[k]
		out[k] = tested{
			set: first.Set, split: first.Split, guarded: first.Guarded != nil,
			apgr:  of(func(t *complexity.Test) float64 { return t.Curve.APGR }),
			cpt50: of(func(t *complexity.Test) float64 { return t.Curve.CPT50 }),
			cpt80: of(func(t *complexity.Test) float64 { return t.Curve.CPT80 }),
		}
		if out[k].guarded {
			out[k].safe = of(func(t *complexity.Test) float64 { return t.Guarded.APGR })
			out[k].lift = of(func(t *complexity.Test) float64 { return t.Guarded.Lift })
			out[k].bare = of(func(t *complexity.Test) float64 { return t.Guarded.UnguardedLift })
		}
	}
	return out, nil
}

// elsewhere begins the split of a test whose model was trained on another set. Which
// tests those are is not asked of the guard, which is judged by them.
const elsewhere = "trained on "

// complete is an error when a test that has a bar was not measured: the bar would
// vanish from the page.
func complete(tests []tested) error {
	for _, want := range []struct{ set, split string }{{"mmlu", "5 folds"}, {"mmlu", "each of "}, {"gsm8k", "5 folds"}, {"mmlu", elsewhere}, {"gsm8k", elsewhere}} {
		if !slices.ContainsFunc(tests, func(t tested) bool { return t.set == want.set && strings.HasPrefix(t.split, want.split) }) {
			return fmt.Errorf("%s, %s: not measured; the folder routellm in -traces needs the results of both models on mmlu and gsm8k", want.set, strings.TrimSpace(want.split))
		}
	}
	return nil
}

// bars are those that a test has.
func (t *tested) bars(name string) []verdict {
	folds, groups := strings.HasSuffix(t.split, "folds"), strings.HasSuffix(t.split, "groups left out")
	switch {
	case t.set == "mmlu" && folds:
		return []verdict{{atLeast("APGR, "+name, 0.65), t.apgr}, {atMost("CPT50, "+name+", %", 28, nil), t.cpt50}}
	case t.set == "mmlu" && groups:
		return []verdict{{atLeast("APGR, "+name, 0.57), t.apgr}}
	case t.set == "gsm8k" && folds:
		return []verdict{{atLeast("APGR, "+name, 0.63), t.apgr}}
	}
	return nil
}

// fine is a small figure with its sign.
func fine(i replay.Interval) string {
	return fmt.Sprintf("%+.3f (%+.3f to %+.3f)", i.Mean, i.Low, i.High)
}
