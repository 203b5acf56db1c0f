package main

import (
	"fmt"

	"tailplane/internal/replay"
)

// bar is what a figure may be at most.
type bar struct {
	name string
	most float64
	of   func(rs []replay.Result) replay.Interval
}

// verdict is a bar with what was measured.
type verdict struct {
	bar
	got replay.Interval
}

func (v *verdict) met() bool { return v.got.Mean <= v.most }

func (v *verdict) word() string {
	switch {
	case !v.met() && v.got.Low <= v.most:
		return "missed, within the interval"
	case !v.met():
		return "missed"
	case v.got.High > v.most:
		return "met, the interval reaches over"
	}
	return "met"
}

func (v *verdict) text() string {
	return fmt.Sprintf("%s: %s, at most %s: %s", v.name, number(v.got), short(v.most), v.word())
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
