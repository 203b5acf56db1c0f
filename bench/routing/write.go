package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tailplane/internal/replay"
)

const head = `# Routing: what each policy does to recorded traffic

Written by ` + "`make bench-routing`" + `; do not edit. Eight simulated engines (Llama-3-8B in bf16 on one H100 each, where nothing else is
said), in virtual time, with the production code of the router. [How to read this page and to run it on your own traffic](../guides/routing-benchmark.md).

**The engines' constants are roofline estimates, not measured.** Trust the order of the policies before their seconds; the last
tables of conversations halve and double the constants. Other policies are re-implemented from their descriptions with their published
defaults, and see the same prompts and the same index of caches as auto does. All settings of auto are the same in every table.

TTFT is the time to the first token in seconds, TPOT the time of each further one in milliseconds, E2E the whole answer, hit the share of prompt
tokens that an engine found in its cache, makespan from the first arrival to the last end. Each figure is the mean over the seeds of the
seed's own figure. Intervals are 95 % (Student's t over seeds; ratios are paired by seed, on their logarithms).

`

// write writes the page and its charts.
func write(dir string, sections []played, beside []aside) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(head)
	verdictTable(&b, sections, beside)
	for i := range sections {
		p := &sections[i]
		if err := begin(&b, dir, p.id, p.title, p.note, chart(p.title, "mean time to the first token, s", marksOf(p))); err != nil {
			return err
		}
		table(&b, p)
	}
	for i := range beside {
		a := &beside[i]
		drawn := ""
		if len(a.marks) > 0 {
			drawn = chart(a.title, a.unit, a.marks)
		}
		if err := begin(&b, dir, a.id, a.title, "", drawn); err != nil {
			return err
		}
		b.WriteString(a.text)
	}
	return os.WriteFile(filepath.Join(dir, "routing.md"), []byte(b.String()), 0o644)
}

// begin begins a section of the page, and writes its chart if it has one.
func begin(b *strings.Builder, dir, id, title, note, drawn string) error {
	fmt.Fprintf(b, "\n## %s\n\n", title)
	if note != "" {
		fmt.Fprintf(b, "%s\n\n", note)
	}
	if drawn == "" {
		return nil
	}
	name := "routing-" + id + ".svg"
	fmt.Fprintf(b, "![%s](%s)\n\n", title, name)
	return os.WriteFile(filepath.Join(dir, name), []byte(drawn), 0o644)
}

func verdictTable(b *strings.Builder, sections []played, beside []aside) {
	b.WriteString("## Bars\n\n| where | what | bar | measured (95 % interval) | |\n|---|---|---|---|---|\n")
	line := func(where string, v *verdict) {
		fmt.Fprintf(b, "| %s | %s | %s | %s | **%s** |\n", where, v.name, v.bar.text(), number(v.got), v.word())
	}
	for i := range sections {
		for j := range sections[i].verdicts {
			line(sections[i].title, &sections[i].verdicts[j])
		}
	}
	for i := range beside {
		for j := range beside[i].verdicts {
			line(beside[i].title, &beside[i].verdicts[j])
		}
	}
}

func table(b *strings.Builder, p *played) {
	fmt.Fprintf(b, "%d seeds, %.0f requests each.\n\n", p.seeds, p.results[0].Detail.Requests)
	fmt.Fprintf(b, "| policy | mean TTFT | beside %s | p50 | p90 | p99 | TPOT | TPOT p99 | E2E | hit | tokens/s | makespan |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n", p.results[0].Policy)
	for i := range p.results {
		r := &p.results[i]
		beside := "1"
		if i > 0 {
			beside = replay.Times(r.Detail.Ratio["ttft_mean"], r.Seeds)
		}
		fmt.Fprintf(b, "| %s | %.3f ± %.3f | %s | %.3f | %.2f | %.2f | %.1f | %.0f | %.2f | %.1f %% | %.0f | %.0f |\n",
			r.Policy, r.TTFT.Mean, (r.Detail.CI["ttft_mean"].High-r.Detail.CI["ttft_mean"].Low)/2, beside, r.TTFT.P50, r.TTFT.P90, r.TTFT.P99,
			1e3*r.TPOT.Mean, 1e3*r.TPOT.P99, r.E2E.Mean, 100*r.HitRate, r.Throughput, r.Makespan)
	}
	deaths(b, p)
}

// deaths tells what became of requests, where a replica died.
func deaths(b *strings.Builder, p *played) {
	if p.results[0].Detail.Windows == nil {
		return
	}
	b.WriteString("\n| policy | p99 TTFT, minute before | 10 s after | minute after those | asked elsewhere | cut off | failed |\n|---|---|---|---|---|---|---|\n")
	for i := range p.results {
		d := p.results[i].Detail
		fmt.Fprintf(b, "| %s | %.2f | %.2f | %.2f | %.1f | %.1f | %.1f |\n", p.results[i].Policy, d.Windows[0], d.Windows[1], d.Windows[2], d.Retried, d.Cut, d.Failed)
	}
}
