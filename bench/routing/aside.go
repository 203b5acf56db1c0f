package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"tailplane/internal/replay"
)

// aside is a part of the page that compares no policies: a section with a table of
// its own, and bars.
type aside struct {
	id, title string
	marks     []mark // of its chart; none: there is no chart
	unit      string // of the marks
	text      string // Markdown behind the chart
	verdicts  []verdict
}

// asides are measured one after the other; each says what it needs of the options.
func asides() []struct {
	id      string
	measure func(ctx context.Context, o *options) (aside, error)
} {
	return []struct {
		id      string
		measure func(ctx context.Context, o *options) (aside, error)
	}{
		{"tenants", tenants},
		{"complexity", needsStrong},
		{"decision", func(context.Context, *options) (aside, error) { return measureCost().aside(), nil }},
	}
}

// measureAsides measures those that are wanted, and tells how they did.
func measureAsides(ctx context.Context, o *options, progress io.Writer) (out []aside, missed int, err error) {
	for _, m := range asides() {
		if !strings.Contains(m.id, o.only) {
			continue
		}
		began := time.Now()
		a, err := m.measure(ctx, o)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", m.id, err)
		}
		a.id = m.id
		fmt.Fprintf(progress, "%s: %.0f s\n", m.id, time.Since(began).Seconds())
		missed += tell(progress, a.verdicts)
		out = append(out, a)
	}
	return out, missed, nil
}

// tell prints verdicts, and counts the bars that were missed.
func tell(progress io.Writer, verdicts []verdict) (missed int) {
	for _, v := range verdicts {
		fmt.Fprintf(progress, "  %s\n", v.text())
		if !v.met() {
			missed++
		}
	}
	return missed
}

// flat is a figure without an interval.
func flat(v float64) replay.Interval { return replay.Interval{Mean: v, Low: v, High: v} }
