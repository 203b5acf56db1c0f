//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"tailplane/bench/internal/proc"
	"tailplane/bench/internal/stats"
)

// The bars of scenarios d and i: KiB for each live stream, milliseconds to the
// first answer.
const (
	streamBar = 32
	idleBar   = 14
	startBar  = 100
)

// repeats of the figures that need a fresh process each.
const (
	memoryRepeats = 3
	startRepeats  = 5
)

// simple judges a figure that has no reference: all above the bar fails, the
// median below it passes.
func simple(s stats.Summary, bar float64) stats.Verdict {
	switch {
	case s.N > 0 && s.Med <= bar:
		return stats.Pass
	case s.N > 0 && s.Min > bar:
		return stats.Fail
	}
	return stats.Inconclusive
}

// memory is scenario d: PSS of a fresh process after some load, with idle
// connections, and with a live stream on each.
func (b *bench) memory(ctx context.Context) error {
	title := fmt.Sprintf("memory, %d connections", b.opt.memory)
	for _, name := range b.names(false) {
		figures := map[string][]float64{}
		for range b.repeats(memoryRepeats) {
			if err := b.memoryOnce(ctx, name, figures); err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				b.report.note("d, %s: %v", name, err)
			}
		}
		for _, f := range []struct {
			name string
			bar  float64
			gate bool
		}{{"PSS before MB", 0, false}, {"KB/idle connection", idleBar, false}, {"KB/live stream", streamBar, true}, {"PSS live MB", 0, false}} {
			line := row{Scenario: "d", Title: title, Target: name, Figure: f.name, Summary: b.report.summary(figures[f.name])}
			if name == ours && f.bar > 0 {
				line.Bar, line.Gate, line.Verdict = f.bar, f.gate, simple(line.Summary, f.bar)
			}
			b.report.rows = append(b.report.rows, line)
		}
		b.progress("d: %s", name)
	}
	return nil
}

func (b *bench) memoryOnce(ctx context.Context, name string, figures map[string][]float64) error {
	t, err := b.launch(ctx, name)
	if err != nil {
		return err
	}
	defer t.stop(b)
	if _, err := b.load(ctx, t, []string{"-model", small, "-duration", "300ms"}, 20*time.Second); err != nil {
		return err
	}
	n := float64(b.opt.memory)
	run, err := b.load(ctx, t, []string{"-mode", "memory", "-model", liveSSE, "-events", "300", "-conns", strconv.Itoa(b.opt.memory), "-warmup", "1s"}, time.Minute)
	if err != nil {
		return err
	}
	if int(run.Streams) != b.opt.memory || len(run.Errors) > 0 {
		return fmt.Errorf("only %d of %d streams were live: %v", run.Streams, b.opt.memory, run.Errors)
	}
	add := func(figure string, value float64) { figures[figure] = append(figures[figure], value) }
	add("PSS before MB", float64(run.Before.PSS)/1024)
	add("KB/idle connection", float64(run.Idle.PSS-run.Before.PSS)/n)
	add("KB/live stream", float64(run.Live.PSS-run.Before.PSS)/n)
	add("PSS live MB", float64(run.Live.PSS)/1024)
	return nil
}

func (b *bench) repeats(n int) int {
	if b.opt.quick {
		return 1
	}
	return n
}

// startUp is scenario i: from the start of the process to its first answer to
// a real request, then its memory at rest, then the size of the binary.
func (b *bench) startUp(ctx context.Context) error {
	const title = "start-up"
	for _, name := range b.names(false) {
		var took, pss, rss []float64
		for range b.repeats(startRepeats) {
			ms, m, err := b.startOnce(ctx, name)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				b.report.note("i, %s: %v", name, err)
				continue
			}
			took, pss, rss = append(took, ms), append(pss, float64(m.PSS)/1024), append(rss, float64(m.RSS)/1024)
		}
		line := row{Scenario: "i", Title: title, Target: name, Figure: "ms to first answer", Summary: b.report.summary(took)}
		if name == ours {
			line.Bar, line.Gate, line.Verdict = startBar, true, simple(line.Summary, startBar)
		}
		b.report.rows = append(b.report.rows, line,
			row{Scenario: "i", Title: title, Target: name, Figure: "idle RSS MB", Summary: b.report.summary(rss)},
			row{Scenario: "i", Title: title, Target: name, Figure: "idle PSS MB", Summary: b.report.summary(pss)})
		b.progress("i: %s", name)
	}
	if info, err := os.Stat(b.opt.tailplane); b.opt.tailplane != "" && err == nil {
		b.report.rows = append(b.report.rows, row{Scenario: "i", Title: title, Target: ours, Figure: "binary MB", Summary: b.report.summary([]float64{float64(info.Size()) / (1 << 20)})})
	}
	return nil
}

func (b *bench) startOnce(ctx context.Context, name string) (ms float64, idle proc.Memory, err error) {
	began := time.Now()
	t, err := b.begin(name)
	if err != nil {
		return 0, idle, err
	}
	defer t.stop(b)
	for time.Since(began) < 10*time.Second {
		if c, err := net.Dial("tcp", t.addr); err == nil {
			_ = c.Close()
			if answers(ctx, t.addr) {
				ms = float64(time.Since(began).Microseconds()) / 1e3
				if err := sleep(ctx, time.Second); err != nil {
					return 0, idle, err
				}
				return ms, proc.MemoryOf(proc.Tree([]int{t.procs[0].pid()})), nil
			}
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return 0, idle, err
		}
	}
	return 0, idle, fmt.Errorf("no answer after 10 s: %w", b.spawn.lastWords(t.procs[0].name))
}

func answers(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	body := []byte(`{"messages":[{"role":"user","content":"level?"}],"model":"small"}`)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+clientKey)
	status, _, err := do(r)
	return err == nil && status == http.StatusOK
}
