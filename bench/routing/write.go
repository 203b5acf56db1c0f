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
func write(dir string, sections []played, c *cost) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(head)
	verdictTable(&b, sections, c)
	for i := range sections {
		p := &sections[i]
		name := "routing-" + p.id + ".svg"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(chart(p)), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n## %s\n\n", p.title)
		if p.note != "" {
			fmt.Fprintf(&b, "%s\n\n", p.note)
		}
		fmt.Fprintf(&b, "![%s](%s)\n\n", p.title, name)
		table(&b, p)
	}
	costTable(&b, c)
	return os.WriteFile(filepath.Join(dir, "routing.md"), []byte(b.String()), 0o644)
}

func verdictTable(b *strings.Builder, sections []played, c *cost) {
	b.WriteString("## Bars\n\n| where | what | at most | measured (95 % interval) | |\n|---|---|---|---|---|\n")
	line := func(where string, v *verdict) {
		fmt.Fprintf(b, "| %s | %s | %s | %s | **%s** |\n", where, v.name, short(v.most), number(v.got), v.word())
	}
	for i := range sections {
		for j := range sections[i].verdicts {
			line(sections[i].title, &sections[i].verdicts[j])
		}
	}
	for _, v := range c.verdicts() {
		line("Cost of a decision", &v)
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

func costTable(b *strings.Builder, c *cost) {
	b.WriteString("\n## What a decision costs\n\nOn the machine that wrote this page, one core: the JSON body is scanned and hashed, eight replicas are ranked, and the group is told that\nthe request was sent. The body has just been read, as in a gateway, so that the processor's caches hold it; the last line is for one that comes from\nmemory.\n\n| body | p50 | p99 | decisions a second |\n|---|---|---|---|\n")
	for _, l := range []struct {
		size string
		latency
	}{{"4 KB", c.small}, {"400 KB (about 100k tokens)", c.large}, {"400 KB, from memory", c.cold}} {
		fmt.Fprintf(b, "| %s | %.1f us | %.1f us | %.0f |\n", l.size, float64(l.p50)/1e3, float64(l.p99)/1e3, l.rate)
	}
	fmt.Fprintf(b, "\nA million checkpoints in the index take %.0f MB.\n", c.million/1e6)
}
