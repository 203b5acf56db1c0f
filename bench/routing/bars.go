package main

import (
	"fmt"
	"math"

	"tailplane/internal/replay"
)

// bar is between what a figure is to lie. Times, ratios and shares are not below
// zero, so that where only most is set, it alone counts.
type bar struct {
	name        string
	most, least float64
	of          func(rs []replay.Result) replay.Interval // nil where no policies are compared
}

// atMost is a bar for a figure of a section.
func atMost(name string, most float64, of func([]replay.Result) replay.Interval) bar {
	return bar{name: name, most: most, of: of}
}

// atLeast is a bar that a figure is to reach.
func atLeast(name string, least float64) bar { return bar{name: name, least: least, most: math.Inf(1)} }

func (b *bar) holds(x float64) bool { return b.least <= x && x <= b.most }

// text is the bar in words.
func (b *bar) text() string {
	if math.IsInf(b.most, 1) {
		return "at least " + short(b.least)
	}
	return "at most " + short(b.most)
}

// verdict is a bar with what was measured.
type verdict struct {
	bar
	got replay.Interval
}

func (v *verdict) met() bool { return v.holds(v.got.Mean) }

func (v *verdict) word() string {
	within := v.holds(v.got.Low) || v.holds(v.got.High)
	switch {
	case !v.met() && within:
		return "missed, within the interval"
	case !v.met():
		return "missed"
	case v.got.High > v.most:
		return "met, the interval reaches over"
	case v.got.Low < v.least:
		return "met, the interval reaches below"
	}
	return "met"
}

func (v *verdict) text() string {
	return fmt.Sprintf("%s: %s, %s: %s", v.name, number(v.got), v.bar.text(), v.word())
}

// number is a figure with its interval, where there is one.
func number(i replay.Interval) string {
	if i.Low == i.High {
		return short(i.Mean)
	}
	return fmt.Sprintf("%s (%s to %s)", short(i.Mean), short(i.Low), short(i.High))
}

// short is three figures that matter.
func short(x float64) string {
	switch {
	case x >= 100 || x <= -100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10 || x <= -10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// named is the result of that label; a section without it is a mistake of
// sections.go.
func named(rs []replay.Result, label string) *replay.Result {
	for i := range rs {
		if rs[i].Policy == label {
			return &rs[i]
		}
	}
	panic("routing: no row " + label)
}

// ratio is a measure of one row as a multiple of that of another.
func ratio(a, b, measure string) func([]replay.Result) replay.Interval {
	return func(rs []replay.Result) replay.Interval { return named(rs, a).Against(named(rs, b), measure) }
}

// best is a measure of a row as a multiple of the best of others, by their means
// over all seeds.
func best(a, measure string, others ...string) func([]replay.Result) replay.Interval {
	return func(rs []replay.Result) replay.Interval {
		least := named(rs, others[0])
		for _, o := range others[1:] {
			if r := named(rs, o); r.Detail.CI[measure].Mean < least.Detail.CI[measure].Mean {
				least = r
			}
		}
		return named(rs, a).Against(least, measure)
	}
}

// exactly is a plain figure of a row.
func exactly(label string, of func(*replay.Result) float64) func([]replay.Result) replay.Interval {
	return func(rs []replay.Result) replay.Interval {
		v := of(named(rs, label))
		return replay.Interval{Mean: v, Low: v, High: v}
	}
}
