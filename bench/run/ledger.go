//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"tailplane/bench/internal/stats"
)

// settleLedger compares what the mock told Tailplane in usage with what
// Tailplane's ledger holds. It runs before the broken streams: until then every
// answer was whole, later each side may have seen another part. Where the
// ledger cannot be read the check is skipped with a note.
func (b *bench) settleLedger(ctx context.Context, targets fleet) {
	t := targets.find(ours)
	if t == nil {
		return
	}
	emitted, err := b.mockStats(ctx)
	if err != nil {
		b.report.note("ledger: %v", err)
		return
	}
	want := tokens{emitted.Routed.PromptTokens, emitted.Routed.CompletionTokens}
	var got tokens
	// The journal drains into the store in batches: give it a while.
	for range 20 {
		if got, err = b.ledgerTotals(ctx, t); err == nil && got == want {
			break
		}
		if sleep(ctx, 250*time.Millisecond) != nil {
			return
		}
	}
	if err != nil {
		b.report.note("ledger: totals not compared: %v", err)
		return
	}
	off := float64(got.input-want.input) + float64(got.output-want.output)
	line := row{Scenario: "-", Title: "correctness", Target: ours, Figure: "ledger - mock tokens", Summary: b.report.summary([]float64{off}), Gate: true, Verdict: stats.Pass}
	line.Why = fmt.Sprintf("ledger %d in, %d out; mock %d in, %d out", got.input, got.output, want.input, want.output)
	if got != want {
		line.Verdict = stats.Fail
	}
	b.report.rows = append(b.report.rows, line)
}

type tokens struct{ input, output int64 }

// ledgerTotals asks the binary itself.
func (b *bench) ledgerTotals(ctx context.Context, t *target) (tokens, error) {
	argv := []string{b.opt.tailplane, "usage", "--state", filepath.Join(t.dir, "ledger"), "-o", "json"}
	env := []string{"HOME=" + t.dir}
	raw, err := b.spawn.output(ctx, spec{name: "usage", argv: argv, env: env, core: b.opt.coreLoad}, 20*time.Second)
	if err != nil {
		return tokens{}, err
	}
	return totals(raw)
}

// totals reads the sum from a usage report: an object's "total" where it has
// one, else the sum over its rows.
func totals(raw []byte) (tokens, error) {
	var doc any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return tokens{}, fmt.Errorf("read the usage report: %w", err)
	}
	sum, found := add(doc)
	if !found {
		return tokens{}, fmt.Errorf("read the usage report: no member named input or input_tokens in it")
	}
	return sum, nil
}

func add(node any) (sum tokens, found bool) {
	switch n := node.(type) {
	case []any:
		for _, item := range n {
			if t, ok := add(item); ok {
				sum, found = tokens{sum.input + t.input, sum.output + t.output}, true
			}
		}
	case map[string]any:
		in, has := number(n, "input", "input_tokens", "prompt_tokens")
		if has {
			out, _ := number(n, "output", "output_tokens", "completion_tokens")
			return tokens{in, out}, true
		}
		for _, name := range []string{"total", "totals", "usage", "rows", "data", "items"} {
			if t, ok := add(n[name]); ok {
				return t, true
			}
		}
	}
	return sum, found
}

func number(object map[string]any, names ...string) (int64, bool) {
	for _, name := range names {
		if v, ok := object[name].(float64); ok {
			return int64(v), true
		}
	}
	return 0, false
}
