//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"tailplane/bench/internal/result"
	"tailplane/bench/internal/stats"
)

// faultCase is one way in which a stream may break.
type faultCase struct {
	title string
	model string
	args  []string
	leave bool // the client goes, and nothing may stay behind it upstream
}

// fastRepeats is how often the fast streams are run: thousands in all.
const fastRepeats = 10

func (o options) faultCases() []faultCase {
	n := strconv.Itoa(o.fault)
	cases := []faultCase{
		{title: "upstream dies mid-stream", model: cutSSE, args: []string{"-mode", "cut", "-events", "40", "-conns", n}},
		{title: "client leaves mid-stream", model: leaveSSE, args: []string{"-mode", "leave", "-leave", "3", "-conns", n}, leave: true},
		{title: "fast-answering upstream", model: quickSSE, args: []string{"-mode", "cut", "-events", "50", "-size", "102400", "-conns", n}},
	}
	return cases
}

// faults is scenario k: whatever dies, no stream ends cleanly without all of
// it, and no upstream request outlives its client.
func (b *bench) faults(ctx context.Context, targets fleet) error {
	for _, c := range b.opt.faultCases() {
		repeats := 1
		if c.model == quickSSE {
			repeats = fastRepeats
		}
		for _, t := range targets {
			if t.name == control || t.name == again {
				continue
			}
			if err := b.fault(ctx, t, c, repeats); err != nil {
				return err
			}
			if t.name == ours && c.model != quickSSE {
				crossed := c
				crossed.title, crossed.model = c.title+", translated", "x-"+c.model
				if err := b.fault(ctx, t, crossed, repeats); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bench) fault(ctx context.Context, t *target, c faultCase, repeats int) error {
	var counts []float64
	var sum result.Run
	why := ""
	for range repeats {
		run, err := b.load(ctx, t, append([]string{"-model", c.model}, c.args...), time.Minute)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			b.report.note("k, %s, %s: %v", c.title, t.name, err)
			why = "did not run to its end"
			continue
		}
		bad := run.Clean
		if c.leave {
			left, err := b.leftBehind(ctx)
			if err != nil {
				return err
			}
			bad += left
		}
		counts = append(counts, float64(bad))
		sum.Streams += run.Streams
		sum.Aborted += run.Aborted
		sum.Told += run.Told
		sum.Units += run.Units
	}
	line := row{Scenario: "k", Title: "broken streams: clean but truncated, or left behind upstream", Target: t.name, Figure: c.title, Summary: b.report.summary(counts)}
	line.Why = fmt.Sprintf("%d whole, %d aborted, %d told in the stream, %d left", sum.Streams, sum.Aborted, sum.Told, sum.Units)
	if t.name == ours {
		line.Gate, line.Verdict = true, stats.Pass
		if why != "" {
			line.Verdict, line.Why = stats.Inconclusive, why
		}
		whole := int64(b.opt.fault * repeats)
		if line.Summary.Max > 0 || c.model == quickSSE && sum.Streams != whole {
			line.Verdict = stats.Fail
		}
	}
	b.report.rows = append(b.report.rows, line)
	b.progress("k: %s, %s", c.title, t.name)
	return nil
}

// mockStats is what the runner reads of the mock's GET /stats.
type mockStats struct {
	Routed, Plain struct {
		Answers          int64 `json:"answers"`
		Live             int64 `json:"live"`
		PromptTokens     int64 `json:"prompt_tokens"`
		CompletionTokens int64 `json:"completion_tokens"`
	}
}

func (b *bench) mockStats(ctx context.Context) (mockStats, error) {
	var s mockStats
	_, raw, err := get(ctx, fmt.Sprintf("http://127.0.0.1:%d/stats", b.mockPort))
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read the mock's counts: %w", err)
	}
	return s, nil
}

// leftBehind is how many streams the mock still sends three seconds after
// their clients went.
func (b *bench) leftBehind(ctx context.Context) (int64, error) {
	var s mockStats
	for range 30 {
		var err error
		if s, err = b.mockStats(ctx); err != nil {
			return 0, err
		}
		if s.Routed.Live+s.Plain.Live == 0 {
			return 0, nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return s.Routed.Live + s.Plain.Live, nil
}
