package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"tailplane/internal/complexity"
	"tailplane/internal/replay"
)

// The models of RouteLLM's published results, by the names of their columns.
const (
	weakModel   = "mistralai/Mixtral-8x7B-Instruct-v0.1"
	strongModel = "gpt-4-1106-preview"
)

// needsStrong is how well complexity tells prompts that need the strong model: what
// `tailplane route eval` measures, with five draws of the folds.
func needsStrong(ctx context.Context, o *options) (aside, error) {
	a := aside{title: "Which prompts need the strong model", unit: "share of the gap between the models that is recovered on average (APGR; chance 0.5)"}
	data, err := complexity.Read(complexity.From{Path: filepath.Join(o.traces, "routellm"), Weak: weakModel, Strong: strongModel})
	if err != nil {
		return a, err
	}
	r, err := complexity.Measure(ctx, data.Sets, complexity.Plan{Folds: 5, Seeds: 5, Seed: 1, LeaveGroupOut: true})
	if err != nil {
		return a, err
	}
	var b strings.Builder
	b.WriteString("RouteLLM's published results and protocol, without contaminated prompts ([the guide](../guides/complexity.md) has the terms). APGR is the mean over\nthe draws, with their range; CPT50 is the percentage of calls to the strong model that recovers half of the gap. With the guard, a prompt unlike the\ntraining goes to the strong model; its lift is over a router by chance with as many strong calls, at its worst threshold.\n\n")
	b.WriteString("| set | split | draws | APGR | CPT50 | CPT80 | APGR with the guard | lift with the guard |\n|---|---|---|---|---|---|---|---|\n")
	worst := 1.0
	for _, t := range r.Tests {
		got := replay.Interval{Mean: t.Curve.APGR, Low: t.Low, High: t.High}
		name := t.Set + ", " + t.Split
		a.marks = append(a.marks, mark{name: name, value: got.Mean, ci: got, ours: true})
		guarded, lift := "", ""
		if g := t.Guarded; g != nil {
			guarded, lift = fmt.Sprintf("%.3f", g.APGR), fmt.Sprintf("%+.4f", g.Lift)
			if !t.InDomain {
				worst = min(worst, g.Lift)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %.1f %% | %.1f %% | %s | %s |\n", t.Set, t.Split, t.Seeds, number(got), t.Curve.CPT50, t.Curve.CPT80, guarded, lift)
		a.verdicts = append(a.verdicts, complexityBars(&t, name, got)...)
	}
	a.verdicts = append(a.verdicts, verdict{atLeast("lift over chance off the distribution, with the guard, at the worst threshold", 0), flat(worst)})
	a.text = b.String()
	return a, nil
}

// complexityBars are those that a test has.
func complexityBars(t *complexity.Test, name string, got replay.Interval) []verdict {
	switch {
	case t.Set == "mmlu" && t.InDomain && strings.HasSuffix(t.Split, "folds"):
		return []verdict{{atLeast("APGR, "+name, 0.65), got}, {atMost("CPT50, "+name+", %", 28, nil), flat(t.Curve.CPT50)}}
	case t.Set == "mmlu" && strings.HasSuffix(t.Split, "groups left out"):
		return []verdict{{atLeast("APGR, "+name, 0.57), got}}
	case t.Set == "gsm8k" && t.InDomain && strings.HasSuffix(t.Split, "folds"):
		return []verdict{{atLeast("APGR, "+name, 0.63), got}}
	}
	return nil
}
